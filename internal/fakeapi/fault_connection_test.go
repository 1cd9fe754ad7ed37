package fakeapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"syncd/internal/fakeapi"
)

// TestSlownessIsTheFaultsOwnTime in a bubble, to the nanosecond: before the headers, within the body, and both.
func TestSlownessIsTheFaultsOwnTime(t *testing.T) {
	for _, p := range all {
		for _, c := range []struct {
			kinds                 []fakeapi.Kind
			headers, whole, given time.Duration
		}{
			{[]fakeapi.Kind{fakeapi.SlowHeaders}, time.Hour, time.Hour, time.Hour},
			{[]fakeapi.Kind{fakeapi.SlowBody}, 0, time.Hour, time.Hour},
			{[]fakeapi.Kind{fakeapi.SlowBody, fakeapi.SlowHeaders}, 30 * time.Second, time.Minute, 0},
		} {
			synctest.Test(t, func(t *testing.T) {
				fake := fakeapi.New(options(p, 30))
				for _, k := range c.kinds {
					fake.Inject(fakeapi.Fault{Kind: k, For: c.given})
				}
				began := time.Now()
				method, path, body, _ := page(p, 20)
				res, err := (&fakeapi.Transport{Handler: fake}).RoundTrip(authorized(t, t.Context(), p, method, path, body))
				if err != nil {
					t.Fatal(err)
				}
				headers := time.Since(began)
				pieces := paced{from: res.Body, at: time.Now()}
				answer, err := io.ReadAll(&pieces)
				if slices.Contains(c.kinds, fakeapi.SlowBody) != (pieces.n == 10) {
					t.Errorf("%s %v: the body came in %d pieces", p, c.kinds, pieces.n)
				}
				if whole := time.Since(began); err != nil || headers != c.headers || whole != c.whole || len(decode(t, p, string(answer)).ids) != 20 {
					t.Errorf("%s %v: headers after %s, all after %s, %v; want %s and %s", p, c.kinds, headers, whole, err, c.headers, c.whole)
				}
			})
		}
	}
}

// paced counts how often a reader had to be waited for.
type paced struct {
	from io.Reader
	at   time.Time
	n    int
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	if now := time.Now(); now.After(p.at) {
		p.at = now
		p.n++
	}
	return n, err
}

// TestAWaitEndsWithItsRequest before the headers and within the body, in memory.
func TestAWaitEndsWithItsRequest(t *testing.T) {
	for _, k := range []fakeapi.Kind{fakeapi.SlowHeaders, fakeapi.SlowBody} {
		synctest.Test(t, func(t *testing.T) {
			fake := fakeapi.New(options(fakeapi.Millis, 30))
			fake.Inject(fakeapi.Fault{Kind: k, For: time.Hour})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began := time.Now()
			res, err := (&fakeapi.Transport{Handler: fake}).RoundTrip(authorized(t, ctx, fakeapi.Millis, "GET", "/call-logs", ""))
			if err == nil {
				_, err = io.ReadAll(res.Body)
			}
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
				t.Errorf("%s: %v after %s, want the deadline after a minute", k, err, time.Since(began))
			}
		})
	}
}

// TestNobodyWaitsForAClientThatLeft over a socket: its handler and every goroutine end.
func TestNobodyWaitsForAClientThatLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	func() {
		fake := fakeapi.New(options(fakeapi.Voicy, 30))
		server := httptest.NewServer(fake)
		defer server.Close() // waits for the handlers
		for _, k := range []fakeapi.Kind{fakeapi.SlowHeaders, fakeapi.SlowBody} {
			remove := fake.Inject(fakeapi.Fault{Kind: k, For: time.Hour})
			client := http.Client{Timeout: 50 * time.Millisecond, Transport: &http.Transport{DialContext: (&dialer{server.Listener.Addr().String()}).dial, DisableKeepAlives: true}}
			res, err := client.Do(authorized(t, t.Context(), fakeapi.Voicy, "POST", "/call-list", "{}"))
			if err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v, want the client's timeout", k, err)
			}
			remove()
		}
	}()
	for began := time.Now(); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Since(began) > 5*time.Second {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// authorized is a request with the valid key.
func authorized(t *testing.T, ctx context.Context, p fakeapi.Provider, method, path, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "http://provider.example"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", authorization(p, key))
	return r
}

// TestABodyIsCutAtTheByteThatATestSays: before the first, at any, before the last; and where the seed says, elsewhere each time, but the same again.
func TestABodyIsCutAtTheByteThatATestSays(t *testing.T) {
	fake := fakeapi.New(options(fakeapi.Burki, 5))
	for name, client := range networks(t, fake) {
		right := see(t, client, fakeapi.Burki, "GET", "/api/v1/calls/", "").body
		for at, want := range map[int]int{-1: 0, 1: 1, 100: 100, len(right) - 1: len(right) - 1} {
			remove := fake.Inject(fakeapi.Fault{Kind: fakeapi.CutBody, At: at})
			if got := see(t, client, fakeapi.Burki, "GET", "/api/v1/calls/", ""); !errors.Is(got.err, io.ErrUnexpectedEOF) || got.body != right[:want] || !got.whole {
				t.Errorf("%s: cut at %d: %d bytes and %v", name, at, len(got.body), got.err)
			}
			remove()
		}
		remove := fake.Inject(fakeapi.Fault{Kind: fakeapi.CutBody, At: len(right)})
		if got := see(t, client, fakeapi.Burki, "GET", "/api/v1/calls/", ""); got.err != nil {
			t.Errorf("%s: cut where it ends anyway: %v", name, got.err)
		}
		remove()
		var runs [2][3]int
		for i := range runs {
			remove := fake.Inject(fakeapi.Fault{Kind: fakeapi.CutBody, Seed: 9})
			for n := range runs[i] {
				runs[i][n] = len(see(t, client, fakeapi.Burki, "GET", "/api/v1/calls/", "").body)
			}
			remove()
		}
		if runs[0] != runs[1] || runs[0][0] == runs[0][1] {
			t.Errorf("%s: cut by one seed at %v", name, runs)
		}
	}
}

// TestAShutPortRefusesUntilItIsOpened at the same address.
func TestAShutPortRefusesUntilItIsOpened(t *testing.T) {
	l, err := fakeapi.Listen(t.Context(), fakeapi.New(options(fakeapi.Millis, 3)))
	if err != nil {
		t.Fatal(err)
	}
	get := func() error {
		r := authorized(t, t.Context(), fakeapi.Millis, "GET", "/call-logs", "")
		r.URL.Host = strings.TrimPrefix(l.BaseURL, "http://")
		res, err := http.DefaultClient.Do(r)
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		return err
	}
	for range 2 {
		if err := get(); err != nil {
			t.Errorf("an open port: %v", err)
		}
		if err := errors.Join(l.Shut(), l.Shut()); err != nil {
			t.Fatal(err)
		}
		if err := get(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a shut port: %v, want refused", err)
		}
		if err := errors.Join(l.Open(t.Context()), l.Open(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
