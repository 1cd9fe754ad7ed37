package extract

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// parrot answers every request alike.
type parrot struct {
	status int
	kind   string
	body   []byte
}

func (p *parrot) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: p.status, Header: http.Header{"Content-Type": {p.kind}}, Body: io.NopCloser(bytes.NewReader(p.body)), ContentLength: -1, Request: r,
	}, nil
}

const fuzzKey = "sk_live_4f9a2c71d0e84b"

// parrots are a source of each provider that hears nothing but the parrot.
func parrots(f *testing.F) (sources []Source, shapes []shape, heard *parrot) {
	heard = new(parrot)
	for _, p := range providers {
		src, err := New(Account{Source: "src", Provider: p.name, Key: fuzzKey, PageSize: 2, Transport: heard})
		if err != nil {
			f.Fatal(err)
		}
		sources, shapes = append(sources, src), append(shapes, shapeOf(f, p.name))
	}
	return sources, shapes, heard
}

// final are statuses after which nothing is tried again.
var final = []int{200, 200, 200, 200, 201, 204, 206, 302, 304, 400, 401, 402, 403, 404, 409, 410, 418, 422, 501}

// FuzzFetch: whatever a provider answers, and whatever position is kept, the result is a page that says what it should, or an error of a class, with
// no key in it. A page without calls comes only of an answer that says so.
func FuzzFetch(f *testing.F) {
	sources, shapes, heard := parrots(f)
	positions := []string{
		"", "nonsense", `millis2:{"cursor":"1741003200.5","edge":"2025-03-03T12:00:00.5Z","anchor":"ca978112ca1bbdca","digest":"00"}`, `millis2:{"cursor":"1741003200.5","digest":"00"}`,
		`burki2:{"row":4,"anchor":"ca978112ca1bbdca","start":"2025-03-03T12:00:00Z","total":9,"digest":"00"}`, `burki2:{"row":-4,"anchor":"a","digest":"00"}`,
		`voicy1:{"key":"a","read":2,"digest":"00"}`, `voicy1:{"key":"","read":2,"digest":"00"}`,
	}
	for which, p := range providers {
		for _, body := range append(answersOf(f, p.name), []byte(notPages[8]), []byte(notPages[12]),
			[]byte(`{"histories":[{"session_id":"b","ts":1741003200.75},{"session_id":"a","ts":1741003200.25}],"next_cursor":1741003200.25}`),
			[]byte(`{"items":[{"id":"b","started_at":"2025-03-03T12:00:00"},{"id":"a","started_at":"2025-03-03T12:00:00"}],"total":9}`),
			[]byte(`{"calls":[{"call_id":"b","start_timestamp":1741003200250},{"call_id":"a","start_timestamp":1741003200250}],"total_count":9}`),
			[]byte(`{"error":"no key `+fuzzKey+`"}`)) {
			for i, position := range positions {
				f.Add(uint8(which), position, uint8(i*5), body)
			}
		}
	}
	w := Window{Since: time.Date(2025, 3, 3, 0, 0, 0, 0, time.UTC), Until: time.Date(2025, 3, 4, 0, 0, 0, 0, time.UTC)}
	f.Fuzz(func(t *testing.T, which uint8, position string, status uint8, body []byte) {
		at := int(which) % len(sources)
		heard.status, heard.kind, heard.body = final[int(status)%len(final)], "text/html", body
		page, err := sources[at].Fetch(t.Context(), w, Position(position))
		if err != nil {
			var failed *Error
			if !errors.As(err, &failed) || failed.Reason == "" || strings.Contains(err.Error(), fuzzKey) && !strings.Contains(position, fuzzKey) {
				t.Fatalf("not an error to be shown: %v", err)
			}
			if page.Records != nil || page.Next != "" || page.Done {
				t.Errorf("half a page came with the error %v", err)
			}
			return
		}
		rows, none := elementsOf(shapes[at], body)
		if heard.status != http.StatusOK || none != nil {
			t.Fatalf("a page was made of status %d and %q, which is none: %v", heard.status, body, none)
		}
		if len(page.Records) < len(rows) || page.Done != (page.Next == "") || string(page.Next) == position && !page.Done {
			t.Errorf("%d rows became %d records, done %t, next %q after %q", len(rows), len(page.Records), page.Done, string(page.Next), position)
		}
		if len(page.Records) == 0 && page.Total != nil && *page.Total > 0 && position == "" {
			t.Errorf("an empty list of %d calls", *page.Total)
		}
		for _, r := range page.Records {
			if !json.Valid(r.Payload) || !bytes.Contains(body, r.Payload) {
				t.Errorf("record %q is nothing of %q", r.Payload, body)
			}
		}
		if strings.HasPrefix(page.Next.String(), "of ") {
			t.Errorf("the next position cannot be read: %q", string(page.Next))
		}
	})
}

// FuzzDetail: an answer about one call is that call's, byte for byte, or it is an error; and a call is missing only where the provider says so in its
// own words.
func FuzzDetail(f *testing.F) {
	sources, shapes, heard := parrots(f)
	for which, p := range providers {
		for _, body := range append(answersOf(f, p.name), []byte(notPages[8]), []byte(`{"detail":"Call not found"}`), []byte(`{"error":"Call not found"}`), []byte("[]"),
			[]byte(` {"id":7,"session_id":"7","call_id":"7"} `), []byte(`{"call_summary":{"call_id":7}}`), []byte(`[{"call_id":8}]`)) {
			for part := range uint8(3) {
				f.Add(uint8(which), part, uint8(0), "7", body)
				f.Add(uint8(which), part, uint8(13), "7", body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, which, part, status uint8, id string, body []byte) {
		at := int(which) % len(sources)
		heard.status, heard.kind, heard.body = final[int(status)%len(final)], "application/json", body
		name := []string{Single, Transcripts, Costs}[int(part)%3]
		got, err := sources[at].Detail(t.Context(), name, id)
		if err != nil {
			var failed *Error
			if !errors.As(err, &failed) || failed.Reason == "" || strings.Contains(err.Error(), fuzzKey) {
				t.Fatalf("not an error to be shown: %v", err)
			}
			var said map[string]json.RawMessage
			missing := failed.Class == Missing
			if missing && (heard.status != 404 && heard.status != 410 || json.Unmarshal(body, &said) != nil || len(said[providers[at].dialect.refusal]) < 3) {
				t.Errorf("status %d and %q are taken for a call that is gone", heard.status, body)
			}
			return
		}
		if heard.status != 200 || !json.Valid(body) || !bytes.Equal(got.Payload, bytes.Trim(body, " \t\r\n")) || got.ID != id || id == "" {
			t.Fatalf("status %d and %q became %q of %q, asked for %q", heard.status, body, got.Payload, got.ID, id)
		}
		if name == Single && !slices.Contains(plainIDs(t, shapes[at], body), id) {
			t.Errorf("%q is taken for call %q", body, id)
		}
	})
}

// plainIDs are the ids of a call as the plainest reader finds them.
func plainIDs(t *testing.T, s shape, body []byte) (ids []string) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		t.Fatalf("%q is no call: %v", body, err)
	}
	for _, name := range s.ids {
		var text string
		if err := json.Unmarshal(members[name], &text); err != nil {
			text = string(members[name])
		}
		ids = append(ids, text)
	}
	return ids
}
