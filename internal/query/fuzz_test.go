package query

import (
	"context"
	"database/sql"
	"io"
	"path/filepath"
	"testing"
	"time"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"syncd/internal/query/querytest"
)

// FuzzGuard asks a database that could be written to: whatever the guard lets pass is one SELECT and changes nothing, so that the
// guard alone would do, even where the file were not open for reading only.
func FuzzGuard(f *testing.F) {
	for _, a := range querytest.Attacks() {
		f.Add(a.SQL)
	}
	for _, q := range questions {
		f.Add(q)
	}
	r := writable(f)
	before := state(f, r)
	f.Fuzz(func(t *testing.T, sql string) {
		s, err := r.db.connect()
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if node, err := s.parse(ctx, sql); err != nil || judge(node) != nil {
			return // nothing but the parser has seen it
		}
		oneSelect(t, s, sql)
		// It may fail in a hundred ways; all that counts is what it leaves behind.
		if _, err := r.Run(ctx, sql, JSON, io.Discard); err != nil {
			t.Logf("%q: %v", sql, err)
		}
		if after := state(t, r); after != before {
			t.Fatalf("%q changed the database:\nbefore %s\nafter  %s", sql, before, after)
		}
	})
}

func oneSelect(t *testing.T, s *session, sql string) {
	t.Helper()
	var all bindings.ExtractedStatements
	n := bindings.ExtractStatements(s.conn, sql, &all)
	defer bindings.DestroyExtracted(&all)
	if n != 1 {
		t.Fatalf("%q passed and holds %d statements", sql, n)
	}
	var p bindings.PreparedStatement
	state := bindings.PrepareExtractedStatement(s.conn, all, 0, &p)
	defer bindings.DestroyPrepare(&p)
	if state == bindings.StateSuccess && bindings.PreparedStatementType(p) != bindings.StatementTypeSelect {
		t.Fatalf("%q passed and is no SELECT but of type %d", sql, bindings.PreparedStatementType(p))
	}
}

// writable is a reader whose database is open for writing.
func writable(t testing.TB) *Reader {
	path := filepath.Join(t.TempDir(), "fuzz.duckdb")
	seed, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"CREATE TABLE calls AS SELECT range AS call_id, 'completed' AS status, 0.5 AS cost, now() AS started_at FROM range(3)", "CREATE SEQUENCE seq"} {
		if _, err := seed.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := seed.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := openInstance(path, map[string]string{"memory_limit": "256MiB", "threads": "1", "temp_directory": t.TempDir(), "max_temp_directory_size": "64MiB", "autoload_known_extensions": "false"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.close)
	r := &Reader{opts: withDefaults(Options{Path: path, MaxRows: 100, Timeout: time.Second}), db: db}
	s, err := db.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for _, set := range []string{"SET GLOBAL errors_as_json = true", "SET GLOBAL enable_external_access = false"} {
		if _, err := s.exec(t.Context(), set); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// state is everything of the database that a statement could change.
func state(t testing.TB, r *Reader) string {
	t.Helper()
	s, err := r.db.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	rows, err := s.stream(t.Context(), `SELECT CAST([
		(SELECT string_agg(c::VARCHAR, ';' ORDER BY call_id) FROM calls c),
		(SELECT string_agg(t::VARCHAR, ';' ORDER BY t::VARCHAR) FROM (SELECT sequence_name, last_value FROM duckdb_sequences()) t),
		(SELECT string_agg(t::VARCHAR, ';' ORDER BY t::VARCHAR) FROM (SELECT database_name, schema_name, table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal) t),
		(SELECT string_agg(t::VARCHAR, ';' ORDER BY t::VARCHAR) FROM (SELECT function_name, count(*) FROM duckdb_functions() WHERE NOT internal GROUP BY ALL) t),
		(SELECT string_agg(t::VARCHAR, ';' ORDER BY t::VARCHAR) FROM (SELECT database_name, path, readonly FROM duckdb_databases()) t),
		(SELECT string_agg(t::VARCHAR, ';' ORDER BY t::VARCHAR) FROM (SELECT name, value FROM duckdb_settings()) t)
	] AS VARCHAR)`, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.close()
	if !rows.next(t.Context()) {
		t.Fatal(rows.err)
	}
	return rows.cells[0].text
}
