package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
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
	p := &pace{floor: floor, before: debug.SetGCPercent(100)}
	p.adjust()
	return p.end
}

// pace is when garbage is collected.
type pace struct {
	floor  uint64 // bytes
	before int    // per cent

	mu    sync.Mutex
	ended bool
}

// end goes back to the pace that was there before.
func (p *pace) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		p.ended = true
		debug.SetGCPercent(p.before)
	}
}

// adjust sets after each collection when the next one is due, as it depends on what is in use.
func (p *pace) adjust() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	const live, globals = "/gc/heap/live:bytes", "/gc/scan/globals:bytes"
	m := []metrics.Sample{{Name: live}, {Name: globals}}
	metrics.Read(m)
	debug.SetGCPercent(percentFor(p.floor, m[0].Value.Uint64(), m[1].Value.Uint64()))
	runtime.AddCleanup(new(marker), (*pace).adjust, p)
}

// marker is garbage as soon as it is made: that it is collected tells that there was a collection. It holds a pointer, so that it is not put together
// with other small things that live on.
type marker struct{ _ *marker }

// percentFor is by how many per cent of what is in use the heap may grow to be as large as floor: at least by Go's own hundred. Go counts what the
// program's variables hold in. It is at most a thousand: what is in use may have grown much by the next collection, and in the moment until the pace
// is adjusted to that, it is by that much more that the heap may grow.
func percentFor(floor, live, globals uint64) int {
	const least, most = 100, 1000
	if floor <= live {
		return least
	}
	return int(min(max((floor-live)*100/max(live+globals, 1), least), most)) //nolint:gosec // it is between the two
}
