package fakeapi

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// longText stands, while an answer is edited, where a text will be that is made only while it is sent.
const longText = "{fakeapi: a long text}"

// breakRecords breaks those records of an answer that the fault is meant for.
func (x *exchange) breakRecords(s *sheet, t *trouble) {
	id, all := x.s.faults.target(t, s.ids())
	if !all && id == "" {
		return
	}
	for i, r := range s.rows {
		if !all && r.id != id {
			continue
		}
		broken := t.spoil(r.text, s.part)
		if bytes.Equal(broken, r.text) {
			continue
		}
		s.rows[i].text = broken
		x.s.faults.count(t)
		if t.Kind == HugeTranscript && s.part != "" {
			break // the rows are turns of one transcript
		}
	}
	if t.Kind == HugeTranscript {
		s.long = cmp.Or(t.Size, 50_000_000)
	}
}

// spoil breaks one record; it gives back the same where there is nothing to break.
func (t *trouble) spoil(record []byte, part string) []byte {
	switch t.Kind {
	case NotANumber:
		return spoiled(record)
	case EmptyRecord:
		return []byte("{}")
	case ArrayRecord:
		return appendRows(nil, [][]byte{record})
	}
	fields, ok := members(record)
	if !ok {
		return record
	}
	switch t.Kind {
	case UnknownFields:
		fields = append(fields, member{`"x_trace"`, []byte(`"b7ad6b7169203331"`)}, member{`"x_score"`, []byte(`0.25`)},
			member{`"x_internal"`, []byte(`{"shard":[3,null,true],"note":{"de":"Notiz"}}`)})
	case MissingID:
		fields = slices.DeleteFunc(fields, member.isID)
	case DeepNesting:
		fields = nest(fields, cmp.Or(t.Depth, 10))
	case DeepestNesting:
		fields = nest(fields, cmp.Or(t.Depth, 10_000))
	case HugeTranscript:
		return lengthen(record, fields, part)
	default:
		for i, f := range fields {
			if t.Kind == NumbersAsStrings || !f.isID() {
				fields[i].value = t.value(f.name, f.value)
			}
		}
	}
	return object(fields)
}

// value breaks the value of a field.
func (t *trouble) value(name string, v jsontext.Value) jsontext.Value {
	switch t.Kind {
	case NullFields:
		return jsontext.Value("null")
	case ObjectsAsStrings:
		if v.Kind() == '{' || v.Kind() == '[' {
			return quoted(v)
		}
		return v
	}
	return rewrite(name, v, t.leaf)
}

// leaf breaks a value that holds no others.
func (t *trouble) leaf(name string, v jsontext.Value) jsontext.Value {
	number := v.Kind() == '0'
	switch {
	case t.Kind == NumbersAsStrings && number:
		return quoted(v)
	case t.Kind == GiantIntegers && number:
		return jsontext.Value("1" + strings.Repeat("0", 40))
	case t.Kind == HugeFloats && number:
		return jsontext.Value("1e400")
	case t.Kind == StringsAsNumbers && v.Kind() == '"':
		inner := v[1 : len(v)-1]
		if inner.IsValid() && inner.Kind() == '0' {
			return inner
		}
		return jsontext.Value(strconv.Itoa(len(inner)))
	case t.Kind == LoneSurrogates && isText(name, v):
		return within(v, `\ud800`)
	case t.Kind == InvalidUTF8 && isText(name, v):
		return within(v, "\xff\xfe")
	}
	return v
}

// isText says whether a value is what somebody wrote or said, and not an id, a time or a status, by its name or its blanks.
func isText(name string, v jsontext.Value) bool {
	if v.Kind() != '"' || len(v) < 3 {
		return false
	}
	name = strings.Trim(name, `"`)
	return bytes.IndexByte(v, ' ') > 0 || name == "content" || name == "summary" || name == "name" || strings.HasSuffix(name, "_name")
}

// within puts bytes into a string: after its first blank, which cannot be part of an escape, or else at its end.
func within(v jsontext.Value, odd string) jsontext.Value {
	at := bytes.IndexByte(v, ' ') + 1
	if at == 0 {
		at = len(v) - 1
	}
	return slices.Concat(v[:at], jsontext.Value(odd), v[at:])
}

// nest puts objects in objects into the first field that takes anything, or into a new one.
func nest(fields []member, depth int) []member {
	value := jsontext.Value(strings.Repeat(`{"in":`, depth) + "null" + strings.Repeat("}", depth))
	for i, f := range fields {
		if f.name == `"metadata"` || f.name == `"call_meta"` || f.name == `"vars_provided"` {
			fields[i].value = value
			return fields
		}
	}
	return append(fields, member{`"nested"`, value})
}

// lengthen puts a long text into a transcript, in the vendor's form.
func lengthen(record []byte, fields []member, part string) []byte {
	for i, f := range fields {
		switch {
		case f.name == `"chat"`: // JSON in a string
			fields[i].value = jsontext.Value(`"[{\"role\":\"user\",\"content\":\"` + longText + `\"}]"`)
		case f.name == `"transcript"`:
			fields[i].value = jsontext.Value(`[{"role":"caller","content":"` + longText + `","timestamp_ms":0}]`)
		case f.name == `"content"` && part == "transcripts":
			fields[i].value = jsontext.Value(`"` + longText + `"`)
		default:
			continue
		}
		return object(fields)
	}
	return record
}

// member is a field of an object, both halves as they stand on the wire.
type member struct {
	name  string // with its quotes
	value jsontext.Value
}

// isID says whether the field names the record.
func (m member) isID() bool {
	return m.name == `"id"` || m.name == `"session_id"` || m.name == `"call_id"`
}

// tolerant reads what no strict reader would: what one fault has broken, another may still break.
func tolerant(text []byte) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// members takes an object apart; false for anything else.
func members(text []byte) (out []member, ok bool) {
	d := tolerant(text)
	if d.PeekKind() != '{' {
		return nil, false
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadValue()
		if err != nil {
			return nil, false
		}
		m := member{name: string(name)}
		if m.value, err = d.ReadValue(); err != nil {
			return nil, false
		}
		m.value = m.value.Clone()
		out = append(out, m)
	}
	return out, true
}

// elements takes an array apart; false for anything else.
func elements(text []byte) (out [][]byte, ok bool) {
	d := tolerant(text)
	if d.PeekKind() != '[' {
		return nil, false
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	for d.PeekKind() != ']' {
		v, err := d.ReadValue()
		if err != nil {
			return nil, false
		}
		out = append(out, v.Clone())
	}
	return out, true
}

// object puts fields together.
func object(fields []member) []byte {
	out := []byte{'{'}
	for i, f := range fields {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, f.name...), ':'), f.value...)
	}
	return append(out, '}')
}

// rewrite passes every value that holds no others through leaf, with the name of the field that it stands in.
func rewrite(name string, v jsontext.Value, leaf func(string, jsontext.Value) jsontext.Value) jsontext.Value {
	if fields, ok := members(v); ok {
		for i, f := range fields {
			fields[i].value = rewrite(f.name, f.value, leaf)
		}
		return object(fields)
	}
	if values, ok := elements(v); ok {
		for i, e := range values {
			values[i] = rewrite(name, e, leaf)
		}
		return appendRows(nil, values)
	}
	return leaf(name, v)
}

// quoted is a JSON string that holds the text.
func quoted(text []byte) jsontext.Value { return jsontext.Value(appendJSON(nil, string(text))) }
