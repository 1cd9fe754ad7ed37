package query

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestBusyWarehouse(t *testing.T) {
	path := warehouse(t)
	writer, in := startWriter(t, "hold", path)
	start := time.Now()
	_, err := Open(t.Context(), Options{Path: path, LockWait: 200 * time.Millisecond})
	want := fmt.Sprintf("the warehouse is being written by another syncd (process %d); wait for it to finish and ask again", writer.Process.Pid)
	if !errors.Is(err, ErrBusy) || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	var busy *BusyError
	if !errors.As(err, &busy) || busy.PID != writer.Process.Pid {
		t.Errorf("the error names process %+v, want %d", busy, writer.Process.Pid)
	}
	if took := time.Since(start); took < 100*time.Millisecond || took > 2*time.Second {
		t.Errorf("gave up after %v", took)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, Options{Path: path}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting does not heed its context: %v", err)
	}

	time.AfterFunc(200*time.Millisecond, func() { in.Close() })
	r := open(t, Options{Path: path})
	if got := ask(t, r, "SELECT count(*) AS n FROM calls", CSV); got != "n\n4\n" {
		t.Errorf("after the writer left: %q", got)
	}
}

// A writer that was killed leaves a write-ahead log. Reading replays it without touching a byte.
func TestKilledWriter(t *testing.T) {
	path := warehouse(t)
	writer, _ := startWriter(t, "hold", path)
	if err := writer.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	writer.Wait()
	if _, err := os.Stat(path + ".wal"); err != nil {
		t.Fatalf("the writer left no log: %v", err)
	}
	before := contents(t, filepath.Dir(path))
	for range 2 {
		r, err := Open(t.Context(), Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if got := ask(t, r, "SELECT call_id FROM calls WHERE source IS NULL", CSV); got != "call_id\nfrom the writer\n" {
			t.Errorf("got %q", got)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if contents(t, filepath.Dir(path)) != before {
		t.Error("reading changed the warehouse or its log")
	}

	// A log torn in the middle of its last entry.
	log, err := os.ReadFile(path + ".wal")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".wal", log[:len(log)-7], 0o600); err != nil {
		t.Fatal(err)
	}
	r := open(t, Options{Path: path})
	if got := ask(t, r, "SELECT count(*) AS n FROM calls", CSV); got != "n\n3\n" {
		t.Errorf("with a torn log: %q", got)
	}
}

// Killed in the middle of inserting and checkpointing, at several moments, the file can be read, or the message says what to do.
func TestKilledWhileCheckpointing(t *testing.T) {
	for i := range 6 {
		path := warehouse(t)
		writer, _ := startWriter(t, "churn", path)
		time.Sleep(time.Duration(i*7) * time.Millisecond)
		if err := writer.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		writer.Wait()
		r, err := Open(t.Context(), Options{Path: path})
		if err != nil {
			t.Errorf("killed after %d ms: %v", i*7, err)
			continue
		}
		got := ask(t, r, "SELECT count(*) % 100 AS n, count(*) FILTER (call_id = 'from the writer') AS w FROM calls", CSV)
		if got != "n,w\n4,1\n" {
			t.Errorf("killed after %d ms: %q", i*7, got)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	good, err := os.ReadFile(warehouse(t))
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	damaged := append([]byte(nil), good...)
	damaged[20] ^= 0xff
	for _, c := range []struct{ name, path, says string }{
		{"missing", filepath.Join(dir, "none.duckdb"), "run `syncd sync` first"},
		{"a directory", dir, "is a directory"},
		{"empty", file("empty.duckdb", nil), "not a DuckDB file"},
		{"text", file("text.duckdb", []byte(strings.Repeat("hello ", 2000))), "not a DuckDB file"},
		{"sqlite", file("sqlite.duckdb", append([]byte("SQLite format 3\x00"), make([]byte, 8000)...)), "not a DuckDB file"},
		{"cut off", file("cut.duckdb", good[:5000]), "only part of one"},
		{"damaged", file("damaged.duckdb", damaged), "damaged"},
		{"newer", file("newer.duckdb", ofVersion(good, 9999)), "a newer DuckDB wrote it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Open(t.Context(), Options{Path: c.path})
			if err == nil {
				r.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
			if c.name == "missing" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error %v is not fs.ErrNotExist", err)
			}
		})
	}
}

// ofVersion gives a file another storage version and the checksum that its first block then has.
func ofVersion(file []byte, version uint64) []byte {
	out := append([]byte(nil), file...)
	binary.LittleEndian.PutUint64(out[12:], version)
	sum := uint64(5381)
	for i := 8; i+8 <= 4096; i += 8 {
		sum ^= binary.LittleEndian.Uint64(out[i:]) * 0xbf58476d1ce4e5b9
	}
	binary.LittleEndian.PutUint64(out, sum)
	return out
}

// One process must not open the file twice: closing either would drop the other's lock.
func TestOpenInTheWritersProcess(t *testing.T) {
	path := warehouse(t)
	db, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Path: path}); err == nil || !strings.Contains(err.Error(), "this process has it open already") {
		t.Errorf("error %v", err)
	}
}

func TestSQLErrors(t *testing.T) {
	r := open(t, Options{Path: warehouse(t)})
	for _, c := range []struct{ sql, want string }{
		{"SELEC 1", "parser error: syntax error at or near \"SELEC\"\nline 1: SELEC 1\n        ^"},
		{"SELECT 1,\n  FROM", "parser error: syntax error at end of input\nline 2:   FROM\n              ^"},
		{"SELECT *\nFROM cals", "catalog error: table with name cals does not exist!\nDid you mean \"calls\"?\nline 2: FROM cals\n             ^"},
		{"SELECT '日本', 'x'::INT", "conversion error: could not convert string 'x' to INT32\nline 1: SELECT '日本', 'x'::INT\n                          ^"},
	} {
		_, err := r.Run(t.Context(), c.sql, CSV, io.Discard)
		if err == nil || err.Error() != c.want {
			t.Errorf("%q: error\n%v\nwant\n%s", c.sql, err, c.want)
		}
	}
	small := open(t, Options{Path: warehouse(t), MemoryLimit: 16 << 20, Threads: 1})
	_, err := small.Run(t.Context(), "SELECT list(range) FROM range(100000000)", CSV, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "raise query.memory_limit") || strings.Contains(err.Error(), "SET ") {
		t.Errorf("out of memory: %v", err)
	}
	internal := engineError(`{"exception_type":"INTERNAL","exception_message":"Attempted to access index 1\n\nStack Trace:\n\n0x1 frame"}`)
	if want := "internal error: attempted to access index 1"; internal.Error() != want {
		t.Errorf("an internal error reads %q, want %q", internal, want)
	}
	var e *SQLError
	_, err = r.Run(t.Context(), "SELECT *\nFROM calls\nWHERE x", CSV, io.Discard)
	if !errors.As(err, &e) || e.Kind != "binder" || e.Line != 3 || e.Column != 7 {
		t.Errorf("got %+v", e)
	}
}

// DuckDB quotes the value that did not fit. The words and numbers of a stranger do not belong into an error.
func TestErrorsHoldNoData(t *testing.T) {
	r := open(t, Options{Path: warehouse(t)})
	for _, sql := range []string{
		"SELECT from_number::INTEGER FROM calls", "SELECT from_number::DATE FROM calls WHERE call_id = 'c'", "SELECT strptime(from_number, '%Y') FROM calls",
		"SELECT from_number::JSON FROM calls WHERE call_id = 'c'", "SELECT duration_ms::TINYINT FROM calls", "SELECT (from_number[2:]::BIGINT)::SMALLINT FROM calls WHERE call_id = 'a'",
		"SELECT from_number::DECIMAL(3,2) FROM calls", "SELECT from_number::TIMESTAMPTZ FROM calls",
		"SELECT from_number::UUID FROM calls", "SELECT from_number::STRUCT(a INTEGER) FROM calls",
		"SELECT json_extract(from_number, '$.a') FROM calls WHERE call_id = 'c'", "SELECT ('\\x' || from_number)::BLOB FROM calls", "SELECT regexp_matches('x', '(' || from_number) FROM calls",
		"SELECT from_number::ENUM('a') FROM calls",
	} {
		_, err := r.Run(t.Context(), sql, CSV, io.Discard)
		if err == nil {
			t.Errorf("%s: answered", sql)
			continue
		}
		for _, secret := range []string{"49170", "1701234567", "it's", "me\"", "9007199254740993"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error holds %q: %v", sql, secret, err)
			}
		}
	}
	_, err := r.Run(t.Context(), "SELECT '+491701234567'::DATE", CSV, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "+491701234567") {
		t.Errorf("what the user wrote is withheld: %v", err)
	}
}

func TestStopping(t *testing.T) {
	path := warehouse(t)
	for _, sql := range []string{
		"SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b",
		"SELECT range FROM range(100000000000)",
	} {
		r := open(t, Options{Path: path, Timeout: 100 * time.Millisecond})
		start := time.Now()
		n, err := r.Run(t.Context(), sql, NDJSON, io.Discard)
		if streams := strings.HasPrefix(sql, "SELECT range"); streams != (n > 0) {
			t.Errorf("%s: %d rows before it was stopped", sql, n)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "stopped after 100ms") || time.Since(start) > 3*time.Second {
			t.Errorf("%s: after %v: %v", sql, time.Since(start), err)
		}
		if err := r.Close(); err != nil { // the cleanup closes it once more, which is nothing
			t.Error(err)
		}

		r2 := open(t, Options{Path: path})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		start = time.Now()
		if _, err := r2.Run(ctx, sql, NDJSON, io.Discard); !errors.Is(err, context.Canceled) || time.Since(start) > 3*time.Second {
			t.Errorf("%s: after %v: %v", sql, time.Since(start), err)
		}
		if got := ask(t, r2, "SELECT 1 AS one", CSV); got != "one\n1\n" {
			t.Errorf("after a cancelled query: %q", got)
		}
		if err := r2.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestMaxRows(t *testing.T) {
	path := warehouse(t)
	r := open(t, Options{Path: path, MaxRows: 2, Output: filepath.Join(t.TempDir(), "answer")})
	var b strings.Builder
	n, err := r.Run(t.Context(), "SELECT range FROM range(100) ORDER BY range", JSON, &b)
	if n != 2 || !errors.Is(err, ErrTooManyRows) || b.String() != "[\n{\"range\":0},\n{\"range\":1}\n]\n" {
		t.Errorf("%d rows, %v: %s", n, err, b.String())
	}
	b.Reset()
	if _, err := r.Run(t.Context(), "SELECT range FROM range(3)", Table, &b); !errors.Is(err, ErrTooManyRows) || !strings.HasSuffix(b.String(), "(2 rows, more were left out)\n") {
		t.Errorf("%v: %s", err, b.String())
	}
	if n, err := r.Run(t.Context(), "SELECT range FROM range(2)", CSV, io.Discard); n != 2 || err != nil {
		t.Errorf("exactly as many as allowed: %d, %v", n, err)
	}
	for _, f := range []Format{Parquet, CSV} {
		if n, err := r.WriteFile(t.Context(), "SELECT range FROM range(3)", f); n != 0 || !errors.Is(err, ErrTooManyRows) || !strings.Contains(err.Error(), "no file was written") {
			t.Errorf("%s: %d rows, %v", f, n, err)
		}
		if left, _ := os.ReadDir(filepath.Dir(r.opts.Output)); len(left) != 0 {
			t.Errorf("%s left %v", f, left)
		}
	}
}

// Answers and sorts larger than the memory limit are answered, and temporary data is gone afterwards.
func TestLargeAnswerAndSpill(t *testing.T) {
	temp := t.TempDir()
	r, err := Open(t.Context(), Options{Path: warehouse(t), MemoryLimit: 64 << 20, Threads: 1, TempDirectory: temp})
	if err != nil {
		t.Fatal(err)
	}
	n, err := r.Run(t.Context(), "SELECT range, repeat('x', 1000) FROM range(200000)", CSV, io.Discard)
	if n != 200000 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	n, err = r.Run(t.Context(), "SELECT md5(range::VARCHAR) || md5((range + 1)::VARCHAR) AS k FROM range(1000000) ORDER BY k LIMIT 900000 OFFSET 899999", CSV, io.Discard)
	if n != 100001 || err != nil {
		t.Errorf("%d rows, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(temp); len(left) != 0 || err != nil {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

func TestConcurrentQueries(t *testing.T) {
	r := open(t, Options{Path: warehouse(t)})
	errs := make(chan error)
	for i := range 8 {
		go func() {
			var b strings.Builder
			_, err := r.Run(t.Context(), fmt.Sprintf("SELECT %d AS n, count(*) AS c FROM calls, range(1000)", i), CSV, &b)
			if want := fmt.Sprintf("n,c\n%d,3000\n", i); err == nil && b.String() != want {
				err = fmt.Errorf("got %q, want %q", b.String(), want)
			}
			errs <- err
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
