package transform

import (
	"bytes"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/call"
	"syncd/internal/rawjson"
)

// object is a JSON object read one level deep. Its accessors read a field as what the provider's documentation says it is, and note as drift
// whatever is not so. A missing field, a null and an empty string are all the zero value.
type object struct {
	path   string // of the object itself; "": the record
	fields []rawjson.Member
	read   []bool // of each field, whether somebody asked for it: then it is documented
	notes  *notes
}

func newObject(fields []rawjson.Member, path string, n *notes) *object {
	return &object{path: path, fields: fields, read: make([]bool, len(fields)), notes: n}
}

// at is the path of a field, for drift.
func (o *object) at(name string) string {
	if name == "" {
		name = `""` // a field may have an empty name, but drift must be somewhere
	}
	if o.path == "" {
		return name
	}
	return o.path + "." + name
}

// find returns a field's raw value without reading it; the last one where it is named twice.
func (o *object) find(name string) jsontext.Value {
	for i := len(o.fields) - 1; i >= 0; i-- {
		if o.fields[i].Name == name {
			return o.fields[i].Value
		}
	}
	return nil
}

// raw returns a field's value as the provider wrote it; nil where it is missing or null.
func (o *object) raw(name string) jsontext.Value {
	var v jsontext.Value
	for i := range o.fields {
		if o.fields[i].Name != name {
			continue
		}
		if v != nil {
			o.notes.addValue(o.at(name)+": named twice", v)
		}
		v, o.read[i] = o.fields[i].Value, true
	}
	if v.Kind() == 'n' {
		return nil
	}
	return v
}

// odd notes a field that is not of its documented type.
func (o *object) odd(name string, raw jsontext.Value, want string) {
	o.notes.addValue(o.at(name)+": "+kindName(raw.Kind())+" for "+want, raw)
}

// text reads a text. A number or a boolean is taken as written, with drift.
func (o *object) text(name string) string {
	raw := o.raw(name)
	switch raw.Kind() {
	case '"':
		return unquote(raw)
	case '0', 't', 'f':
		o.odd(name, raw, "a text")
		return string(raw)
	case '{', '[':
		o.odd(name, raw, "a text")
	}
	return ""
}

// label reads what may be a text or a number alike: an id of somebody else's, a version.
func (o *object) label(name string) string {
	raw := o.raw(name)
	if raw.Kind() == '0' {
		return string(raw)
	}
	if raw == nil {
		return ""
	}
	return o.text(name)
}

// maxNumber is how long a number may be written; no amount, time or count needs more, and arithmetic on megabytes of digits takes for ever.
const maxNumber = 400

// number reads the text of a number. One given as a string is taken, with drift.
func (o *object) number(name string) string {
	raw := o.raw(name)
	switch {
	case raw == nil:
		return ""
	case len(raw) > maxNumber:
		o.notes.addValue(o.at(name)+": out of range", raw)
		return ""
	case raw.Kind() == '0':
		return string(raw)
	case raw.Kind() == '"':
		s := strings.TrimSpace(unquote(raw))
		if s == "" {
			return ""
		}
		o.odd(name, raw, "a number")
		if v := jsontext.Value(s); v.Kind() == '0' && v.IsValid() {
			return s
		}
		return ""
	}
	o.odd(name, raw, "a number")
	return ""
}

// scaled reads a number times ten to the scale, rounded half to even; nil with drift where it is out of range.
func (o *object) scaled(name string, scale int32) *int64 {
	text := o.number(name)
	if text == "" {
		return nil
	}
	n, _, err := call.ParseScaled(text, scale)
	if err != nil {
		o.notes.add(o.at(name)+": out of range", text)
		return nil
	}
	return &n
}

// count reads a whole number that is not negative. A fraction is rounded, with drift.
func (o *object) count(name string) *int64 {
	text := o.number(name)
	if text == "" {
		return nil
	}
	n, rounded, err := call.ParseScaled(text, 0)
	if err != nil || n < 0 {
		o.notes.add(o.at(name)+": out of range", text)
		return nil
	}
	if rounded {
		o.notes.add(o.at(name)+": not a whole number", text)
	}
	return &n
}

// lasting reads a duration into milliseconds. scale is 3 where the provider has seconds, 0 where it has milliseconds.
func (o *object) lasting(name string, scale int32) *int64 {
	n := o.scaled(name, scale)
	if n != nil && (*n < 0 || *n > maxDuration.Milliseconds()) {
		o.notes.addValue(o.at(name)+": implausible", o.find(name))
		return nil
	}
	return n
}

// maxDuration is longer than any call: what lies above it is another unit, or nonsense.
const maxDuration = 366 * 24 * time.Hour

// amount reads money or credits. More than nine decimals are rounded half to even, with drift.
func (o *object) amount(name string) *call.Amount {
	text := o.number(name)
	if text == "" {
		return nil
	}
	return o.exact(name, text, func() (call.Amount, bool, error) { return call.ParseAmount(text) })
}

// exact notes what became of an amount.
func (o *object) exact(name, text string, parse func() (call.Amount, bool, error)) *call.Amount {
	a, rounded, err := parse()
	if err != nil {
		o.notes.add(o.at(name)+": out of range", text)
		return nil
	}
	if rounded {
		o.notes.add(o.at(name)+": more than nine decimals", text)
	}
	return &a
}

// boolean reads a truth value; nil where it is not told.
func (o *object) boolean(name string) *bool {
	raw := o.raw(name)
	text := string(raw)
	switch raw.Kind() {
	case 't', 'f':
	case '"':
		text = strings.ToLower(strings.TrimSpace(unquote(raw)))
		if text != "" {
			o.odd(name, raw, "a boolean")
		}
	case '0', '{', '[':
		o.odd(name, raw, "a boolean")
	}
	if text != "true" && text != "false" {
		return nil
	}
	is := text == "true"
	return &is
}

// object reads a nested object; nil where there is none.
func (o *object) object(name string) *object {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	if raw.Kind() != '{' {
		o.odd(name, raw, "an object")
		return nil
	}
	return nested(raw, o.at(name), o.notes)
}

// nested reads a value that was found good already. What cannot be an object is nil.
func nested(raw jsontext.Value, path string, n *notes) *object {
	if raw.Kind() != '{' {
		return nil
	}
	return newObject(rawjson.Members(nil, raw), path, n)
}

// elements reads an array; nil where there is none.
func (o *object) elements(name string) []jsontext.Value {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	if raw.Kind() != '[' {
		o.odd(name, raw, "an array")
		return nil
	}
	return rawjson.Elements(raw)
}

// objects reads an array of objects. What is no object among them is left out, with drift.
func (o *object) objects(name string) []*object {
	var list []*object
	for _, raw := range o.elements(name) {
		e := nested(raw, o.at(name)+"[]", o.notes)
		if e == nil {
			o.notes.addValue(o.at(name)+"[]: "+kindName(raw.Kind())+" for an object", raw)
			continue
		}
		list = append(list, e)
	}
	return list
}

// json reads what the user attached, as JSON text; "" where there is none.
func (o *object) json(name string) string {
	raw := o.raw(name)
	if raw == nil {
		return ""
	}
	if raw.Kind() != '{' {
		o.odd(name, raw, "an object")
		return ""
	}
	return string(raw)
}

// unknown notes every field that nobody asked for.
func (o *object) unknown() {
	for i, f := range o.fields {
		if !o.read[i] {
			o.notes.addValue(o.at(f.Name), f.Value)
		}
	}
}

// overlay returns older with what newer tells in its place. What newer leaves empty stays as it was.
func overlay(older, newer *object) *object {
	fields := append(make([]rawjson.Member, 0, len(older.fields)+len(newer.fields)), older.fields...)
	where := make(map[string]int, len(older.fields))
	for i, f := range older.fields {
		where[f.Name] = i
	}
	for _, f := range newer.fields {
		i, known := where[f.Name]
		switch {
		case !known:
			where[f.Name] = len(fields)
			fields = append(fields, f)
		case !emptyValue(f.Value):
			fields[i] = f
		}
	}
	return newObject(fields, older.path, older.notes)
}

// emptyValue reports whether a value tells nothing: it is missing, null, or an empty text, array or object.
func emptyValue(raw jsontext.Value) bool {
	switch raw.Kind() {
	case '"':
		return len(raw) == 2
	case '[', '{':
		return len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
	case 't', 'f', '0':
		return false
	}
	return true
}

// unquote is the text of a JSON string. It shares the payload's bytes where it can.
func unquote(raw jsontext.Value) string { return rawjson.Text(raw) }
