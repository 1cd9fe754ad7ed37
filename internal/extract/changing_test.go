package extract_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
)

// testChangingList reads a window while calls arrive in it and are deleted from it between any two requests, many times over, and checks
// that every call which was there from the first page to the last was returned.
func testChangingList(t *testing.T, provider string, call func(i int, at time.Time) string) {
	t.Helper()
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		f := newFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Seed: seed})
		id := func(i int) string { return fmt.Sprintf("c%d", i) }
		if provider == "burki" {
			id = func(i int) string { return fmt.Sprint(i) }
		}
		next, alive := 0, map[int]bool{}
		arrive := func() {
			// Few different starts, so that many calls share one.
			insert(t, f, call(next, day.Since.Add(time.Duration(rng.IntN(60))*time.Minute)))
			alive[next] = true
			next++
		}
		for range 60 {
			arrive()
		}
		lasting := map[string]bool{}
		for i := range next {
			lasting[id(i)] = true
		}
		src := f.open(t, provider, 3+rng.IntN(12))
		var pages []extract.Page
		for p, restarts := extract.Position(""), 0; ; {
			page, err := src.Fetch(t.Context(), day, p)
			if lost := (*extract.Error)(nil); errors.As(err, &lost) && lost.Class == extract.Lost && restarts < 60 {
				p, pages, restarts = "", nil, restarts+1 // as the caller does
				continue
			}
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if pages = append(pages, page); page.Done {
				break
			}
			if p = page.Next; len(pages) > 500 {
				t.Fatalf("seed %d: the reading does not end", seed)
			}
			for range rng.IntN(3) {
				arrive()
			}
			for i := range next {
				if alive[i] && rng.IntN(25) == 0 {
					f.Remove(id(i))
					delete(alive, i)
					delete(lasting, id(i))
				}
			}
		}
		got := idsOf(pages)
		for want := range lasting {
			if got[want] == 0 {
				t.Errorf("seed %d: call %s was there all the time and was not returned", seed, want)
			}
		}
	}
}
