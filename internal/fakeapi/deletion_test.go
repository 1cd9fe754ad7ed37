package fakeapi_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
)

// TestDeletedCallsAreGoneFromEverything follows an account through ten days: list and totals, answers by id, and the helpers.
func TestDeletedCallsAreGoneFromEverything(t *testing.T) {
	for _, p := range all {
		o := options(p, 200)
		var at clock
		o.Since, o.Now, o.Deleted = until.Add(-5*24*time.Hour), at.now, 0.2
		fake := fakeapi.New(o)
		plain := o
		plain.Deleted = 0
		begun := fakeapi.New(plain)
		at.set(until)
		starts, everything := map[string]time.Time{}, begun.All()
		for i, start := range startsOf(t, begun, everything) {
			starts[everything[i]] = start
		}
		seen := map[string]bool{}
		for now := o.Since.Add(time.Hour); now.Before(until.Add(6 * 24 * time.Hour)); now = now.Add(13 * time.Hour) {
			at.set(now)
			listed, deleted := fake.All(), fake.Deleted()
			if _, read := walk(t, fake, p, 60); !slices.Equal(read, listed) && len(read)+len(listed) > 0 {
				t.Fatalf("%s: at %s the list and All disagree: %s", p, now, cmp.Diff(listed, read))
			}
			both, want := append(slices.Clone(listed), deleted...), begun.All()
			slices.Sort(both)
			slices.Sort(want)
			if !slices.Equal(both, want) {
				t.Fatalf("%s: at %s the listed and the deleted calls are not all that began: %s", p, now, cmp.Diff(want, both))
			}
			for _, id := range deleted {
				if seen[id] {
					continue
				}
				seen[id] = true
				if age := now.Sub(starts[id]); age < 30*time.Minute || age > 5*24*time.Hour+13*time.Hour {
					t.Errorf("%s: a call was deleted at most %s after its start, want 30 minutes to five days", p, age)
				}
				if status, _ := try(t, fake, "GET", detail(p, id), "", p); status != http.StatusNotFound {
					t.Errorf("%s: status %d for a deleted call, want 404", p, status)
				}
			}
		}
		if len(seen) < 25 || len(seen) > 55 {
			t.Errorf("%s: %d of 200 calls were deleted, want about 40", p, len(seen))
		}
	}
}

func TestDeletedAfterIsExact(t *testing.T) {
	for _, p := range all {
		o := options(p, 20)
		var at clock
		o.Now, o.Deleted, o.DeletedAfter = at.now, 1, 2*time.Hour
		fake := fakeapi.New(o)
		plain := o
		plain.Deleted = 0
		begun := fakeapi.New(plain)
		at.set(until)
		everything := begun.All()
		for i, start := range startsOf(t, begun, everything) {
			id := everything[i]
			at.set(start.Add(2*time.Hour - 1))
			_, before := fake.Call(id)
			at.set(start.Add(2 * time.Hour))
			if _, after := fake.Call(id); !before || after || !slices.Contains(fake.Deleted(), id) {
				t.Errorf("%s: listed just before %v, and then %v", p, before, after)
			}
		}
	}
}

// TestCountsAgreeWithAWalkOverTheCalls holds the totals, which are computed from indexes, against a look at every call, through lateness,
// deletions and edits, whichever way the clock goes.
func TestCountsAgreeWithAWalkOverTheCalls(t *testing.T) {
	for _, p := range all {
		o := options(p, 1500)
		var at clock
		o.Since, o.Now, o.Deleted, o.Settling = until.Add(-20*24*time.Hour), at.now, 0.25, fakeapi.Settling{ListedAfterEnd: 0.3}
		fake := fakeapi.New(o)
		r := rand.New(rand.NewPCG(1, 2))
		moment := func() time.Time { return o.Since.Add(time.Duration(r.Int64N(int64(26 * 24 * time.Hour)))) }
		for i := range 300 {
			at.set(moment())
			if ids := fake.All(); len(ids) > 0 && i%3 == 0 {
				id := ids[r.IntN(len(ids))]
				if i%2 == 0 {
					fake.Remove(id)
				} else if record, found := fake.Call(id); !found || fake.Put(record) != nil {
					t.Fatalf("%s: call %s cannot be put back", p, id)
				}
			}
			from, to := moment(), moment()
			if got, want := fake.Count(from, to), len(fake.IDs(from, to)); got != want {
				t.Fatalf("%s: %d calls counted between %s and %s at %s, and %d found", p, got, from, to, at.now(), want)
			}
		}
		walk(t, fake, p, 100)
	}
}

func TestRemovedCallsAreToldAsDeleted(t *testing.T) {
	for _, p := range all {
		fake := fakeapi.New(options(p, 10))
		ids := fake.All()
		gone, _ := fake.Call(ids[3])
		fake.Remove(ids[3])
		fake.Remove(ids[7])
		want := []string{ids[3], ids[7]}
		slices.Sort(want)
		if got := fake.Deleted(); !slices.Equal(got, want) {
			t.Errorf("%s: deleted %v, want %v", p, got, want)
		}
		if err := fake.Put(gone); err != nil {
			t.Fatal(err)
		}
		if got := fake.Deleted(); !slices.Equal(got, ids[7:8]) {
			t.Errorf("%s: deleted %v after one of them returned, want %s alone", p, got, ids[7])
		}
	}
}

// TestVoicyRefusesTheKeyOfACallThatItDeleted, as it refuses any id that it does not know.
func TestVoicyRefusesTheKeyOfACallThatItDeleted(t *testing.T) {
	o := options(fakeapi.Voicy, 30)
	var at clock
	o.Now, o.Deleted, o.DeletedAfter = at.now, 1, time.Hour
	c := dial(t, o)
	plain := o
	plain.Deleted = 0
	at.set(until)
	id := fakeapi.New(plain).All()[4]
	start := startOf(t, fakeapi.New(plain), id)
	at.set(start.Add(30 * time.Minute))
	body := fmt.Sprintf(`{"pagination_key":%q}`, id)
	if status, _, got := c.do("POST", "/call-list", body); status != http.StatusOK {
		t.Errorf("status %d before the deletion: %s", status, got)
	}
	at.set(start.Add(time.Hour))
	c.refused("POST", "/call-list", body, http.StatusBadRequest, `{"error":"Invalid pagination_key"}`)
}
