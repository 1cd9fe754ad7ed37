package transform

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// replacement is the escape that takes the place of one that no text can hold. It is as long as what it replaces.
const replacement = `\ufffd`

// sanitise makes a payload storable as text: invalid UTF-8, escaped NULs and halves of surrogate pairs become U+FFFD. Everything else stays
// as it is, byte for byte. The argument is never written to.
func sanitise(payload []byte) []byte {
	if !utf8.Valid(payload) {
		payload = bytes.ToValidUTF8(payload, []byte(string(utf8.RuneError)))
	}
	out := payload
	for i := 0; ; {
		k := bytes.IndexByte(payload[i:], '\\')
		if k < 0 || i+k+1 >= len(payload) {
			return out
		}
		i += k
		size, bad := escape(payload[i:])
		if bad {
			if &out[0] == &payload[0] {
				out = bytes.Clone(payload)
			}
			copy(out[i:], replacement)
		}
		i += size
	}
}

// escape measures the JSON escape at the start of b, and says whether it stands for what text cannot hold.
func escape(b []byte) (size int, bad bool) {
	if b[1] != 'u' {
		return 2, false
	}
	r, ok := hexRune(b[2:])
	switch {
	case !ok:
		return 2, false
	case r == 0:
		return 6, true
	case !utf16.IsSurrogate(r):
		return 6, false
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if low, ok := hexRune(b[8:]); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
			return 12, false
		}
	}
	return 6, true
}

// hexRune reads four hexadecimal digits.
func hexRune[T string | []byte](b T) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	return rune(n), err == nil
}

// plainText makes any text storable.
func plainText(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	return strings.ReplaceAll(s, "\x00", string(utf8.RuneError))
}

// lenient reads JSON as providers write it. What it tolerates is noted as drift where it matters.
func lenient(src []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(src), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// checkJSON reports why src is not one JSON value.
func checkJSON(src []byte) error {
	dec := lenient(src)
	if err := dec.SkipValue(); err != nil {
		return err
	}
	return atEnd(dec)
}

// atEnd reports whatever follows a value.
func atEnd(dec *jsontext.Decoder) error {
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = &jsontext.SyntacticError{ByteOffset: dec.InputOffset()}
		}
		return err
	}
	return nil
}

// syntaxOffset tells where in the record JSON ends.
func syntaxOffset(err error) int64 {
	if s, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return s.ByteOffset
	}
	return 0
}

// kindName names a JSON type for people.
func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a text"
	case '0':
		return "a number"
	case '[':
		return "an array"
	case '{':
		return "an object"
	}
	return "no JSON"
}
