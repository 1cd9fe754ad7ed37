package extract

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// What pages and single calls share of reading JSON: whatever is returned is a slice of the answer, byte for byte.

// lenient lets a record through that is odd within: invalid UTF-8 and a name that is there twice are the transform's to see.
var lenient = []jsontext.Options{jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)}

// wholeValue reads an answer that is one JSON value, as a slice of body.
func wholeValue(body []byte) (jsontext.Value, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), lenient...)
	v, err := dec.ReadValue()
	if err != nil {
		return nil, inWords(err, len(body))
	}
	end := int(dec.InputOffset())
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the answer goes on after its end at byte %d", end)
	}
	return jsontext.Value(body[end-len(v) : end : end]), nil
}

// members reads the values that an object has under the names; nil for one that it has not, and of one that is there twice the last. What is no
// object has no members.
func members(payload jsontext.Value, names ...string) []jsontext.Value {
	values := make([]jsontext.Value, len(names))
	if payload.Kind() != '{' {
		return values
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(payload), lenient...)
	_, err := dec.ReadToken()
	for err == nil && dec.PeekKind() == '"' {
		var name jsontext.Token
		if name, err = dec.ReadToken(); err != nil {
			break
		}
		which := slices.Index(names, name.String())
		if which < 0 {
			err = dec.SkipValue()
			continue
		}
		var value jsontext.Value
		if value, err = dec.ReadValue(); err == nil {
			end := int(dec.InputOffset())
			values[which] = payload[end-len(value) : end : end]
		}
	}
	return values
}

// elements reads the elements of an array; what is no array has none.
func elements(payload jsontext.Value) []jsontext.Value {
	if payload.Kind() != '[' {
		return nil
	}
	var values []jsontext.Value
	dec := jsontext.NewDecoder(bytes.NewBuffer(payload), lenient...)
	_, err := dec.ReadToken()
	for err == nil && dec.PeekKind() != ']' {
		var value jsontext.Value
		if value, err = dec.ReadValue(); err == nil {
			end := int(dec.InputOffset())
			values = append(values, payload[end-len(value):end:end])
		}
	}
	return values
}

// inWords says where an answer stops being JSON. The decoder's own error is left out, as it cites the answer.
func inWords(err error, size int) error {
	var syntactic *jsontext.SyntacticError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF):
		return errors.New("the answer is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the answer is JSON that breaks off after %d bytes", size)
	case errors.As(err, &syntactic):
		return fmt.Errorf("the answer stops being JSON at byte %d", syntactic.ByteOffset)
	}
	return errors.New("the answer cannot be read as JSON")
}

func kindName(k jsontext.Kind) string {
	switch k {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case '{':
		return "an object"
	}
	return "an array"
}
