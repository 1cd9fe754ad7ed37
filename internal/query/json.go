package query

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// jsonEncoder writes objects, as an array or one a line.
type jsonEncoder struct {
	w       *bufio.Writer
	columns []column
	keys    [][]byte // each column's name as a JSON string and a colon
	array   bool
	rows    int
	line    bytes.Buffer
}

func newJSON(w io.Writer, columns []column, array bool) (*jsonEncoder, error) {
	e := &jsonEncoder{w: newBuffered(w), columns: columns, array: array}
	for _, name := range uniqueNames(columns) {
		var key bytes.Buffer
		writeString(&key, name)
		key.WriteByte(':')
		e.keys = append(e.keys, key.Bytes())
	}
	return e, nil
}

func (e *jsonEncoder) row(cells []cell) error {
	e.line.Reset()
	switch {
	case e.array && e.rows == 0:
		e.line.WriteString("[\n")
	case e.array:
		e.line.WriteString(",\n")
	}
	e.line.WriteByte('{')
	for i, c := range cells {
		if i > 0 {
			e.line.WriteByte(',')
		}
		e.line.Write(e.keys[i])
		if c.null {
			e.line.WriteString("null")
		} else if err := e.columns[i].typ.writeJSON(&e.line, c.text); err != nil {
			return fmt.Errorf("column %s: %w", e.columns[i].name, err)
		}
	}
	e.line.WriteByte('}')
	if !e.array {
		e.line.WriteByte('\n')
	}
	e.rows++
	_, err := e.w.Write(e.line.Bytes())
	return err
}

func (e *jsonEncoder) finish(bool) error {
	end := "\n]\n"
	switch {
	case !e.array:
		end = ""
	case e.rows == 0:
		end = "[]\n"
	}
	if _, err := e.w.WriteString(end); err != nil {
		return err
	}
	return e.w.Flush()
}

// writeJSON writes a value whose text DuckDB made.
func (t *dataType) writeJSON(b *bytes.Buffer, text string) error {
	switch t.kind {
	case number:
		b.WriteString(t.digits(text))
	case boolean:
		b.WriteString(text)
	case float:
		if strings.HasSuffix(text, "inf") || strings.HasSuffix(text, "nan") {
			text = "null" // JSON has no word for them
		}
		b.WriteString(text)
	case instant:
		writeString(b, iso8601(text))
	case blob:
		raw, err := blobBytes(text)
		if err != nil {
			return err
		}
		writeString(b, base64.StdEncoding.EncodeToString(raw))
	case document:
		if json.Compact(b, []byte(text)) != nil { // a JSON column may hold what is none
			writeString(b, text)
		}
	case list, structure, mapping:
		d := json.NewDecoder(strings.NewReader(text))
		return t.writeNested(b, d)
	case plain:
		writeString(b, text)
	}
	return nil
}

// writeNested rewrites the JSON that DuckDB made of a nested value, in which every leaf is a string, with each leaf as its type wants it.
func (t *dataType) writeNested(b *bytes.Buffer, d *json.Decoder) error {
	token, err := d.Token()
	if err != nil {
		return fmt.Errorf("read a nested value: %w", err)
	}
	switch token := token.(type) {
	case nil:
		b.WriteString("null")
		return nil
	case string:
		return t.writeJSON(b, token)
	case json.Delim:
		if token == '[' {
			return t.writeElements(b, d)
		}
		return t.writeMembers(b, d)
	}
	return fmt.Errorf("read a nested value: %T where text was expected", token)
}

func (t *dataType) writeElements(b *bytes.Buffer, d *json.Decoder) error {
	b.WriteByte('[')
	for first := true; d.More(); first = false {
		if !first {
			b.WriteByte(',')
		}
		if err := t.elem.writeNested(b, d); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return closing(d)
}

func (t *dataType) writeMembers(b *bytes.Buffer, d *json.Decoder) error {
	b.WriteByte('{')
	for i := 0; d.More(); i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		token, err := d.Token()
		if err != nil {
			return fmt.Errorf("read a nested value: %w", err)
		}
		key, _ := token.(string)
		writeString(b, key)
		b.WriteByte(':')
		member := t.elem
		if t.kind == structure {
			member = t.fields[i].typ
		}
		if err := member.writeNested(b, d); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return closing(d)
}

// closing reads the bracket at which More stopped.
func closing(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("read a nested value: %w", err)
	}
	return nil
}

// writeString writes a JSON string. Unlike json.Marshal it leaves <, > and & as they are.
func writeString(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if e.Encode(s) == nil { // a string and a bytes.Buffer leave nothing to fail
		b.Truncate(b.Len() - 1) // the line feed
	}
}

// iso8601 turns "2024-01-15 10:00:00+00" into "2024-01-15T10:00:00Z". A time before the common era and an infinity stay as they are.
func iso8601(text string) string {
	date, clock, found := strings.Cut(text, " ")
	if !found || strings.Contains(clock, "(") {
		return text
	}
	at := strings.LastIndexAny(clock, "+-")
	if at < 0 {
		return date + "T" + clock
	}
	offset := clock[at:]
	switch {
	case offset == "+00":
		offset = "Z"
	case len(offset) == len("+00"):
		offset += ":00"
	}
	return date + "T" + clock[:at] + offset
}

// blobBytes reads DuckDB's text of a BLOB.
func blobBytes(text string) ([]byte, error) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			out = append(out, text[i])
			continue
		}
		if i+4 > len(text) {
			return nil, fmt.Errorf("read a blob: broken escape at byte %d", i)
		}
		b, err := hex.DecodeString(text[i+2 : i+4])
		if err != nil {
			return nil, fmt.Errorf("read a blob: broken escape at byte %d", i)
		}
		out = append(out, b[0])
		i += 3
	}
	return out, nil
}
