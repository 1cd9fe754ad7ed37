package fakeapi

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
)

// rope is a body that may be far larger than memory: texts, each of them repeated a number of times.
type rope []strand

type strand struct {
	text  []byte
	times int64
}

// padding is what long texts are made of. It is plain in every sense: cut or repeated anywhere, it is still JSON's and UTF-8's.
const padding = "and then there was more to say, "

// fill is size bytes of padding.
func fill(size int64) rope { return repeated(padding, size) }

// blanks is size bytes that JSON ignores.
func blanks(size int64) rope { return repeated(" ", size) }

// repeated is a text over and over, up to a size; in longer units, as those are quicker to copy.
func repeated(unit string, size int64) rope {
	long := []byte(strings.Repeat(unit, 4096/len(unit)))
	n := int64(len(long))
	return rope{{long, size / n}, {long[:size%n], 1}}
}

func text(b []byte) rope { return rope{{b, 1}} }

func (r rope) size() (n int64) {
	for _, s := range r {
		n += int64(len(s.text)) * s.times
	}
	return n
}

// first is the rope up to a byte.
func (r rope) first(n int64) rope {
	var out rope
	for _, s := range r {
		unit := int64(len(s.text))
		if unit == 0 {
			continue
		}
		whole := min(s.times, n/unit)
		out = append(out, strand{s.text, whole})
		n -= whole * unit
		if whole < s.times {
			return append(out, strand{s.text[:n], 1})
		}
	}
	return out
}

// gzip packs the rope. What is repeated is packed once: a gzip file may consist of several, one after the other.
func (r rope) gzip() rope {
	const block = 1 << 20
	var out rope
	for _, s := range r {
		if s.times <= 0 || len(s.text) == 0 {
			continue
		}
		per := max(1, min(s.times, block/int64(len(s.text))))
		out = append(out, strand{packed(bytes.Repeat(s.text, int(per))), s.times / per})
		if rest := s.times % per; rest > 0 {
			out = append(out, strand{packed(bytes.Repeat(s.text, int(rest))), 1})
		}
	}
	if len(out) == 0 {
		out = text(packed(nil))
	}
	return out
}

func packed(b []byte) []byte {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	_, err := zip.Write(b)
	if err == nil {
		err = zip.Close()
	}
	if err != nil {
		panic(fmt.Sprintf("fakeapi: gzip into memory: %v", err))
	}
	return buf.Bytes()
}

// reader reads the rope from its beginning.
func (r rope) reader() io.Reader {
	strands := make([]io.Reader, len(r))
	for i, s := range r {
		strands[i] = &strandReader{strand: s}
	}
	return io.MultiReader(strands...)
}

type strandReader struct {
	strand
	at int // within the text
}

func (s *strandReader) Read(p []byte) (n int, err error) {
	for n < len(p) && s.times > 0 && len(s.text) > 0 {
		copied := copy(p[n:], s.text[s.at:])
		n += copied
		s.at += copied
		if s.at == len(s.text) {
			s.at = 0
			s.times--
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}
