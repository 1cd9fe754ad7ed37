package load_test

import (
	"path/filepath"
	"strconv"
	"testing"
)

// A daemon stages every id that it reads, for months: what was staged must not stay in memory.
func TestWhatWasStagedIsNotHeld(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	same := batch(0, 2000)
	held := func() int {
		n, err := strconv.Atoi(lines(t, w, `SELECT coalesce(sum(memory_usage_bytes), 0)::BIGINT FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'`)[0])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	upsert(t, w, same...)
	if err := w.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	upsert(t, w, same...)
	before := held()
	for range 60 {
		upsert(t, w, same...)
	}
	if after := held(); after > before+1<<20 {
		t.Errorf("120,000 ids were staged that nothing was written of, and %d bytes in memory became %d", before, after)
	}
}
