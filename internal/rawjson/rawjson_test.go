package rawjson_test

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"syncd/internal/rawjson"
)

// lenient is how records are read: odd within is not for the decoder to refuse.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// decoded cuts a value by the decoder alone. It reports false for what is not one valid value.
func decoded(src []byte) (members []rawjson.Member, elements []jsontext.Value, ok bool) {
	check := jsontext.NewDecoder(bytes.NewBuffer(bytes.Clone(src)), lenient...)
	if err := check.SkipValue(); err != nil {
		return nil, nil, false
	}
	if _, err := check.ReadToken(); err == nil {
		return nil, nil, false
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(bytes.Clone(src)), lenient...)
	begin, err := dec.ReadToken()
	if err != nil {
		return nil, nil, false
	}
	read := func() jsontext.Value {
		v, err := dec.ReadValue()
		if err != nil {
			panic(err) // it was valid a moment ago
		}
		return v.Clone()
	}
	switch begin.Kind() {
	case '{':
		for dec.PeekKind() == '"' {
			name, _ := jsontext.AppendUnquote(nil, read())
			members = append(members, rawjson.Member{Name: string(name), Value: read()})
		}
	case '[':
		for dec.PeekKind() != ']' {
			elements = append(elements, read())
		}
	}
	return members, elements, true
}

func FuzzEqualsTheDecoder(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, ` { "a" : 1 , "b":"x\"y\\" , "a":[1,{"c":"]}"}] } `, `[1, "a\\\"", null , {"x":[ ]},-1.5e3,true]`, `"\\"`, `{"":{},"\u0061":"\ud800"}`,
		`{"a"`, `{"a":`, `["`, `[[[`, `{"a":1,}`, `tru`, "", "{\"\xff\":\"\xfe\"}", `[1,2`, `{"a":"\`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		before := bytes.Clone(src)
		members, elements := rawjson.Members(nil, src), rawjson.Elements(src)
		if !bytes.Equal(src, before) {
			t.Fatal("the argument was written to")
		}
		wantMembers, wantElements, ok := decoded(src)
		if !ok || !utf8.Valid(src) {
			return // of invalid UTF-8 the decoder replaces what this leaves as it is
		}
		for i := range members { // whatever white space surrounds a value is not part of it
			if got := members[i].Value; !bytes.Equal(bytes.TrimSpace(got), got) {
				t.Errorf("a value with white space around it: %q", got)
			}
		}
		if diff := cmp.Diff(wantMembers, members); diff != "" {
			t.Errorf("members of %q (-decoder +rawjson):\n%s", src, diff)
		}
		if diff := cmp.Diff(wantElements, elements); diff != "" {
			t.Errorf("elements of %q (-decoder +rawjson):\n%s", src, diff)
		}
	})
}

func TestTheBytesOfTheObjectAreShared(t *testing.T) {
	src := jsontext.Value(`{"name":"value","list":[10,20]}`)
	members := rawjson.Members(nil, src)
	src[9] = 'V'
	if got := string(members[0].Value); got != `"Value"` {
		t.Errorf("the value was copied: %s", got)
	}
	if got := append(members[0].Value, "…"...); string(src) != `{"name":"Value","list":[10,20]}` {
		t.Errorf("appending to %s wrote into what follows it: %s", got, src)
	}
}
