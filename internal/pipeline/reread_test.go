package pipeline_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
)

// ages are those of most of these tests.
var ages = []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour}

// arriving makes calls arrive in the first hour of a life, and settle as calls do.
func arriving(w world) {
	w.fake.Since, w.fake.Until = w.fake.Until, w.fake.Until.Add(time.Hour)
	w.fake.Settling = fakeapi.Settling{StatusAt: 2 * time.Minute, CostAt: 40 * time.Minute, CorrectionAt: 20 * time.Hour}
	w.source.Start = w.fake.Since.Add(-time.Hour)
	w.source.Ages = ages
}

func TestACallBecomesFinalAndPricedAtTheAgeAtWhichTheProviderTellsIt(t *testing.T) {
	forEach(t, allProviders, 60, arriving, func(l *life) {
		l.tick(everything, 5*time.Minute, time.Hour+2*time.Minute)
		if first := l.rows(`SELECT count(*) FROM calls WHERE NOT is_final`)[0]; first == "0" {
			l.t.Fatal("no call is under way: this shows nothing")
		}
		// A slice that is due waits for a tenth of its age, and for the next tick.
		l.tick(everything, 5*time.Minute, time.Hour+12*time.Minute)
		l.expect(`SELECT call_id FROM calls WHERE NOT is_final`)
		l.tick(everything, 5*time.Minute, 2*time.Hour+15*time.Minute)
		l.latest()
		before := len(l.rows(`SELECT DISTINCT call_id FROM call_revisions`))
		l.tick(everything, time.Hour, 28*time.Hour)
		l.latest()
		if before == 0 || l.rows(`SELECT count(DISTINCT call_id) FROM call_revisions`)[0] != "60" {
			l.t.Errorf("%d calls were changed before the correction, and not all 60 after it", before)
		}
		// Each change has its rows, the last of which tells what is stored.
		l.expect(`SELECT call_id FROM calls WHERE revision <> 1 + (SELECT count(DISTINCT revision) FROM call_revisions AS r WHERE r.call_id = calls.call_id)`)
		l.expect(`SELECT c.call_id, r.field FROM calls AS c JOIN (SELECT call_id, field, arg_max(new_value, revision) AS value FROM call_revisions
			WHERE field IN ('status', 'cost', 'duration_ms') GROUP BY ALL) AS r USING (call_id)
			WHERE r.value IS DISTINCT FROM CASE field WHEN 'status' THEN c.status WHEN 'cost' THEN c.cost::VARCHAR ELSE c.duration_ms::VARCHAR END`)
		listedAboutOnceForEachAge(l, 27+26)
	})
}

// listedAboutOnceForEachAge checks what the readings of a life of so many ticks cost.
func listedAboutOnceForEachAge(l *life, ticks int) {
	l.t.Helper()
	listed, most := 0, 0
	for _, n := range l.fake.Served() {
		listed, most = listed+n, max(most, n)
	}
	calls := len(l.fake.All())
	// The last minute before each tick is listed again at the next, and neighbouring windows overlap by some seconds.
	if want := 1 + len(ages); listed < calls*want || float64(listed) > 1.4*float64(calls*want) || most > 2*want {
		l.t.Errorf("%d calls were listed %d times, one of them %d times; want about %d times each", calls, listed, most, want)
	}
	if lists := l.fake.Traffic().Lists; lists > int64(2*ticks) {
		l.t.Errorf("%d list requests in %d ticks", lists, ticks)
	}
}

func TestAReReadOfCallsThatDidNotChangeWritesNothing(t *testing.T) {
	forEach(t, allProviders, 120, func(w world) {
		w.fake.Since, w.fake.Until = w.fake.Until.Add(-8*time.Hour), w.fake.Until.Add(-4*time.Hour)
		w.source.Ages = ages
	}, func(l *life) {
		l.sync(everything)
		const state = `SELECT call_id, part, reading, fetched_at, content_hash FROM raw_calls ORDER BY ALL`
		const calls = `SELECT call_id, revision, changed_at FROM calls ORDER BY ALL`
		raw, stored := l.rows(state), l.rows(calls)
		l.sleepUntil(25 * time.Hour)
		run := l.sync(everything)
		if run.Unchanged < 120 || run.Updated+run.Inserted != 0 {
			l.t.Errorf("%+v: want all read again, and nothing written", run)
		}
		if diff := cmp.Diff(raw, l.rows(state)); diff != "" {
			l.t.Errorf("payloads (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(stored, l.rows(calls)); diff != "" {
			l.t.Errorf("calls (-before +after):\n%s", diff)
		}
	})
}

func TestCallsThatAreListedOnlyOnceTheyEndedArriveAtLast(t *testing.T) {
	forEach(t, talkative, 150, func(w world) {
		arriving(w)
		w.fake.Settling = fakeapi.Settling{ListedAfterEnd: 0.3, StatusAt: 20 * time.Minute}
	}, func(l *life) {
		l.tick(everything, 5*time.Minute, time.Hour)
		l.sleepUntil(time.Hour + 10*time.Minute)
		listed := l.fake.All()
		stored := l.rows(`SELECT call_id FROM calls`)
		late := slices.DeleteFunc(listed, func(id string) bool { return slices.Contains(stored, id) })
		if len(late) < 10 {
			l.t.Fatalf("%d calls were listed late: this shows nothing", len(late))
		}
		l.tick(everything, 5*time.Minute, 2*time.Hour+15*time.Minute)
		if n := l.latest(); n != 0 {
			l.t.Errorf("%d calls are marked as deleted: %s", n, strings.Join(l.marked(), ", "))
		}
	})
}
