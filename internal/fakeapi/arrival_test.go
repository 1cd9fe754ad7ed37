package fakeapi_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"syncd/internal/fakeapi"
)

// TestCallsArriveOverAWeek lets a week pass in steps that end within hours and seconds, and holds the list's totals and newest calls against
// the starts that the calls have when all is over.
func TestCallsArriveOverAWeek(t *testing.T) {
	for _, p := range all {
		o := options(p, 600)
		var at clock
		o.Since, o.Now = until.Add(-7*24*time.Hour), at.now
		fake := fakeapi.New(o)
		at.set(until)
		newest := fake.All()
		starts := startsOf(t, fake, newest)
		for now := o.Since.Add(-time.Second); now.Before(until.Add(time.Hour)); now = now.Add(93*time.Minute + 7*time.Second) {
			at.set(now)
			first := sort.Search(len(starts), func(i int) bool { return !starts[i].After(now) })
			method, path, body := listRequest(p, 10, 0, listPage{})
			page := decode(t, p, ask(t, fake, method, path, body, p))
			want := newest[first:min(first+10, len(newest))]
			if !slices.Equal(page.ids, want) || page.total >= 0 && page.total != len(newest)-first {
				t.Fatalf("%s at %s: %v of %d, want %v of %d", p, now, page.ids, page.total, want, len(newest)-first)
			}
		}
	}
}

// TestManyCallsStayQuick makes two hundred thousand calls, some of them late and some deleted, and reads the newest and the deepest page. The
// limits are far above what it takes, for slow machines and the race detector; the benchmarks tell the truth.
func TestManyCallsStayQuick(t *testing.T) {
	for _, p := range all {
		began := time.Now()
		fake := fakeapi.New(troubled(p, 200_000))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: New took %s", p, took)
		}
		for _, skip := range []int{0, 150_000} {
			method, path, body := listRequest(p, 1000, 0, listPage{})
			if p == fakeapi.Burki {
				path = fmt.Sprintf("/api/v1/calls/?limit=1000&skip=%d", skip)
			}
			began = time.Now()
			ask(t, fake, method, path, body, p)
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s: a page from %d on took %s", p, skip, took)
			}
		}
	}
}

// troubled are the options of a year of calls with everything that makes a list hard to count.
func troubled(p fakeapi.Provider, n int) fakeapi.Options {
	o := options(p, n)
	o.Now = func() time.Time { return until.Add(-24 * time.Hour) }
	o.Deleted, o.CountServed = 0.02, true
	o.Settling = fakeapi.Settling{ListedAfterEnd: 0.1, CostAt: 10 * time.Minute, CorrectionAt: 3 * time.Hour}
	return o
}

func BenchmarkNewTroubled(b *testing.B) {
	for b.Loop() {
		fakeapi.New(troubled(fakeapi.Voicy, 200_000))
	}
}

// BenchmarkPageTroubled reads the newest thousand calls of half a million, and at Burki the deepest as well.
func BenchmarkPageTroubled(b *testing.B) {
	for _, p := range all {
		fake := fakeapi.New(troubled(p, 500_000))
		for _, skip := range []int{0, 480_000} {
			method, path, body := listRequest(p, 1000, 0, listPage{})
			if p == fakeapi.Burki {
				path = fmt.Sprintf("/api/v1/calls/?limit=1000&skip=%d", skip)
			} else if skip > 0 {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", p, skip), func(b *testing.B) {
				for b.Loop() {
					r := httptest.NewRequest(method, path, strings.NewReader(body))
					r.Header.Set("Authorization", authorization(p, key))
					fake.ServeHTTP(httptest.NewRecorder(), r)
				}
			})
		}
	}
}
