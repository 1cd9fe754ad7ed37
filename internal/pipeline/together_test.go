package pipeline_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/pipeline"
)

func TestFourWindowsAtOnceEndAsOneAfterTheOther(t *testing.T) {
	forEach(t, talkative, 1000, aYear, func(l *life) {
		other := newLife(l.t, l.fake.Provider(), 1000, aYear)
		defer other.close()
		watch := watched(other, 50*time.Millisecond)
		time.Sleep(time.Hour)
		l.sync(l.backfill(370, 0))
		four := l.backfill(370, 0)
		four.Parallel = 4
		other.sync(four)
		if watch.most < 3 {
			l.t.Errorf("at most %d requests at once: this shows nothing", watch.most)
		}
		watch.check(l.t)
		for _, q := range dump {
			if diff := cmp.Diff(l.rows(q), other.rows(q)); diff != "" {
				l.t.Errorf("%s: one and four (-one +four):\n%s", q, diff)
			}
		}
		other.mirrors()
	})
}

func TestLiveWorkHistoryAndDetailsAtOnceReadNoStretchTogether(t *testing.T) {
	forEach(t, []fakeapi.Provider{fakeapi.Voicy}, 400, func(w world) {
		aYear(w)
		w.fake.Until = w.fake.Until.Add(20 * time.Minute)
		w.account.PageSize = 20
		w.source.Ages = []time.Duration{5 * time.Minute}
	}, func(l *life) {
		watch := watched(l, 3*time.Second)
		var all sync.WaitGroup
		each := func(o pipeline.Options, pause time.Duration) {
			all.Go(func() {
				for time.Now().Before(l.after(20 * time.Minute)) {
					if _, err := l.pipeline.Sync(l.t.Context(), l.source, o); err != nil {
						l.t.Error(err)
						return
					}
					time.Sleep(pause)
				}
			})
		}
		each(pipeline.Options{Kind: "live", Scope: checkpoint.Head | checkpoint.Rereads}, time.Minute)
		each(pipeline.Options{Kind: "head", Scope: checkpoint.Head | checkpoint.Rereads}, 61*time.Second)
		each(pipeline.Options{Kind: "history", Scope: checkpoint.History, Parallel: 2}, 5*time.Minute)
		each(pipeline.Options{Kind: "all", Scope: checkpoint.All}, 5*time.Minute)
		each(onlyDetails, 5*time.Minute)
		each(onlyDetails, 6*time.Minute)
		all.Wait()
		watch.check(l.t)
		if watch.most < 4 {
			l.t.Errorf("at most %d requests at once: this shows nothing", watch.most)
		}
		time.Sleep(10 * time.Minute)
		l.sync(withDetails)
		l.mirrors()
		l.expect(`SELECT call_id, part FROM raw_calls GROUP BY ALL HAVING count(*) > 1`)

		// One run that does all of it ends alike.
		whole := newLife(l.t, l.fake.Provider(), 0, func(w world) { w.source.Start = l.source.Start; w.source.Ages = l.source.Ages })
		defer whole.close()
		whole.fake, whole.source.Extract = l.fake, l.source.Extract
		whole.sync(withDetails)
		for _, q := range []string{dump[0], dump[1], dump[2]} {
			q = strings.Replace(q, "recording_url", "recording_url, revision", 1) // the one was there while calls settled, the other was not
			if diff := cmp.Diff(whole.rows(q), l.rows(q)); diff != "" {
				l.t.Errorf("%s: one run and many at once (-one +many):\n%s", q, diff)
			}
		}
	})
}

// watch stands before a fake, takes its time, and notes which stretches of time are asked for when.
type watch struct {
	next    http.Handler
	latency time.Duration

	mu   sync.Mutex
	now  int // requests under way
	most int
	read map[checkpoint.Span]*visit
}

// visit is when a stretch was first and last asked for.
type visit struct {
	first, last time.Time
	now, most   int
}

// watched puts a watch before a life's provider.
func watched(l *life, latency time.Duration) *watch {
	l.t.Helper()
	w := &watch{next: l.fake, latency: latency, read: make(map[checkpoint.Span]*visit)}
	l.account.Transport = &fakeapi.Transport{Handler: w}
	l.source.Extract = l.opened(l.account)
	return w
}

func (w *watch) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	span := stretchOf(r)
	v := w.begin(span)
	time.Sleep(w.latency)
	w.next.ServeHTTP(rw, r)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now--
	v.now--
	v.last = time.Now()
}

func (w *watch) begin(span checkpoint.Span) *visit {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.read[span]
	if !ok {
		v = &visit{first: time.Now()}
		w.read[span] = v
	}
	v.now++
	v.most = max(v.most, v.now)
	w.now++
	w.most = max(w.most, w.now)
	return v
}

// check fails where a stretch was asked for twice at a time, or two that overlap by more than windows always do were read together. Millis'
// pages have bounds of their own, and tell nothing of their window's.
func (w *watch) check(t *testing.T) {
	t.Helper()
	for a, va := range w.read {
		if a.Empty() {
			continue
		}
		if va.most > 1 {
			t.Errorf("%s was asked for %d times at once", a, va.most)
		}
		for b, vb := range w.read {
			common := checkpoint.Span{Since: a.Since, Until: a.Until}
			if b.Since.After(common.Since) {
				common.Since = b.Since
			}
			if b.Until.Before(common.Until) {
				common.Until = b.Until
			}
			if a != b && common.Until.Sub(common.Since) > 10*time.Second && va.first.Before(vb.last) && vb.first.Before(va.last) {
				t.Errorf("%s and %s were read together", a, b)
			}
		}
	}
}

// stretchOf is the stretch that a request for a page asks for; empty for any other.
func stretchOf(r *http.Request) (s checkpoint.Span) {
	if q := r.URL.Query(); q.Get("date_from") != "" {
		s.Since, _ = time.Parse(time.RFC3339, q.Get("date_from"))
		s.Until, _ = time.Parse(time.RFC3339, q.Get("date_to"))
		return s
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var asked struct {
		Filter struct {
			Start struct {
				Lower int64 `json:"lower_threshold"`
				Upper int64 `json:"upper_threshold"`
			} `json:"start_timestamp"`
		} `json:"filter_criteria"`
	}
	if json.Unmarshal(body, &asked) == nil && asked.Filter.Start.Upper > 0 {
		s = checkpoint.Span{Since: time.UnixMilli(asked.Filter.Start.Lower).UTC(), Until: time.UnixMilli(asked.Filter.Start.Upper).UTC()}
	}
	return s
}

func TestABackfillBesideAnotherRunIsDoneOnlyWhenAllIsRead(t *testing.T) {
	for _, force := range []bool{false, true} {
		t.Run(fmt.Sprintf("force %t", force), func(t *testing.T) {
			inBubble(t, fakeapi.Voicy, 400, func(w world) {
				aYear(w)
				w.account.PageSize = 10
				w.account.RateLimit = extract.Rate{Requests: 1, Per: 5 * time.Second}
			}, func(l *life) {
				other := make(chan error, 1)
				go func() {
					_, err := l.pipeline.Sync(l.t.Context(), l.source, pipeline.Options{Kind: "history", Scope: checkpoint.History})
					other <- err
				}()
				time.Sleep(12 * time.Second) // it is in the midst of its first window
				asked := checkpoint.Span{Since: l.source.Start, Until: l.began.Add(-time.Hour)}
				l.sync(pipeline.Options{Kind: "backfill", Range: asked, Force: force})
				if left := l.rows(`SELECT since, until FROM sync.gaps_at(?) WHERE state = 'missing' AND since < ?`, time.Now(), asked.Until); len(left) > 0 {
					l.t.Errorf("the backfill is done, and missing are %q", left)
				}
				l.expect(`SELECT since FROM sync.forced`)
				if err := <-other; err != nil {
					l.t.Error(err)
				}
			})
		})
	}
}

func TestTwoRunsOfDetailsAskForEachOnce(t *testing.T) {
	inBubble(t, fakeapi.Voicy, 200, settledCalls, func(l *life) {
		l.sync(everything)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				if _, err := l.pipeline.Sync(l.t.Context(), l.source, onlyDetails); err != nil {
					l.t.Error(err)
				}
			})
		}
		all.Wait()
		if got := l.fake.Traffic().Calls; got != 200 {
			l.t.Errorf("%d answers were asked for, of 200 calls", got)
		}
	})
}
