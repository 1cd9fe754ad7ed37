package extract_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
)

// Time in these tests is synctest's, and the network is in memory.

// roundTripper is a network in memory.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// wire is the network to a fake whose clock is the bubble's. It notes when requests come, and may answer in the fake's place.
type wire struct {
	fake *fakeapi.Server
	mu   sync.Mutex
	came []time.Time
	// instead answers the nth request that comes, from 1, itself where it returns a status.
	instead func(n int) (status int, retryAfter string)
}

func newWire(provider string, calls int) *wire {
	now := time.Now()
	return &wire{fake: fakeapi.New(fakeapi.Options{
		Provider: fakeapi.Provider(provider), Seed: 3, Key: testKey, Calls: calls, Since: now.AddDate(0, 0, -2), Until: now.AddDate(0, 0, -1),
	})}
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.came = append(w.came, time.Now())
	n := len(w.came)
	w.mu.Unlock()
	out := httptest.NewRecorder()
	if w.instead != nil {
		if status, retryAfter := w.instead(n); status != 0 {
			out.Header().Set("Retry-After", retryAfter)
			out.WriteHeader(status)
			return out.Result(), nil
		}
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w.fake.ServeHTTP(out, r)
	return out.Result(), nil
}

// most is the largest number of requests that came in any span of time.
func (w *wire) most(span time.Duration) (most int) {
	slices.SortFunc(w.came, time.Time.Compare)
	for i, first := 0, 0; i < len(w.came); i++ {
		for w.came[i].Sub(w.came[first]) >= span {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func TestSourceRunsOnTheClockOfItsTransport(t *testing.T) {
	for _, provider := range extract.Providers() {
		synctest.Test(t, func(t *testing.T) {
			w := newWire(provider, 40)
			src, err := extract.New(extract.Account{
				Source: "src", Provider: provider, Key: testKey, PageSize: 10, RateLimit: extract.Rate{Requests: 1, Per: time.Hour}, Transport: w,
			})
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			pages := readAll(t, src, extract.Window{Since: begun.AddDate(0, 0, -2), Until: begun.AddDate(0, 0, -1)})
			wantAll(t, w.fake.IDs(time.Time{}, time.Time{}), pages)
			if took, n := time.Since(begun), src.Traffic().Requests; took != time.Duration(n-1)*time.Hour || n < 4 {
				t.Errorf("%s: %d requests, one an hour, took %s", provider, n, took)
			}
		})
	}
}

// Two sources of one account, each with its goroutines, under one limit and a provider that now and then wants to be left alone.
func TestTrapStormOf429sNeverBreaksTheRateOrTheWait(t *testing.T) {
	const perMinute, requests = 60, 200
	for _, provider := range extract.Providers() {
		synctest.Test(t, func(t *testing.T) {
			w := newWire(provider, requests)
			var told []time.Time // when the provider asked for half a minute
			w.instead = func(n int) (int, string) {
				if n != 1 && n != 60 && n != 121 && n != 181 {
					return 0, ""
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				told = append(told, time.Now())
				return 429, "30"
			}
			limits := extract.NewLimits()
			var sources []extract.Source
			for range 2 {
				src, err := extract.New(extract.Account{
					Source: "src", Provider: provider, Key: testKey, RateLimit: extract.Rate{Requests: perMinute, Per: time.Minute}, Limits: limits, Transport: w,
				})
				if err != nil {
					t.Fatal(err)
				}
				sources = append(sources, src)
			}
			begun := time.Now()
			var wg sync.WaitGroup
			for i, id := range w.fake.All() {
				wg.Go(func() {
					// A crowd to begin with, and then some that find free slots, so that only the wait itself can hold them.
					time.Sleep(time.Duration(max(0, i-100)) * 2 * time.Second)
					ctx, src := t.Context(), sources[i%2]
					var err error
					if i%4 == 0 {
						hour := begun.Add(-time.Duration(i) * time.Hour)
						_, err = src.Fetch(ctx, extract.Window{Since: hour, Until: hour.Add(time.Minute)}, "")
					} else {
						_, err = src.Detail(extract.WithUrgency(ctx, extract.Later), extract.Single, id)
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if n := w.most(time.Minute); n > perMinute || len(w.came) != requests+4 {
				t.Errorf("%s: %d requests came, up to %d in a minute, where %d are allowed", provider, len(w.came), n, perMinute)
			}
			for _, at := range told {
				for _, came := range w.came {
					if since := came.Sub(at); since > 0 && since < 30*time.Second {
						t.Errorf("%s: a request came %s after the provider asked for half a minute", provider, since)
					}
				}
			}
			if took := time.Since(begun); took > 6*time.Minute || len(told) != 4 {
				t.Errorf("%s: the storm of %d waits took %s: the limit is not used", provider, len(told), took)
			}
		})
	}
}

// Details that wait by the hundred do not keep a live page waiting.
func TestLiveWorkGoesBeforeDetails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire("voicy", 100)
		src, err := extract.New(extract.Account{
			Source: "src", Provider: "voicy", Key: testKey, RateLimit: extract.Rate{Requests: 1, Per: time.Minute}, Transport: w,
		})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, id := range w.fake.All() {
			wg.Go(func() {
				if _, err := src.Detail(extract.WithUrgency(t.Context(), extract.Later), extract.Single, id); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		begun := time.Now()
		if _, err := src.Fetch(t.Context(), extract.Window{Since: begun.Add(-time.Hour), Until: begun}, ""); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > time.Minute {
			t.Errorf("the page waited %s behind the details", took)
		}
		wg.Wait()
	})
}

func TestSourcesOfOneAccountShareARateAndOthersDoNot(t *testing.T) {
	for name, tt := range map[string]struct {
		other extract.Account
		want  time.Duration
	}{
		"the same account":           {extract.Account{Provider: "voicy", BaseURL: "https://API.voicy.co/functions/v1/", Key: testKey}, time.Minute},
		"the same, no rate named":    {extract.Account{Provider: "voicy", Key: testKey, RateLimit: extract.Rate{}}, time.Minute},
		"another key":                {extract.Account{Provider: "voicy", Key: strings.ToUpper(testKey)}, 0},
		"another base URL":           {extract.Account{Provider: "voicy", BaseURL: "https://eu.voicy.co/functions/v1", Key: testKey}, 0},
		"another provider, same key": {extract.Account{Provider: "burki", Key: testKey}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				limits := extract.NewLimits()
				network := roundTripper(func(*http.Request) (*http.Response, error) {
					out := httptest.NewRecorder()
					_, err := out.WriteString(`{"calls":[],"total_count":0,"items":[],"total":0}`)
					return out.Result(), err
				})
				one := extract.Account{Source: "one", Provider: "voicy", Key: testKey, RateLimit: extract.Rate{Requests: 1, Per: time.Minute}}
				tt.other.Source = "other"
				begun := time.Now()
				for _, a := range []extract.Account{one, tt.other} {
					a.Limits, a.Transport = limits, network
					src, err := extract.New(a)
					if err != nil {
						t.Fatal(err)
					}
					if err := src.Probe(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if took := time.Since(begun); took != tt.want {
					t.Errorf("the other source waited %s, want %s", took, tt.want)
				}
			})
		})
	}
}
