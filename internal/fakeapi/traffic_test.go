package fakeapi_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
)

// TestBusiestIsExactOverAllRequests compares it with a count over every span that begins at a request, of far more requests than are logged.
func TestBusiestIsExactOverAllRequests(t *testing.T) {
	o := options(fakeapi.Millis, 0)
	var at clock
	o.Now = at.now
	fake := fakeapi.New(o)
	if n := fake.Busiest(time.Minute); n != 0 {
		t.Errorf("%d before any request", n)
	}
	r := rand.New(rand.NewPCG(3, 4))
	var times []time.Time
	for range 1500 {
		// In no order, and most in whole seconds, so that many lie exactly at the edges of spans.
		now := until.Add(time.Duration(r.IntN(4000)) * time.Second)
		if r.IntN(4) == 0 {
			now = now.Add(time.Duration(r.IntN(1e9)))
		}
		times = append(times, now)
		at.set(now)
		fake.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/call-logs", nil))
	}
	for _, per := range []time.Duration{time.Second, time.Minute, time.Hour} {
		want := 0
		for _, from := range times {
			n := 0
			for _, at := range times {
				if !at.Before(from) && at.Before(from.Add(per)) {
					n++
				}
			}
			want = max(want, n)
		}
		if got := fake.Busiest(per); got != want {
			t.Errorf("the busiest %s had %d requests, want %d", per, got, want)
		}
	}
}

func TestRequestsExactlyASpanApartAreNotInOne(t *testing.T) {
	o := options(fakeapi.Burki, 0)
	var at clock
	o.Now = at.now
	fake := fakeapi.New(o)
	for i := range 5 {
		at.set(until.Add(time.Duration(i) * time.Minute))
		rows(t, fake, fakeapi.Burki, 1)
	}
	if one, more := fake.Busiest(time.Minute), fake.Busiest(time.Minute+1); one != 1 || more != 2 {
		t.Errorf("%d in a minute and %d in a little more, want 1 and 2", one, more)
	}
}

func TestTrafficIsCountedByWhatItAsksFor(t *testing.T) {
	for p, want := range map[fakeapi.Provider]fakeapi.Traffic{
		fakeapi.Millis: {Lists: 2, Calls: 1, Others: 1}, fakeapi.Burki: {Lists: 2, Calls: 4, Others: 3}, fakeapi.Voicy: {Lists: 2, Calls: 1, Others: 1},
	} {
		o := options(p, 3)
		o.Outages = []fakeapi.Outage{{Since: until, Until: until.AddDate(1, 0, 0), How: fakeapi.Unavailable}}
		fake := fakeapi.New(o) // what fails is counted too
		method, path, body, _ := page(p, 1)
		paths := []string{path, path, detail(p, fake.All()[0]), "/nowhere"}
		if p == fakeapi.Burki {
			paths = append(paths, "/api/v1/calls/101/transcripts", "/api/v1/calls/101/recordings", "/api/calls/101/costs", "/api/v1/calls/count", "/api/v1/calls")
		}
		for _, path := range paths {
			try(t, fake, method, path, body, p)
		}
		if diff := cmp.Diff(want, fake.Traffic()); diff != "" {
			t.Errorf("%s: %s", p, diff)
		}
	}
}

func TestServedCountsEachCallOnEachPage(t *testing.T) {
	for _, p := range all {
		o := options(p, 12)
		o.CountServed = true
		fake := fakeapi.New(o)
		ids := fake.All()
		rows(t, fake, p, 3)
		rows(t, fake, p, 2)
		ask(t, fake, "GET", detail(p, ids[5]), "", p) // alone, not on a page
		fake.Poison(ids[0], fakeapi.ServerError)
		method, path, body, _ := page(p, 5)
		if status, _ := try(t, fake, method, path, body, p); status != http.StatusInternalServerError {
			t.Fatalf("status %d", status)
		}
		if diff := cmp.Diff(map[string]int{ids[0]: 2, ids[1]: 2, ids[2]: 1}, fake.Served()); diff != "" {
			t.Errorf("%s: %s", p, diff)
		}
		silent := fakeapi.New(options(p, 12))
		rows(t, silent, p, 3)
		if n := len(silent.Served()); n != 0 {
			t.Errorf("%s: %d calls counted though nobody asked", p, n)
		}
	}
}

// TestABurkiListChangesWhileItIsRead reads 5,000 calls by offset, while 50 of them are deleted and 50 are added: rows repeat, rows are skipped
// without a sign but the total's, and the fake can say which.
func TestABurkiListChangesWhileItIsRead(t *testing.T) {
	o := options(fakeapi.Burki, 5000)
	var lists []int
	o.OnList = func(s *fakeapi.Server, n int) {
		lists = append(lists, n)
		if n < 2 || n > 51 {
			return
		}
		if !s.Remove(fmt.Sprint(104_800 - 10*n)) {
			t.Errorf("call to be removed before page %d is not there", n)
		}
		if n%2 == 0 {
			return // two are added at every other page, so that the total moves both ways
		}
		for i := range 2 {
			insert(t, s, handmade(fakeapi.Burki, fmt.Sprint(900_000+2*n+i), until.Add(time.Duration(n)*time.Minute), "completed"))
		}
	}
	fake := fakeapi.New(o)
	before := map[string]bool{}
	for _, id := range fake.All() {
		before[id] = true
	}
	seen, totals := map[string]int{}, map[int]bool{}
	for skip := 0; skip < 5000; skip += 80 {
		page := decode(t, fakeapi.Burki, ask(t, fake, "GET", fmt.Sprintf("/api/v1/calls/?limit=80&skip=%d", skip), "", fakeapi.Burki))
		totals[page.total] = true
		for _, id := range page.ids {
			seen[id]++
		}
	}
	repeated, skipped, added := 0, 0, 0
	for _, n := range seen {
		if n > 1 {
			repeated++
		}
	}
	for _, id := range fake.All() {
		if !before[id] {
			added++
		} else if seen[id] == 0 {
			skipped++
		}
	}
	if len(lists) != 63 || lists[0] != 1 || lists[62] != 63 {
		t.Errorf("told of list requests %v, want 1 to 63", lists)
	}
	if added != 50 || len(fake.Deleted()) != 50 || len(fake.All()) != 5000 || repeated == 0 || skipped == 0 || len(totals) < 2 {
		t.Errorf("%d added, %d deleted, %d repeated, %d skipped, totals %v", added, len(fake.Deleted()), repeated, skipped, totals)
	}
}
