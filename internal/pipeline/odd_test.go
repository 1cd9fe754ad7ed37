package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/transform"
)

// soon bounds a sync that a fault could keep going for ever.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAClockThatIsFarAheadWhileTheFirstAnswerFailsEnds(t *testing.T) {
	var first atomic.Bool
	s := provider(t, fakeapi.Burki, 300, rewrite(func(_ *http.Request, body []byte) []byte {
		if first.CompareAndSwap(false, true) {
			return []byte(`{}`)
		}
		return body
	}))
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	pl := newPipeline(w)
	pl.Now = func() time.Time { return present.Add(72 * time.Hour) }
	run, err := pl.Sync(soon(t), s.source, everything)
	if err == nil || errors.Is(err, context.DeadlineExceeded) || run.Requests > 60 {
		t.Fatalf("%d requests, error %v", run.Requests, err)
	}
	if _, err := pl.Sync(soon(t), s.source, everything); err != nil {
		t.Fatal(err)
	}
	mirrors(t, w, s)
}

func TestAClockThatStepsBackDuringASyncEnds(t *testing.T) {
	s := provider(t, fakeapi.Burki, 300)
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	var asked atomic.Int64
	pl := newPipeline(w)
	pl.Now = func() time.Time {
		if asked.Add(1) == 1 {
			return present
		}
		return present.Add(-10 * time.Minute)
	}
	run, err := pl.Sync(soon(t), s.source, everything)
	if err != nil || run.Requests > 60 {
		t.Fatalf("%d requests, error %v", run.Requests, err)
	}
	mirrors(t, w, s)
}

func TestAPageOfAnOlderServerAmongOthersStillCounts(t *testing.T) {
	var pages atomic.Int64
	s := provider(t, fakeapi.Burki, 120, rewrite(func(_ *http.Request, body []byte) []byte {
		from, to := bytes.IndexByte(body, '['), bytes.LastIndexByte(body, ']')
		if pages.Add(1)%2 == 1 && from > 0 {
			return body[from : to+1] // the bare array alone
		}
		return body
	}), func(_ *fakeapi.Options, a *extract.Account, _ *transform.Options) { a.PageSize = 7 })
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	if _, err := newPipeline(w).Sync(soon(t), s.source, everything); err != nil {
		t.Fatal(err)
	}
	mirrors(t, w, s)
}

func TestRecordsWithoutAnIDThatAreAlikeCountEach(t *testing.T) {
	s := provider(t, fakeapi.Burki, 20)
	for range 2 {
		at := present.Add(-time.Hour)
		if err := s.fake.Insert(fakeapi.Record{At: at, List: `{"id":null,"started_at":"` + at.Format(time.RFC3339) + `"}`}); err != nil {
			t.Fatal(err)
		}
	}
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	pl := newPipeline(w)
	syncOnce(t, pl, s)
	expect(t, w, `SELECT count(*) FROM sync.windows WHERE state = 'open'`, "0")
	expect(t, w, `SELECT rejected FROM sync.runs`, "2")
	expect(t, w, `SELECT count(*) FROM sync.rejects`, "1")
}

func TestCallsListedLateWhileTheHeadIsReadDoNotFailIt(t *testing.T) {
	var fake atomic.Pointer[fakeapi.Server]
	var asked atomic.Int64
	s := provider(t, fakeapi.Burki, 3000, func(o *fakeapi.Options, a *extract.Account, _ *transform.Options) {
		a.PageSize = 10
		o.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				// At every second request a call appears that started some seconds ago.
				if n := asked.Add(1); n%2 == 0 && n < 60 {
					at := present.Add(-time.Duration(n) * 100 * time.Millisecond)
					if err := fake.Load().Insert(fakeapi.Record{At: at, List: fmt.Sprintf(`{"id":%d,"call_sid":"CA1","assistant_id":1,"to_phone_number":"+15550001111",
						"customer_phone_number":"+15550002222","status":"ongoing","started_at":"%s"}`, 5_000_000+n, at.Format(time.RFC3339Nano))}); err != nil {
						panic(err)
					}
				}
				next.ServeHTTP(w, r)
			})
		}
	})
	fake.Store(s.fake)
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	pl := newPipeline(w)
	if _, err := pl.Sync(soon(t), s.source, everything); err != nil {
		t.Fatal(err)
	}
	if asked.Load() < 20 {
		t.Errorf("only %d requests: no call was listed late", asked.Load())
	}
	expect(t, w, `SELECT count(*) FROM sync.windows WHERE until > TIMESTAMPTZ '2026-03-18 15:29:00+00'`, "0")
}

func TestAProviderThatAnswersOnlyNonsenseIsNotAskedForYears(t *testing.T) {
	s := provider(t, fakeapi.Voicy, 300, rewrite(func(*http.Request, []byte) []byte { return []byte("<html>welcome</html>") }))
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	pl := newPipeline(w)
	run, err := pl.Sync(soon(t), s.source, everything)
	if err == nil || run.Requests > 5 || !strings.Contains(err.Error(), "5 windows in a row") {
		t.Errorf("%d requests, error %v", run.Requests, err)
	}
	if strings.Contains(run.Error, "\n") {
		t.Errorf("the run's error has several lines: %q", run.Error)
	}
}

func TestAStopIsRecordedAsOneAndAFailureAsOne(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := provider(t, fakeapi.Burki, 10, func(_ *fakeapi.Options, a *extract.Account, _ *transform.Options) { a.Key = "wrong-key" })
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	cancel()
	run, err := newPipeline(w).Sync(ctx, s.source, everything)
	if run.Outcome != "stopped" || !errors.Is(err, context.Canceled) {
		t.Errorf("outcome %s, error %v", run.Outcome, err)
	}
	run, err = newPipeline(w).Sync(t.Context(), s.source, everything)
	if run.Outcome != "failed" || run.Error == "" || err == nil {
		t.Errorf("outcome %s, error %q, %v", run.Outcome, run.Error, err)
	}
	expect(t, w, `SELECT outcome FROM sync.runs ORDER BY outcome`, "failed", "stopped")
}

func TestAChangeOfPrivacyIsSaid(t *testing.T) {
	s := provider(t, fakeapi.Burki, 10)
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	core, logged := observer.New(zap.WarnLevel)
	pl := newPipeline(w)
	pl.Log = zap.New(core)
	for _, rules := range []string{"phone_numbers keep", "phone_numbers keep", "phone_numbers drop", "phone_numbers drop"} {
		s.source.Rules = rules
		syncOnce(t, pl, s)
	}
	if n := logged.FilterMessageSnippet("what is stored already stays as it was").Len(); n != 1 {
		t.Errorf("it was said %d times, want once", n)
	}
}

func TestAWindowBeforeALaterStartIsLeftAlone(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	s := provider(t, fakeapi.Burki, 300, rewrite(func(r *http.Request, body []byte) []byte {
		if broken.Load() && r.URL.Query().Get("date_from") < "2026-02-01" {
			return []byte(`{}`)
		}
		return body
	}))
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	pl := newPipeline(w)
	if _, err := pl.Sync(soon(t), s.source, everything); err == nil {
		t.Fatal("no window failed: this shows nothing")
	}
	s.source.Start = time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	before := rows(t, w, `SELECT since, failures FROM sync.windows WHERE state = 'open' ORDER BY ALL`)
	syncOnce(t, pl, s) // nothing that is wanted now is broken
	expect(t, w, `SELECT since, failures FROM sync.windows WHERE state = 'open' ORDER BY ALL`, before...)
	// And earlier again: it is work like any other.
	broken.Store(false)
	s.source.Start = present.AddDate(0, -3, -1)
	syncOnce(t, pl, s)
	mirrors(t, w, s)
}

func TestAProviderThatLeadsInACircleIsLeft(t *testing.T) {
	// Whatever is asked, it answers one of three full pages in turn, each with its rows in another order: no position ever comes twice.
	var asked atomic.Int64
	page := func(n int64) string {
		var rows []string
		for i := range int64(6) {
			at := present.Add(-time.Hour - time.Duration((i+n)%6)*time.Minute)
			rows = append(rows, fmt.Sprintf(`{"call_id":"c%d-%d","call_type":"web_call","call_status":"ended","agent":null,"start_timestamp":%d,"duration_ms":1000}`,
				n%3, (i+n)%6, at.UnixMilli()))
		}
		return `{"calls":[` + strings.Join(rows, ",") + `]}`
	}
	s := provider(t, fakeapi.Voicy, 0, func(o *fakeapi.Options, a *extract.Account, _ *transform.Options) {
		a.PageSize = 6
		o.Intercept = func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", present.Format(http.TimeFormat))
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, page(asked.Add(1)))
			})
		}
	})
	s.source.Start = present.Add(-6 * time.Hour)
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	run, err := newPipeline(w).Sync(soon(t), s.source, everything)
	if err == nil || !strings.Contains(err.Error(), "bring nothing new") || run.Requests > 20 {
		t.Errorf("%d requests, error %v", run.Requests, err)
	}
	expect(t, w, `SELECT count(*) FROM calls`, "18") // what it did bring is kept
}
