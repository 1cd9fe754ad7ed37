package fakeapi_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
)

// weather sends a sequence of requests in memory, in a bubble, and describes each answer.
func weather(t *testing.T, p fakeapi.Provider, fake *fakeapi.Server, requests int) (out []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client := memory(fake)
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		method, path, body, _ := page(p, 20)
		for n := range requests {
			began := time.Now()
			got := see(t, client, p, method, path, body)
			if n%2 == 1 && p != fakeapi.Voicy { // whose signatures are never the same
				got = see(t, client, p, "GET", detail(p, fake.All()[n%10]), "")
			}
			out = append(out, fmt.Sprint(got.status, got.err, got.header, got.length, len(got.body), time.Since(began), got.body[:min(len(got.body), 20_000)]))
		}
	})
	return out
}

// TestTheSameSeedIsTheSameWeather, request for request and byte for byte; another seed is another.
func TestTheSameSeedIsTheSameWeather(t *testing.T) {
	for _, p := range all {
		o := options(p, 60)
		o.Faults = fakeapi.Chaos{Seed: 11, Share: 0.6, Size: 50_000}
		first := fakeapi.New(o)
		one, two := weather(t, p, first, 90), weather(t, p, fakeapi.New(o), 90)
		if diff := cmp.Diff(one, two); diff != "" {
			t.Errorf("%s: one seed, two outcomes: %.2000s", p, diff)
		}
		o.Faults.Seed = 12
		if other := weather(t, p, fakeapi.New(o), 90); slices.Equal(one, other) {
			t.Errorf("%s: two seeds, one outcome", p)
		}
		if n := len(first.Injected()); n < 30 {
			t.Errorf("%s: only %d kinds were drawn: %v", p, n, first.Injected())
		}
	}
}

// TestTheShareOfChaosIsKept, of the requests that draw, from the kinds that were named.
func TestTheShareOfChaosIsKept(t *testing.T) {
	for _, share := range []float64{0, 0.02, 0.3, 1} {
		o := options(fakeapi.Millis, 5)
		o.Faults = fakeapi.Chaos{
			Seed: 4, Share: share, Kinds: []fakeapi.Kind{fakeapi.BadGateway, fakeapi.Unauthorized}, On: func(r fakeapi.Request) bool { return r.Path == "/call-logs" },
		}
		fake := fakeapi.New(o)
		codes := map[int]int{}
		for range 1000 {
			code, _ := try(t, fake, "GET", "/call-logs?limit=1", "", fakeapi.Millis)
			codes[code]++
		}
		if code, _ := try(t, fake, "GET", detail(fakeapi.Millis, fake.All()[0]), "", fakeapi.Millis); code != 200 {
			t.Errorf("a request that draws nothing: %d", code)
		}
		failed := codes[502] + codes[401]
		if got := float64(failed) / 1000; got < share-0.03 || got > share+0.03 || share > 0 && failed == 0 || codes[200]+failed != 1000 || share > 0 && (codes[502] == 0 || codes[401] == 0) {
			t.Errorf("a share of %g: %v", share, codes)
		}
		if n := fake.Injected(); n[fakeapi.BadGateway] != codes[502] || n[fakeapi.Unauthorized] != codes[401] {
			t.Errorf("counted %v of %v", n, codes)
		}
	}
}

// TestKindsAreDrawnForWhatTheyCanBreak: those of the list are never drawn for a single call.
func TestKindsAreDrawnForWhatTheyCanBreak(t *testing.T) {
	o := options(fakeapi.Burki, 20)
	o.Faults = fakeapi.Chaos{Share: 1, Kinds: []fakeapi.Kind{fakeapi.ShuffledRows, fakeapi.UnknownFields}}
	fake := fakeapi.New(o)
	for range 50 {
		if _, got := try(t, fake, "GET", detail(fakeapi.Burki, fake.All()[3]), "", fakeapi.Burki); !strings.Contains(got, "x_trace") {
			t.Fatalf("a single call met nothing: %s", got)
		}
	}
	if n := fake.Injected(); n[fakeapi.UnknownFields] != 50 || len(n) != 1 {
		t.Errorf("broke %v", n)
	}
}

// TestChaosEndsWithHealAndBeginsAnew at its first request.
func TestChaosEndsWithHealAndBeginsAnew(t *testing.T) {
	fake := fakeapi.New(options(fakeapi.Voicy, 5))
	method, path, body, _ := page(fakeapi.Voicy, 5)
	run := func() (out []int) {
		for range 20 {
			code, _ := try(t, fake, method, path, body, fakeapi.Voicy)
			out = append(out, code)
		}
		return out
	}
	c := fakeapi.Chaos{Seed: 2, Share: 0.5, Kinds: []fakeapi.Kind{fakeapi.ServiceUnavailable}}
	fake.Disturb(c)
	first := run()
	fake.Heal()
	if quiet := run(); slices.Contains(quiet, 503) || !slices.Contains(first, 503) || !slices.Contains(first, 200) {
		t.Errorf("disturbed %v, healed %v", first, quiet)
	}
	fake.Disturb(c)
	if again := run(); !slices.Equal(again, first) {
		t.Errorf("%v, then %v", first, again)
	}
}

// TestFaultsMayComeAndGoWhileOthersAreServed, by several at once.
func TestFaultsMayComeAndGoWhileOthersAreServed(t *testing.T) {
	o := options(fakeapi.Burki, 50)
	o.Faults = fakeapi.Chaos{Seed: 1, Share: 0.3, Size: 1000, For: time.Millisecond, Kinds: fakeapi.Benign()}
	fake := fakeapi.New(o)
	done := make(chan struct{})
	for n := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 60 {
				remove := fake.Inject(fakeapi.Fault{Kind: fakeapi.Kinds()[n+10], One: true, Times: 1})
				if n == 0 {
					fake.Injected()
				}
				try(t, fake, "GET", "/api/v1/calls/?limit=20", "", fakeapi.Burki)
				remove()
			}
		}()
	}
	for range 4 {
		<-done
	}
}
