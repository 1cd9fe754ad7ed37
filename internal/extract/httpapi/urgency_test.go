package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// arrivals is a network that notes which requests come, by their path, and answers all of them well.
type arrivals struct {
	mu    sync.Mutex
	paths []string
}

func (a *arrivals) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.paths = append(a.paths, r.URL.Path[len("/v1"):])
	return answer(200, "{}"), nil
}

// start sends a request in a goroutine, and returns when that waits.
func start(t *testing.T, wg *sync.WaitGroup, c *Client, u Urgency, path string) {
	t.Helper()
	wg.Go(func() {
		if _, err := c.Do(WithUrgency(t.Context(), u), Request{Method: "GET", Path: path}); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	})
	synctest.Wait()
}

func TestALaterRequestGoesWhenNoLiveOneWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &arrivals{}
		c := bubbleClient(t, Config{Rate: Rate{1, time.Minute}}, seen.RoundTrip)
		var wg sync.WaitGroup
		start(t, &wg, c, Later, "/first")
		for i := range 3 {
			start(t, &wg, c, Later, fmt.Sprint("/later", i))
			start(t, &wg, c, Live, fmt.Sprint("/live", i))
		}
		time.Sleep(4*time.Minute + time.Second) // every live request has gone, and one of the others
		start(t, &wg, c, Live, "/latecomer")
		wg.Wait()
		want := []string{"/first", "/live0", "/live1", "/live2", "/later0", "/latecomer", "/later1", "/later2"}
		if diff := cmp.Diff(want, seen.paths); diff != "" {
			t.Errorf("order of arrival (-want +got):\n%s", diff)
		}
	})
}

// A wait that the provider asks for ends for all at once, and then the order holds too.
func TestUrgencyHoldsAcrossAWaitThatWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &arrivals{}
		asked := false
		c := bubbleClient(t, Config{Rate: Rate{1, time.Second}}, func(r *http.Request) (*http.Response, error) {
			resp, err := seen.RoundTrip(r)
			if !asked {
				asked, resp = true, answer(429, "", "Retry-After", "30")
			}
			return resp, err
		})
		var wg sync.WaitGroup
		start(t, &wg, c, Later, "/first")
		start(t, &wg, c, Later, "/later")
		time.Sleep(20 * time.Second) // the first one's own pause is over by now: it waits again, in a place of its own
		start(t, &wg, c, Live, "/live")
		wg.Wait()
		if diff := cmp.Diff([]string{"/first", "/live", "/later", "/first"}, seen.paths); diff != "" {
			t.Errorf("order of arrival (-want +got):\n%s", diff)
		}
	})
}

func TestARetryKeepsItsUrgency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &arrivals{}
		failed := map[string]bool{"/live": false, "/retried": false}
		c := bubbleClient(t, Config{Rate: Rate{1, time.Minute}}, func(r *http.Request) (*http.Response, error) {
			resp, err := seen.RoundTrip(r)
			if done, fails := failed[r.URL.Path[len("/v1"):]]; fails && !done {
				failed[r.URL.Path[len("/v1"):]] = true
				resp = answer(503, "")
			}
			return resp, err
		})
		var wg sync.WaitGroup
		start(t, &wg, c, Live, "/live")
		start(t, &wg, c, Later, "/retried")
		start(t, &wg, c, Later, "/later")
		wg.Wait()
		// The live request fails, pauses and is back before the slot is; the other comes to wait behind the one that came meanwhile.
		if diff := cmp.Diff([]string{"/live", "/live", "/retried", "/later", "/retried"}, seen.paths); diff != "" {
			t.Errorf("order of arrival (-want +got):\n%s", diff)
		}
	})
}

// Requests that give up at any moment, that of their turn among them, lose no slot and take none from the rate.
func TestCancelledRequestsLoseNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rate := Rate{3, time.Minute}
		rng := rand.New(rand.NewPCG(4, 4))
		var mu sync.Mutex
		var came []time.Time
		c := bubbleClient(t, Config{Rate: rate}, func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			came = append(came, time.Now())
			if len(came)%5 == 0 {
				return answer(503, "", "Retry-After", "7"), nil
			}
			return answer(200, "{}"), nil
		})
		var wg sync.WaitGroup
		for i := range 120 {
			// A whole number of spans, so that many end at the very moment when a slot has rested.
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(20))*rate.Per/2)
			wg.Go(func() {
				defer cancel()
				_, err := c.Do(WithUrgency(ctx, Urgency(i%2)), Request{Method: "GET", Path: "/"})
				if err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		checkSpans(t, came, rate)
		if len(came) < 20 {
			t.Errorf("%d requests were sent in ten minutes: slots were lost", len(came))
		}
		time.Sleep(2 * rate.Per)
		begun := time.Now()
		came = nil
		for range rate.Requests {
			if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("after a rest every slot should be free, and %d requests took %s", rate.Requests, took)
		}
	})
}

// Between its turn and its goroutine's awakening another answer may ask for a wait: a request that was not sent yet heeds it, in its old place.
func TestATurnThatIsOvertakenByAWaitComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(Rate{2, time.Minute})
		first, second := l.enqueue(Later), l.enqueue(Later)
		l.hold(time.Now().Add(30 * time.Second))
		for _, w := range []*waiter{second, first} {
			if err := <-w.turn; err != nil {
				t.Fatal(err)
			}
			if sent, err := l.confirm(t.Context(), w); sent || err != nil {
				t.Errorf("a request is sent (%v, %v) though the provider wants to be left alone", sent, err)
			}
		}
		third := l.enqueue(Later)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if len(first.turn) != 1 || len(second.turn) != 1 || len(third.turn) != 0 {
			t.Errorf("turns of the three are %d, %d, %d: want those of the first two", len(first.turn), len(second.turn), len(third.turn))
		}
	})
}

// A request may give up at the very moment of its turn, in each of the two places where it can notice.
func TestATurnThatComesTooLateIsTheNextOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		l := newLimiter(Rate{1, time.Minute})
		l.withdraw(l.enqueue(Live))
		w := l.enqueue(Live)
		if err := <-w.turn; err != nil {
			t.Fatal(err)
		}
		if sent, err := l.confirm(ended, w); sent || !errors.Is(err, context.Canceled) {
			t.Errorf("sent is %v, error %v", sent, err)
		}
		begun := time.Now()
		if err := l.acquire(t.Context()); err != nil || time.Since(begun) != 0 {
			t.Errorf("the slot was lost for %s: %v", time.Since(begun), err)
		}
	})
}
