package fakeapi_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
)

// handmade is a record of each provider with an id, a start and a status.
func handmade(p fakeapi.Provider, id string, start time.Time, status string) string {
	switch p {
	case fakeapi.Millis:
		return fmt.Sprintf(`{"session_id":%q,"ts":%d.5,"call_status":%q}`, id, start.Unix(), status)
	case fakeapi.Burki:
		return fmt.Sprintf(`{"id":%s,"call_sid":"CA","assistant_id":1,"to_phone_number":"","customer_phone_number":"","started_at":%q,"status":%q}`, id, start.Format(time.RFC3339), status)
	default:
		return fmt.Sprintf(`{"call_id":%q,"call_type":"web_call","call_status":%q,"agent":null,"from_number":null,"to_number":null,"direction":"incoming","start_timestamp":%d,"duration_ms":null}`,
			id, status, start.UnixMilli())
	}
}

// detail is the path of a single call.
func detail(p fakeapi.Provider, id string) string {
	return map[fakeapi.Provider]string{fakeapi.Millis: "/call-logs/", fakeapi.Burki: "/api/v1/calls/", fakeapi.Voicy: "/functions/v1/call-get/"}[p] + id
}

func texts(rows []json.RawMessage) []string {
	out := []string{}
	for _, r := range rows {
		out = append(out, string(r))
	}
	return out
}

// TestHandMadeCalls lists, filters, changes and deletes them like any others.
func TestHandMadeCalls(t *testing.T) {
	final := map[fakeapi.Provider]string{fakeapi.Millis: "user-ended", fakeapi.Burki: "completed", fakeapi.Voicy: "user_hangup"}
	for _, p := range all {
		fake := fakeapi.New(options(p, 40))
		generated := fake.IDs(time.Time{}, time.Time{})
		day := until.Add(time.Hour)
		early, late := handmade(p, "7001", day, "ringing"), handmade(p, "7002", day.Add(time.Minute), final[p])
		insert(t, fake, late)
		insert(t, fake, early)
		if got := texts(rows(t, fake, p, 2)); !slices.Equal(got, []string{late, early}) {
			t.Errorf("%s: the newest are %s; want both, byte for byte, newest first", p, got)
		}
		if got := ask(t, fake, "GET", detail(p, "7002"), "", p); got != late {
			t.Errorf("%s: the call is %s, want %s", p, got, late)
		}
		if n := fake.Count(day, day.Add(time.Minute)); n != 1 {
			t.Errorf("%s: %d calls in the first's minute, want 1", p, n)
		}
		changed := handmade(p, "7001", day.Add(time.Hour), final[p])
		if err := fake.Put(fakeapi.Record{List: changed}); err != nil {
			t.Fatal(err)
		}
		if got := texts(rows(t, fake, p, 3)); !slices.Equal(got[:2], []string{changed, late}) {
			t.Errorf("%s: after a change of its start the newest are %s", p, got[:2])
		}
		if !fake.Remove("7002") || fake.Remove("7002") {
			t.Errorf("%s: Remove must say whether there was such a call", p)
		}
		if got, want := fake.IDs(time.Time{}, time.Time{}), append([]string{"7001"}, generated...); !slices.Equal(got, want) {
			t.Errorf("%s: %s", p, cmp.Diff(want, got))
		}
	}
}

func TestGeneratedCallsCanBeChangedAndRemoved(t *testing.T) {
	for _, p := range all {
		fake := fakeapi.New(options(p, 40))
		ids := fake.IDs(time.Time{}, time.Time{})
		before, found := fake.Call(ids[5])
		if !found || before.List != string(rows(t, fake, p, 40)[slices.Index(allIDs(t, fake, p), ids[5])]) {
			t.Fatalf("%s: Call gives %.80s", p, before.List)
		}
		after := before
		after.List = strings.Replace(before.List, "{", `{"extra":9007199254740993,`, 1)
		if err := fake.Put(after); err != nil {
			t.Fatal(err)
		}
		if got := fake.IDs(time.Time{}, time.Time{}); !slices.Equal(got, ids) {
			t.Errorf("%s: a change moved the call: %s", p, cmp.Diff(ids, got))
		}
		if got, _ := fake.Call(ids[5]); got != after {
			t.Errorf("%s: %s", p, cmp.Diff(after, got))
		}
		fake.Remove(ids[5])
		fake.Remove(ids[6])
		if got, want := fake.IDs(time.Time{}, time.Time{}), slices.Delete(slices.Clone(ids), 5, 7); !slices.Equal(got, want) {
			t.Errorf("%s: %s", p, cmp.Diff(want, got))
		}
		if _, found := fake.Call(ids[6]); found {
			t.Errorf("%s: a removed call is still found", p)
		}
	}
}

// allIDs are the ids of the newest forty rows, test calls included.
func allIDs(t *testing.T, fake *fakeapi.Server, p fakeapi.Provider) []string {
	t.Helper()
	var out []string
	for _, r := range rows(t, fake, p, 40) {
		var f struct {
			Session string          `json:"session_id"`
			Call    string          `json:"call_id"`
			ID      json.RawMessage `json:"id"`
		}
		if err := json.Unmarshal(r, &f); err != nil {
			t.Fatal(err)
		}
		switch p {
		case fakeapi.Millis:
			out = append(out, f.Session)
		case fakeapi.Burki:
			out = append(out, string(f.ID))
		default:
			out = append(out, f.Call)
		}
	}
	return out
}

// TestBurkiDeletionSkipsARow shows the trap: a row that is deleted between two pages shifts the later ones up, and one is never seen.
func TestBurkiDeletionSkipsARow(t *testing.T) {
	c := dial(t, options(fakeapi.Burki, 20))
	want := c.fake.IDs(time.Time{}, time.Time{})
	first := ok[burkiPage](c, "GET", "/api/v1/calls/?limit=10", "")
	c.fake.Remove(want[3])
	second := ok[burkiPage](c, "GET", "/api/v1/calls/?limit=10&skip=10", "")
	if got := append(ids(first.Items), ids(second.Items)...); slices.Contains(got, want[10]) || len(got) != 19 || second.Total != 19 {
		t.Errorf("%d rows, total %d: %v; want 19 without %s", len(got), second.Total, got, want[10])
	}
}

// TestRecordsThatAreNoCalls are listed in the place they are given, whatever they hold.
func TestRecordsThatAreNoCalls(t *testing.T) {
	for _, p := range all {
		fake := fakeapi.New(options(p, 3))
		at := until.Add(time.Hour)
		records := []string{`{"session_id":null,"call_id":null,"ts":null}`, `42`, `null`, `"text"`, `{}`, `{"id":{},"ts":{},"start_timestamp":"soon"}`, "{\"summary\":\"\xff\"}"}
		for i, r := range records {
			if err := fake.Insert(fakeapi.Record{List: r}); err == nil {
				t.Errorf("%s: %s has no start, and was taken without At", p, r)
			}
			if err := fake.Put(fakeapi.Record{List: r, At: at}); err == nil {
				t.Errorf("%s: %s has no id, and was taken by Put", p, r)
			}
			if err := fake.Insert(fakeapi.Record{List: r, At: at.Add(-time.Duration(i) * time.Second)}); err != nil {
				t.Error(err)
			}
		}
		got := texts(rows(t, fake, p, 20))
		if !slices.Equal(got[:len(records)], records) || len(got) != len(records)+3 {
			t.Errorf("%s: %q, want %q", p, got, records)
		}
	}
}

func TestTheSameCallTwice(t *testing.T) {
	for _, p := range all {
		fake := fakeapi.New(options(p, 0))
		record := handmade(p, "11", since, "ringing")
		insert(t, fake, record)
		insert(t, fake, record)
		if got := texts(rows(t, fake, p, 5)); len(got) != 2 || got[0] != got[1] {
			t.Errorf("%s: %s, want the call twice", p, got)
		}
		if err := fake.Put(fakeapi.Record{List: handmade(p, "11", since, "busy")}); err != nil {
			t.Fatal(err)
		}
		if got := texts(rows(t, fake, p, 5)); len(got) != 1 {
			t.Errorf("%s: %s, want one call after Put", p, got)
		}
	}
}

// TestVoicyKeyOfARepeatedCall must not serve a page for ever.
func TestVoicyKeyOfARepeatedCall(t *testing.T) {
	for _, order := range []string{"ascending", "descending"} {
		c := dial(t, options(fakeapi.Voicy, 0))
		for i, id := range []string{"a", "x", "x", "b"} {
			insert(t, c.fake, handmade(fakeapi.Voicy, id, since.Add(time.Duration(i)*time.Hour), "ended"))
		}
		page := ok[voicyPage](c, "POST", "/call-list", fmt.Sprintf(`{"pagination_key":"x","sort_order":%q}`, order))
		if want := map[string][]string{"ascending": {"b"}, "descending": {"a"}}[order]; !slices.Equal(page.ids(), want) {
			t.Errorf("%s: %v, want %v", order, page.ids(), want)
		}
	}
}

func TestVoicyTiesAreReturnedOnce(t *testing.T) {
	for _, order := range []string{"ascending", "descending"} {
		c := dial(t, options(fakeapi.Voicy, 0))
		for i := range 10 {
			insert(t, c.fake, handmade(fakeapi.Voicy, fmt.Sprint("t", i), since, "ended"))
		}
		var got []string
		last := ""
		for {
			page := ok[voicyPage](c, "POST", "/call-list", fmt.Sprintf(`{"limit":3,"sort_order":%q%s}`, order, last))
			got = append(got, page.ids()...)
			if len(page.Calls) < 3 {
				break
			}
			last = fmt.Sprintf(`,"pagination_key":%q`, got[len(got)-1])
		}
		if slices.Sort(got); len(slices.Compact(got)) != 10 {
			t.Errorf("%s: %v", order, got)
		}
	}
}

func TestHandMadeTestCallsStayOut(t *testing.T) {
	c := dial(t, options(fakeapi.Voicy, 0))
	insert(t, c.fake, handmade(fakeapi.Voicy, "real", since, "ended"))
	insert(t, c.fake, strings.Replace(handmade(fakeapi.Voicy, "trial", since, "ended"), "{", `{"is_test_call":true,`, 1))
	page := ok[voicyPage](c, "POST", "/call-list", `{}`)
	with := ok[voicyPage](c, "POST", "/call-list", `{"filter_criteria":{"include_test_calls":true,"call_status":["ended"]}}`)
	filtered := ok[voicyPage](c, "POST", "/call-list", `{"filter_criteria":{"call_status":["ended"]}}`)
	if !slices.Equal(page.ids(), []string{"real"}) || page.Total != 1 || with.Total != 2 || filtered.Total != 1 || c.fake.Count(time.Time{}, time.Time{}) != 1 {
		t.Errorf("%v of %d; with tests %d, by status %d", page.ids(), page.Total, with.Total, filtered.Total)
	}
	c.fake.Remove("trial")
	if n := c.fake.Count(time.Time{}, time.Time{}); n != 1 {
		t.Errorf("%d calls after the test call was removed, want 1", n)
	}
}

// TestACallToCome is not there until the provider's clock reaches its start.
func TestACallToCome(t *testing.T) {
	for _, p := range all {
		o := options(p, 0)
		var at clock
		at.set(since)
		o.Now = at.now
		fake := fakeapi.New(o)
		insert(t, fake, handmade(p, "5", since.Add(time.Minute), "ringing"))
		if _, found := fake.Call("5"); found || len(rows(t, fake, p, 5)) != 0 {
			t.Errorf("%s: listed before its start", p)
		}
		at.set(since.Add(2 * time.Minute))
		if _, found := fake.Call("5"); !found || len(rows(t, fake, p, 5)) != 1 {
			t.Errorf("%s: not listed after its start", p)
		}
	}
}

func TestBurkiHandMadeParts(t *testing.T) {
	c := dial(t, options(fakeapi.Burki, 0))
	record := fakeapi.Record{
		List:        handmade(fakeapi.Burki, "9007199254740993", since, "completed"),
		Detail:      strings.Replace(handmade(fakeapi.Burki, "9007199254740993", since, "completed"), "{", `{"duration":61,`, 1),
		Transcripts: `[{"id":1,"call_id":2,"content":"hello","speaker":"user"}]`,
	}
	if err := c.fake.Insert(record); err != nil {
		t.Fatal(err)
	}
	const path = "/api/v1/calls/9007199254740993"
	if _, _, got := c.do("GET", path, ""); got != record.Detail {
		t.Errorf("detail %s, want %s", got, record.Detail)
	}
	if _, _, got := c.do("GET", path+"/transcripts", ""); got != record.Transcripts {
		t.Errorf("transcripts %s, want %s", got, record.Transcripts)
	}
	if _, _, got := c.do("GET", path+"/recordings", ""); got != "[]" {
		t.Errorf("recordings %s, want none", got)
	}
	c.refused("GET", "/api/calls/9007199254740993/costs", "", 404, `{"detail":"No cost data`)
}

// TestEditsWhileServing is for the race detector.
func TestEditsWhileServing(t *testing.T) {
	fake := fakeapi.New(options(fakeapi.Burki, 200))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 100 {
			id := fmt.Sprint(500_000 + i)
			if err := fake.Put(fakeapi.Record{List: handmade(fakeapi.Burki, id, since.Add(time.Duration(i)*time.Hour), "ongoing")}); err != nil {
				t.Error(err)
			}
			if i%2 == 0 {
				fake.Remove(id)
			}
		}
	}()
	for range 20 {
		rows(t, fake, fakeapi.Burki, 50)
		fake.Count(since, until)
		fake.Requests()
	}
	<-done
	if n := fake.Count(time.Time{}, time.Time{}); n != 250 {
		t.Errorf("%d calls, want 250", n)
	}
}
