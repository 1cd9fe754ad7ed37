package checkpoint_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/checkpoint"
)

var t0 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }

func span(since, until int) checkpoint.Span {
	return checkpoint.Span{Since: at(since), Until: at(until)}
}

func TestAReadingProvesNothingYoungerThanAMinute(t *testing.T) {
	facts := checkpoint.Read(span(0, 100), at(100), []time.Duration{0})
	want := []checkpoint.Span{span(99, 100)}
	if diff := cmp.Diff(want, checkpoint.Missing(facts, 0, span(0, 100))); diff != "" {
		t.Errorf("missing after reading to the present (-want +got):\n%s", diff)
	}
}

func TestALocalClockThatRunsAheadProvesOnlyWhatTheProviderHad(t *testing.T) {
	// Asked up to minute 110, when the provider's clock said 100.
	facts := checkpoint.Read(span(0, 110), at(100), []time.Duration{0})
	want := []checkpoint.Span{span(99, 110)}
	if diff := cmp.Diff(want, checkpoint.Missing(facts, 0, span(0, 110))); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

func TestTenYearsOfLiveTicksAreAHandfulOfFacts(t *testing.T) {
	ages := []time.Duration{0}
	var facts []checkpoint.Fact
	// A first reading of ten years, then a tick every hour of a month.
	facts = checkpoint.Compact(checkpoint.Read(checkpoint.Span{Since: t0.AddDate(-10, 0, 0), Until: t0}, t0, ages), ages)
	since := t0.Add(-checkpoint.Settle)
	for h := 1; h <= 30*24; h++ {
		now := t0.Add(time.Duration(h) * time.Hour)
		facts = checkpoint.Compact(append(facts, checkpoint.Read(checkpoint.Span{Since: since, Until: now}, now, ages)...), ages)
		since = now.Add(-checkpoint.Settle)
	}
	if len(facts) > 8 {
		t.Errorf("%d facts, want a handful", len(facts))
	}
	all := checkpoint.Span{Since: t0.AddDate(-10, 0, 0), Until: since}
	if missing := checkpoint.Missing(facts, 0, all); len(missing) > 0 {
		t.Errorf("missing %v", missing)
	}
}

// A brute-force model: for every minute, the age its calls had at the best reading of it. Whatever the readings, the compacted ledger must
// never claim a minute for an age that the model does not, and must lose none of the classes it is kept for.
func TestCompactedFactsSayExactlyWhatWasRead(t *testing.T) {
	const minutes = 600
	ages := []time.Duration{0, 5 * time.Minute, time.Hour}
	asked := []time.Duration{0, 5 * time.Minute, 17 * time.Minute, time.Hour, 3 * time.Hour} // two were not configured
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var facts []checkpoint.Fact
		var best [minutes]time.Duration
		now := 0
		for range 40 {
			now += rng.IntN(30)
			until := min(now+rng.IntN(10)-3, minutes) // a local clock may run ahead, or a window be old
			since := until - 1 - rng.IntN(120)
			if rng.IntN(4) == 0 {
				since = until - 1 - rng.IntN(3)
			}
			if since < 0 || until <= since {
				continue
			}
			facts = checkpoint.Compact(append(facts, checkpoint.Read(span(since, until), at(now), ages)...), ages)
			for m := since; m < until; m++ {
				// The youngest call of the minute starts at its end.
				best[m] = max(best[m], time.Duration(now-m-1)*time.Minute)
			}
		}
		for _, age := range asked {
			configured := age != asked[2] && age != asked[4]
			missing := checkpoint.Missing(facts, age, span(0, minutes))
			for m := range minutes {
				claimed := true
				for _, s := range missing {
					if s.Since.Before(at(m+1)) && at(m).Before(s.Until) {
						claimed = false
					}
				}
				read := best[m] >= max(age, checkpoint.Settle)
				if claimed && !read {
					t.Fatalf("seed %d: minute %d is claimed at age %s, but was read at %s at best", seed, m, age, best[m])
				}
				if configured && read && !claimed {
					t.Fatalf("seed %d: minute %d was read at age %s and is not claimed at %s", seed, m, best[m], age)
				}
			}
		}
	}
}
