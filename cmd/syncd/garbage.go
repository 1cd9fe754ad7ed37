package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
)

// spareHeap is how large Go's heap may become before its garbage is collected, in bytes, however little of it is in use. A job holds 10 to 50 MB of
// pages and calls and makes as much anew many times a second: collected at each doubling, which is what Go does, garbage takes a sixth of the processor
// time of reading everything again. DuckDB's memory is not in the heap.
const spareHeap = 96 << 20

// spare lets the heap become as large as floor before its garbage is collected, until it is told to end. Where more than half of that is in use, Go's
// own pace is kept, and so it is where a person has chosen one (GOGC). It is for a process that does one job and ends: a daemon that has nothing to do
// is to be small.
func spare(floor uint64) (end func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	var ended atomic.Bool
	before := debug.SetGCPercent(100)
	adjust(floor, &ended)
	return func() {
		ended.Store(true)
		debug.SetGCPercent(before)
	}
}

// adjust sets after each collection when the next one is due, as it depends on what is in use.
func adjust(floor uint64, ended *atomic.Bool) {
	if ended.Load() {
		return
	}
	const live, globals = "/gc/heap/live:bytes", "/gc/scan/globals:bytes"
	m := []metrics.Sample{{Name: live}, {Name: globals}}
	metrics.Read(m)
	debug.SetGCPercent(paceFor(floor, m[0].Value.Uint64(), m[1].Value.Uint64()))
	runtime.AddCleanup(new(marker), func(struct{}) { adjust(floor, ended) }, struct{}{})
}

// marker is garbage as soon as it is made: that it is collected tells that there was a collection. It holds a pointer, so that it is not put together
// with other small things that live on.
type marker struct{ _ *marker }

// paceFor is by how many per cent of what is in use the heap may grow to be as large as floor: at least by Go's own hundred. Go counts what the
// program's variables hold in, and never takes less than 4 MB for the heap.
func paceFor(floor, live, globals uint64) (percent int) {
	live = max(live, 4<<20)
	if floor <= 2*live+globals {
		return 100
	}
	return int((floor - live) * 100 / (live + globals)) //nolint:gosec // at most floor in units of 40 kB
}
