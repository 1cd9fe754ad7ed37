package simulation_test

import (
	"sync"
	"testing"
)

// counts are what happened in a world.
type counts struct {
	mu                                           sync.Mutex
	commits, kills, injected, runs, failed, done int
	mishaps                                      [powerLoss + 1]int
}

// total is what happened in all worlds.
type total struct {
	mu sync.Mutex
	counts
	broken map[string]int
}

var tally = &total{broken: make(map[string]int)}

func (a *total) add(w *world) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.commits += w.counts.commits
	a.kills += w.counts.kills
	a.runs += w.counts.runs
	a.failed += w.counts.failed
	a.injected += w.counts.injected
	a.done++
	for how, n := range w.counts.mishaps {
		a.mishaps[how] += n
	}
	for _, s := range w.sources {
		for kind, n := range s.fake.Injected() {
			a.broken[kind.String()] += n
		}
	}
}

// report says what all seeds together went through. A simulation in which something never went wrong would prove nothing of it, which shows in many
// seeds alone.
func (a *total) report(t *testing.T) {
	if a.done >= 200 {
		for how, n := range a.mishaps {
			if n == 0 {
				t.Errorf("in %d seeds there was never this: %s", a.done, way(how))
			}
		}
		for _, k := range honest() {
			if a.broken[k.String()] == 0 {
				t.Errorf("in %d seeds no answer was broken by %s", a.done, k)
			}
		}
	}
	t.Logf("%d seeds, %d runs of which %d failed, %d commits, %d kills", a.done, a.runs, a.failed, a.commits, a.kills)
	for how, n := range a.mishaps {
		t.Logf("%s: %d times", way(how), n)
	}
	t.Logf("answers broken, by fault: %v", a.broken)
}
