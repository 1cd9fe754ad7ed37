package query

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFormats(t *testing.T) {
	r := open(t, Options{Path: warehouse(t)})
	const all = "SELECT source, call_id, started_at, cost, duration_ms FROM calls ORDER BY call_id"
	for _, c := range []struct {
		name, sql string
		format    Format
		want      string
	}{
		{"table", all, Table, `
source     call_id  started_at                         cost       duration_ms
---------  -------  -------------------------  ------------  ----------------
millis-us  a        2024-01-15 10:00:00+00      0.123456789             61000
burki      b        2024-01-15 10:00:00.25+00  12.000000000  9007199254740993
voicy      c        NULL                               NULL              NULL
(3 rows)
`},
		{"json", all, JSON, `
[
{"source":"millis-us","call_id":"a","started_at":"2024-01-15T10:00:00Z","cost":0.123456789,"duration_ms":61000},
{"source":"burki","call_id":"b","started_at":"2024-01-15T10:00:00.25Z","cost":12.000000000,"duration_ms":9007199254740993},
{"source":"voicy","call_id":"c","started_at":null,"cost":null,"duration_ms":null}
]
`},
		{"ndjson", all, NDJSON, `
{"source":"millis-us","call_id":"a","started_at":"2024-01-15T10:00:00Z","cost":0.123456789,"duration_ms":61000}
{"source":"burki","call_id":"b","started_at":"2024-01-15T10:00:00.25Z","cost":12.000000000,"duration_ms":9007199254740993}
{"source":"voicy","call_id":"c","started_at":null,"cost":null,"duration_ms":null}
`},
		{"csv", all, CSV, `
source,call_id,started_at,cost,duration_ms
millis-us,a,2024-01-15 10:00:00+00,0.123456789,61000
burki,b,2024-01-15 10:00:00.25+00,12.000000000,9007199254740993
voicy,c,,,
`},
		{"csv quotes", `SELECT 'a,"b"' AS "x,y", E'two\r\nlines' AS z`, CSV, "\n\"x,y\",z\n\"a,\"\"b\"\"\",\"two\r\nlines\"\n"},
		{"no rows as a table", "SELECT 1 AS one WHERE false", Table, "\none\n---\n(0 rows)\n"},
		{"no rows as json", "SELECT 1 AS one WHERE false", JSON, "\n[]\n"},
		{"no rows as ndjson", "SELECT 1 AS one WHERE false", NDJSON, "\n"},
		{"no rows as csv", "SELECT 1 AS one WHERE false", CSV, "\none\n"},
		{"wide characters", "SELECT * FROM (VALUES ('日本', 1), ('é', 22), ('🦆', 3)) t(naïve, n)", Table, `
naïve   n
-----  --
日本    1
é      22
🦆      3
(3 rows)
`},
		{"what would move the cursor", `SELECT E'a\tb\nc\r' || chr(27) || '[31m' || chr(8238) || 'x' AS v`, Table, `
v
----------------------------
a\tb\nc\r\u{1b}[31m\u{202e}x
(1 row)
`},
		{"columns of one name", "SELECT 1 AS a, 2 AS a, 3 AS A, 4 AS a_1", NDJSON, `
{"a":1,"a_2":2,"A_3":3,"a_1":4}
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), ask(t, r, c.sql, c.format)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Every value, in the form that JSON, CSV and tables give it.
func TestValuesAreExact(t *testing.T) {
	r := open(t, Options{Path: warehouse(t), TimeZone: ""})
	for _, c := range []struct{ expr, json, text string }{
		{"123456789.123456789::DECIMAL(18,9)", `123456789.123456789`, "123456789.123456789"},
		{"0.1::DECIMAL(18,9)", `0.100000000`, "0.100000000"},
		{"-0.5::DECIMAL(1,1)", `-0.5`, "-0.5"},
		{"0.25::DECIMAL(2,2)", `0.25`, "0.25"},
		{"99999999999999999999999999999999999999::DECIMAL(38,0)", `99999999999999999999999999999999999999`, "99999999999999999999999999999999999999"},
		{"9007199254740993", `9007199254740993`, "9007199254740993"},
		{"18446744073709551615::UBIGINT", `18446744073709551615`, "18446744073709551615"},
		{"170141183460469231731687303715884105727::HUGEINT", `170141183460469231731687303715884105727`, "170141183460469231731687303715884105727"},
		{"'123456789012345678901234567890123456789012'::BIGNUM", `123456789012345678901234567890123456789012`, "123456789012345678901234567890123456789012"},
		{"0.1::DOUBLE", `0.1`, "0.1"},
		{"1e300::DOUBLE", `1e+300`, "1e+300"},
		{"'nan'::DOUBLE", `null`, "nan"},
		{"'-inf'::FLOAT", `null`, "-inf"},
		{"true", `true`, "true"},
		{"TIMESTAMPTZ '2024-01-15 12:00:00.000001+02'", `"2024-01-15T10:00:00.000001Z"`, "2024-01-15 10:00:00.000001+00"},
		{"TIMESTAMP '2024-01-15 10:00:00'", `"2024-01-15T10:00:00"`, "2024-01-15 10:00:00"},
		{"TIMESTAMPTZ '2024-07-15 10:00:00+00' AT TIME ZONE 'Europe/Berlin'", `"2024-07-15T12:00:00"`, "2024-07-15 12:00:00"},
		{"'infinity'::TIMESTAMPTZ", `"infinity"`, "infinity"},
		{"DATE '2024-01-15'", `"2024-01-15"`, "2024-01-15"},
		{"TIME '10:00:00.5'", `"10:00:00.5"`, "10:00:00.5"},
		{"INTERVAL '1 month 2 days'", `"1 month 2 days"`, "1 month 2 days"},
		{`'a\x00\xFF\x5C'::BLOB`, `"YQD/XA=="`, `a\x00\xFF\x5C`},
		{"'101'::BIT", `"101"`, "101"},
		{"'00000000-0000-0000-0000-000000000001'::UUID", `"00000000-0000-0000-0000-000000000001"`, "00000000-0000-0000-0000-000000000001"},
		{`'{"a": 9007199254740993, "b": [1.10]}'::JSON`, `{"a":9007199254740993,"b":[1.10]}`, `{"a": 9007199254740993, "b": [1.10]}`},
		{"[1.50, NULL]::DECIMAL(18,9)[]", `[1.500000000,null]`, "[1.500000000, NULL]"},
		{"{'n': 9007199254740993, 'at': TIMESTAMPTZ '2024-01-15 10:00:00+00', 'x': 'nan'::DOUBLE, 'b': 'a\\x00'::BLOB, 'ok': true, 'none': NULL}",
			`{"n":9007199254740993,"at":"2024-01-15T10:00:00Z","x":null,"b":"YQA=","ok":true,"none":null}`, ""},
		{"MAP {0.5: [{'a': 170141183460469231731687303715884105727}]}", `{"0.5":[{"a":170141183460469231731687303715884105727}]}`, ""},
		{"array_value(1, 2)", `[1,2]`, "[1, 2]"},
		{"{'j': '[1.10]'::JSON, 's': 'a\"b'}", `{"j":[1.10],"s":"a\"b"}`, ""},
		{"[[]::INTEGER[], [1]]", `[[],[1]]`, "[[], [1]]"},
		{"union_value(n := 1)", `"1"`, "1"},
		{"ROW(1, 'a')", `"(1, a)"`, "(1, a)"},
		{"{'a': [1]}::VARIANT", `{"a":[1]}`, ""},
		{"'<b>&\u2028'", `"<b>&\u2028"`, "<b>&\u2028"},
		{"NULL", `null`, ""},
	} {
		if got, want := ask(t, r, "SELECT "+c.expr+" AS v", NDJSON), `{"v":`+c.json+"}\n"; got != want {
			t.Errorf("%s as json: %s, want %s", c.expr, got, want)
		}
		if c.text == "" {
			continue
		}
		records, err := csv.NewReader(strings.NewReader(ask(t, r, "SELECT "+c.expr+" AS v", CSV))).ReadAll()
		if err != nil || len(records) != 2 || records[1][0] != c.text {
			t.Errorf("%s as csv: %q, %v, want %q", c.expr, records, err, c.text)
		}
	}
}

// DuckDB's own set of extreme values: all of JSON's forms are valid JSON, line by line and as a whole.
func TestEveryTypeIsValidJSON(t *testing.T) {
	r := open(t, Options{Path: warehouse(t, "CREATE TABLE every_type AS SELECT * FROM test_all_types()")})
	var rows []map[string]any
	if err := json.Unmarshal([]byte(ask(t, r, "FROM every_type", JSON)), &rows); err != nil || len(rows) != 3 {
		t.Errorf("json: %d rows, %v", len(rows), err)
	}
	for line := range strings.Lines(ask(t, r, "FROM every_type", NDJSON)) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not valid: %s", line)
		}
	}
	records, err := csv.NewReader(strings.NewReader(ask(t, r, "FROM every_type", CSV))).ReadAll()
	if err != nil || len(records) != 4 {
		t.Errorf("csv: %d records, %v", len(records), err)
	}
}

func TestTimeZone(t *testing.T) {
	r := open(t, Options{Path: warehouse(t), TimeZone: "Asia/Kolkata"})
	got := ask(t, r, "SELECT started_at FROM calls WHERE call_id = 'a'", NDJSON)
	if want := "{\"started_at\":\"2024-01-15T15:30:00+05:30\"}\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := Open(t.Context(), Options{Path: warehouse(t), TimeZone: "Mars/Olympus"}); err == nil || !strings.Contains(err.Error(), "Mars/Olympus") {
		t.Errorf("an unknown zone: error %v", err)
	}
}

func TestTableFitsTerminal(t *testing.T) {
	r := open(t, Options{Path: warehouse(t), Width: 40})
	got := ask(t, r, "SELECT 'short' AS a, repeat('long ', 50) AS b, 12345678901234567890 AS n, '日本日本日本日本日本日本' AS w", Table)
	want := `a      b                            n  w
-----  --------  --------------------  --------
short  long lo…  12345678901234567890  日本日…
(1 row)
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	r.opts.Width = 60
	for line := range strings.Lines(ask(t, r, "SELECT repeat('é', 100000) AS a, repeat('b', 300) AS b, 'c' AS c", Table)) {
		if n := textWidth(strings.TrimRight(line, "\n")); n > 60 {
			t.Errorf("a line takes %d columns: %s", n, line)
		}
	}
}

// Past the rows that are measured, a longer value is written whole and the table goes on.
func TestTableStreams(t *testing.T) {
	r := open(t, Options{Path: warehouse(t)})
	out := ask(t, r, "SELECT CASE WHEN range < 10100 THEN 'x' ELSE 'much longer' END AS v FROM range(10101)", Table)
	if !strings.HasSuffix(out, "x\nmuch longer\n(10101 rows)\n") || strings.Count(out, "\n") != 10101+3 {
		t.Errorf("the table ends in %q", out[len(out)-60:])
	}
	held := newTable(io.Discard, []column{{name: "v", typ: &dataType{}}}, 0)
	for range 5 {
		if err := held.row([]cell{{text: strings.Repeat("x", measuredBytes/4)}}); err != nil {
			t.Fatal(err)
		}
	}
	if !held.started {
		t.Error("large values are held back without a bound")
	}
}

func TestParseFormat(t *testing.T) {
	for _, f := range Formats() {
		if got, err := ParseFormat(string(f)); got != f || err != nil {
			t.Errorf("ParseFormat(%q) = %q, %v", f, got, err)
		}
	}
	if _, err := ParseFormat("xml"); err == nil || !strings.Contains(err.Error(), "table, json, ndjson, csv, parquet") {
		t.Errorf("unknown format: error %v", err)
	}
}

type brokenWriter struct{ after int }

var errBroken = errors.New("broken pipe")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.after -= len(p); w.after < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestBrokenWriterStopsQuery(t *testing.T) {
	r := open(t, Options{Path: warehouse(t)})
	for _, f := range []Format{Table, JSON, NDJSON, CSV} {
		n, err := r.Run(t.Context(), "SELECT range FROM range(1000000000)", f, &brokenWriter{after: 100_000})
		if !errors.Is(err, errBroken) || n > 1_000_000 {
			t.Errorf("%s: %d rows, error %v", f, n, err)
		}
	}
	if _, err := r.Run(t.Context(), "SELECT 1", Parquet, io.Discard); err == nil || !strings.Contains(err.Error(), "-o FILE") {
		t.Errorf("parquet to a stream: error %v", err)
	}
	var b bytes.Buffer
	if _, err := r.Run(t.Context(), "SELECT 1", "xml", &b); err == nil {
		t.Error("an unknown format was written")
	}
}
