//go:build !race

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/pipeline"
)

// The week is not built with the race detector, which takes minutes to watch it; the simulated day and hour are. make proof, which is part of make test,
// runs it.

// live lets the daemon run until a time, with a restart a day at an hour of chance.
func (w *world) live(until time.Time, rng *rand.Rand) {
	for time.Now().Before(until) {
		next := time.Now().Add(24*time.Hour - time.Duration(rng.IntN(4))*time.Hour + time.Duration(rng.IntN(3600))*time.Second)
		if next.After(until) {
			time.Sleep(time.Until(until))
			return
		}
		time.Sleep(time.Until(next))
		w.end()
		w.start()
		w.t.Logf("day %.1f: restarted", time.Since(w.began).Hours()/24)
	}
}

func TestASimulatedWeek(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(100 * 24 * time.Hour) // a bubble begins with the year 2000, and what is older is held for no time at all
		w := newWorld(t, fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy)
		rng := rand.New(rand.NewPCG(*simSeed, 3))
		w.start()
		for _, o := range w.outages {
			w.live(o.Since.Add(o.Until.Sub(o.Since)/2), rng)
			w.namesTheOutage(o)
			w.live(o.Until.Add(-time.Second), rng)
			w.namesTheOutage(o)
			w.live(o.Until.Add(time.Hour), rng)
			if missing := w.ask(`SELECT source, since, until FROM sync.gaps_at(?) WHERE state = 'missing'`, time.Now()); len(missing) > 0 {
				t.Errorf("an hour after an outage there are gaps: %q", missing)
			}
		}
		w.live(w.began.AddDate(0, 0, *simDays), rng)
		// Calls no longer arrive. Those that did settle: at the largest age, and a tenth of it.
		last := slices.Max(w.ages)
		w.live(time.Now().Add(last+last/10+time.Hour), rng)
		w.checks()
		w.end()
	})
}

// namesTheOutage checks that the warehouse says of every source that it misses just the hours since the outage began.
func (w *world) namesTheOutage(o fakeapi.Outage) {
	w.t.Helper()
	now := time.Now()
	for _, s := range w.sources {
		gaps := w.ask(`SELECT epoch_ms(since), epoch_ms(until) FROM sync.gaps_at(?) WHERE state = 'missing' AND source = ? ORDER BY since`, now, s.Name)
		if len(gaps) != 1 {
			w.t.Errorf("%s, in the outage of %s: missing are %q, want one stretch", s.Name, o.Since, gaps)
			continue
		}
		var since, until int64
		if _, err := fmt.Sscanf(gaps[0], "%d | %d", &since, &until); err != nil {
			w.t.Fatal(err)
		}
		// The last tick before the outage may have been five minutes earlier, and proves nothing of its own last minute. A tick may be as late as
		// its interval before anything is called missing.
		if from := time.UnixMilli(since); from.After(o.Since) || from.Before(o.Since.Add(-7*time.Minute)) {
			w.t.Errorf("%s: the gap begins at %s, the outage at %s", s.Name, from.UTC(), o.Since)
		}
		if to := time.UnixMilli(until); !to.Equal(now.Add(-time.Minute - 5*time.Minute).Truncate(time.Millisecond)) {
			w.t.Errorf("%s: the gap ends at %s, now is %s", s.Name, to.UTC(), now.UTC())
		}
	}
}

// checks holds the warehouse against the providers.
func (w *world) checks() {
	w.t.Helper()
	now := time.Now()
	days := now.Sub(w.began).Hours() / 24
	ticks := int(days * 24 * 12)
	if got := w.ask(`SELECT source, since, until, state FROM sync.gaps_at(?) WHERE state = 'missing'`, now); len(got) > 0 {
		w.t.Errorf("missing: %q", got)
	}
	if got := w.ask(`SELECT source, call_id FROM calls GROUP BY ALL HAVING count(*) > 1`); len(got) > 0 {
		w.t.Errorf("calls with two rows: %q", got)
	}
	if got := w.ask(`SELECT run_id FROM sync.runs WHERE records <> inserted + updated + unchanged + rejected`); len(got) > 0 {
		w.t.Errorf("runs whose counts do not add up: %q", got)
	}
	for _, s := range w.sources {
		fake := w.fakes[s.Name]
		w.latest(s, fake)
		if rows := len(w.ask(`SELECT 1 FROM sync.windows WHERE source = ?`, s.Name)); rows > 15 {
			w.t.Errorf("%s: %d rows in the ledger, want a handful", s.Name, rows)
		}
		w.frugal(s, fake, ticks, days)
	}
}

// latest checks that every call that the provider lists is there in its latest state, and that the deleted ones, and no other, are marked.
func (w *world) latest(s pipeline.Source, fake *fakeapi.Server) {
	w.t.Helper()
	to := w.means(s.Name, s.Provider)
	var want []string
	for _, id := range fake.All() {
		r, _ := fake.Call(id)
		o := to.Record(extract.Record{Payload: []byte(r.List), ID: id, FetchedAt: time.Now()}).Observation
		want = append(want, fmt.Sprintf("%s | %d", o.Call.ID, o.ContentHash))
	}
	slices.Sort(want)
	got := w.ask(`SELECT call_id, content_hash FROM calls JOIN raw_calls USING (source, call_id) WHERE source = ? AND part = 'list' AND deleted_at IS NULL ORDER BY call_id`, s.Name)
	slices.Sort(got)
	for _, extra := range got {
		if _, found := slices.BinarySearch(want, extra); !found {
			id, _, _ := strings.Cut(extra, " | ")
			w.t.Logf("extra: %q", w.ask(`SELECT epoch_ms(started_at), typeof(started_at), deleted_at, first_seen_at, changed_at, is_final, (SELECT max(reading) FROM raw_calls r WHERE r.call_id = c.call_id) FROM calls c WHERE call_id = ?`, id))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s: calls and their state at the provider and in the warehouse (-want +got):\n%s", s.Name, diff)
	}
	deleted := make(map[string]bool)
	for _, id := range fake.Deleted() {
		deleted[id] = true
	}
	marked := w.ask(`SELECT call_id FROM calls WHERE source = ? AND deleted_at IS NOT NULL`, s.Name)
	for _, id := range marked {
		if !deleted[id] {
			w.t.Errorf("%s: %s is marked as deleted and is not", s.Name, id)
		}
	}
	if len(marked) < len(deleted)/4 {
		w.t.Errorf("%s: %d calls are marked of %d that were deleted, most of which had been seen", s.Name, len(marked), len(deleted))
	}
}

// frugal checks how many list requests it took.
func (w *world) frugal(s pipeline.Source, fake *fakeapi.Server, ticks int, days float64) {
	w.t.Helper()
	sent, calls := fake.Traffic().Lists, len(fake.All())+len(fake.Deleted())
	page := map[string]int{"millis": 100, "burki": 1000, "voicy": 1000}[s.Provider]
	bound := 1.3 * (float64(calls)/float64(page) + float64(ticks)) * float64(1+len(w.ages))
	perDay := float64(calls) / days
	blanket := float64(ticks) * max(1, perDay/float64(page))
	listed := 0
	for _, n := range fake.Served() {
		listed += n
	}
	w.t.Logf("%-7s %6d calls in %.1f days: %6d list requests, at most %.0f allowed; a call was listed %.1f times. A blanket look back of 24 hours at every tick: %.0f requests, each call listed %d times. Single calls asked for: %d",
		s.Name, calls, days, sent, bound, float64(listed)/float64(calls), blanket, 24*12, fake.Traffic().Calls)
	if float64(sent) > bound {
		w.t.Errorf("%s: %d list requests, want at most %.0f", s.Name, sent, bound)
	}
	if busiest := fake.Busiest(time.Minute); busiest > 120 {
		w.t.Errorf("%s: %d requests in one minute, where 120 are allowed", s.Name, busiest)
	}
}
