package fakeapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"syncd/internal/fakeapi"
)

func TestAPoisonedCallBreaksEveryAnswerThatHoldsIt(t *testing.T) {
	for _, p := range all {
		for how, status := range map[fakeapi.Poisoning]int{fakeapi.InvalidJSON: http.StatusOK, fakeapi.ServerError: http.StatusInternalServerError} {
			fake := fakeapi.New(options(p, 30))
			ids := fake.All()
			fake.Poison(ids[4], how)
			paths := []string{detail(p, ids[4])}
			if p == fakeapi.Burki {
				paths = append(paths, paths[0]+"/transcripts", paths[0]+"/recordings")
			}
			broken := func(method, path, body string) {
				t.Helper()
				if got, answer := try(t, fake, method, path, body, p); got != status || how == fakeapi.InvalidJSON && json.Valid([]byte(answer)) {
					t.Errorf("%s, poison %d: %s answers %d: %.120s", p, how, path, got, answer)
				}
			}
			for _, path := range paths {
				broken("GET", path, "")
			}
			method, path, body, _ := page(p, 5)
			broken(method, path, body)
			rows(t, fake, p, 4) // the page that ends above it is sound
			if _, found := fake.Call(ids[4]); !found || !slices.Equal(fake.All(), ids) {
				t.Errorf("%s: the poison took the call from the truth", p)
			}
			fake.Cure(ids[4])
			if _, read := walk(t, fake, p, 7); !slices.Equal(read, ids) {
				t.Errorf("%s: %d calls after the cure, want %d", p, len(read), len(ids))
			}
			ask(t, fake, "GET", detail(p, ids[4]), "", p)
		}
	}
}

// TestForgottenPositionsAreRefused until the list is begun again.
func TestForgottenPositionsAreRefused(t *testing.T) {
	refusal := map[fakeapi.Provider]int{fakeapi.Millis: 422, fakeapi.Burki: 200, fakeapi.Voicy: 400}
	for _, p := range all {
		c := dial(t, options(p, 30))
		send := func(read int, before listPage) (int, string) {
			method, path, body := listRequest(p, 10, read, before)
			status, _, answer := c.do(method, strings.TrimPrefix(path, "/functions/v1"), body)
			return status, answer
		}
		begin := func() listPage {
			status, answer := send(0, listPage{})
			if status != http.StatusOK {
				t.Fatalf("%s: status %d: %s", p, status, answer)
			}
			return decode(t, p, answer)
		}
		first := begin()
		if status, _ := send(10, first); status != http.StatusOK {
			t.Errorf("%s: status %d for a good position", p, status)
		}
		c.fake.ForgetPositions()
		status, answer := send(10, first)
		if status != refusal[p] {
			t.Errorf("%s: status %d for a forgotten position, want %d: %s", p, status, refusal[p], answer)
		}
		if p == fakeapi.Millis && !strings.Contains(answer, `"loc":["query","start_after_ts"]`) {
			t.Errorf("millis: %s", answer)
		}
		if status, answer := send(10, begin()); status != http.StatusOK {
			t.Errorf("%s: status %d for a position that was handed out again: %s", p, status, answer)
		}
		id := first.ids[len(first.ids)-1]
		if known := c.fake.Forget(id); known != (p != fakeapi.Burki) || c.fake.Forget("999") {
			t.Errorf("%s: Forget says %v", p, known)
		}
		if status, _ := send(10, begin()); status != refusal[p] {
			t.Errorf("%s: status %d for the position at a forgotten call, want %d", p, status, refusal[p])
		}
	}
}

// undated is a record of each provider that tells an id and no start.
func undated(p fakeapi.Provider, id string) string {
	return map[fakeapi.Provider]string{
		fakeapi.Millis: `{"session_id":"` + id + `","ts":null,"call_status":"registered"}`,
		fakeapi.Burki: `{"id":` + id + `,"call_sid":"CA","assistant_id":1,"to_phone_number":"","customer_phone_number":"","started_at":null,` +
			`"status":"queued"}`,
		fakeapi.Voicy: `{"call_id":"` + id + `","call_type":"web_call","call_status":"initiated","agent":null,"start_timestamp":null}`,
	}[p]
}

// TestACallWithoutAStart is listed where At says, found by its id, and takes its place once it has a start.
func TestACallWithoutAStart(t *testing.T) {
	for _, p := range all {
		fake := fakeapi.New(options(p, 10))
		ids := fake.All()
		record := undated(p, "7001")
		if err := fake.Insert(fakeapi.Record{At: until.Add(time.Hour), List: record}); err != nil {
			t.Fatal(err)
		}
		if got, read := walk(t, fake, p, 4); string(got[0]) != record || !slices.Equal(read[1:], ids) {
			t.Errorf("%s: the list begins with %s and has %d calls", p, got[0], len(read))
		}
		if got := ask(t, fake, "GET", detail(p, "7001"), "", p); got != record {
			t.Errorf("%s: the call alone is %s", p, got)
		}
		if err := fake.Put(fakeapi.Record{List: handmade(p, "7001", since.Add(-time.Hour), "ringing")}); err != nil {
			t.Fatal(err)
		}
		if got := fake.All(); !slices.Equal(got, append(slices.Clone(ids), "7001")) {
			t.Errorf("%s: with its start the call is not the oldest: %v", p, got)
		}
	}
}

// TestAStartThatMovesByAMonth takes a generated call to another place in the list; the window that it left has it no more.
func TestAStartThatMovesByAMonth(t *testing.T) {
	for _, p := range all {
		fake := fakeapi.New(options(p, 200))
		ids := fake.IDs(time.Time{}, time.Time{})
		id := ids[60]
		start := startOf(t, fake, id)
		record, moved := moveBy(t, p, fake, id, -30*24*time.Hour)
		if err := fake.Put(record); err != nil {
			t.Fatal(err)
		}
		old, now := fake.IDs(start.Add(-time.Hour), start.Add(time.Hour)), fake.IDs(moved.Add(-time.Second), moved.Add(time.Second))
		if slices.Contains(old, id) || !slices.Contains(now, id) || len(fake.IDs(time.Time{}, time.Time{})) != len(ids) {
			t.Errorf("%s: in its old hour %v, in its new second %v", p, old, now)
		}
		if got, read := walk(t, fake, p, 50); string(got[slices.Index(read, id)]) != record.List {
			t.Errorf("%s: the list has another record of it", p)
		}
	}
}

// moveBy writes another start into a call's record.
func moveBy(t *testing.T, p fakeapi.Provider, fake *fakeapi.Server, id string, by time.Duration) (fakeapi.Record, time.Time) {
	t.Helper()
	record, _ := fake.Call(id)
	moved := record.At.Add(by).Truncate(time.Second)
	field := map[fakeapi.Provider]string{fakeapi.Millis: "ts", fakeapi.Burki: "started_at", fakeapi.Voicy: "start_timestamp"}[p]
	value := map[fakeapi.Provider]string{
		fakeapi.Millis: fmt.Sprint(moved.Unix()), fakeapi.Burki: moved.Format(`"` + time.RFC3339 + `"`), fakeapi.Voicy: fmt.Sprint(moved.UnixMilli()),
	}[p]
	var f map[string]json.RawMessage
	if err := json.Unmarshal([]byte(record.List), &f); err != nil {
		t.Fatal(err)
	}
	before, after, found := strings.Cut(record.List, fmt.Sprintf("%q:%s", field, f[field]))
	if !found {
		t.Fatalf("%s has no %s", record.List, field)
	}
	return fakeapi.Record{List: fmt.Sprintf("%s%q:%s%s", before, field, value, after)}, moved
}
