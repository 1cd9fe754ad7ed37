package extract_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
)

// What every provider must do when it is asked about one call.

// allParts are the single call and what else a provider is asked for about it.
func allParts(src extract.Source) []string {
	parts := src.Parts()
	if len(parts) == 0 || parts[0] != extract.Single {
		parts = append([]string{extract.Single}, parts...)
	}
	return parts
}

// handmade is a call with its id, written as no machine would.
func handmade(provider, id string) fakeapi.Record {
	switch provider {
	case "millis":
		return fakeapi.Record{List: millisCall(id, noon), Detail: fmt.Sprintf(` { "session_id" : %q,  "ts":%d.25, "cost":1.10, "x":[ ] } `, id, noon.Unix())}
	case "burki":
		return fakeapi.Record{
			List: strings.Replace(burkiCall(0, noon), `"id":0`, `"id":`+id, 1), Detail: ` { "total_cost":1.10, "id" : ` + id + `, "started_at":"2025-03-03T12:00:00.25Z" } `,
			Transcripts: `[{"content":"a  b","call_id":` + id + `}]`,
			Costs:       ` {"call_summary": {"call_id":` + id + `,"total_cost":1.10,"started_at":"2025-03-03T12:00:00.25Z"},"detailed_entries":[ ]} `,
		}
	}
	return fakeapi.Record{List: voicyCall(id, noon), Detail: fmt.Sprintf(` { "call_id" : %q, "start_timestamp":%d, "transcript":[ ] } `, id, noon.UnixMilli())}
}

func TestContractPartsAreWhatTheListLeavesOut(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		src := newFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider)}).open(t, provider, 0)
		want := map[string][]string{"burki": {extract.Transcripts, extract.Costs}, "voicy": {extract.Single}}[provider]
		if diff := cmp.Diff(want, src.Parts()); diff != "" {
			t.Errorf("parts (-want +got):\n%s", diff)
		}
	})
}

func TestContractDetailIsThePartByteForByte(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Seed: 6, Calls: 20})
		const id = "9007199254740993"
		record := handmade(provider, id)
		if err := f.Insert(record); err != nil {
			t.Fatal(err)
		}
		src := f.open(t, provider, 0)
		for _, part := range allParts(src) {
			before := time.Now()
			got, err := src.Detail(t.Context(), part, id)
			if err != nil {
				t.Fatalf("%s: %v", part, err)
			}
			body := map[string]string{extract.Single: record.Detail, extract.Transcripts: record.Transcripts, extract.Costs: record.Costs}[part]
			want := extract.Record{Payload: []byte(strings.TrimSpace(body)), ID: id, StartedAt: noon, FetchedAt: got.FetchedAt}
			if part == extract.Transcripts {
				want.StartedAt = time.Time{}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", part, diff)
			}
			if got.FetchedAt.Before(before) || got.FetchedAt.Location() != time.UTC {
				t.Errorf("%s was fetched at %s, after %s", part, got.FetchedAt, before)
			}
		}
	})
}

func TestContractEveryListedCallHasItsDetail(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newCheckedFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Seed: 6, Calls: 20})
		src := f.open(t, provider, 0)
		for _, listed := range readAll(t, src, extract.Window{Since: contractSince, Until: contractUntil})[0].Records {
			for _, part := range allParts(src) {
				got, err := src.Detail(t.Context(), part, listed.ID)
				if part == extract.Costs && err != nil {
					wantError(t, err, extract.Missing) // a call that was not charged
					continue
				}
				if err != nil {
					t.Fatalf("%s of %s: %v", part, listed.ID, err)
				}
				if got.ID != listed.ID || part != extract.Transcripts && !got.StartedAt.Equal(listed.StartedAt) {
					t.Errorf("%s of %s, which started at %s, is of %s at %s", part, listed.ID, listed.StartedAt, got.ID, got.StartedAt)
				}
			}
		}
	})
}

func TestContractCallThatIsGoneIsMissing(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider)})
		const number = "15550109999"
		if err := f.Insert(handmade(provider, number)); err != nil {
			t.Fatal(err)
		}
		src := f.open(t, provider, 0)
		f.Remove(number)
		for _, part := range allParts(src) {
			_, err := src.Detail(t.Context(), part, number)
			e := wantError(t, err, extract.Missing)
			if e.Status != 404 || e.Window != (extract.Window{}) || !strings.HasPrefix(e.Op, "GET /") || !strings.Contains(e.Op, "}") {
				t.Errorf("%s: error is %+v", part, e)
			}
			if text := err.Error(); strings.Contains(text, number) || strings.Contains(text, "0001") || strings.Contains(text, "position") {
				t.Errorf("%s: error shows what it must not: %s", part, text)
			}
		}
		if got := src.Traffic(); got.Retries != 0 {
			t.Errorf("traffic is %+v: a call that is gone was asked for again", got)
		}
	})
}

func TestContractIDsAreEscaped(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider)})
		ids := []string{"a/b", "..", ".", "../x", "%2e", "a b", "é日", "a?b#c", "a+b", "{session_id}"}
		for _, id := range ids {
			if provider == "burki" {
				break // its ids are numbers
			}
			if err := f.Insert(handmade(provider, id)); err != nil {
				t.Fatal(err)
			}
		}
		src := f.open(t, provider, 0)
		for _, id := range ids {
			got, err := src.Detail(t.Context(), extract.Single, id)
			if provider == "burki" {
				wantError(t, err, extract.Malformed) // 422, as no other path was asked
				continue
			}
			if err != nil || got.ID != id {
				t.Errorf("%q: id %q, error %v", id, got.ID, err)
			}
		}
		if n := f.received.Load(); n != int64(len(ids)) {
			t.Errorf("%d requests for %d ids: a server sent some of them elsewhere", n, len(ids))
		}
	})
}

func TestContractDetailRefusesWhatCannotBeAsked(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider)})
		src := f.open(t, provider, 0)
		for _, asked := range [][2]string{{extract.Single, ""}, {"list", "a"}, {"", "a"}} {
			_, err := src.Detail(t.Context(), asked[0], asked[1])
			wantError(t, err, extract.Malformed)
		}
		if n := f.received.Load(); n != 0 {
			t.Errorf("%d requests were sent", n)
		}
	})
}

// What is no answer about the call that was asked for is an error, never an empty detail.
func TestTrapUnexpectedAnswerIsNeverAnEmptyDetail(t *testing.T) {
	const turn = "my name is Jane Roe"
	eachProvider(t, func(t *testing.T, provider string) {
		bodies := map[string]string{
			"empty": "", "blank": " \n", "HTML": "<html><body>Please log in, " + turn, "null": "null", "string": `"` + turn + `"`, "number": "15550109999",
			"boolean": "true", "empty object": "{}", "error": `{"error":"something is wrong"}`, "detail": `{"detail":"something is wrong"}`,
			"breaks off": `{"id":7,"session_id":"7","call_id":"7","call_summary":{"x":"` + turn, "goes on": `{"id":7,"call_id":"7","session_id":"7"} <!-- ` + turn,
			"page of the list": `{"calls":[],"items":[],"histories":[],"total":0}`, "other call": `{"id":8,"session_id":"8","call_id":"8","chat":"` + turn + `"}`,
			"ids of null": `{"id":null,"session_id":null,"call_id":null}`, "id of an object": `{"id":{"id":7},"session_id":["7"],"call_id":{}}`,
			"costs of another": `{"call_summary":{"call_id":8},"detailed_entries":[]}`, "turns of another": `[{"content":"` + turn + `","call_id":8}]`,
			"array of the call": `[{"id":7,"session_id":"7","call_id":"8"}]`, "costs of null": `{"call_summary":null,"detailed_entries":null}`,
		}
		for name, body := range bodies {
			src := answering(t, provider, 200, "text/html", body)
			for _, part := range allParts(src) {
				_, err := src.Detail(t.Context(), part, "7")
				e := wantError(t, err, extract.Malformed)
				if e.Status != 200 || e.Hint == "" || strings.TrimSpace(body) != "" && e.Excerpt == "" {
					t.Errorf("%s, %s: error does not name status, beginning and what to do: %v", part, name, err)
				}
				if strings.Contains(err.Error(), "Jane") || strings.Contains(err.Error(), "15550109999") || strings.Contains(err.Error(), "window") {
					t.Errorf("%s, %s: error shows what it must not: %v", part, name, err)
				}
			}
		}
	})
}

// A call is marked as deleted on the provider's word. Whatever else has the same status must not pass for it.
func TestTrapA404ThatIsNotTheProvidersWordIsMalformed(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		key, other := "detail", "error"
		if provider == "voicy" {
			key, other = other, key
		}
		doubtful := []string{
			"", "<html><h1>404 Not Found</h1></html>", "404 page not found", "null", `""`, "[]", "{}", `{"message":"Call not found"}`, `{"` + other + `":"Call not found"}`,
			`{"` + key + `":"Not Found"}`, `{"` + key + `":"not found."}`, `{"` + key + `":"404: Not Found"}`, `{"` + key + `":"NOT_FOUND"}`, `{"` + key + `":""}`, `{"` + key + `":null}`,
			`{"` + key + `":{"message":"Call not found"}}`, `{"` + key + `":"Route not found"}`, `{"` + key + `":"Requested function was not found"}`,
			`{"` + key + `":"Cannot GET /call-get/7"}`, `{"` + key + `":"no such endpoint"}`, `{"` + key + `":"Call not found`, `{"` + key + `":"Call not found"} x`,
			`{"` + key + `":[{"loc":["path"],"msg":"Call not found","type":"x"}]}`,
		}
		for _, status := range []int{404, 410} {
			for _, body := range doubtful {
				src := answering(t, provider, status, "application/json", body)
				for _, part := range allParts(src) {
					_, err := src.Detail(t.Context(), part, "7")
					if e := wantError(t, err, extract.Malformed); !strings.Contains(e.Hint, "base_url") {
						t.Errorf("status %d, %s: hint is %q", status, body, e.Hint)
					}
				}
			}
			for _, said := range []string{"Call not found", "Call history not found", "No such call", "Call 15550109999 does not exist", "Not found: call", "Gone"} {
				_, err := answering(t, provider, status, "text/plain", `{"`+key+`":"`+said+`","status":404}`).Detail(t.Context(), extract.Single, "15550109999")
				if wantError(t, err, extract.Missing); strings.Contains(err.Error(), "15550109999") {
					t.Errorf("error shows the id: %v", err)
				}
			}
		}
	})
}

func TestTrapDetailBelowAWrongBaseURLIsMalformed(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider)})
		f.url += "/v0"
		src := f.open(t, provider, 0)
		for _, part := range allParts(src) {
			_, err := src.Detail(t.Context(), part, "7")
			wantError(t, err, extract.Malformed)
		}
	})
}

func TestStatusOfADetailDecidesItsClass(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		for status, want := range map[int]extract.Class{
			201: extract.Malformed, 202: extract.Malformed, 204: extract.Malformed, 304: extract.Malformed, 400: extract.Malformed, 401: extract.Permanent,
			402: extract.Permanent, 403: extract.Permanent, 404: extract.Missing, 405: extract.Malformed, 409: extract.Malformed, 410: extract.Missing,
			413: extract.Malformed, 422: extract.Malformed, 501: extract.Malformed,
		} {
			body := `{"error":"Call not found","detail":"Call not found"}`
			if status == 204 || status == 304 {
				body = ""
			}
			src := answering(t, provider, status, "application/json", body)
			for _, part := range allParts(src) {
				_, err := src.Detail(t.Context(), part, "7")
				if e := wantError(t, err, want); e.Status != status || e.Hint == "" && want != extract.Missing {
					t.Errorf("status %d: error is %v", status, err)
				}
			}
		}
		_, err := answering(t, provider, 429, "application/json", "", "Retry-After", "7200").Detail(t.Context(), extract.Single, "7")
		if e := wantError(t, err, extract.Transient); time.Until(e.Until) < 7100*time.Second {
			t.Errorf("error does not say until when: %v", err)
		}
	})
}

// A Millis call that was first seen by its call_id is asked for by it, and is the same call under any of its ids.
func TestMillisDetailIsKnownByAnyOfItsIDs(t *testing.T) {
	src := answering(t, "millis", 200, "application/json", `{"session_id":"s","call_id":"c","ts":1741003200.25}`)
	for _, id := range []string{"s", "c"} {
		got, err := src.Detail(t.Context(), extract.Single, id)
		if err != nil || got.ID != id {
			t.Errorf("%s: id %q, error %v", id, got.ID, err)
		}
	}
}

func TestBurkiFurtherAnswersNeedNotNameTheCall(t *testing.T) {
	for part, body := range map[string]string{
		extract.Transcripts: `[{"content":"hello"},{"content":"x","call_id":null}]`, extract.Costs: `{"detailed_entries":[]}`,
	} {
		got, err := answering(t, "burki", 200, "application/json", body).Detail(t.Context(), part, "7")
		if err != nil || string(got.Payload) != body {
			t.Errorf("%s: payload %q, error %v", part, got.Payload, err)
		}
	}
	got, err := answering(t, "burki", 200, "application/json", "[]").Detail(t.Context(), extract.Transcripts, "7")
	if err != nil || string(got.Payload) != "[]" {
		t.Errorf("a call in which nothing was said: payload %q, error %v", got.Payload, err)
	}
}

func TestBurkiCostsAreNotBelowV1(t *testing.T) {
	var path string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.Path
		if _, err := w.Write([]byte(`{"detailed_entries":[]}`)); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	src, err := extract.New(extract.Account{Source: "src", Provider: "burki", BaseURL: s.URL, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.Detail(t.Context(), extract.Costs, "7"); err != nil || path != "/api/calls/7/costs" {
		t.Errorf("asked %s, error %v", path, err)
	}
}
