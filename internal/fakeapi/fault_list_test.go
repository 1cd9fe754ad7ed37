package fakeapi_test

import (
	"slices"
	"testing"

	"syncd/internal/fakeapi"
)

// TestWhatVanishedIsBackInTheNextAnswer, over and over, and something vanishes from each.
func TestWhatVanishedIsBackInTheNextAnswer(t *testing.T) {
	for _, p := range all {
		fake := fakeapi.New(options(p, 40))
		method, path, body, _ := page(p, 40)
		right := idsIn(p, see(t, memory(fake), p, method, path, body).body)
		fake.Inject(fakeapi.Fault{Kind: fakeapi.VanishedRows, Seed: 3})
		var before []string
		ever := map[string]bool{}
		for n := range 10 {
			got := idsIn(p, see(t, memory(fake), p, method, path, body).body)
			var missing []string
			for _, id := range right {
				if !slices.Contains(got, id) {
					missing = append(missing, id)
					ever[id] = true
				}
			}
			if len(missing) == 0 || len(missing) > len(right)/2 {
				t.Errorf("%s: answer %d lacks %d of %d", p, n, len(missing), len(right))
			}
			if slices.ContainsFunc(missing, func(id string) bool { return slices.Contains(before, id) }) {
				t.Errorf("%s: answer %d lacks what the one before lacked", p, n)
			}
			before = missing
		}
		if len(ever) < len(right)/2 {
			t.Errorf("%s: only %d of %d rows ever vanish", p, len(ever), len(right))
		}
	}
}

// TestALoopOfPages: whoever goes on from a repeated page comes to the same place for ever, and the first page is as it was.
func TestALoopOfPages(t *testing.T) {
	for _, p := range all {
		fake := fakeapi.New(options(p, 40))
		method, path, body := listRequest(p, 5, 0, listPage{})
		first := decode(t, p, see(t, memory(fake), p, method, path, body).body)
		fake.Inject(fakeapi.Fault{Kind: fakeapi.RepeatedPage})
		at := first
		for range 3 {
			method, path, body := listRequest(p, 5, 5, at)
			at = decode(t, p, see(t, memory(fake), p, method, path, body).body)
			if !slices.Equal(at.ids, first.ids) || at.next != first.next || at.total != first.total {
				t.Errorf("%s: %v, next %s; want the first page: %v", p, at.ids, at.next, first.ids)
			}
		}
		see(t, memory(fake), p, method, path, body)
		if n := fake.Injected()[fakeapi.RepeatedPage]; n != 3 {
			t.Errorf("%s: %d answers counted, want the three that were not the first page", p, n)
		}
	}
}

// TestAnExpiredPositionIsAPositionsAlone: the list can be begun, and the requests log holds what was asked.
func TestAnExpiredPositionIsAPositionsAlone(t *testing.T) {
	for p, want := range map[fakeapi.Provider]int{fakeapi.Millis: 422, fakeapi.Voicy: 400, fakeapi.Burki: 200} {
		o := options(p, 40)
		fake := fakeapi.New(o)
		// Once: the first page, which it cannot break, does not use it up.
		fake.Inject(fakeapi.Fault{Kind: fakeapi.ExpiredPosition, Times: 1})
		method, path, body := listRequest(p, 10, 0, listPage{})
		if got := see(t, memory(fake), p, method, path, body); got.status != 200 {
			t.Errorf("%s: the first page: %d", p, got.status)
		}
		method, path, body = second(t, p, o)
		if got := see(t, memory(fake), p, method, path, body); got.status != want {
			t.Errorf("%s: the second page: %d, want %d", p, got.status, want)
		}
		if got := see(t, memory(fake), p, method, path, body); got.status != 200 {
			t.Errorf("%s: the second page, asked for again: %d", p, got.status)
		}
		if log := fake.Requests(); len(log) != 3 || log[1].Status != want || log[1].Body != body {
			t.Errorf("%s: log %+v", p, log)
		}
	}
}

// TestEveryRowOfAShuffledPageIsThere for every seed, and none is where it was but by chance.
func TestEveryRowOfAShuffledPageIsThere(t *testing.T) {
	fake := fakeapi.New(options(fakeapi.Burki, 12))
	right := idsIn(fakeapi.Burki, see(t, memory(fake), fakeapi.Burki, "GET", "/api/v1/calls/?limit=2", "").body)
	orders := map[string]bool{}
	for seed := range uint64(20) {
		remove := fake.Inject(fakeapi.Fault{Kind: fakeapi.ShuffledRows, Seed: seed})
		if got := idsIn(fakeapi.Burki, see(t, memory(fake), fakeapi.Burki, "GET", "/api/v1/calls/?limit=2", "").body); got[0] != right[1] || got[1] != right[0] {
			t.Errorf("seed %d: two rows in the order %v", seed, got)
		}
		all := idsIn(fakeapi.Burki, see(t, memory(fake), fakeapi.Burki, "GET", "/api/v1/calls/", "").body)
		if !slices.Equal(unordered(all), unordered(fake.All())) {
			t.Errorf("seed %d: %v", seed, all)
		}
		orders[all[0]+all[1]] = true
		remove()
	}
	if len(orders) < 10 {
		t.Errorf("twenty seeds begin the page in %d ways", len(orders))
	}
}
