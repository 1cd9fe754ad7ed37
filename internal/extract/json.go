package extract

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/rawjson"
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

// member reads the value that a valid object has under a name; nil where it has none. What is no object has no members.
func member(payload jsontext.Value, name string) jsontext.Value {
	return lastOf(rawjson.Members(nil, payload), name)
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
