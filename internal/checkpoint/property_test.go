package checkpoint_test

import (
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"syncd/internal/checkpoint"
)

var planSeeds = flag.Uint64("plan-seeds", 60, "how many histories TestWhateverHappensWhatIsCoveredIsWhatWasRead makes up")

// history is a made-up life of one source: a daemon that plans by its own clock, a provider that is read by its own, outages, restarts in the
// midst of windows, and a person who changes start and reread. Beside it stands the plainest model there is: for every minute, the
// greatest age that its calls ever had when they were read.
type history struct {
	rng  *rand.Rand
	book checkpoint.Book
	best []time.Duration // by minute
	now  int             // the provider's clock, in minutes
	skew int             // ours less the provider's
	want checkpoint.Want
	ids  int64
}

const lifetime = 3000 // minutes

func TestWhateverHappensWhatIsCoveredIsWhatWasRead(t *testing.T) {
	for seed := range *planSeeds {
		h := &history{rng: rand.New(rand.NewPCG(seed, 7)), best: make([]time.Duration, lifetime+100)}
		h.configure()
		for h.now = 200; h.now < lifetime; h.now += 1 + h.rng.IntN(12) {
			h.live(t, seed)
			if h.rng.IntN(16) == 0 {
				h.check(t, seed)
			}
		}
		h.check(t, seed)
		// Nothing happens any more but ticks: then all is read at every age.
		h.skew = 0
		for range 3 {
			h.tick(t, seed, 1000, 1)
		}
		h.settled(t, seed)
	}
}

// configure is what a person may change at any time.
func (h *history) configure() {
	all := []time.Duration{3 * time.Minute, 10 * time.Minute, time.Hour, 5 * time.Hour}
	var ages []time.Duration
	for _, a := range all {
		if h.rng.IntN(3) > 0 {
			ages = append(ages, a)
		}
	}
	h.want = checkpoint.Want{Span: checkpoint.Span{Since: at(h.rng.IntN(150))}, Ages: ages}
}

// live is one moment: a tick, an outage, a clock that jumps, another configuration.
func (h *history) live(t *testing.T, seed uint64) {
	switch h.rng.IntN(20) {
	case 0:
		h.configure()
	case 1:
		h.now += h.rng.IntN(300) // an outage
	case 2:
		h.skew = h.rng.IntN(31) - 15
	case 3:
		h.now -= min(h.rng.IntN(20), h.now-200) // the provider's clock is put back
	}
	h.tick(t, seed, h.rng.IntN(6), 0.8)
}

// tick carries out some of the plan. Each reading succeeds with a probability; one that does not leaves its window open, or nothing.
func (h *history) tick(t *testing.T, seed uint64, windows int, success float64) {
	h.want.Scope, h.want.Taken = checkpoint.All, nil
	h.want.Step = time.Duration(5+h.rng.IntN(400)) * time.Minute
	h.want.Now = at(h.now + h.skew)
	known := false
	for range windows {
		work, ok := checkpoint.Next(h.book, h.want)
		if !ok {
			return
		}
		if work.Span.Empty() || work.Since.Before(h.want.Since) && work.ID == 0 {
			t.Fatalf("seed %d: %s is planned, of what is wanted since %s", seed, work.Span, h.want.Since)
		}
		if h.rng.Float64() >= success {
			h.fail(work.Window)
			continue
		}
		if !known { // the first answer tells the provider's clock
			known, h.want.Now = true, at(h.now)
		}
		h.read(work.Window)
	}
}

// read is a reading that succeeds: by the provider's clock, whatever ours says.
func (h *history) read(w checkpoint.Window) {
	for m := range h.best {
		if !at(m).Before(w.Since) && !at(m+1).After(w.Until) {
			h.best[m] = max(h.best[m], at(h.now).Sub(at(m+1)))
		}
	}
	h.drop(w)
	h.book.Facts = checkpoint.Compact(append(h.book.Facts, checkpoint.Read(w.Span, at(h.now), h.want.Ages)...), h.want.Ages)
	h.want.Taken = append(h.want.Taken, w.Span) // once in a tick is enough, as a clock may stand still
}

// fail leaves a window open, halves it, or forgets it, as if it had never been begun.
func (h *history) fail(w checkpoint.Window) {
	h.drop(w)
	cut := w.Since.Add(w.Until.Sub(w.Since) / 2).Truncate(time.Minute) // the model knows whole minutes only
	older, newer := checkpoint.Span{Since: w.Since, Until: cut}, checkpoint.Span{Since: cut, Until: w.Until}
	switch h.rng.IntN(3) {
	case 0:
		h.open(w.Span)
	case 1:
		if !older.Empty() {
			h.open(older)
			h.open(newer)
		}
	}
	h.want.Taken = append(h.want.Taken, w.Span, older, newer)
}

func (h *history) open(s checkpoint.Span) {
	h.ids++
	h.book.Open = append(h.book.Open, checkpoint.Window{ID: h.ids, Span: s})
}

func (h *history) drop(w checkpoint.Window) {
	var kept []checkpoint.Window
	for _, o := range h.book.Open {
		if o.ID != w.ID {
			kept = append(kept, o)
		}
	}
	h.book.Open = kept
}

// check holds what the ledger claims against the model, for the configured ages and for others: it must never claim what was not read.
func (h *history) check(t *testing.T, seed uint64) {
	t.Helper()
	for _, age := range append([]time.Duration{0, 7 * time.Minute, 2 * time.Hour, 24 * time.Hour}, h.want.Ages...) {
		missing := checkpoint.Missing(h.book.Facts, age, checkpoint.Span{Since: at(0), Until: at(len(h.best))})
		for m, best := range h.best {
			claimed := true
			for _, s := range missing {
				if s.Since.Before(at(m+1)) && at(m).Before(s.Until) {
					claimed = false
				}
			}
			if claimed && best < max(age, checkpoint.Settle) {
				t.Fatalf("seed %d, minute %d: minute %d is claimed at age %s, and was read at %s at best", seed, h.now, m, age, best)
			}
		}
	}
	if len(h.book.Facts) > 60 {
		t.Fatalf("seed %d, minute %d: %d facts", seed, h.now, len(h.book.Facts))
	}
}

// settled checks that nothing is left undone but what may wait: a tenth of each age.
func (h *history) settled(t *testing.T, seed uint64) {
	t.Helper()
	for _, age := range append([]time.Duration{0}, h.want.Ages...) {
		until := at(h.now).Add(-max(age, checkpoint.Settle) - age/10)
		if left := checkpoint.Missing(h.book.Facts, age, checkpoint.Span{Since: h.want.Since, Until: until}); len(left) > 0 {
			t.Fatalf("seed %d: nothing is planned any more, and at age %s %s is not covered", seed, age, left[0])
		}
	}
}
