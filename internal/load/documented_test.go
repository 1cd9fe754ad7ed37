package load_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"syncd/internal/load"
)

// described lists what a file holds that is not DuckDB's own, and what is said of it.
const described = `
SELECT 'table', schema_name || '.' || table_name, coalesce(comment, '') FROM duckdb_tables() WHERE NOT internal AND NOT temporary
UNION ALL SELECT 'view', schema_name || '.' || view_name, coalesce(comment, '') FROM duckdb_views() WHERE NOT internal AND NOT temporary
UNION ALL SELECT 'sequence', schema_name || '.' || sequence_name, coalesce(comment, '') FROM duckdb_sequences() WHERE NOT temporary
UNION ALL SELECT 'macro', schema_name || '.' || function_name, coalesce(comment, '') FROM duckdb_functions() WHERE NOT internal AND function_type LIKE '%macro%'
UNION ALL SELECT CASE WHEN is_nullable THEN 'column' ELSE 'required' END, schema_name || '.' || table_name || '.' || column_name, coalesce(comment, '')
	FROM duckdb_columns() WHERE NOT internal AND database_name = current_database()
ORDER BY ALL`

// never is what is said of a column without NULLs.
const never = "Never NULL."

// Everything that a reader can find is described, in the copy, too; and where it says that there is always a value, there is.
func TestEverythingIsDescribed(t *testing.T) {
	dir := t.TempDir()
	w := open(t, filepath.Join(dir, "calls.duckdb"))
	defer w.Close()
	upsert(t, w, manyKinds()...)
	saveSources(t, w, load.Source{Name: "s", Provider: "burki", Start: noon.AddDate(0, -1, 0), Interval: time.Hour, LargestAge: time.Hour})
	saveWindows(t, w, closed("s", 1, noon.AddDate(0, 0, -9), noon.AddDate(0, 0, -1), noon, 24*time.Hour), failed("s", 2, noon, noon.Add(time.Hour), "HTTP 500"))
	path := filepath.Join(dir, "calls.read.duckdb")
	if _, err := w.Publish(t.Context(), load.Publishing{Path: path, Now: time.Now, Copy: elsewhere}); err != nil {
		t.Fatal(err)
	}
	read, err := load.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	views := make(map[string]bool)
	for _, line := range lines(t, read, `SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal`) {
		views[line] = true
	}
	all := 0
	for _, file := range []*load.Warehouse{w, read} {
		for _, line := range lines(t, file, described) {
			all++
			kind, line, _ := strings.Cut(line, " ")
			name, said, _ := strings.Cut(line, " ")
			if !strings.HasSuffix(said, ".") || len(said) < 10 {
				t.Errorf("the %s %s is described as %q, want a sentence", kind, name, said)
			}
			if strings.Contains(strings.ToLower(said), "never null") != strings.HasSuffix(said, never) {
				t.Errorf("%s: %q, want %q at its end", name, said, never)
			}
			if kind != "column" && kind != "required" {
				continue
			}
			table, column := name[:strings.LastIndexByte(name, '.')], name[strings.LastIndexByte(name, '.')+1:]
			switch {
			case !views[table] && (kind == "required") != strings.HasSuffix(said, never):
				t.Errorf("%s is NOT NULL: %t, and it is described as %q", name, kind == "required", said)
			case views[table] && strings.HasSuffix(said, never):
				expect(t, file, `SELECT count(*) > 0, count(*) FILTER (`+column+` IS NULL) FROM `+table, "true 0")
			}
		}
	}
	if all < 500 {
		t.Errorf("only %d descriptions were looked at", all)
	}
}

// What is said, and what a day is, is written once: opening the file again leaves it as it is, to the byte.
func TestOpeningAFileAgainWritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	reopen := func(zone *time.Location) {
		t.Helper()
		w, err := load.Open(t.Context(), load.Options{Path: path, Timezone: zone})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	read := func() string {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	reopen(time.UTC)
	before := read()
	reopen(time.UTC)
	reopen(nil)
	if read() != before {
		t.Error("opening the file again has written to it")
	}
	reopen(berlin)
	inBerlin := read()
	if inBerlin == before {
		t.Error("another zone was not written")
	}
	reopen(berlin)
	reopen(nil)
	if read() != inBerlin {
		t.Error("opening the file again in the same zone has written to it")
	}
}
