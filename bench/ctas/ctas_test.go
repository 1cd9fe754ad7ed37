package ctas_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"syncd/bench/ctas"
	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/transform"
)

// present is the moment at which the fakes and the pipeline are.
var present = time.Date(2026, 3, 18, 15, 30, 0, 0, time.UTC)

// table is one that both ways of loading fill.
type table struct {
	name    string
	key     []string // what names a row, to tell which columns differ
	exclude []string // what only syncd can tell: when it read a call, and what it reads it with
}

var tables = []table{
	{"calls", []string{"call_id"}, []string{"first_seen_at", "changed_at"}},
	{"call_costs", []string{"call_id", "seq"}, nil},
	{"call_messages", []string{"call_id", "seq"}, nil},
	{"call_functions", []string{"call_id", "seq"}, nil},
	{"raw_calls", []string{"call_id"}, []string{"fetched_at", "content_hash", "reading"}},
}

func TestTheTablesEqualThoseOfSyncd(t *testing.T) {
	for p, filled := range map[fakeapi.Provider][]string{
		fakeapi.Millis: {"calls", "call_costs", "call_messages", "call_functions", "raw_calls"},
		fakeapi.Burki:  {"calls", "call_costs", "raw_calls"},
		fakeapi.Voicy:  {"calls", "raw_calls"},
	} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			// A tenth of the calls are under way or have no costs yet: every status there is, and every field that comes later, is missing somewhere.
			fake := newFake(p, 2000, 3, fakeapi.Settling{StatusAt: 4 * time.Hour, CostAt: 6 * time.Hour})
			ours := filepath.Join(dir, "ours.duckdb")
			synchronise(t, fake, ours)
			ndjson := writeList(t, fake, dir)
			reference := filepath.Join(dir, "reference.duckdb")
			timing, err := ctas.Load(t.Context(), ctas.Options{Provider: string(p), Source: "it's " + string(p), NDJSON: ndjson, Database: reference})
			if err != nil {
				t.Fatal(err)
			}
			if timing.Read <= 0 || timing.Tables <= 0 || timing.Checkpoint <= 0 {
				t.Errorf("a part took no time: %+v", timing)
			}
			if left, err := filepath.Glob(reference + ".*"); err != nil || len(left) > 0 {
				t.Errorf("beside the file there is %v, %v: the checkpoint was not measured in full", left, err)
			}
			db := attach(t, ours, reference)
			for _, tab := range tables {
				compare(t, db, tab)
			}
			for _, name := range filled {
				if rows(t, db, "SELECT count(*) FROM reference."+name)[0] == "0" {
					t.Errorf("%s is empty: this shows nothing", name)
				}
			}
		})
	}
}

func TestAnExistingFileAndAnUnknownProviderAreRefused(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there.duckdb")
	if err := os.WriteFile(there, []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ctas.Load(t.Context(), ctas.Options{Provider: "voicy", Source: "a", NDJSON: "x.ndjson", Database: there}); err == nil {
		t.Error("it loaded into a file that was there")
	}
	if text, err := os.ReadFile(there); err != nil || string(text) != "somebody's" {
		t.Errorf("the file is now %q, %v", text, err)
	}
	unknown := ctas.Options{Provider: "nobody", Source: "a", NDJSON: "x.ndjson", Database: filepath.Join(dir, "new.duckdb")}
	if _, err := ctas.Load(t.Context(), unknown); err == nil {
		t.Error("it loaded an unknown provider")
	}
}

func TestALineThatIsNoJSONFailsTheLoad(t *testing.T) {
	dir := t.TempDir()
	ndjson := filepath.Join(dir, "calls.ndjson")
	if err := os.WriteFile(ndjson, []byte("{\"call_id\":\"a\"}\n{\"call_id\":\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := ctas.Options{Provider: "voicy", Source: "a", NDJSON: ndjson, Database: filepath.Join(dir, "new.duckdb")}
	if timing, err := ctas.Load(t.Context(), o); err == nil || timing != (ctas.Timing{}) {
		t.Errorf("loaded in %v, %v", timing, err)
	}
}

const key = "test-key-1c7d55"

// newFake is a provider with that many calls in the last days.
func newFake(p fakeapi.Provider, calls, days int, s fakeapi.Settling) *fakeapi.Server {
	return fakeapi.New(fakeapi.Options{
		Provider: p, Seed: 7, Key: key, Calls: calls, Since: present.AddDate(0, 0, -days), Until: present,
		Now: func() time.Time { return present }, Settling: s,
	})
}

// synchronise reads all of the fake into a warehouse, as a first sync does that leaves privacy and details aside.
func synchronise(t *testing.T, fake *fakeapi.Server, path string) {
	t.Helper()
	server := httptest.NewServer(fake)
	defer server.Close()
	provider := string(fake.Provider())
	source := "it's " + provider
	from, err := extract.New(extract.Account{Source: source, Provider: provider, Key: key, BaseURL: server.URL + fake.BasePath()})
	if err != nil {
		t.Fatal(err)
	}
	means, err := transform.New(transform.Options{Source: source, Provider: provider, Privacy: transform.Privacy{
		Numbers: transform.NumbersKeep, Transcripts: transform.TranscriptsKeep,
	}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := load.Open(t.Context(), load.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	pl := &pipeline.Pipeline{Warehouse: w, Now: func() time.Time { return present }, Log: zap.NewNop()}
	run, err := pl.Sync(t.Context(), pipeline.Source{
		Name: source, Provider: provider, Start: present.AddDate(0, 0, -4), Extract: from, Transform: means,
	}, pipeline.Options{Kind: "sync", Scope: checkpoint.All})
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(len(fake.All())); run.Inserted != want || run.Rejected != 0 {
		t.Fatalf("%d of %d calls were stored, %d rejected", run.Inserted, want, run.Rejected)
	}
}

// writeList writes every call as the provider lists it, one a line, newest first as the list has them.
func writeList(t testing.TB, fake *fakeapi.Server, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "calls.ndjson")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for _, id := range fake.All() {
		r, ok := fake.Call(id)
		if !ok {
			t.Fatalf("the provider lists %s and does not know it", id)
		}
		fmt.Fprintln(w, r.List)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return path
}

// attach opens both files for reading, as ours and reference.
func attach(t *testing.T, ours, reference string) *sql.Conn {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	for name, path := range map[string]string{"ours": ours, "reference": reference} {
		if _, err := conn.ExecContext(t.Context(), fmt.Sprintf("ATTACH '%s' AS %s (READ_ONLY)", path, name)); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

// compare fails where a table's columns or rows differ, and says in which columns they do.
func compare(t *testing.T, db *sql.Conn, tab table) {
	t.Helper()
	shape := `SELECT column_name, data_type FROM duckdb_columns()
		WHERE database_name = '%s' AND schema_name = 'main' AND table_name = '%s' ORDER BY column_index`
	if diff := cmp.Diff(rows(t, db, fmt.Sprintf(shape, "ours", tab.name)), rows(t, db, fmt.Sprintf(shape, "reference", tab.name))); diff != "" {
		t.Errorf("the columns of %s (-syncd +reference):\n%s", tab.name, diff)
		return
	}
	columns := "*"
	if tab.exclude != nil {
		columns = "* EXCLUDE (" + strings.Join(tab.exclude, ", ") + ")"
	}
	extra := `SELECT count(*) FROM (SELECT ` + columns + ` FROM %[1]s.%[3]s EXCEPT ALL SELECT ` + columns + ` FROM %[2]s.%[3]s)`
	onlyOurs := rows(t, db, fmt.Sprintf(extra, "ours", "reference", tab.name))[0]
	onlyTheirs := rows(t, db, fmt.Sprintf(extra, "reference", "ours", tab.name))[0]
	if onlyOurs == "0" && onlyTheirs == "0" {
		return
	}
	t.Errorf("%s: %s rows of syncd are not in the reference, and %s of the reference not in syncd's%s",
		tab.name, onlyOurs, onlyTheirs, differing(t, db, tab))
}

// differing tells in which columns the rows differ that have the same key, with an example of each.
func differing(t *testing.T, db *sql.Conn, tab table) string {
	t.Helper()
	var out strings.Builder
	columns := `SELECT column_name FROM duckdb_columns() WHERE database_name = 'ours' AND table_name = '%s' ORDER BY column_index`
	for _, c := range rows(t, db, fmt.Sprintf(columns, tab.name)) {
		if slices.Contains(tab.exclude, c) {
			continue
		}
		found := rows(t, db, fmt.Sprintf(`SELECT count(*), any_value(o.call_id), max_by(o.%[1]s::VARCHAR, o.call_id), max_by(r.%[1]s::VARCHAR, o.call_id)
			FROM ours.%[2]s AS o JOIN reference.%[2]s AS r USING (%[3]s) WHERE o.%[1]s IS DISTINCT FROM r.%[1]s HAVING count(*) > 0`,
			c, tab.name, strings.Join(tab.key, ", ")))
		for _, line := range found {
			fmt.Fprintf(&out, "\n%s differs (rows | a call | syncd's | the reference's): %s", c, line)
		}
	}
	return out.String()
}

// rows returns the answer of a query, a line of text per row.
func rows(t *testing.T, db *sql.Conn, query string) []string {
	t.Helper()
	found, err := db.QueryContext(context.WithoutCancel(t.Context()), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer found.Close()
	columns, err := found.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for found.Next() {
		values := make([]sql.NullString, len(columns))
		targets := make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := found.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		var line []string
		for _, v := range values {
			if !v.Valid {
				v.String = "NULL"
			}
			line = append(line, v.String)
		}
		lines = append(lines, strings.Join(line, " | "))
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}
