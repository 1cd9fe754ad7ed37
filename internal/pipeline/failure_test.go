package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/pipeline"
)

func TestNoErrorHidesBehindAnotherThatItIsJoinedWith(t *testing.T) {
	of := func(c extract.Class) error {
		return &extract.Error{Source: "s", Op: "GET /calls", Class: c, Reason: c.String()}
	}
	transient, permanent, malformed, lost := of(extract.Transient), of(extract.Permanent), of(extract.Malformed), of(extract.Lost)
	// What an error was caused by does not count where its own class says what it means.
	blamed := &extract.Error{Class: extract.Malformed, Reason: "cut off", Err: permanent}
	for name, tt := range map[string]struct {
		err                 error
		needsPerson, goesOn bool
	}{
		"none":                             {nil, false, true},
		"a transient one":                  {transient, false, false},
		"a permanent one":                  {permanent, true, false},
		"a permanent one behind":           {errors.Join(transient, permanent), true, false},
		"a permanent one before":           {errors.Join(permanent, transient), true, false},
		"a permanent one behind windows":   {errors.Join(malformed, lost, permanent), true, false},
		"joined twice":                     {errors.Join(transient, errors.Join(malformed, permanent)), true, false},
		"joined and wrapped":               {fmt.Errorf("s: %w", errors.Join(transient, fmt.Errorf("read: %w", permanent))), true, false},
		"windows, wrapped, and it behind":  {fmt.Errorf("s: %w", errors.Join(malformed, permanent)), true, false},
		"another account, joined":          {errors.Join(transient, fmt.Errorf("s: %w", &pipeline.ErrOtherAccount{})), true, false},
		"windows alone":                    {errors.Join(malformed, fmt.Errorf("s: %w", errors.Join(lost, malformed))), false, true},
		"a window, and the warehouse":      {fmt.Errorf("s: %w", errors.Join(malformed, errors.New("disk full"))), false, false},
		"a window, and being told to stop": {errors.Join(malformed, context.Canceled), false, false},
		"a window whose cause is one":      {blamed, false, true},
	} {
		if got := pipeline.NeedsPerson(tt.err); got != tt.needsPerson {
			t.Errorf("%s: needs a person: %t", name, got)
		}
		if got := pipeline.GoesOn(tt.err); got != tt.goesOn {
			t.Errorf("%s: goes on: %t", name, got)
		}
	}
}

// refusing answers requests whose path has a word in it with a status, once it is told to.
type refusing struct {
	word   string
	status int
	from   atomic.Bool
	asked  atomic.Int64
}

func (f *refusing) intercept(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !f.from.Load() || !strings.Contains(r.URL.Path, f.word) {
			next.ServeHTTP(rw, r)
			return
		}
		f.asked.Add(1)
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(f.status)
		_, _ = rw.Write([]byte(`{"error":"forbidden"}`))
	})
}

// TestARefusedKeyNeedsAPersonThoughAWindowFailedBefore has one window fail while the provider is well, and then the key refused: what is joined
// is a transient error and, behind it, a permanent one.
func TestARefusedKeyNeedsAPersonThoughAWindowFailedBefore(t *testing.T) {
	var listed atomic.Int64
	var bad atomic.Pointer[string] // the window that fails
	inBubble(t, fakeapi.Burki, 100, func(w world) {
		aYear(w)
		w.fake.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				switch from := r.URL.Query().Get("date_from"); {
				case from == "" || listed.Add(1) <= 2: // the smallest request is answered well
					next.ServeHTTP(rw, r)
				case bad.CompareAndSwap(nil, &from) || *bad.Load() == from:
					rw.WriteHeader(http.StatusServiceUnavailable)
				default:
					rw.WriteHeader(http.StatusUnauthorized)
				}
			})
		}
	}, func(l *life) {
		_, err := l.try(everything)
		var first *extract.Error
		if !errors.As(err, &first) || first.Class != extract.Transient || !strings.Contains(err.Error(), "refuses the key") {
			l.t.Fatalf("%d lists, error %v: this shows nothing", listed.Load(), err)
		}
		if !pipeline.NeedsPerson(err) || pipeline.GoesOn(err) {
			l.t.Errorf("needs a person: %t, goes on: %t, after %v", pipeline.NeedsPerson(err), pipeline.GoesOn(err), err)
		}
	})
}

// TestAProviderThatGoesDownAfterAWindowFailedIsKnockedAtOnce has what is joined be a malformed answer and, behind it, a transient error: the next
// run must know that the provider was in trouble.
func TestAProviderThatGoesDownAfterAWindowFailedIsKnockedAtOnce(t *testing.T) {
	var down atomic.Bool
	inBubble(t, fakeapi.Burki, 100, func(w world) {
		aYear(w)
		w.fake.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if down.Load() {
					rw.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				if r.URL.Query().Get("date_from") != "" {
					down.Store(true)
					_, _ = rw.Write([]byte(`{"oops":true}`))
					return
				}
				next.ServeHTTP(rw, r)
			})
		}
	}, func(l *life) {
		patient := everything
		patient.Patient = true
		_, err := l.try(patient)
		var first *extract.Error
		if !errors.As(err, &first) || first.Class != extract.Malformed || !strings.Contains(err.Error(), "503") {
			l.t.Fatalf("error %v: this shows nothing", err)
		}
		sent := l.fake.RequestCount()
		time.Sleep(5 * time.Minute)
		if _, err := l.try(patient); err == nil || l.fake.RequestCount()-sent != 1 {
			l.t.Errorf("the next run sent %d requests, want one; error %v", l.fake.RequestCount()-sent, err)
		}
	})
}

func TestDetailsThatMayNotBeReadNeedNoPersonForTheLists(t *testing.T) {
	forbidden := &refusing{word: "/call-get/", status: http.StatusForbidden}
	forbidden.from.Store(true)
	inBubble(t, fakeapi.Voicy, 60, func(w world) { settledCalls(w); w.fake.Intercept = forbidden.intercept }, func(l *life) {
		run, err := l.try(withDetails)
		if err == nil || run.Outcome != "failed" || !strings.Contains(run.Error, "refuses the key") || pipeline.GoesOn(err) {
			l.t.Errorf("outcome %s, error %v", run.Outcome, err)
		}
		if pipeline.NeedsPerson(err) {
			l.t.Errorf("the lists are said to need a person because of %v", err)
		}
		l.latest()
		// Of a wrong key, the lists tell.
		l.account.Key = "another"
		l.source.Extract = l.opened(l.account)
		time.Sleep(5 * time.Minute)
		if _, err := l.try(withDetails); !pipeline.NeedsPerson(err) {
			l.t.Errorf("a refused key: %v", err)
		}
	})
}

func TestACandidateThatMayNotBeAskedForIsUndecidedAndItsWindowCloses(t *testing.T) {
	forbidden := &refusing{word: "/call-get/", status: http.StatusForbidden}
	inBubble(t, fakeapi.Voicy, 100, func(w world) {
		settledCalls(w)
		w.fake.Intercept = forbidden.intercept
	}, func(l *life) {
		l.sync(everything)
		for _, id := range l.fake.All()[50:53] {
			l.fake.Remove(id)
		}
		forbidden.from.Store(true)
		l.sleepUntil(26 * time.Hour)
		l.sync(everything)
		if len(l.marked()) != 0 || forbidden.asked.Load() != 1 {
			l.t.Errorf("marked are %q, after %d were asked for and refused, want none, after one", l.marked(), forbidden.asked.Load())
		}
		l.expect(`SELECT since FROM sync.windows WHERE state = 'open'`)
	})
}
