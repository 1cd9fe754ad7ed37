package export_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"syncd/internal/export"
	"syncd/internal/load"
	"syncd/internal/query"
)

// asExporter makes this test binary a process that exports, so that it can be killed: the warehouse and the folder, with a line feed
// between them. It prints a line at each
// step, and goes on when it is told to.
const asExporter = "SYNCD_EXPORT_TEST_PROCESS"

func TestMain(m *testing.M) {
	if asked := os.Getenv(asExporter); asked != "" {
		warehouse, dir, _ := strings.Cut(asked, "\n")
		o := options(warehouse, dir)
		o.Tell = func(p export.Progress) {
			fmt.Println(p.What)
			_, _ = os.Stdin.Read(make([]byte, 1)) // it may have ended: then nobody keeps this waiting
		}
		if _, err := export.Run(context.Background(), o); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m) // which exits
}

// options export a warehouse with its payloads.
func options(warehouse, dir string) export.Options {
	raw := true
	return export.Options{Warehouse: warehouse, Dir: dir, Raw: &raw, Version: "test",
		Open: func(ctx context.Context, output, temp string) (*query.Reader, error) {
			return query.Open(ctx, query.Options{Path: warehouse, Output: output, TempDirectory: temp})
		}}
}

// run exports, which must succeed.
func run(t *testing.T, o export.Options) export.Report {
	t.Helper()
	r, err := export.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// change executes statements in a warehouse.
func change(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range append([]string{`SET TimeZone = 'UTC'`}, statements...) {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// warehouse makes one with so many calls of two sources, from January to April of 2025, some of them without a start, and every kind of value.
func warehouse(t *testing.T, calls int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w, err := load.Open(t.Context(), load.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	change(t, path,
		`INSERT INTO sync.sources (source, provider, start, state) VALUES ('millis-us', 'millis', '2025-01-01', 'active'), ('burki', 'burki', '2025-01-01', 'active')`,
		fmt.Sprintf(`INSERT INTO calls BY NAME SELECT
			CASE i %% 2 WHEN 0 THEN 'millis-us' ELSE 'burki' END AS source, 'a provider' AS provider, 'call-' || i AS call_id, 'phone' AS channel, 'inbound' AS direction,
			'+4917012345' || i AS from_number, 'completed' AS status, i %% 7 > 0 AS is_final, revision, first_seen_at, changed_at,
			CASE WHEN i %% 50 <> 7 THEN begun END AS started_at, CASE WHEN i %% 6 > 0 THEN begun + INTERVAL 61 SECONDS END AS ended_at,
			CASE WHEN i %% 6 > 0 THEN 9007199254740993 + i END AS duration_ms,
			CASE WHEN i %% 9 > 0 THEN ((i - 20) * 0.123456789::DECIMAL(18,9))::DECIMAL(18,9) END AS cost, 'USD' AS cost_currency,
			CASE i %% 3 WHEN 0 THEN 'it''s "fine", ' || chr(128512) || chr(10) WHEN 1 THEN '' END AS summary, CASE WHEN i %% 4 > 0 THEN i %% 4 > 1 END AS is_test
			FROM (SELECT range AS i, TIMESTAMPTZ '2025-01-01 00:00:00+00' + to_microseconds((119 * 86400000000 / %[1]d)::BIGINT * range + range) AS begun,
				1 AS revision, TIMESTAMPTZ '2025-06-01 00:00:00+00' AS first_seen_at, first_seen_at AS changed_at FROM range(%[1]d))`, calls),
		// The first moment of a month, and the last one of the month before.
		`UPDATE calls SET started_at = '2025-02-01 00:00:00+00' WHERE call_id = 'call-0'`,
		`UPDATE calls SET started_at = '2025-01-31 23:59:59.999999+00' WHERE call_id = 'call-2'`,
		`INSERT INTO call_costs BY NAME SELECT source, call_id, s::INTEGER AS seq, 'llm' AS component, CASE WHEN s > 0 THEN cost END AS amount, 'USD' AS currency, s * 7 AS input_tokens,
			started_at FROM calls, range(3) AS r(s)`,
		`INSERT INTO call_messages BY NAME SELECT source, call_id, s::INTEGER AS seq, 'agent' AS role, 'turn ' || s || ' of ' || call_id || ', ' || md5(call_id || s) AS content,
			s * 1000 AS offset_ms, started_at FROM calls, range(8) AS r(s)`,
		`INSERT INTO call_functions BY NAME SELECT source, call_id, 0 AS seq, 'book' AS name, '{"a": [1, null]}' AS params, started_at FROM calls WHERE hash(call_id) % 3 = 0`,
		`INSERT INTO call_revisions BY NAME SELECT source, call_id, 2 AS revision, changed_at, 'status' AS field, 'in_progress' AS old_value, status AS new_value FROM calls WHERE is_final`,
		`INSERT INTO raw_calls BY NAME SELECT source, call_id, 'list' AS part, '{"id": "' || call_id || '", "more": "' || repeat(md5(call_id), 10) || '"}' AS payload,
			changed_at AS fetched_at, 1 AS content_hash, 1 AS reading, started_at FROM calls`)
	return path
}

// notExported are the columns that are the writer's own.
var notExported = map[string][]string{
	"calls": nil, "call_costs": {"started_at"}, "call_messages": {"started_at"}, "call_functions": {"started_at"}, "call_revisions": nil,
	"raw_calls": {"started_at", "reading", "content_hash"},
}

// exported compares the tables of a warehouse with what DuckDB reads of an export, value by value and type by type, and returns how many rows there are.
func exported(t *testing.T, warehouse, dir string, tables ...string) (rows int) {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, s := range []string{`SET TimeZone = 'UTC'`, `ATTACH '` + warehouse + `' AS wh (READ_ONLY)`} {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	answer := func(query string) (n int) {
		if err := db.QueryRow(query).Scan(&n); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return n
	}
	for _, table := range tables {
		left := `SELECT x.*`
		if own := notExported[table]; own != nil {
			left += ` EXCLUDE (` + strings.Join(own, ", ") + `)`
		}
		left += `, coalesce(strftime(c.started_at, '%Y-%m'), 'unknown') AS month FROM wh.` + table + ` AS x LEFT JOIN wh.calls AS c USING (source, call_id)`
		right := `FROM read_parquet('` + dir + `/` + table + `/*/*/*.parquet', hive_partitioning = true)`
		columns := func(query string) (names, types string) {
			if err := db.QueryRow(`SELECT string_agg(column_name, ', ' ORDER BY column_name), string_agg(column_name || ' ' || column_type, ', ' ORDER BY column_name)
				FROM (DESCRIBE `+query+`)`).Scan(&names, &types); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
			return names, types
		}
		names, want := columns(left)
		_, got := columns(right)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the columns of %s (-warehouse +export):\n%s", table, diff)
			continue
		}
		both := func(a, b string) int {
			return answer(`SELECT count(*) FROM ((SELECT ` + names + ` FROM (` + a + `)) EXCEPT ALL (SELECT ` + names + ` FROM (` + b + `)))`)
		}
		if missing, more := both(left, right), both(right, left); missing+more > 0 {
			t.Errorf("of %s, %d rows of the warehouse are not in the export, and %d rows of the export not in the warehouse", table, missing, more)
		}
		rows += answer(`SELECT count(*) ` + right)
	}
	return rows
}

var allTables = []string{"calls", "call_costs", "call_messages", "call_functions", "call_revisions", "raw_calls"}

// files are the Parquet files of an export, by their path in it.
func files(t *testing.T, dir string) map[string]fs.FileInfo {
	t.Helper()
	found := make(map[string]fs.FileInfo)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".parquet" {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		found[name], err = d.Info()
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return found
}

// changed names the files that another state has not, or has in another version.
func changed(before, after map[string]fs.FileInfo) (names []string) {
	for name, info := range after {
		if was, ok := before[name]; !ok || !os.SameFile(was, info) {
			names = append(names, name)
		}
	}
	return names
}
