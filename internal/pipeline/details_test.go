package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/pipeline"
)

// talkative are the providers whose list leaves something out.
var talkative = []fakeapi.Provider{fakeapi.Burki, fakeapi.Voicy}

// parts is how many answers there are about a call beside the list.
func (l *life) parts() int { return len(l.source.Extract.Parts()) }

// asked lists when single calls were asked for by paths that end so.
func (l *life) asked(suffix string) (at []time.Duration) {
	for _, r := range l.fake.Requests() {
		if strings.HasSuffix(r.Path, suffix) {
			at = append(at, r.At.Sub(l.began))
		}
	}
	return at
}

func TestDetailsAreFetchedOnceAndCompleteTheCall(t *testing.T) {
	forEach(t, talkative, 80, settledCalls, func(l *life) {
		run := l.sync(withDetails)
		l.latest()
		final := len(l.rows(`SELECT 1 FROM calls WHERE is_final`))
		if got := l.fake.Traffic().Calls; got != int64(final*l.parts()) || final != 80 {
			l.t.Errorf("%d answers about %d calls of %d parts", got, final, l.parts())
		}
		if run.Requests != l.fake.RequestCount() {
			l.t.Errorf("the run counts %d requests of %d", run.Requests, l.fake.RequestCount())
		}
		l.expect(`SELECT call_id FROM calls WHERE status = 'completed' AND call_id NOT IN (SELECT call_id FROM call_messages)`)
		if l.source.Provider == "burki" {
			// The itemised costs are the list's, to the last billionth.
			l.expect(`SELECT call_id FROM calls JOIN (SELECT call_id, sum(amount) AS sum FROM call_costs GROUP BY ALL) USING (call_id) WHERE sum <> cost`)
			l.expect(`SELECT count(*) > 0 FROM call_costs WHERE vendor = 'deepgram'`, "true")
		} else {
			l.expect(`SELECT count(*) FILTER (summary IS NOT NULL) > 0, count(*) FILTER (recording_url IS NOT NULL) > 0 FROM calls`, "true | true")
		}
		before := l.fake.Traffic().Calls
		time.Sleep(time.Hour)
		l.sync(withDetails)
		l.restart()
		l.sync(withDetails)
		if got := l.fake.Traffic().Calls - before; got != 0 {
			l.t.Errorf("%d answers were asked for again", got)
		}
	})
}

func TestNothingIsAskedAboutSingleCallsWhereNobodyWantsDetails(t *testing.T) {
	inBubble(t, fakeapi.Voicy, 60, func(w world) { settledCalls(w); w.source.Details = false }, func(l *life) {
		l.sync(withDetails)
		if got := l.fake.Traffic().Calls; got != 0 {
			l.t.Errorf("%d single calls were asked for", got)
		}
		l.source.Details = true
		l.sync(everything)
		if got := l.fake.Traffic().Calls; got != 0 {
			l.t.Errorf("%d single calls were asked for by a run without details", got)
		}
		l.latest()
	})
}

func TestAListThatIsReadAgainErasesNoDetailAndOneThatChangedFetchesItAgain(t *testing.T) {
	forEach(t, talkative, 80, func(w world) {
		settledCalls(w)
		w.fake.Settling.CorrectionAt = 20 * time.Hour
	}, func(l *life) {
		l.sync(withDetails)
		const words = `SELECT call_id, count(*), sum(length(content))::BIGINT FROM call_messages GROUP BY ALL ORDER BY ALL`
		before, sent := l.rows(words), l.fake.Traffic().Calls
		l.sleepUntil(26 * time.Hour)
		run := l.sync(everything)
		if run.Updated < 70 {
			l.t.Fatalf("%d calls were corrected: this shows nothing", run.Updated)
		}
		if diff := cmp.Diff(before, l.rows(words)); diff != "" {
			l.t.Errorf("transcripts before and after the list was read again (-before +after):\n%s", diff)
		}
		l.latest()
		l.sync(withDetails)
		if got := l.fake.Traffic().Calls - sent; got != int64(int(run.Updated)*l.parts()) {
			l.t.Errorf("%d answers were asked for after %d calls had changed", got, run.Updated)
		}
		if diff := cmp.Diff(before, l.rows(words)); diff != "" {
			l.t.Errorf("transcripts before and after the details were fetched again (-before +after):\n%s", diff)
		}
		l.latest()
		if l.source.Provider == "burki" {
			l.expect(`SELECT call_id FROM calls JOIN (SELECT call_id, sum(amount) AS sum FROM call_costs GROUP BY ALL) USING (call_id) WHERE sum <> cost`)
		}
	})
}

func TestAnAnswerThatTheProviderHasNotIsAskedForTwiceAndNoMore(t *testing.T) {
	inBubble(t, fakeapi.Burki, 120, settledCalls, func(l *life) {
		l.sync(withDetails)
		unpriced := l.rows(`SELECT call_id FROM calls WHERE cost IS NULL ORDER BY call_id`)
		if len(unpriced) == 0 {
			l.t.Fatal("every call has a price: this shows nothing")
		}
		if diff := cmp.Diff(unpriced, l.rows(`SELECT call_id FROM sync.details WHERE part = 'costs' AND state = 'missing' AND attempts = 1 ORDER BY call_id`)); diff != "" {
			l.t.Errorf("calls without costs and tries (-want +got):\n%s", diff)
		}
		sent := l.fake.Traffic().Calls
		l.tick(onlyDetails, 25*time.Hour, 10*24*time.Hour)
		if got := l.fake.Traffic().Calls - sent; got != int64(len(unpriced)) {
			l.t.Errorf("%d more answers were asked for, want one for each of %d calls", got, len(unpriced))
		}
		l.expect(`SELECT DISTINCT state, attempts, retry_at IS NULL FROM sync.details`, "missing | 2 | true")
		l.latest()
	})
}

func TestAnAnswerThatCannotBeReadIsTriedAgainAfterGrowingPausesAndThenLeft(t *testing.T) {
	const broken = "100080"
	inBubble(t, fakeapi.Burki, 120, func(w world) {
		settledCalls(w)
		w.fake.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/"+broken+"/transcripts") {
					rw.Header().Set("Content-Type", "application/json")
					_, _ = rw.Write([]byte(`{"oops":true}`))
					return
				}
				next.ServeHTTP(rw, r)
			})
		}
	}, func(l *life) {
		l.sync(withDetails)
		l.expect(`SELECT call_id, part, state, attempts, error <> '', error LIKE '%`+broken+`%' FROM sync.details WHERE state = 'failed'`,
			broken+" | transcripts | failed | 1 | true | false")
		l.expect(`SELECT count(*) FROM raw_calls WHERE part = 'transcripts'`, "119")
		l.tick(onlyDetails, time.Hour, 12*time.Hour)
		l.tick(onlyDetails, 24*time.Hour, 20*24*time.Hour)
		at := l.asked("/" + broken + "/transcripts")
		if len(at) != 5 {
			l.t.Fatalf("it was asked for at %s, want five times", at)
		}
		for i, least := range []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour} {
			if pause := at[i+1] - at[i]; pause < least || pause > least+25*time.Hour {
				l.t.Errorf("pause %d was %s, want %s", i+1, pause, least)
			}
		}
		l.expect(`SELECT attempts, retry_at IS NULL FROM sync.details WHERE state = 'failed'`, "5 | true")
		l.latest()
	})
}

func TestACallThatIsNotFinalLongAfterItsStartIsAskedForSingly(t *testing.T) {
	forEach(t, allProviders, 60, func(w world) { settledCalls(w); w.source.Ages = []time.Duration{time.Hour} }, func(l *life) {
		at := l.began.Add(-3 * time.Hour)
		ends, vanishes, lasts := l.unfinished(at), l.unfinished(at.Add(time.Minute)), l.unfinished(at.Add(2*time.Minute))
		l.sync(everything)
		l.expect(`SELECT call_id FROM calls WHERE NOT is_final ORDER BY call_id`, ends, vanishes, lasts)
		l.fake.Remove(vanishes)
		r, _ := l.fake.Call(ends)
		r.Detail = strings.NewReplacer(`"in-progress"`, `"user-ended"`, `"ongoing"`, map[fakeapi.Provider]string{fakeapi.Burki: `"completed"`}[l.fake.Provider()]).Replace(r.List)
		if l.fake.Provider() == fakeapi.Voicy {
			r.Detail = strings.Replace(r.List, `"ongoing"`, `"ended"`, 1)
		}
		if err := l.fake.Put(r); err != nil {
			l.t.Fatal(err)
		}
		before := l.fake.Traffic().Lists
		l.sync(onlyDetails)
		l.expect(`SELECT call_id, status FROM calls WHERE call_id IN ('`+ends+`', '`+lasts+`') ORDER BY call_id`, ends+" | completed", lasts+" | in_progress")
		if !slices.Equal(l.marked(), []string{vanishes}) {
			l.t.Errorf("marked are %q", l.marked())
		}
		if l.fake.Traffic().Lists > before+1 {
			l.t.Errorf("%d list requests", l.fake.Traffic().Lists-before)
		}
		// The one that lasts is asked for once a day for a week, and then left.
		l.tick(onlyDetails, 24*time.Hour, 12*24*time.Hour)
		if at := l.asked("/" + lasts); len(at) != 8 || at[1]-at[0] < 24*time.Hour || at[7] > 11*24*time.Hour {
			l.t.Errorf("it was asked for at %s, want eight times", at)
		}
		l.expect(`SELECT state, attempts, retry_at IS NULL FROM sync.details WHERE call_id = '`+lasts+`' AND part = 'detail'`, "incomplete | 8 | true")
	})
}

func TestAnInterruptedRunOfDetailsGoesOnWhereItWas(t *testing.T) {
	var stop atomic.Pointer[context.CancelFunc]
	var answers atomic.Int64
	inBubble(t, fakeapi.Voicy, 500, func(w world) {
		settledCalls(w)
		w.fake.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(rw, r)
				if path.Base(path.Dir(r.URL.Path)) == "call-get" && answers.Add(1)%150 == 0 {
					(*stop.Load())()
				}
			})
		}
	}, func(l *life) {
		l.sync(everything)
		stops := 0
		for {
			ctx, cancel := context.WithCancel(l.t.Context())
			stop.Store(&cancel)
			_, err := l.pipeline.Sync(ctx, l.source, onlyDetails)
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) || stops > 10 {
				l.t.Fatalf("after %d stops: %v", stops, err)
			}
			stops++
			l.restart()
		}
		// What was under way when it was stopped is asked for again, and nothing else.
		if got := l.fake.Traffic().Calls; got > int64(500+8*stops) || stops < 3 {
			l.t.Errorf("%d answers about 500 calls in %d runs", got, stops+1)
		}
		l.expect(`SELECT count(*) FROM raw_calls WHERE part = 'detail'`, "500")
		l.latest()
	})
}

func TestDetailsThatFailedAreAskedForByTheNextRunOfTheSameProcess(t *testing.T) {
	var down atomic.Bool
	inBubble(t, fakeapi.Voicy, 60, func(w world) {
		settledCalls(w)
		w.fake.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if down.Load() && strings.Contains(r.URL.Path, "/call-get/") {
					rw.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				next.ServeHTTP(rw, r)
			})
		}
	}, func(l *life) {
		l.sync(withDetails)
		l.sleepUntil(5 * time.Minute)
		fresh := l.insert(time.Now().Add(-2 * time.Minute))
		down.Store(true)
		if run, err := l.try(withDetails); err == nil || run.Inserted != 1 {
			l.t.Fatalf("%+v, error %v", run, err)
		}
		down.Store(false)
		l.sleepUntil(10 * time.Minute)
		l.sync(withDetails)
		l.expect(`SELECT count(*) FROM raw_calls WHERE part = 'detail' AND call_id = '`+fresh+`'`, "1")
		// And so do those that were cut short by a stop.
		again := l.insert(time.Now().Add(-30 * time.Second))
		l.sync(everything)
		ctx, cancel := context.WithTimeout(l.t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := l.pipeline.Sync(ctx, l.source, onlyDetails); !errors.Is(err, context.DeadlineExceeded) {
			l.t.Fatalf("error %v", err)
		}
		l.sync(onlyDetails)
		l.expect(`SELECT count(*) FROM raw_calls WHERE part = 'detail' AND call_id = '`+again+`'`, "1")
	})
}

func TestLiveWorkDoesNotWaitForDetails(t *testing.T) {
	inBubble(t, fakeapi.Voicy, 300, func(w world) {
		settledCalls(w)
		w.account.RateLimit = extract.Rate{Requests: 20, Per: time.Minute}
	}, func(l *life) {
		l.sync(everything)
		done := make(chan error, 1)
		go func() {
			_, err := l.pipeline.Sync(l.t.Context(), l.source, onlyDetails)
			done <- err
		}()
		for range 5 {
			time.Sleep(90 * time.Second)
			asked := time.Now()
			l.sync(everything)
			// A minute is the span of the rate limit: a slot of some detail is free by then.
			if took := time.Since(asked); took > time.Minute+time.Second {
				l.t.Errorf("the head took %s", took)
			}
			select {
			case <-done:
				l.t.Fatal("the details have ended: this shows nothing")
			default:
			}
		}
		if err := <-done; err != nil {
			l.t.Error(err)
		}
		if busiest := l.fake.Busiest(time.Minute); busiest > 20 {
			l.t.Errorf("%d requests in one minute", busiest)
		}
		l.expect(`SELECT count(*) FROM raw_calls WHERE part = 'detail'`, "300")
		l.latest()
	})
}

// unfinished adds a call that is under way and starts at a time, and returns its id.
func (l *life) unfinished(at time.Time) string {
	l.t.Helper()
	id := l.insert(at)
	r, _ := l.fake.Call(id)
	r.List = strings.NewReplacer(`"user-ended"`, `"in-progress"`, `"completed"`, `"ongoing"`, `"ended"`, `"ongoing"`).Replace(r.List)
	if err := l.fake.Put(r); err != nil {
		l.t.Fatal(err)
	}
	return id
}

func TestDetailsThatAreNotThereMarkNoCallAsDeleted(t *testing.T) {
	inBubble(t, fakeapi.Voicy, 120, func(w world) {
		settledCalls(w)
		w.fake.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/call-get/") {
					rw.Header().Set("Content-Type", "application/json")
					rw.WriteHeader(http.StatusNotFound)
					_, _ = rw.Write([]byte(`{"error": "Call not found"}`))
					return
				}
				next.ServeHTTP(rw, r)
			})
		}
	}, func(l *life) {
		l.sync(withDetails)
		l.tick(withDetails, 25*time.Hour, 4*24*time.Hour)
		if marked := l.marked(); len(marked) > 0 {
			l.t.Errorf("%d calls are listed and marked as deleted", len(marked))
		}
		l.expect(`SELECT DISTINCT state, attempts, retry_at IS NULL FROM sync.details`, "missing | 2 | true")
		l.mirrors()
	})
}

// Whoever forces a stretch to be read again doubts what is stored of it, details included: a transcript that came wrong once comes right.
func TestAForcedReadingFetchesDetailsAgain(t *testing.T) {
	forEach(t, []fakeapi.Provider{fakeapi.Burki, fakeapi.Voicy}, 60, nil, func(l *life) {
		remove := l.fake.Inject(fakeapi.Fault{Kind: fakeapi.LoneSurrogates, On: func(r fakeapi.Request) bool {
			return strings.Contains(r.Path, "/transcripts") || strings.Contains(r.Path, "/call-get/")
		}})
		l.sync(withDetails)
		remove()
		const spoiled = `SELECT count(*) > 0 FROM call_messages WHERE contains(content, chr(65533))`
		l.expect(spoiled, "true")
		l.sync(withDetails)
		l.expect(spoiled, "true") // the list has not changed, so nothing says that there is more to be had
		half := l.after(-12 * time.Hour)
		forced := pipeline.Options{Kind: "backfill", Details: true, Force: true, Range: checkpoint.Span{Since: half, Until: l.after(0)}}
		before := l.fake.Traffic().Calls
		l.sync(forced)
		final := l.rows(`SELECT count(*) FROM calls WHERE is_final AND started_at >= ?`, half)[0]
		if asked := fmt.Sprint((l.fake.Traffic().Calls - before) / int64(len(l.source.Extract.Parts()))); asked != final {
			t.Errorf("the details of %s calls were asked for, want those of the %s that are final in the stretch", asked, final)
		}
		l.expect(`SELECT count(*) > 0 FROM call_messages WHERE contains(content, chr(65533)) AND started_at >= '`+half.UTC().Format(time.DateTime)+`+00'`, "false")
		forced.Range.Since = l.source.Start
		l.sync(forced)
		l.expect(spoiled, "false")
	})
}
