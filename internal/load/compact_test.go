package load_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/load"
)

func compact(t *testing.T, w *load.Warehouse, o load.Compaction) load.Compacted {
	t.Helper()
	done, err := w.Compact(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// whole is a line for each table, with its number of rows and a digest that does not tell their order.
func whole(t *testing.T, w *load.Warehouse) []string {
	t.Helper()
	var all []string
	for _, table := range lines(t, w, `SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE NOT temporary AND database_name = current_database() ORDER BY ALL`) {
		all = append(all, table+" "+lines(t, w, `SELECT count(*), sum(hash(t))::VARCHAR FROM `+table+` AS t`)[0])
	}
	return all
}

// catalog is what a file has beside rows, and all that is said of it.
func catalog(t *testing.T, w *load.Warehouse) []string {
	t.Helper()
	const here = ` WHERE database_name = current_database()`
	return slices.Concat(
		lines(t, w, `SELECT table_name, sql, comment FROM duckdb_tables()`+here+` AND NOT temporary ORDER BY ALL`),
		lines(t, w, `SELECT table_name, column_name, data_type, is_nullable, column_default, comment FROM duckdb_columns()`+here+` AND table_name NOT IN ('stage', 'moved') ORDER BY ALL`),
		lines(t, w, `SELECT view_name, sql, comment FROM duckdb_views()`+here+` AND NOT internal ORDER BY ALL`),
		lines(t, w, `SELECT function_name, parameters::VARCHAR, macro_definition, comment FROM duckdb_functions()`+here+` AND NOT internal ORDER BY ALL`),
		lines(t, w, `SELECT table_name, constraint_type, constraint_column_names::VARCHAR FROM duckdb_constraints()`+here+` ORDER BY ALL`),
		lines(t, w, `SELECT sequence_name, increment_by, min_value, max_value, cycle FROM duckdb_sequences()`+here),
		lines(t, w, `SELECT tags::VARCHAR FROM duckdb_databases()`+here))
}

// bloated is a warehouse of which most was deleted.
func bloated(t *testing.T, path string) *load.Warehouse {
	t.Helper()
	w := open(t, path)
	for n := range 4 {
		upsert(t, w, batch(n*2000, 2000)...)
		if err := w.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	execute(t, w, `SELECT nextval('sync.window_id') FROM range(41)`)
	for _, table := range []string{"calls", "raw_calls"} {
		execute(t, w, `DELETE FROM `+table+` WHERE call_id < 'call-5'`)
	}
	// Which of two values: by itself DuckDB would take a dictionary for it, and the column says FSST.
	execute(t, w, `UPDATE calls SET telephony_sid = 'sid-of-a-provider-' || revision % 2 || hash(call_id) % 2`)
	if err := w.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

const compressions = `SELECT DISTINCT table_name, column_name, compression FROM
	(SELECT 'calls' AS table_name, * FROM pragma_storage_info('calls') UNION ALL SELECT 'raw_calls', * FROM pragma_storage_info('raw_calls'))
	WHERE segment_type = 'VARCHAR' AND compression NOT IN ('Constant', 'Empty Validity') ORDER BY ALL`

func TestACompactedFileIsSmallerAndSaysTheSame(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "calls.duckdb")
	w := bloated(t, path)
	defer w.Close()
	before, said, packed, epoch := whole(t, w), catalog(t, w), lines(t, w, compressions), w.Epoch()
	bloat, err := w.Bloat(t.Context())
	if err != nil || bloat.Share() < 0.5 || bloat.Free == 0 {
		t.Errorf("%+v, %v: this shows too little", bloat, err)
	}
	done := compact(t, w, load.Compaction{})
	info, err := os.Stat(path)
	if err != nil || info.Size() != done.After || done.Before != bloat.Bytes || done.After > bloat.Bytes-bloat.Empty()*3/4 {
		t.Errorf("%+v of %+v; the file has %d bytes (%v)", done, bloat, info.Size(), err)
	}
	if diff := cmp.Diff(before, whole(t, w)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(said, catalog(t, w)); diff != "" {
		t.Errorf("catalog (-want +got):\n%s", diff)
	}
	if w.Epoch() == epoch {
		t.Error("the epoch is the same")
	}
	if bloat, err := w.Bloat(t.Context()); err != nil || bloat.Empty() > 0 {
		t.Errorf("%+v, %v", bloat, err)
	}
	expect(t, w, `SELECT nextval('sync.window_id')`, "43") // 42 was taken to see where it stands
	// What is written from now on is packed as the columns say, and a file that was compacted can be again.
	upsert(t, w, batch(20_000, 2000)...)
	execute(t, w, `UPDATE calls SET telephony_sid = 'sid-of-a-provider-' || revision % 2 || hash(call_id) % 2`)
	compact(t, w, load.Compaction{})
	if diff := cmp.Diff(packed, lines(t, w, compressions)); diff != "" {
		t.Errorf("compression (-want +got):\n%s", diff)
	}
	if !slices.Contains(packed, "calls telephony_sid FSST") {
		t.Errorf("this shows nothing of compression: %q", packed)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	onlyFiles(t, dir, "calls.duckdb")
	w = open(t, path)
	defer w.Close()
	if got := upsert(t, w, batch(20_000, 2001)...); got != (load.Counts{Inserted: 1, Unchanged: 2000}) {
		t.Errorf("%+v", got)
	}
}

// steps are the names of the steps of a compaction.
func steps(t *testing.T) []string {
	t.Helper()
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	var all []string
	compact(t, w, load.Compaction{Step: func(name string) error { all = append(all, name); return nil }})
	if len(all) < 10 {
		t.Fatalf("steps: %q", all)
	}
	return all
}

// Whatever step fails, the warehouse goes on with what it held, nothing is left in its folder, and the next compaction succeeds.
func TestACompactionThatFailsLeavesTheWarehouseInUse(t *testing.T) {
	dir := t.TempDir()
	w := open(t, filepath.Join(dir, "calls.duckdb"))
	defer w.Close()
	upsert(t, w, batch(0, 500)...)
	broken := errors.New("broken")
	for n, step := range steps(t) {
		before := whole(t, w)
		_, err := w.Compact(t.Context(), load.Compaction{Step: func(name string) error {
			if name == step {
				return broken
			}
			return nil
		}})
		if step != "remove the old file" && !errors.Is(err, broken) {
			t.Errorf("%s: %v", step, err)
		}
		if diff := cmp.Diff(before, whole(t, w)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
		upsert(t, w, batch(1000+n, 1)...)
		if step != "remove the old file" {
			onlyFiles(t, dir, "calls.duckdb")
		}
	}
	compact(t, w, load.Compaction{})
	onlyFiles(t, dir, "calls.duckdb")
}

func TestACompactionThatIsStoppedLeavesTheWarehouseInUse(t *testing.T) {
	dir := t.TempDir()
	w := open(t, filepath.Join(dir, "calls.duckdb"))
	defer w.Close()
	upsert(t, w, batch(0, 500)...)
	before := whole(t, w)
	for _, step := range []string{"settle", "copy main", "checkpoint", "check what was written"} {
		ctx, stop := context.WithCancel(t.Context())
		_, err := w.Compact(ctx, load.Compaction{Step: func(name string) error {
			if name == step {
				stop()
			}
			return nil
		}})
		stop()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", step, err)
		}
		if diff := cmp.Diff(before, whole(t, w)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
		onlyFiles(t, dir, "calls.duckdb")
	}
}

// A process that died while it swapped a file, where there are no hard links, has left it without its name.
func TestAFileThatLostItsNameInASwapHasItBack(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "calls.duckdb")
	w := open(t, path)
	upsert(t, w, batch(0, 10)...)
	if err := errors.Join(w.Close(), os.Rename(path, path+".before-compacting"), os.WriteFile(path+".compacting", []byte("half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	w = open(t, path)
	defer w.Close()
	expect(t, w, `SELECT count(*) FROM calls`, "10")
	onlyFiles(t, dir, "calls.duckdb")
}

// While commits go on and copies for readers are made, the file is compacted over and over: no commit is lost, and each copy is whole.
func TestCommitsAndCopiesGoOnBesideCompactions(t *testing.T) {
	dir := t.TempDir()
	w, err := load.Open(t.Context(), load.Options{Path: filepath.Join(dir, "calls.duckdb"), LongestLog: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	published := filepath.Join(dir, "calls.read.duckdb")
	ctx, stop := context.WithCancel(t.Context())
	var working sync.WaitGroup
	commits := 0
	working.Go(func() {
		for ; ctx.Err() == nil; commits++ {
			upsert(t, w, batch(commits*100, 100)...)
		}
	})
	copies := 0
	working.Go(func() {
		for ; ctx.Err() == nil; copies++ {
			if _, err := w.Publish(t.Context(), load.Publishing{Path: published, Now: time.Now, Copy: elsewhere}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 3 {
		compact(t, w, load.Compaction{})
	}
	stop()
	working.Wait()
	if commits == 0 || copies == 0 {
		t.Errorf("%d commits and %d copies were made: this shows nothing", commits, copies)
	}
	expect(t, w, `SELECT count(*), count(DISTINCT call_id) FROM calls`, fmt.Sprint(100*commits, " ", 100*commits))
	read, err := load.OpenReadOnly(t.Context(), published)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	expect(t, read, `SELECT count(*) % 100, (SELECT count(*) FROM raw_calls) = count(*) FROM calls`, "0 true")
	onlyFiles(t, dir, "calls.duckdb", "calls.read.duckdb")
}

// What is in the file that its tables do not come with is in the compacted one.
func TestWhatSomebodyHasAddedIsCompactedToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w := open(t, path)
	defer w.Close()
	for _, s := range []string{`CREATE VIEW mine AS SELECT source, count(*) AS n FROM calls GROUP BY ALL`, `COMMENT ON VIEW mine IS 'it''s mine'`,
		`CREATE MACRO twice(x) AS 2 * x`, `CREATE TABLE "of mine" (a INTEGER CHECK (a > 0) DEFAULT 7)`, `INSERT INTO "of mine" VALUES (1), (2)`} {
		execute(t, w, s)
	}
	said := catalog(t, w)
	compact(t, w, load.Compaction{})
	if diff := cmp.Diff(said, catalog(t, w)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(strings.Join(said, "\n"), "it's mine") {
		t.Error("the comment is not looked at")
	}
	expect(t, w, `SELECT sum(a)::VARCHAR, twice(4) FROM "of mine"`, "3 8")
}
