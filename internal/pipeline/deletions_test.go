package pipeline_test

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/checkpoint"
	"syncd/internal/fakeapi"
	"syncd/internal/pipeline"
)

// settledCalls makes all calls of a life old enough not to change, and young enough to be read again once, after a day.
func settledCalls(w world) {
	w.fake.Since, w.fake.Until = w.fake.Until.Add(-8*time.Hour), w.fake.Until.Add(-4*time.Hour)
	w.source.Ages = ages
}

func TestDeletedCallsAreMarkedAndOneThatReturnsIsNot(t *testing.T) {
	forEach(t, allProviders, 150, func(w world) {
		settledCalls(w)
		w.source.Ages = []time.Duration{24 * time.Hour, 48 * time.Hour}
	}, func(l *life) {
		l.sync(everything)
		all := l.fake.All()
		returns, ok := l.fake.Call(all[70])
		if !ok {
			l.t.Fatal("no such call")
		}
		for _, at := range []int{10, 70, 149} {
			l.fake.Remove(all[at])
		}
		l.sleepUntil(26 * time.Hour)
		l.sync(everything)
		if diff := cmp.Diff(l.fake.Deleted(), l.marked()); diff != "" {
			l.t.Errorf("deleted and marked (-deleted +marked):\n%s", diff)
		}
		l.expect(`SELECT field, revision, old_value IS NULL, new_value IS NOT NULL FROM call_revisions`,
			"deleted_at | 2 | true | true", "deleted_at | 2 | true | true", "deleted_at | 2 | true | true")
		if l.latest() != 3 {
			l.t.Errorf("marked are %q", l.marked())
		}
		if err := l.fake.Put(returns); err != nil {
			l.t.Fatal(err)
		}
		l.sleepUntil(54 * time.Hour)
		l.sync(everything)
		if diff := cmp.Diff(l.fake.Deleted(), l.marked()); diff != "" || len(l.fake.Deleted()) != 2 {
			l.t.Errorf("deleted and marked after one came back (-deleted +marked):\n%s", diff)
		}
		l.expect(`SELECT revision, new_value IS NULL FROM call_revisions WHERE call_id = '`+all[70]+`' ORDER BY revision`, "2 | false", "3 | true")
		if sent := l.fake.Traffic().Calls; sent != 3 {
			l.t.Errorf("%d single calls were asked for, want the three candidates", sent)
		}
		l.latest()
	})
}

func TestACallWhoseStartMovedIsNotTakenForDeleted(t *testing.T) {
	inBubble(t, fakeapi.Burki, 150, func(w world) {
		settledCalls(w)
		w.source.Start = w.fake.Since.AddDate(0, -2, 0)
	}, func(l *life) {
		l.sync(everything)
		moved := l.fake.All()[75]
		r, ok := l.fake.Call(moved)
		if !ok {
			l.t.Fatal("no such call")
		}
		at := r.At.AddDate(0, -1, 0).UTC()
		r.List = strings.Replace(r.List, r.At.UTC().Format("2006-01-02T15:04:05"), at.Format("2006-01-02T15:04:05"), 1)
		r.Detail, r.At = "", time.Time{}
		if err := l.fake.Put(r); err != nil {
			l.t.Fatal(err)
		}
		l.sleepUntil(26 * time.Hour)
		l.sync(everything)
		l.expect(`SELECT started_at < TIMESTAMPTZ '`+at.Add(time.Second).Format(time.RFC3339)+`', deleted_at IS NULL, revision
			FROM calls WHERE call_id = '`+moved+`'`, "true | true | 2")
		l.mirrors(moved)
		l.expect(`SELECT count(*) FROM calls WHERE deleted_at IS NULL`, "150")
	})
}

func TestTooManyCallsGoneAtOnceAreLeftToAPerson(t *testing.T) {
	forEach(t, []fakeapi.Provider{fakeapi.Burki, fakeapi.Voicy}, 200, settledCalls, func(l *life) {
		l.sync(everything)
		for _, id := range l.fake.All()[:25] {
			l.fake.Remove(id)
		}
		l.sleepUntil(26 * time.Hour)
		run, err := l.try(everything)
		if err == nil || !strings.Contains(err.Error(), "25 of its 200 calls are no longer listed") || !strings.Contains(err.Error(), "--accept-deletions") {
			l.t.Errorf("error %v", err)
		}
		if run.Outcome != "failed" || len(l.marked()) != 0 || l.fake.Traffic().Calls != 0 {
			l.t.Errorf("outcome %s, %d marked, %d asked for", run.Outcome, len(l.marked()), l.fake.Traffic().Calls)
		}
		l.expect(`SELECT failures, error LIKE '%no longer listed%' FROM sync.windows WHERE state = 'open'`, "1 | true")
		open := l.rows(`SELECT epoch_us(since), epoch_us(until) FROM sync.windows WHERE state = 'open'`)
		if len(open) != 1 {
			l.t.Fatalf("open are %q, want the window whose calls are gone", open)
		}
		// What comes after it is work of its own, and goes on.
		time.Sleep(10 * time.Minute)
		fresh := l.insert(time.Now().Add(-5 * time.Minute))
		if _, err := l.try(everything); err == nil {
			l.t.Error("the window that was left open is forgotten")
		}
		l.expect(`SELECT call_id FROM calls WHERE call_id = '`+fresh+`'`, fresh)
		if lag := l.lag(); lag > 2*time.Minute {
			l.t.Errorf("what is proven ends %s ago", lag)
		}

		// A person says that they were deleted, in the words of the advice.
		span := advised(l.t, err)
		l.sync(pipeline.Options{Kind: "backfill", Range: span, Force: true, AcceptDeletions: true})
		if diff := cmp.Diff(l.fake.Deleted(), l.marked()); diff != "" {
			l.t.Errorf("deleted and marked (-deleted +marked):\n%s", diff)
		}
		l.expect(`SELECT since FROM sync.windows WHERE state = 'open'`)
		l.sync(everything)
		l.latest()
	})
}

func TestAnInterruptedReReadingStartsOverAndSuspectsNobody(t *testing.T) {
	// Millis tells no total, which would show that the beginning is missing.
	forEach(t, []fakeapi.Provider{fakeapi.Burki, fakeapi.Millis}, 400, settledCalls, func(l *life) {
		var stop atomic.Pointer[context.CancelFunc]
		var pages atomic.Int64
		l.account.Transport = &fakeapi.Transport{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			l.fake.ServeHTTP(rw, r)
			if cancel := stop.Load(); cancel != nil && pages.Add(1) == 5 {
				(*cancel)()
			}
		})}
		l.source.Extract = l.opened(l.account)
		l.sync(everything)
		gone := l.fake.All()[390]
		l.fake.Remove(gone)
		l.sleepUntil(26 * time.Hour)
		ctx, cancel := context.WithCancel(l.t.Context())
		stop.Store(&cancel)
		if _, err := l.pipeline.Sync(ctx, l.source, everything); !errors.Is(err, context.Canceled) {
			l.t.Fatalf("error %v", err)
		}
		stop.Store(nil)
		l.expect(`SELECT position IS NOT NULL FROM sync.windows WHERE state = 'open'`, "true")
		l.restart()
		run := l.sync(everything)
		if run.Records < 399 {
			l.t.Errorf("it went on with %d records, and did not start over", run.Records)
		}
		if got := l.fake.Traffic().Calls; got != 1 {
			l.t.Errorf("%d calls were asked for, want the one that is gone", got)
		}
		if !slices.Equal(l.marked(), []string{gone}) {
			l.t.Errorf("marked are %q", l.marked())
		}
		l.latest()
	})
}

func TestACandidateThatCannotBeToldIsLeftAsItIs(t *testing.T) {
	var silent atomic.Bool
	silent.Store(true)
	inBubble(t, fakeapi.Voicy, 100, func(w world) {
		settledCalls(w)
		w.source.Ages = []time.Duration{24 * time.Hour, 48 * time.Hour}
		w.fake.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if silent.Load() && strings.Contains(r.URL.Path, "/call-get/") {
					rw.WriteHeader(http.StatusNotFound)
					_, _ = rw.Write([]byte("404 page not found"))
					return
				}
				next.ServeHTTP(rw, r)
			})
		}
	}, func(l *life) {
		l.sync(everything)
		gone := l.fake.All()[50]
		l.fake.Remove(gone)
		l.sleepUntil(26 * time.Hour)
		l.sync(everything)
		if len(l.marked()) != 0 {
			l.t.Errorf("a proxy's word marked %q", l.marked())
		}
		silent.Store(false)
		l.sleepUntil(54 * time.Hour)
		l.sync(everything)
		if !slices.Equal(l.marked(), []string{gone}) {
			l.t.Errorf("marked are %q", l.marked())
		}
	})
}

// advised is the range of the command that an error advises.
func advised(t *testing.T, err error) checkpoint.Span {
	t.Helper()
	m := regexp.MustCompile(`--from (\S+) --to (\S+) --force --accept-deletions`).FindStringSubmatch(err.Error())
	if m == nil {
		t.Fatalf("no advice in %v", err)
	}
	var s checkpoint.Span
	for i, to := range []*time.Time{&s.Since, &s.Until} {
		at, err := time.Parse(time.RFC3339, m[i+1])
		if err != nil {
			t.Fatal(err)
		}
		*to = at
	}
	return s
}

// A first reading that did not come to its end has stored calls. One of them that is gone when the window is read from its start days later, and
// is then proven for every age at once, would never be looked at again.
func TestACallThatIsDeletedBetweenTwoTriesOfAFirstReadingIsMarked(t *testing.T) {
	forEach(t, allProviders, 120, func(w world) { w.source.Details, w.source.Ages = false, []time.Duration{24 * time.Hour} }, func(l *life) {
		stop := l.fake.Inject(fakeapi.Fault{Kind: fakeapi.HTMLPage, Skip: 2})
		if _, err := l.try(pipeline.Options{Kind: "sync", Scope: checkpoint.All}); err == nil {
			t.Fatal("the first reading came to its end")
		}
		stop()
		stored := l.rows(`SELECT call_id FROM calls ORDER BY started_at`)
		if len(stored) == 0 || len(stored) == len(l.fake.All()) {
			t.Fatalf("%d calls of %d are stored, want some", len(stored), len(l.fake.All()))
		}
		gone := stored[len(stored)/2]
		if !l.fake.Remove(gone) {
			t.Fatalf("there is no %s", gone)
		}
		l.fake.ForgetPositions()
		time.Sleep(30 * 24 * time.Hour)
		l.sync(pipeline.Options{Kind: "sync", Scope: checkpoint.All})
		l.sync(pipeline.Options{Kind: "sync", Scope: checkpoint.All})
		l.expect(`SELECT call_id FROM calls WHERE deleted_at IS NOT NULL`, gone)
		l.mirrors()
	})
}
