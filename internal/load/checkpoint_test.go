package load_test

import (
	"os"
	"path/filepath"
	"testing"

	"syncd/internal/load"
)

// TestACheckpointLeavesNoLogAndChangesNothing sees that all of the log is in the file afterwards, that what is said of the table whose comment the
// checkpoint takes is what it was, and that the commit after it makes none.
func TestACheckpointLeavesNoLogAndChangesNothing(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	const said = `SELECT comment FROM duckdb_tables() WHERE schema_name = 'sync' AND table_name = 'schema_versions'`
	const comment = `The writer's own: which steps of the schema were made in this file.`
	expect(t, w, said, comment)
	for n := range 3 {
		if err := w.Write(t.Context(), func(tx *load.Tx) error {
			_, err := tx.ExecContext(t.Context(), `INSERT INTO sync.forced SELECT 'voicy', now(), now(), now(), now(), now() FROM range(5000)`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if w.LogSize() == 0 {
			t.Fatalf("commit %d left no log: it made a checkpoint of its own", n+1)
		}
		before := sizeOf(t, w.Path())
		if err := w.CheckpointAtCommit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if w.LogSize() != 0 {
			t.Errorf("after checkpoint %d the log holds %d bytes, want none", n+1, w.LogSize())
		}
		if n == 0 && sizeOf(t, w.Path()) <= before {
			t.Errorf("the file is %d bytes, as before: nothing was written", before)
		}
		expect(t, w, said, comment)
	}
	expect(t, w, `SELECT count(*)::VARCHAR FROM sync.forced`, "15000")
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
