package query

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWriteParquet(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "it's an answer.parquet")
	if err := os.WriteFile(out, []byte("an earlier answer"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := open(t, Options{Path: warehouse(t), Output: out})
	n, err := r.WriteFile(t.Context(), "SELECT call_id, cost, started_at, duration_ms, 1 AS cost, {'a': [1]} AS nested FROM calls ORDER BY call_id; -- done", Parquet)
	if n != 3 || err != nil {
		t.Fatalf("%d rows, %v", n, err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var got string
	err = db.QueryRow(`SET TimeZone = 'UTC'; SELECT string_agg(t::VARCHAR, chr(10)) || chr(10) || any_value(typeof(cost)) FROM read_parquet(?) t`, out).Scan(&got)
	want := `{'call_id': a, 'cost': 0.123456789, 'started_at': '2024-01-15 10:00:00+00', 'duration_ms': 61000, 'cost_1': 1, 'nested': {'a': [1]}}
{'call_id': b, 'cost': 12.000000000, 'started_at': '2024-01-15 10:00:00.25+00', 'duration_ms': 9007199254740993, 'cost_1': 1, 'nested': {'a': [1]}}
{'call_id': c, 'cost': NULL, 'started_at': NULL, 'duration_ms': NULL, 'cost_1': 1, 'nested': {'a': [1]}}
DECIMAL(18,9)`
	if err != nil || got != want {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
	onlyFile(t, dir, filepath.Base(out))
}

// A query that fails or is stopped leaves the earlier answer and nothing else.
func TestWriteFileIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "answer")
	if err := os.WriteFile(out, []byte("an earlier answer"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := open(t, Options{Path: warehouse(t), Output: out})
	for _, f := range Formats() {
		if _, err := r.WriteFile(t.Context(), "SELECT CASE WHEN range = 150000 THEN 'x' ELSE '1' END::INTEGER AS n FROM range(200000)", f); !errors.As(err, new(*SQLError)) {
			t.Errorf("%s, an error on the way: %v", f, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if _, err := r.WriteFile(ctx, "SELECT range FROM range(100000000000)", f); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s, stopped: %v", f, err)
		}
		cancel()
		onlyFile(t, dir, "answer")
		if got, err := os.ReadFile(out); string(got) != "an earlier answer" || err != nil {
			t.Errorf("%s: the earlier answer is now %.40q, %v", f, got, err)
		}
	}
	for f, want := range map[Format]string{CSV: "one\n1\n", JSON: "[\n{\"one\":1}\n]\n", NDJSON: "{\"one\":1}\n", Table: "one\n---\n  1\n(1 row)\n"} {
		n, err := r.WriteFile(t.Context(), "SELECT 1 AS one", f)
		got, rerr := os.ReadFile(out)
		if n != 1 || err != nil || rerr != nil || string(got) != want {
			t.Errorf("%s: %d rows, %v, %v: %q", f, n, err, rerr, got)
		}
	}
	onlyFile(t, dir, "answer")
}

func onlyFile(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != name {
		t.Errorf("the directory holds %v, %v, want %s alone", entries, err, name)
	}
}

func TestOutputMustNotBeTheWarehouse(t *testing.T) {
	path := warehouse(t)
	dir := t.TempDir()
	link, hard := filepath.Join(dir, "link"), filepath.Join(dir, "hard")
	if err := errors.Join(os.Symlink(path, link), os.Link(path, hard)); err != nil {
		t.Fatal(err)
	}
	before := contents(t, filepath.Dir(path))
	for _, c := range []struct{ path, output, says string }{
		{path, path, "the warehouse itself"},
		{path, path + ".wal", "the warehouse itself"},
		{path, filepath.Join(filepath.Dir(path), ".", "x", "..", "calls.duckdb"), "the warehouse itself"},
		{path, link, "the warehouse itself"},
		{path, hard, "the warehouse itself"},
		{link, path + ".wal", "the warehouse itself"},
		{path, dir, "not a regular file"},
		{path, "/dev/null", "not a regular file"},
		{path, filepath.Join(dir, "none", "answer"), "no such file or directory"},
	} {
		r, err := Open(t.Context(), Options{Path: c.path, Output: c.output})
		if err == nil {
			r.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one that says %q", c.output, err, c.says)
		}
	}
	if contents(t, filepath.Dir(path)) != before {
		t.Error("the warehouse changed")
	}
	r := open(t, Options{Path: path})
	if _, err := r.WriteFile(t.Context(), "SELECT 1", CSV); err == nil {
		t.Error("a file was written that nobody named")
	}
}

// A link as output stays a link, and the file it names gets the answer.
func TestOutputThroughLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target.csv"), filepath.Join(t.TempDir(), "link.csv")
	if err := errors.Join(os.WriteFile(target, nil, 0o600), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	r := open(t, Options{Path: warehouse(t), Output: link})
	if _, err := r.WriteFile(t.Context(), "SELECT 1 AS one", CSV); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(target)
	if info, lerr := os.Lstat(link); string(got) != "one\n1\n" || err != nil || lerr != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("target holds %q, %v; link is %v, %v", got, err, info.Mode(), lerr)
	}
}

// What a question has put aside is removed, also where its process was killed; what others put aside, and what is in use, stays.
func TestTemporaryDataOfTheDeadIsRemoved(t *testing.T) {
	dir := t.TempDir()
	dead, strange := filepath.Join(dir, "syncd-query-1"), filepath.Join(dir, "syncd-query-2")
	for _, d := range []string{dead, strange} {
		if err := errors.Join(os.Mkdir(d, 0o700), os.WriteFile(filepath.Join(d, "spilled"), []byte("+4917…"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dead, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first := open(t, Options{Path: warehouse(t), TempDirectory: dir})
	second := open(t, Options{Path: warehouse(t), TempDirectory: dir})
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("the directory holds %v, %v; want what two readers and a stranger have", entries, err)
	}
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a dead process has put aside: %v", err)
	}
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Fatal(err)
	}
	onlyFile(t, dir, "syncd-query-2")
}
