package transform

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/zeebo/xxh3"
)

// volatility is what of a field changes without the call having changed.
type volatility int

const (
	volatileWhole   volatility = iota + 1 // the whole field, whether it is there or not
	volatileQueries                       // the signatures of URLs in it: whatever follows the question mark
)

// contentHash is XXH3 (64 bits, unseeded) over the members of the payload in their order: name, NUL, raw value, NUL, without what is
// volatile. A payload that is no object is hashed as it is. Stored hashes are compared with it for years: it must never change.
func contentHash(p *part, volatile map[string]volatility) int64 {
	if p.object == nil {
		return int64(xxh3.Hash(p.payload)) //nolint:gosec // the same 64 bits, as DuckDB keeps them
	}
	var h xxh3.Hasher
	separator := []byte{0}
	write := func(b []byte) {
		// A hash.Hash never fails to write.
		_, _ = h.Write(b)
		_, _ = h.Write(separator)
	}
	for _, f := range p.object.fields {
		raw := []byte(f.Value)
		switch volatile[f.Name] {
		case volatileWhole:
			continue
		case volatileQueries:
			raw = withoutQueries(raw)
		}
		write([]byte(f.Name))
		write(raw)
	}
	return int64(h.Sum64()) //nolint:gosec // as above
}

// withoutQueries cuts every URL in a value at its question mark. What it returns is for hashing alone.
func withoutQueries(raw jsontext.Value) []byte {
	dec := lenient(raw)
	var out []byte
	for {
		kind := dec.PeekKind()
		switch kind {
		case '{', '}', '[', ']':
			// The value was read whole before: its delimiters are in order.
			if _, err := dec.ReadToken(); err != nil {
				return out
			}
			out = append(out, byte(kind))
			continue
		}
		v, err := dec.ReadValue()
		if err != nil {
			return out
		}
		text := v
		if kind == '"' {
			if url, _, found := bytes.Cut(v, []byte("?")); found && bytes.Contains(url, []byte("://")) {
				text = url
			}
		}
		out = append(append(out, text...), 0)
	}
}
