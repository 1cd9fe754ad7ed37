package simulation_test

import (
	"flag"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	oneSeed   = flag.Int64("seed", -1, "replay this seed alone")
	seedCount = flag.Int("seeds", 12, "how many seeds the simulation runs; make proof runs 300")
	firstSeed = flag.Int64("first-seed", 1, "the first of them")
)

// TestSimulation runs the seeds, some at a time.
func TestSimulation(t *testing.T) {
	t.Parallel()
	if *oneSeed >= 0 {
		simulate(t, uint64(*oneSeed))
		return
	}
	room := make(chan struct{}, runtime.GOMAXPROCS(0)+1) // one more than there are cores, as each waits for the disk now and then
	var all sync.WaitGroup
	for seed := *firstSeed; seed < *firstSeed+int64(*seedCount); seed++ {
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { simulate(t, uint64(seed)) })
		})
	}
	all.Wait()
	tally.report(t)
}

// epoch is when every world begins: a bubble's clock begins with the year 2000, before which no call is believed to have started.
var epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// A seed that failed is of use only if it fails again.
func TestASeedDoesTheSameAgain(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		first, second := simulate(t, 100+seed), simulate(t, 100+seed)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("seed %d, played twice (-first +second):\n%s", 100+seed, diff)
		}
	}
}

// simulate lives the history of one seed, and returns it.
func simulate(t *testing.T, seed uint64) (history []string) {
	if _, err := empty(); err != nil { // here, as no clock of a world may see it: making a file rests for some milliseconds
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(epoch))
		w := newWorld(t, seed)
		defer func() {
			w.close()
			history = w.history
			if t.Failed() || *oneSeed >= 0 {
				w.tell()
			}
		}()
		w.open()
		for range 3 + w.rng.IntN(5) {
			w.step()
			if t.Failed() {
				return
			}
		}
		w.converge()
		tally.add(w)
	})
	return history
}
