package query

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"syncd/internal/query/querytest"
)

func TestAttacksAreRefused(t *testing.T) {
	path := warehouse(t)
	dir := t.TempDir()
	for name, content := range map[string]string{"x.csv": "a,b\n1,2\n", "x.json": `{"a": 1}`, "x.parquet": "PAR1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := contents(t, filepath.Dir(path), dir)
	r := open(t, Options{Path: path, Output: filepath.Join(dir, "answer.parquet")})
	for _, a := range querytest.Attacks() {
		sql := strings.ReplaceAll(a.SQL, "{dir}", dir)
		var out bytes.Buffer
		_, err := r.Run(t.Context(), sql, JSON, &out)
		if err == nil || !strings.Contains(err.Error(), a.Says) {
			t.Errorf("%.120q: error %v, want one that says %q", sql, err, a.Says)
			continue
		}
		if first := []rune(err.Error())[0]; unicode.IsUpper(first) && !strings.Contains(err.Error(), "is not answered here") {
			t.Errorf("%.120q: the message begins with a capital: %v", sql, err)
		}
		if !errors.Is(err, ErrRefused) && !errors.As(err, new(*SQLError)) {
			t.Errorf("%.120q: error %v is neither a refusal nor an error of the statement", sql, err)
		}
		if out.Len() > 0 {
			t.Errorf("%.120q: wrote %q", sql, out.String())
		}
		if _, err := r.WriteFile(t.Context(), sql, Parquet); err == nil {
			t.Errorf("%.120q: written as Parquet", sql)
		}
	}
	if after := contents(t, filepath.Dir(path), dir); after != before {
		t.Errorf("files changed:\nbefore %s\nafter  %s", before, after)
	}
}

// contents is what the directories hold, names and bytes.
func contents(t *testing.T, dirs ...string) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			all.WriteString(path + "\n")
			_, err = io.Copy(&all, f)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// questions are statements that people ask; all must be answered, in every format.
var questions = []string{
	"SELECT * FROM calls",
	"SELECT * FROM calls -- a comment at the end",
	"SELECT * FROM calls; -- a comment after the end",
	"SELECT * FROM calls;;",
	"SELECT 1 /* x; /* nested; */ */ ; ;",
	`SELECT ';' AS "a;b", $$;$$, $x$;$y$;$x$, E'\';' ; -- ;`,
	"FROM calls", "FROM calls SELECT source", "TABLE calls", "VALUES (1, 'a'), (2, NULL)", "(SELECT 1) UNION (SELECT 2) ORDER BY 1",
	"DESCRIBE calls", "DESCRIBE SELECT 1 AS a", "SHOW TABLES", "SHOW ALL TABLES", "SHOW DATABASES", "SHOW calls", "SUMMARIZE calls", "SUMMARIZE SELECT 1",
	"SELECT * FROM duckdb_tables()", "SELECT * FROM duckdb_columns() WHERE table_name = 'calls'", "SELECT * FROM pragma_table_info('calls')",
	"SELECT * FROM information_schema.columns", "SELECT count(*) FROM pg_catalog.pg_class", "FROM duckdb_views",
	"SELECT status, count(*), sum(cost) FILTER (cost > 0), grouping(status) FROM calls GROUP BY ROLLUP (status) HAVING count(*) > 0 ORDER BY ALL",
	"SELECT *, rank() OVER w, sum(cost) OVER (ORDER BY call_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM calls WINDOW w AS (ORDER BY cost) QUALIFY row_number() OVER () = 1",
	"WITH RECURSIVE x AS (SELECT 1 a UNION ALL SELECT a + 1 FROM x WHERE a < 3) SELECT * FROM x",
	"WITH RECURSIVE t(a, b) USING KEY (a) AS (SELECT 1, 1 UNION SELECT a, b + 1 FROM t WHERE b < 3) SELECT * FROM t",
	"SELECT COLUMNS('c.*'), #1, date_trunc('day', started_at) > current_date, EXISTS (SELECT 1), 1 IN (1, 2), ARRAY(SELECT 1), [1, 2][1:], 'x' LIKE 'y' FROM calls TABLESAMPLE 100%",
	"PIVOT calls ON status IN ('completed', 'failed') USING count(*)", "UNPIVOT (SELECT 1 a, 2 b) ON a, b",
	"SELECT * FROM (VALUES (1)) v(x) POSITIONAL JOIN range(1) ASOF JOIN (SELECT 1 x) z ON v.x >= z.x",
	"SELECT t FROM (SELECT 1 a) t, LATERAL (SELECT t.a + 1) u",
	"SELECT CAST('1' AS BIT), CAST(1 AS DECIMAL(18,9)), INTERVAL 3 DAY, '00'::BLOB, 'a'::ENUM('a'), uuid(), now() IS NULL",
	"SELECT TRY_CAST('x' AS INT), TRY(1/0), COALESCE(NULL, 2), unnest([1, 2]), [x * 2 FOR x IN [1, 2] IF x > 1], MAP {'a': 1}, ROW(1, 2), {'a': 1}.a, CASE 1 WHEN 1 THEN 2 END",
	"SELECT DISTINCT ON (status) * EXCLUDE (cost) REPLACE (1 AS source) RENAME (status AS s) FROM calls ORDER BY started_at DESC NULLS LAST LIMIT 50% OFFSET 0",
	"SELECT 1 AS a, 2 AS a, 3 AS A, 4 AS a_1", "SELECT 1 AS \"quoted \"\" name\", 'x' COLLATE NOCASE, 'a' SIMILAR TO 'b'",
	"SELECT 3 AS z UNION ALL BY NAME SELECT 4 AS z", "SELECT * FROM json_each('[1,2]')", "SELECT 1 WHERE false", "SELECT 1::JSON::VARIANT",
	"SELECT started_at AT TIME ZONE 'Europe/Berlin' FROM calls", "SELECT json_serialize_sql('DELETE FROM calls')",
}

func TestQuestionsAreAnswered(t *testing.T) {
	r := open(t, Options{Path: warehouse(t), Output: filepath.Join(t.TempDir(), "answer")})
	for _, sql := range questions {
		want, err := r.Run(t.Context(), sql, Table, io.Discard)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		for _, f := range Formats() {
			if n, err := r.WriteFile(t.Context(), sql, f); n != want || err != nil {
				t.Errorf("%s as %s: %d rows, %v, want %d", sql, f, n, err, want)
			}
		}
	}
}

// A newer DuckDB may bring functions that change something. Each that says so of itself has been judged.
func TestFunctionsWithEffectsAreJudged(t *testing.T) {
	harmless := set("current_connection_id", "current_query", "current_query_id", "current_transaction_id", "gen_random_uuid",
		"random", "stats", "uuid", "uuidv4", "uuidv7")
	r := open(t, Options{Path: warehouse(t)})
	for _, name := range strings.Fields(ask(t, r, "SELECT DISTINCT function_name FROM duckdb_functions() WHERE has_side_effects", CSV))[1:] {
		if !harmless[name] && !deniedFunction(name) {
			t.Errorf("nobody has judged the function %s", name)
		}
	}
	known := set(strings.Fields(ask(t, r, "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type LIKE 'table%'", CSV))...)
	for name := range tableFunctions {
		if !known[name] {
			t.Errorf("the allowed table function %s does not exist", name)
		}
	}
}

// What wrapping cannot prove to be the same statement is refused, not executed.
func TestVerifyRefusesAnotherStatement(t *testing.T) {
	r := open(t, Options{Path: warehouse(t)})
	s, err := r.db.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	q, err := s.accept(t.Context(), "SELECT 1 AS a")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.verify(t.Context(), q, q.selecting(CSV, 0)); err != nil {
		t.Errorf("the same statement: %v", err)
	}
	q.body = "SELECT 1 AS a) AS q(c0) UNION ALL SELECT * FROM (SELECT 2"
	if err := s.verify(t.Context(), q, q.selecting(CSV, 0)); !errors.Is(err, ErrRefused) {
		t.Errorf("another statement: error %v, want a refusal", err)
	}
}
