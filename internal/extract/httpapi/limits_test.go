package httpapi

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestClientsOfOneAccountShareTheStricterRate(t *testing.T) {
	for name, rates := range map[string][2]Rate{
		"the first is stricter":          {{2, time.Minute}, {10, time.Minute}},
		"the second is stricter":         {{10, time.Minute}, {2, time.Minute}},
		"one has none":                   {{}, {2, time.Minute}},
		"one at once, one in the minute": {{1, 10 * time.Second}, {4, time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var came []time.Time
				limits := NewLimits()
				var clients []*Client
				for _, rate := range rates {
					clients = append(clients, bubbleClient(t, Config{Rate: rate, Limits: limits, Account: "a"}, func(*http.Request) (*http.Response, error) {
						mu.Lock()
						defer mu.Unlock()
						came = append(came, time.Now())
						return answer(200, "{}"), nil
					}))
				}
				var wg sync.WaitGroup
				for i := range 20 {
					wg.Go(func() {
						if _, err := clients[i%2].Do(t.Context(), Request{Method: "GET", Path: "/"}); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				for _, rate := range rates {
					if rate.Requests > 0 {
						checkSpans(t, came, rate)
					}
				}
			})
		})
	}
}

// A rate that is named late counts what was sent before it, as far as that is remembered.
func TestALateRateCountsWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := NewLimits()
		well := func(*http.Request) (*http.Response, error) { return answer(200, "{}"), nil }
		open := func(r Rate) *Client { return bubbleClient(t, Config{Rate: r, Limits: limits, Account: "a"}, well) }
		begun := time.Now()
		for _, c := range []*Client{open(Rate{5, time.Minute}), open(Rate{1, time.Minute})} {
			if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("the second request went after %s, want a minute", took)
		}
	})
}

func TestOtherAccountsAndClientsWithoutLimitsAreNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := NewLimits()
		well := func(*http.Request) (*http.Response, error) { return answer(200, "{}"), nil }
		rate := Rate{1, time.Hour}
		begun := time.Now()
		for _, c := range []*Client{
			bubbleClient(t, Config{Rate: rate, Limits: limits, Account: "a"}, well), bubbleClient(t, Config{Rate: rate, Limits: limits, Account: "b"}, well),
			bubbleClient(t, Config{Rate: rate}, well), bubbleClient(t, Config{Rate: rate}, well),
		} {
			if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("four accounts waited %s for one another", took)
		}
	})
}

func TestWaitThatOneClientIsAskedForHoldsTheAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := NewLimits()
		one := bubbleClient(t, Config{Limits: limits, Account: "a"}, func(*http.Request) (*http.Response, error) {
			return answer(503, "", "Retry-After", "45"), nil
		})
		two := bubbleClient(t, Config{Limits: limits, Account: "a"}, func(*http.Request) (*http.Response, error) { return answer(200, "{}"), nil })
		begun := time.Now()
		// A request that is never tried again holds the account up all the same.
		_, err := one.Do(t.Context(), Request{Method: "GET", Path: "/", Once: true})
		wantError(t, err, Unavailable)
		if _, err := two.Do(t.Context(), Request{Method: "GET", Path: "/"}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != 45*time.Second {
			t.Errorf("the account's other client went after %s, want 45s", took)
		}
	})
}

// Where the wait is longer than a request waits, whoever waits is told at once, and nothing is sent until the provider is asked again.
func TestLongWaitTurnsAwayWhoeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bubbleClient(t, Config{Rate: Rate{1, time.Minute}}, func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return answer(429, "", "Retry-After", "7200"), nil
		})
		begun := time.Now()
		do := func() {
			_, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"})
			if e := wantError(t, err, Unavailable); e.Until.Sub(begun) < 55*time.Minute || !strings.Contains(err.Error(), "until") {
				t.Errorf("error does not say until when: %v", err)
			}
		}
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(do)
		}
		wg.Wait()
		do()
		if took := time.Since(begun); took != time.Second || c.Requests() != 1 || c.Retries() != 0 {
			t.Errorf("%d requests and %d retries in %s, want the one that was told", c.Requests(), c.Retries(), took)
		}
		time.Sleep(time.Hour)
		do()
		if c.Requests() != 2 {
			t.Errorf("%d requests: after an hour the provider should be asked again", c.Requests())
		}
	})
}

func TestSharedLimitsNeedAnAccount(t *testing.T) {
	if _, err := New(Config{BaseURL: "https://api.example.com", Limits: NewLimits()}); err == nil {
		t.Error("an account without a name shares its limits with every other such")
	}
}
