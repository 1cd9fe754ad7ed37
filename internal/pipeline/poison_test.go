package pipeline_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/pipeline"
)

// aYear spreads the calls of a life over a year.
func aYear(w world) {
	w.fake.Since = w.fake.Until.AddDate(-1, 0, 0)
	w.source.Start = w.fake.Since.Add(-time.Hour)
	w.source.Interval = 5 * time.Minute
}

func TestAPoisonRecordCostsAMinuteWithinAFewRuns(t *testing.T) {
	forEach(t, allProviders, 600, aYear, func(l *life) {
		all := l.fake.All()
		poison := all[350]
		r, _ := l.fake.Call(poison)
		l.fake.Poison(poison, fakeapi.ServerError)
		runs := 0
		for ; runs < 5 && len(l.rows(`SELECT 1 FROM sync.windows WHERE state = 'open' AND until - since <= INTERVAL 1 MINUTE`)) == 0; runs++ {
			if _, err := l.try(everything); err == nil {
				l.t.Fatal("nothing failed: this shows nothing")
			}
			time.Sleep(5 * time.Minute)
		}
		if _, err := l.try(everything); err == nil {
			l.t.Error("the window that was left open is forgotten")
		}
		gaps := l.rows(`SELECT epoch_us(since), epoch_us(until) FROM sync.gaps_at(?) WHERE state = 'missing'`, time.Now())
		if len(gaps) != 1 {
			l.t.Fatalf("missing are %q, poisonous %d", gaps, r.At.UnixMicro())
		}
		if gap := l.spanOf(gaps[0]); gap.Until.Sub(gap.Since) > time.Minute || r.At.Before(gap.Since) || !r.At.Before(gap.Until) {
			l.t.Errorf("missing is %s, poisonous %s", gap, r.At.UTC())
		}
		if errs := l.rows(`SELECT 1 FROM sync.gaps_at(?) WHERE state = 'missing' AND error IS NOT NULL`, time.Now()); len(errs) != 1 {
			l.t.Error("the gap has no error")
		}
		// All the rest is there, and quietly so.
		if got := len(l.rows(`SELECT 1 FROM calls`)); got < 600-2 {
			l.t.Errorf("%d calls of 600 are there", got)
		}
		l.t.Logf("%d runs, %d requests", runs, l.fake.RequestCount())
		if sent := l.fake.RequestCount(); sent > 900 {
			l.t.Errorf("%d requests", sent)
		}
		l.fake.Cure(poison)
		l.sync(everything)
		l.latest()
		if gaps := l.rows(`SELECT since, until FROM sync.gaps_at(?) WHERE state = 'missing'`, time.Now()); len(gaps) != 0 {
			l.t.Errorf("missing are %q", gaps)
		}
	})
}

func TestAPoisonRecordAmongManyPagesCostsAMinuteWithinAFewRuns(t *testing.T) {
	forEach(t, allProviders, 1500, func(w world) {
		w.fake.Since = w.fake.Until.Add(-20 * time.Hour)
		w.source.Interval = 5 * time.Minute
		w.account.PageSize = 50
	}, func(l *life) {
		poison := l.fake.All()[650] // it lies more than the overlap of two windows from where they are cut
		r, _ := l.fake.Call(poison)
		l.fake.Poison(poison, fakeapi.InvalidJSON)
		for range 4 {
			time.Sleep(5 * time.Minute)
			if _, err := l.try(everything); err == nil {
				l.t.Fatal("nothing failed: this shows nothing")
			}
		}
		gaps := l.rows(`SELECT epoch_us(since), epoch_us(until) FROM sync.gaps_at(?) WHERE state = 'missing'`, time.Now())
		if len(gaps) != 1 {
			l.t.Fatalf("missing are %q, poisonous %d", gaps, r.At.UnixMicro())
		}
		if gap := l.spanOf(gaps[0]); gap.Until.Sub(gap.Since) > time.Minute || r.At.Before(gap.Since) || !r.At.Before(gap.Until) {
			l.t.Errorf("missing is %s, poisonous %s", gap, r.At.UTC())
		}
		l.fake.Cure(poison)
		l.sync(everything)
		l.mirrors()
	})
}

func TestAProviderThatIsBrokenEverywhereIsNotHalved(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter){
		"nonsense": func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>welcome</html>")) },
		"refusals": func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		t.Run(name, func(t *testing.T) {
			var broken atomic.Bool
			inBubble(t, fakeapi.Burki, 1200, func(w world) {
				aYear(w)
				w.fake.Intercept = func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
						if broken.Load() {
							answer(rw)
							return
						}
						next.ServeHTTP(rw, r)
					})
				}
			}, func(l *life) {
				broken.Store(true)
				for range 10 {
					if _, err := l.try(everything); err == nil {
						l.t.Fatal("nothing failed")
					}
					time.Sleep(5 * time.Minute)
				}
				l.t.Logf("%s windows, %d requests", l.rows(`SELECT count(*) FROM sync.windows`)[0], l.fake.RequestCount())
				l.expect(`SELECT since FROM sync.windows WHERE until - since < INTERVAL 5 MINUTE`)
				if windows := len(l.rows(`SELECT 1 FROM sync.windows`)); windows > 20 || l.fake.RequestCount() > 10*10 {
					l.t.Errorf("%d windows and %d requests in ten runs", windows, l.fake.RequestCount())
				}
				broken.Store(false)
				l.sync(everything)
				l.latest()
			})
		})
	}
}

func TestAListThatIsBrokenWhileTheProviderSeemsWellIsNoStorm(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	inBubble(t, fakeapi.Burki, 1200, func(w world) {
		aYear(w)
		w.fake.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				// The smallest request, which asks for no stretch of time, is answered well.
				if broken.Load() && r.URL.Query().Get("date_from") != "" {
					_, _ = rw.Write([]byte(`{"oops":true}`))
					return
				}
				next.ServeHTTP(rw, r)
			})
		}
	}, func(l *life) {
		most := int64(0)
		for range 4 {
			before := l.fake.RequestCount()
			if _, err := l.try(everything); err == nil {
				l.t.Fatal("nothing failed")
			}
			most = max(most, l.fake.RequestCount()-before)
			time.Sleep(5 * time.Minute)
		}
		windows := len(l.rows(`SELECT 1 FROM sync.windows`))
		l.t.Logf("%d windows, %d requests, in one run at most %d", windows, l.fake.RequestCount(), most)
		if windows > 200 || most > 500 {
			l.t.Errorf("%d windows, and %d requests in one run", windows, most)
		}
		broken.Store(false)
		l.sync(everything)
		l.latest()
	})
}

// A failed window is left alone until its time, and a provider that asks to be left alone is.

func TestARunThatIsPatientLeavesAFailedWindowAloneUntilItsTime(t *testing.T) {
	inBubble(t, fakeapi.Voicy, 60, settledCalls, func(l *life) {
		l.source.Ages = nil
		poison := l.fake.All()[30]
		l.fake.Poison(poison, fakeapi.InvalidJSON)
		patient := everything
		patient.Patient = true
		if _, err := l.try(patient); err == nil {
			l.t.Fatal("nothing failed: this shows nothing")
		}
		read := func() string {
			return l.rows(`SELECT failures FROM sync.windows WHERE state = 'open' AND error IS NOT NULL`)[0]
		}
		if read() != "1" {
			l.t.Fatalf("failures %s", read())
		}
		time.Sleep(30 * time.Second)
		l.sync(patient)
		if read() != "1" {
			l.t.Errorf("after half a minute it was tried again: %s failures", read())
		}
		time.Sleep(31 * time.Second)
		if _, err := l.try(patient); err == nil || read() != "2" {
			l.t.Errorf("after a minute it was not tried again: %s failures, error %v", read(), err)
		}
		time.Sleep(time.Minute)
		l.sync(patient)
		// A person who asks does not wait.
		if _, err := l.try(everything); err == nil {
			l.t.Error("a run that is not patient leaves it alone")
		}
	})
}

func TestARunThatIsPatientHeedsAProviderThatAsksToBeLeftAlone(t *testing.T) {
	var until atomic.Int64
	inBubble(t, fakeapi.Burki, 60, func(w world) {
		settledCalls(w)
		w.fake.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if left := time.Until(time.Unix(until.Load(), 0)); left > 0 {
					rw.Header().Set("Retry-After", strconv.Itoa(int(left.Seconds())))
					rw.WriteHeader(http.StatusTooManyRequests)
					return
				}
				next.ServeHTTP(rw, r)
			})
		}
	}, func(l *life) {
		patient := withDetails
		patient.Patient = true
		until.Store(time.Now().Add(20 * time.Minute).Unix())
		_, err := l.try(patient)
		var e *extract.Error
		if !errors.As(err, &e) || e.Until.IsZero() || !strings.Contains(err.Error(), "left alone until") {
			l.t.Fatalf("error %v", err)
		}
		sent := l.fake.RequestCount()
		l.tick(patient, time.Minute, 19*time.Minute)
		if got := l.fake.RequestCount() - sent; got != 0 {
			l.t.Errorf("%d requests before its time", got)
		}
		l.sleepUntil(21 * time.Minute)
		l.sync(patient)
		l.latest()
	})
}

func TestAProviderThatAnswersNonsenseForDaysLeavesFewRowsAndFewRequests(t *testing.T) {
	var broken atomic.Bool
	inBubble(t, fakeapi.Burki, 100, func(w world) {
		settledCalls(w)
		w.fake.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				// The smallest request is answered well, so that the provider does not seem to be in trouble.
				if broken.Load() && r.URL.Query().Get("date_from") != "" {
					_, _ = rw.Write([]byte(`{"message": "hello"}`))
					return
				}
				next.ServeHTTP(rw, r)
			})
		}
	}, func(l *life) {
		l.sync(everything)
		broken.Store(true)
		live := pipeline.Options{Kind: "live", Scope: checkpoint.Head | checkpoint.Rereads, Patient: true}
		sent, ticks := l.fake.RequestCount(), 0
		for ; ticks < 288; ticks++ {
			time.Sleep(5 * time.Minute)
			_, _ = l.try(live) // it fails, of course
		}
		rows := len(l.rows(`SELECT 1 FROM sync.windows WHERE source = ?`, l.source.Name))
		if requests := l.fake.RequestCount() - sent; rows > 60 || requests > int64(ticks)*12 {
			l.t.Errorf("a day of nonsense left %d rows in the ledger and took %d requests at %d ticks", rows, requests, ticks)
		}
		broken.Store(false)
		time.Sleep(7 * time.Hour)
		l.sync(everything)
		l.latest()
		if left := l.rows(`SELECT since, until FROM sync.gaps_at(?) WHERE state = 'missing' AND until - since > INTERVAL 10 SECONDS`, time.Now()); len(left) > 0 {
			l.t.Errorf("missing are %q", left)
		}
	})
}
