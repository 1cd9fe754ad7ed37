package transform

import (
	"bytes"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/call"
)

// field is one member of an object, its value unread.
type field struct {
	name string
	raw  jsontext.Value
	read bool // somebody asked for it: it is documented
}

// object is a JSON object read one level deep. Its accessors read a field as what the provider's documentation says it is, and note as drift
// whatever is not so. A missing field, a null and an empty string are all the zero value.
type object struct {
	path   string // of the object itself; "": the record
	fields []field
	notes  *notes
}

// parseObject reads one level of src, which must be an object and nothing else.
func parseObject(src []byte, path string, n *notes) (*object, error) {
	dec := lenient(src)
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	o := &object{path: path, notes: n, fields: make([]field, 0, 16)}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		text := name.String()
		raw, err := dec.ReadValue()
		if err != nil {
			return nil, err
		}
		// The decoder may reuse its own slice; the source stays.
		end := dec.InputOffset()
		o.fields = append(o.fields, field{name: text, raw: src[end-int64(len(raw)) : end]})
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	return o, atEnd(dec)
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
		if o.fields[i].name == name {
			return o.fields[i].raw
		}
	}
	return nil
}

// raw returns a field's value as the provider wrote it; nil where it is missing or null.
func (o *object) raw(name string) jsontext.Value {
	var v jsontext.Value
	for i := range o.fields {
		f := &o.fields[i]
		if f.name != name {
			continue
		}
		if v != nil {
			o.notes.addValue(o.at(name)+": named twice", v)
		}
		v, f.read = f.raw, true
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
	o, err := parseObject(raw, path, n)
	if err != nil {
		return nil
	}
	return o
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
	return elements(raw)
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

// elements splits an array that was found good already.
func elements(raw jsontext.Value) []jsontext.Value {
	dec := lenient(raw)
	if _, err := dec.ReadToken(); err != nil {
		return nil
	}
	var list []jsontext.Value
	for dec.PeekKind() != ']' {
		v, err := dec.ReadValue()
		if err != nil {
			return list
		}
		end := dec.InputOffset()
		list = append(list, raw[end-int64(len(v)):end])
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
	for _, f := range o.fields {
		if !f.read {
			o.notes.addValue(o.at(f.name), f.raw)
		}
	}
}

// overlay returns older with what newer tells in its place. What newer leaves empty stays as it was.
func overlay(older, newer *object) *object {
	merged := &object{path: older.path, notes: older.notes, fields: append(make([]field, 0, len(older.fields)+len(newer.fields)), older.fields...)}
	where := make(map[string]int, len(older.fields))
	for i, f := range older.fields {
		where[f.name] = i
	}
	for _, f := range newer.fields {
		i, known := where[f.name]
		switch {
		case !known:
			where[f.name] = len(merged.fields)
			merged.fields = append(merged.fields, f)
		case !emptyValue(f.raw):
			merged.fields[i] = f
		}
	}
	return merged
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

// unquote is the text of a JSON string.
func unquote(raw jsontext.Value) string {
	if bytes.IndexByte(raw, '\\') < 0 && len(raw) >= 2 {
		return string(raw[1 : len(raw)-1])
	}
	// The only error is text that no UTF-8 can hold, which has been replaced by then.
	b, _ := jsontext.AppendUnquote(nil, raw)
	return string(b)
}
