package httpapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Time in these tests is synctest's, and the network an in-memory RoundTripper: a real socket would block the bubble.

func TestNeverMoreRequestsInAnySpanThanAllowed(t *testing.T) {
	for _, rate := range []Rate{{3, time.Minute}, {1, time.Second}, {10, time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var arrivals []time.Time
			rng := rand.New(rand.NewPCG(1, uint64(rate.Requests)))
			jitter := func() time.Duration {
				mu.Lock()
				defer mu.Unlock()
				return time.Duration(rng.Int64N(int64(rate.Per) / 3))
			}
			c := bubbleClient(t, Config{Rate: rate, Timeout: rate.Per}, func(*http.Request) (*http.Response, error) {
				time.Sleep(jitter()) // the way there
				mu.Lock()
				arrivals = append(arrivals, time.Now())
				mu.Unlock()
				time.Sleep(jitter()) // the way back
				return answer(200, "{}"), nil
			})
			const workers, each = 4, 12
			begun := time.Now()
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for range each {
						if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			checkSpans(t, arrivals, rate)
			// The price of safety is bounded: an answer takes at most two thirds of a span here.
			if spans := time.Duration(workers*each/rate.Requests + 1); time.Since(begun) > spans*rate.Per*5/3 {
				t.Errorf("%d requests took %s under %v: the limit is not used", workers*each, time.Since(begun), rate)
			}
		})
	}
}

func checkSpans(t *testing.T, arrivals []time.Time, rate Rate) {
	t.Helper()
	slices.SortFunc(arrivals, time.Time.Compare)
	for i := range len(arrivals) - rate.Requests {
		if within := arrivals[i+rate.Requests].Sub(arrivals[i]); within < rate.Per {
			t.Errorf("%d requests arrived within %s, where %d in %s are allowed", rate.Requests+1, within, rate.Requests, rate.Per)
		}
	}
}

func TestRetriesAndRedirectsTakeSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rate := Rate{2, time.Minute}
		var arrivals []time.Time
		replies := []*http.Response{answer(503, ""), answer(307, "", "Location", "/there"), answer(500, ""), answer(308, "", "Location", "/x"), answer(200, "{}")}
		c := bubbleClient(t, Config{Rate: rate}, func(*http.Request) (*http.Response, error) {
			arrivals = append(arrivals, time.Now())
			return replies[len(arrivals)-1], nil
		})
		if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"}); err != nil {
			t.Fatal(err)
		}
		if len(arrivals) != 5 || c.Requests() != 5 || c.Retries() != 2 {
			t.Errorf("%d arrived, %d counted, %d retries: want 5, 5, 2", len(arrivals), c.Requests(), c.Retries())
		}
		checkSpans(t, arrivals, rate)
	})
}

func TestZeroRateIsNoLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bubbleClient(t, Config{}, func(*http.Request) (*http.Response, error) { return answer(200, "{}"), nil })
		begun := time.Now()
		for range 1000 {
			if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("a thousand requests without a limit waited %s", took)
		}
	})
}

func TestWaitForASlotHeedsContextAndLosesNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bubbleClient(t, Config{Rate: Rate{1, time.Minute}}, func(*http.Request) (*http.Response, error) { return answer(200, "{}"), nil })
		do := func(ctx context.Context) error {
			_, err := c.Do(ctx, Request{Method: "GET", Path: "/"})
			return err
		}
		if err := do(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if err := do(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error is %v, want the context's", err)
			}
			cancel()
		}
		if err := do(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("the slot came back after %s, want a minute", took)
		}
	})
}

func TestRemainingZeroHoldsTheNextRequest(t *testing.T) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of every bubble
	for name, tt := range map[string]struct {
		remaining, reset, date string
		want                   time.Duration
	}{
		"until reset":                {"0", unix(start.Add(40 * time.Second)), "", 40 * time.Second},
		"by the provider's clock":    {"0", unix(start.Add(time.Hour + 7*time.Second)), start.Add(time.Hour).Format(http.TimeFormat), 7 * time.Second},
		"five minutes at most":       {"0", unix(start.Add(time.Hour)), "", 5 * time.Minute},
		"requests are left":          {"3", unix(start.Add(40 * time.Second)), "", 0},
		"reset is past":              {"0", unix(start.Add(-time.Minute)), "", 0},
		"reset is a count, not Unix": {"0", "30", "", 0},
		"reset is in milliseconds":   {"0", strconv.FormatInt(start.UnixMilli(), 10), "", 0},
		"reset is negative":          {"0", "-1", "", 0},
		"reset is garbage":           {"0", "soon", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := bubbleClient(t, Config{}, func(*http.Request) (*http.Response, error) {
					return answer(200, "{}", "X-RateLimit-Remaining", tt.remaining, "X-RateLimit-Reset", tt.reset, "Date", tt.date), nil
				})
				begun := time.Now()
				for range 2 {
					if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"}); err != nil {
						t.Fatal(err)
					}
				}
				if took := time.Since(begun); took != tt.want {
					t.Errorf("the second request waited %s, want %s", took, tt.want)
				}
			})
		})
	}
}

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
