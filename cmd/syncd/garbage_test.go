package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestTheHeapMayGrowToTheFloorAndNotFurther(t *testing.T) {
	for _, c := range []struct {
		name                 string
		floor, live, globals uint64
		want                 int
	}{
		{"nothing in use", 96 << 20, 0, 0, 1000},
		{"little in use: as much more as is safe", 96 << 20, 8 << 20, 0, 1000},
		{"a quarter in use", 96 << 20, 24 << 20, 0, 300},
		{"what variables hold counts as well", 96 << 20, 24 << 20, 8 << 20, 225},
		{"what variables hold leaves Go's own pace", 96 << 20, 24 << 20, 80 << 20, 100},
		{"half in use: Go's own pace", 96 << 20, 48 << 20, 0, 100},
		{"more in use than the floor", 96 << 20, 500 << 20, 1 << 20, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := percentFor(c.floor, c.live, c.globals); got != c.want {
				t.Errorf("the pace for %d of %d bytes in use is %d %%, want %d %%", c.live, c.floor, got, c.want)
			}
		})
	}
}

// TestGarbageIsLeftAloneUntilTheFloorIsReached sees that the goal of each next collection is the floor, after each that there is, and that it is
// Go's own once the job has ended.
func TestGarbageIsLeftAloneUntilTheFloorIsReached(t *testing.T) {
	t.Setenv("GOGC", "")
	const floor = 128 << 20
	before := debug.SetGCPercent(100)
	debug.SetGCPercent(before)
	end := spare(floor)
	defer end()
	for _, used := range []int{40 << 20, 56 << 20, 32 << 20} {
		inUse := make([]byte, used)
		runtime.GC()
		eventually(t, "the next collection is due at the floor", func() bool {
			goal := metric(t, "/gc/heap/goal:bytes")
			return goal > floor*9/10 && goal < floor*11/10
		})
		runtime.KeepAlive(inUse)
	}
	end()
	if got := metric(t, "/gc/gogc:percent"); before >= 0 && got != uint64(before) {
		t.Errorf("the pace is %d %% after the end, want %d %% as before", got, before)
	}
	runtime.GC()
	time.Sleep(10 * time.Millisecond)
	if got := metric(t, "/gc/gogc:percent"); before >= 0 && got != uint64(before) {
		t.Errorf("the pace is %d %% after a later collection, want %d %%", got, before)
	}
}

func TestAPersonsChoiceOfPaceIsKept(t *testing.T) {
	before := metric(t, "/gc/gogc:percent")
	t.Setenv("GOGC", "50")
	defer spare(1 << 30)()
	if got := metric(t, "/gc/gogc:percent"); got != before {
		t.Errorf("the pace is %d %%, want %d %% as GOGC had it when the process began", got, before)
	}
}

func metric(t *testing.T, name string) uint64 {
	t.Helper()
	m := []metrics.Sample{{Name: name}}
	metrics.Read(m)
	return m[0].Value.Uint64()
}
