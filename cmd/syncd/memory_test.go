package main

import (
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"syncd/internal/fakeapi"
)

// TestASimulatedDayHoldsItsMemory lets a daemon live a day at a tick a minute, and weighs it every hour: what it holds in the last hours is what it held
// in the first. Weighed are what Go holds after collecting its garbage, what DuckDB says it holds, and the goroutines. The fakes' own part grows only by
// what is counted of requests.
func TestASimulatedDayHoldsItsMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(100 * 24 * time.Hour)
		w := &world{t: t, path: filepath.Join(t.TempDir(), "calls.duckdb"), began: time.Now().UTC(), fakes: make(map[string]*fakeapi.Server),
			ages: []time.Duration{5 * time.Minute, time.Hour}}
		w.add("voicy", fakeapi.New(fakeapi.Options{Provider: fakeapi.Voicy, Seed: 1, Key: simKey, Calls: 600, Since: w.began.AddDate(0, 0, -3), Until: w.began.AddDate(0, 0, 2), Now: time.Now,
			Settling: fakeapi.Settling{StatusAt: 2 * time.Minute, CostAt: 40 * time.Minute}}))
		w.start()
		var held []weight
		for range 24 {
			time.Sleep(time.Hour)
			synctest.Wait()
			held = append(held, w.weigh())
		}
		w.end()
		first, last := mean(held[3:8]), mean(held[19:])
		t.Logf("held in hours 4 to 8: %s; in hours 20 to 24: %s", first, last)
		if last.heap > first.heap+2<<20 {
			t.Errorf("the Go heap grew from %d to %d bytes", first.heap, last.heap)
		}
		if last.duckdb > first.duckdb+4<<20 { // it holds the blocks of tables, of which there are more in the evening
			t.Errorf("DuckDB's memory grew from %d to %d bytes", first.duckdb, last.duckdb)
		}
		if last.goroutines > first.goroutines+2 {
			t.Errorf("%d goroutines became %d", first.goroutines, last.goroutines)
		}
	})
}

// weight is what a process holds.
type weight struct{ heap, duckdb, goroutines int64 }

func (w weight) String() string {
	return strconv.FormatInt(w.heap>>10, 10) + " kB of Go heap, " + strconv.FormatInt(w.duckdb>>10, 10) + " kB in DuckDB, " + strconv.FormatInt(w.goroutines, 10) + " goroutines"
}

func (w *world) weigh() weight {
	w.t.Helper()
	// What was written since the last checkpoint is held in memory, and goes up and down with the daemon's own.
	if err := w.pipeline.Warehouse.Checkpoint(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	duckdb, err := strconv.ParseInt(w.ask(`SELECT sum(memory_usage_bytes)::BIGINT FROM duckdb_memory()`)[0], 10, 64)
	if err != nil {
		w.t.Fatal(err)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return weight{int64(m.HeapAlloc), duckdb, int64(runtime.NumGoroutine())}
}

func mean(all []weight) (m weight) {
	for _, w := range all {
		m.heap += w.heap
		m.duckdb += w.duckdb
		m.goroutines += w.goroutines
	}
	n := int64(len(all))
	return weight{m.heap / n, m.duckdb / n, m.goroutines / n}
}
