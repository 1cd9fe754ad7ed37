package load_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"syncd/internal/load"
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

// A checkpoint is given little memory, and all of it where that is too little; whatever comes after it has what it had before.
func TestACheckpointTakesLittleMemory(t *testing.T) {
	for name, c := range map[string]struct {
		limit, enough int64
		calls         int // of a batch
	}{
		"DuckDB's own limit":      {0, 64 << 20, 100},
		"a limit of the user's":   {1 << 30, 64 << 20, 100},
		"a limit that is smaller": {100 << 20, 1 << 30, 100},
		"no room at all":          {1 << 30, 1 << 10, 100},
		"too little":              {1 << 30, 16 << 20, 3000},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "calls.duckdb")
			w, err := load.Open(t.Context(), load.Options{Path: path, MemoryLimit: c.limit})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			w.LeaveCheckpoints(c.enough)
			const limit = `SELECT current_setting('memory_limit')`
			before := lines(t, w, limit)[0]
			epoch := w.Epoch()
			for n := range 2 {
				for _, piece := range []int{0, c.calls} {
					some := batch(2*n*c.calls+piece, c.calls)
					for i := range some {
						some[i].Payload = `{"text":"` + strings.Repeat(strconv.Itoa(2*n*c.calls+piece+i)+" words and more of them ", 120) + `"}`
					}
					upsert(t, w, some...)
				}
				if err := w.Checkpoint(t.Context()); err != nil {
					t.Fatal(err)
				}
				if info, err := os.Stat(path + ".wal"); err == nil && info.Size() > 0 {
					t.Errorf("the log still has %d bytes", info.Size())
				}
				if c.limit > 0 {
					expect(t, w, limit, before)
				}
			}
			expect(t, w, `SELECT count(*), count(DISTINCT call_id), (SELECT count(*) FROM raw_calls) FROM calls`, fmt.Sprintf("%[1]d %[1]d %[1]d", 4*c.calls))
			if opened := w.Epoch() - epoch; opened > 0 != (name == "too little") || opened > 1 {
				t.Errorf("the file was opened again %d times", opened)
			}
			if c.limit == 0 { // what is told of the limit is not always what is in force
				expect(t, w, `SELECT count(*), max(length(text)) FROM (SELECT repeat(range::VARCHAR, 100000) AS text FROM range(1000, 1250) ORDER BY text)`, "250 400000")
			}
		})
	}
}
