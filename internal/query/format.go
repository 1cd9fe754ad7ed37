package query

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"strings"
)

// Format is the form an answer takes.
type Format string

// The formats. In all of them decimals and integers of any size are written digit by digit, never by way of a float.
const (
	// Table is for people: columns aligned, numbers to the right, NULL as NULL, control characters escaped, a count of rows below.
	Table Format = "table"
	// JSON is one array of objects, one object a line. Times are ISO 8601 strings, those with a zone end in Z; numbers are exact JSON numbers, whatever
	// their size; NaN and the infinities are null; BLOBs are base64; lists, structs and maps are nested; a second column of one name
	// gets a suffix (_1). Intervals, UUIDs, enums, unions, bit strings, dates and times of day are strings.
	JSON Format = "json"
	// NDJSON is the objects of JSON, one a line, without the array.
	NDJSON Format = "ndjson"
	// CSV is RFC 4180 with a header and line feeds; NULL is the empty field.
	CSV Format = "csv"
	// Parquet goes to a file only, by WriteFile.
	Parquet Format = "parquet"
)

// Formats are all formats, in the order in which help texts name them.
func Formats() []Format { return []Format{Table, JSON, NDJSON, CSV, Parquet} }

// ParseFormat reads the name of a format.
func ParseFormat(s string) (Format, error) {
	names := make([]string, 0, len(Formats()))
	for _, f := range Formats() {
		if string(f) == s {
			return f, nil
		}
		names = append(names, string(f))
	}
	return "", fmt.Errorf("unknown format %q: use one of %s", s, strings.Join(names, ", "))
}

// encoder writes the rows of one answer.
type encoder interface {
	row(cells []cell) error
	// finish writes what comes after the last row; more tells that further rows were left out.
	finish(more bool) error
}

func newEncoder(f Format, w io.Writer, columns []column, width int) (encoder, error) {
	switch f {
	case Table:
		return newTable(w, columns, width), nil
	case JSON, NDJSON:
		return newJSON(w, columns, f == JSON)
	case CSV:
		return newCSV(w, columns)
	case Parquet:
	}
	return nil, fmt.Errorf("unknown format %q", f)
}

// csvEncoder writes CSV. Line feeds alone end its lines: with CRLF, encoding/csv would change those inside values.
type csvEncoder struct {
	w       *csv.Writer
	columns []column
	record  []string
}

func newCSV(w io.Writer, columns []column) (*csvEncoder, error) {
	e := &csvEncoder{w: csv.NewWriter(w), columns: columns, record: make([]string, len(columns))}
	if err := e.w.Write(uniqueNames(columns)); err != nil {
		return nil, fmt.Errorf("write the answer: %w", err)
	}
	return e, nil
}

func (e *csvEncoder) row(cells []cell) error {
	for i, c := range cells {
		e.record[i] = e.columns[i].typ.digits(c.text)
	}
	return e.w.Write(e.record)
}

func (e *csvEncoder) finish(bool) error {
	e.w.Flush()
	return e.w.Error()
}

// digits gives a decimal whose digits all stand behind the point the zero before it that DuckDB leaves out.
func (t *dataType) digits(text string) string {
	if t.kind != number {
		return text
	}
	if rest, negative := strings.CutPrefix(text, "-"); negative && strings.HasPrefix(rest, ".") {
		return "-0" + rest
	}
	if strings.HasPrefix(text, ".") {
		return "0" + text
	}
	return text
}

// newBuffered is a writer whose errors stay until the next call, so that rows need not be checked byte by byte.
func newBuffered(w io.Writer) *bufio.Writer { return bufio.NewWriterSize(w, 64<<10) }
