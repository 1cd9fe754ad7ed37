package load_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/load"
)

// copyWithViews makes a copy of a warehouse with a few calls, with views of a user's own in it, and returns it open, and what was said of the views.
func copyWithViews(t *testing.T, files map[string]string) (read *load.Warehouse, said []string) {
	t.Helper()
	dir := t.TempDir()
	views := filepath.Join(dir, "views")
	if err := os.Mkdir(views, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(views, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return copyWith(t, dir, views)
}

func copyWith(t *testing.T, dir, views string) (read *load.Warehouse, said []string) {
	t.Helper()
	path := filepath.Join(dir, "calls.duckdb")
	w := open(t, path)
	upsert(t, w, manyKinds()...)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c := load.Copy{From: path, To: filepath.Join(dir, "copy.duckdb"), At: noon, Rows: map[string]int64{"main.calls": int64(len(manyKinds()))}, Views: views}
	done, err := load.MakeCopy(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	read, err = load.OpenReadOnly(t.Context(), c.To)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { read.Close() })
	return read, done.ViewErrors
}

const added = `SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'
	AND view_name NOT IN ('daily_calls', 'agent_performance', 'cost_by_component', 'hourly_volume')
	UNION ALL SELECT function_name FROM duckdb_functions() WHERE NOT internal AND schema_name = 'main' AND function_type LIKE '%macro%' ORDER BY ALL`

func TestAUsersOwnViewsAreInTheCopy(t *testing.T) {
	read, said := copyWithViews(t, map[string]string{
		"10_base.sql": `-- Who called; a comment with a ; and an ' in it.
CREATE VIEW long_calls AS SELECT *, 'a;b' AS "odd;name" FROM calls WHERE duration_ms > minutes_ms(1);;
COMMENT ON VIEW long_calls IS 'Calls of more than a minute; it''s about time.';
COMMENT ON COLUMN long_calls.call_id IS $x$The ; call.$x$`,
		"05_macros.sql": "\ufeffCREATE OR REPLACE MACRO minutes_ms(n) AS n * 60000;\n/* a /* nested; */ one */ CREATE MACRO top(n) AS TABLE FROM calls LIMIT n;",
		"20_on_top.sql": `CREATE OR REPLACE VIEW long_by_day AS SELECT day, calls, (SELECT count(*) FROM long_calls) AS long FROM daily_calls;
CREATE OR REPLACE VIEW long_by_day AS SELECT day, E'\'; DROP TABLE calls; --' AS text, (SELECT count(*) FROM long_calls) AS long FROM daily_calls;`,
		"empty.sql":   " \n-- nothing yet\n;",
		"notes.txt":   "DROP TABLE calls",
		".hidden.sql": "DROP TABLE calls",
	})
	if len(said) > 0 {
		t.Errorf("got errors:\n%s", strings.Join(said, "\n"))
	}
	expect(t, read, added, "long_by_day", "long_calls", "minutes_ms", "top")
	expect(t, read, `SELECT long FROM long_by_day LIMIT 1`, "6")
	expect(t, read, `SELECT count(*) FROM top(2)`, "2")
	expect(t, read, `SELECT comment FROM duckdb_columns() WHERE table_name = 'long_calls' AND comment LIKE '%;%' UNION ALL
		SELECT comment FROM duckdb_views() WHERE view_name = 'long_calls'`, "The ; call.", "Calls of more than a minute; it's about time.")
}

// Whatever a file of views would do beside making views, nothing of that file is in the copy, and the others are.
func TestAFileThatDoesMoreThanViewsIsLeftOut(t *testing.T) {
	const files, only = "files and other databases are not read here", "only CREATE VIEW, CREATE MACRO and COMMENT ON"
	const ours, neither = "which is syncd's own", "which is neither a view nor a macro"
	out := filepath.Join(t.TempDir(), "out.csv")
	wants := map[string]string{
		`INSERT INTO calls SELECT * FROM calls`: only,
		`DELETE FROM calls`:                     only,
		`UPDATE calls SET cost = 0`:             only,
		`TRUNCATE calls`:                        only,
		`MERGE INTO calls USING calls AS o ON false WHEN MATCHED THEN DELETE`: only,
		`DROP TABLE calls`:              only,
		`DROP VIEW daily_calls`:         only,
		`DROP VIEW mine`:                only,
		`SELECT 1`:                      only,
		`SET threads = 2`:               only,
		`PRAGMA enable_profiling`:       "",
		`CALL enable_logging()`:         "",
		`ATTACH ':memory:' AS other`:    "",
		`ATTACH '` + out + `' AS other`: "",
		`DETACH calls`:                  only,
		`COPY calls TO '` + out + `'`:   files,
		`COPY calls FROM '/etc/passwd'`: files,
		`EXPORT DATABASE '` + out + `'`: files,
		`IMPORT DATABASE '/etc'`:        "",
		`INSTALL httpfs`:                "",
		`LOAD httpfs`:                   "",
		`CREATE VIEW passwords AS FROM read_csv('/etc/passwd')`:                 files,
		`CREATE VIEW passwords AS FROM '/etc/passwd.csv'`:                       "",
		`CREATE VIEW passwords AS SELECT * FROM read_text('/etc/passwd')`:       files,
		`CREATE TABLE mine2 AS FROM calls`:                                      neither,
		`CREATE TABLE mine2 (a INT)`:                                            neither,
		`CREATE OR REPLACE TABLE calls AS FROM calls`:                           ours,
		`CREATE TEMP VIEW gone AS FROM calls`:                                   "would not be in the copy",
		`CREATE TEMP TABLE gone AS FROM calls`:                                  neither,
		`CREATE TEMP MACRO gone() AS 1`:                                         "would not be in the copy",
		`CREATE SCHEMA mine2`:                                                   neither,
		`CREATE SEQUENCE mine2`:                                                 neither,
		`CREATE TYPE mine2 AS ENUM ('a')`:                                       neither,
		`CREATE INDEX mine2 ON calls (call_id)`:                                 "",
		`CREATE SECRET mine2 (TYPE s3)`:                                         "",
		`CREATE OR REPLACE VIEW daily_calls AS SELECT 1`:                        ours,
		`CREATE OR REPLACE VIEW sync.gaps AS SELECT 1`:                          ours,
		`CREATE OR REPLACE MACRO sync.time_zone() AS 'UTC'`:                     ours,
		`CREATE VIEW sync.mine2 AS SELECT 1`:                                    "the schema sync is syncd's own",
		`CREATE VIEW daily_calls AS SELECT 1`:                                   "already exists",
		`CREATE MACRO sum(x) AS 0`:                                              "is a function of DuckDB's",
		`CREATE MACRO "||"(a, b) AS 'x'`:                                        "is a function of DuckDB's",
		`CREATE MACRO duckdb_tables() AS TABLE SELECT 1`:                        "is a function of DuckDB's",
		`COMMENT ON TABLE calls IS 'mine'`:                                      ours,
		`COMMENT ON COLUMN calls.cost IS 'mine'`:                                ours,
		`COMMENT ON VIEW daily_calls IS 'mine'`:                                 ours,
		`COMMENT ON COLUMN daily_calls.cost IS 'mine'`:                          ours,
		`COMMENT ON MACRO sync.time_zone IS 'mine'`:                             ours,
		`ALTER TABLE calls ALTER COLUMN cost TYPE DECIMAL(18,9) USING cost * 2`: only,
		`ALTER TABLE calls ADD COLUMN mine2 INT`:                                only,
		`ALTER TABLE calls DROP COLUMN summary`:                                 only,
		`ALTER TABLE calls RENAME TO mine2`:                                     only,
		`ALTER TABLE calls ALTER COLUMN cost SET DEFAULT 1`:                     only,
		`ALTER VIEW daily_calls RENAME TO mine2`:                                only,
		`ALTER SEQUENCE sync.window_id OWNED BY calls`:                          only,
		`BEGIN`:                             only,
		`COMMIT`:                            only,
		`ROLLBACK`:                          only,
		`CHECKPOINT`:                        only,
		`VACUUM calls`:                      only,
		`PREPARE p AS DELETE FROM calls`:    only,
		`EXPLAIN ANALYZE DELETE FROM calls`: only,
		`CREATE TABLE mine2 AS SELECT call_id::INT FROM calls`:                                     only,
		`CREATE VIEW mine2 AS SELECT nothing FROM calls`:                                           `Referenced column "nothing" not found`,
		`CREATE VIEW mine2 AS SELEC 1`:                                                             "parser error",
		`CREATE VIEW mine2 AS SELECT ?`:                                                            "",
		`CREATE VIEW mine2 AS SELECT 'not ended`:                                                   "",
		`ALTER DATABASE copy RENAME TO other`:                                                      "",
		`COMMENT ON COLUMN mine.calls IS 'fine'; CREATE VIEW mine2 AS SELECT 1; DELETE FROM calls`: only,
	}
	texts := map[string]string{
		"000.sql": "CREATE VIEW first AS SELECT count(*) AS n FROM calls",
		"999.sql": "CREATE VIEW last AS FROM first",
	}
	statements := slices.Sorted(maps.Keys(wants))
	for i, s := range statements {
		texts[fmt.Sprintf("%03d.sql", i+1)] = "CREATE VIEW mine AS SELECT 1 AS calls;\n" + s
	}
	read, said := copyWithViews(t, texts)
	if len(said) != len(statements) {
		t.Errorf("%d files are left out, want %d:\n%s", len(said), len(statements), strings.Join(said, "\n"))
	}
	for i, statement := range statements {
		at := fmt.Sprintf("%03d.sql:2: ", i+1)
		n := slices.IndexFunc(said, func(s string) bool { return strings.HasPrefix(s, at) })
		switch want := wants[statement]; {
		case n < 0:
			t.Errorf("%s: nothing was said of it", statement)
		case !strings.Contains(said[n], want) || strings.Contains(said[n], "\n"):
			t.Errorf("%s: got %q, want %q", statement, said[n], want)
		}
	}
	expect(t, read, added, "first", "last")
	expect(t, read, `SELECT n, (SELECT sum(cost)::VARCHAR FROM calls), (SELECT count(*) FROM sync.gaps) FROM last`, "10 0.610000000 0")
	expect(t, read, `SELECT comment FROM duckdb_tables() WHERE table_name = 'calls'`,
		"One row per call, in its latest state. The key is source and call_id; calls that the provider deleted stay.")
	expect(t, read, `SELECT count(*) FROM duckdb_schemas() WHERE NOT internal AND database_name = current_database() AND schema_name <> 'sync'`, "0")
	if _, err := os.Stat(out); err == nil {
		t.Error("it has written a file")
	}
}

// The line is where the error is, whatever stands above it.
func TestAnErrorOfAViewTellsItsLine(t *testing.T) {
	_, said := copyWithViews(t, map[string]string{
		"binder.sql": `-- The first one
CREATE VIEW one AS SELECT 1;

/* A comment;
   of two lines */
CREATE VIEW two AS
SELECT ';', '
' AS "a;b";

-- and the third
CREATE VIEW three AS
SELECT call_id,
       nothing_of_the_kind
FROM calls;
CREATE VIEW four AS SELECT 1;`,
		"catalog.sql": "\n\nCREATE MACRO a() AS 1;\n-- twice\n\nCREATE MACRO\n a() AS 2;",
		"parser.sql":  "CREATE VIEW p AS SELECT 1;\n\nCREATE VIEW q AS\n  SELECT 1 FROM\n  WHERE;",
		"refused.sql": "CREATE VIEW r AS SELECT 'ü';\n\n  \n\tDELETE FROM\n calls;",
		"\u00e4.sql":  "CREATE VIEW s AS FROM missing_table;\nSELECT",
		"latin.sql":   "CREATE VIEW l AS SELECT '\xe4'",
	})
	var where []string
	for _, s := range said {
		where = append(where, strings.Join(strings.SplitN(s, ":", 3)[:2], ":"))
	}
	if diff := cmp.Diff([]string{"binder.sql:13", "catalog.sql:6", "latin.sql:1", "parser.sql:5", "refused.sql:4", "ä.sql:1"}, where); diff != "" {
		t.Errorf("want -, got +:\n%s%s", diff, strings.Join(said, "\n"))
	}
}

// What is in rows does not come out in an error.
func TestAnErrorOfAViewTellsNothingOfCalls(t *testing.T) {
	_, said := copyWithViews(t, map[string]string{"a.sql": `CREATE TABLE numbers AS SELECT customer_number::DATE FROM calls`})
	if len(said) != 1 || strings.Contains(said[0], "1555") {
		t.Errorf("got %q", said)
	}
}

// A copy is made whatever is wrong with the folder, and in good time whatever stands in a file.
func TestACopyIsMadeWithoutTheFolder(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "views")
	read, said := copyWith(t, dir, missing)
	if len(said) != 1 || !strings.HasPrefix(said[0], missing+": there is no such folder") {
		t.Errorf("got %q", said)
	}
	expect(t, read, added)
	dir = t.TempDir()
	file := filepath.Join(dir, "views.sql")
	if err := os.WriteFile(file, []byte("CREATE VIEW v AS SELECT 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, said = copyWith(t, dir, file); len(said) != 1 || !strings.HasPrefix(said[0], file+": the folder cannot be read") {
		t.Errorf("got %q", said)
	}
}

// Views are made by another process, and told by this one.
func TestPublishTellsWhatIsWrongWithViews(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.sql": "CREATE VIEW mine AS FROM calls", "b.sql": "DROP TABLE calls"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w := open(t, filepath.Join(dir, "calls.duckdb"))
	defer w.Close()
	upsert(t, w, batch(0, 10)...)
	path := filepath.Join(dir, "calls.read.duckdb")
	p, err := w.Publish(t.Context(), load.Publishing{Path: path, Views: dir, Now: time.Now, Copy: elsewhere})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.ViewErrors) != 1 || !strings.HasPrefix(p.ViewErrors[0], "b.sql:1: only CREATE VIEW") {
		t.Errorf("got %q", p.ViewErrors)
	}
	read, err := load.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	expect(t, read, `SELECT count(*) FROM mine`, "10")
}

// A file that would take for ever is left out once it has had its time, and the others are not.
func TestAFileOfViewsHasItsTime(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "calls.duckdb")
	w := open(t, from)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"1.sql": "\n\nCREATE TABLE huge AS SELECT count(*) FROM range(100000000) a, range(100000000) b", "2.sql": "CREATE VIEW mine AS SELECT 1 AS n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := load.Copy{From: from, To: filepath.Join(dir, "copy.duckdb"), At: noon, Views: dir, Patience: 200 * time.Millisecond}
	done, err := load.MakeCopy(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(done.ViewErrors) != 1 || !strings.HasPrefix(done.ViewErrors[0], "1.sql:3: it takes longer than 200ms") {
		t.Errorf("got %q", done.ViewErrors)
	}
	read, err := load.OpenReadOnly(t.Context(), c.To)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	expect(t, read, added, "mine")
	// Whoever wants no copy any more does not wait for it.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	c.To, c.Patience = filepath.Join(dir, "another.duckdb"), time.Hour
	if _, err := load.MakeCopy(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestAMakerMayBeToldToStopAtAnyMoment, while it opens the copy as well as later.
func TestAMakerMayBeToldToStopAtAnyMoment(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "calls.duckdb")
	if err := open(t, from).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "1.sql"), []byte("CREATE VIEW mine AS SELECT 1 AS one"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{0, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		_, err := load.MakeCopy(ctx, load.Copy{From: from, To: filepath.Join(t.TempDir(), "copy.duckdb"), At: noon, Views: dir})
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stopped after %s: got %v", after, err)
		}
	}
}
