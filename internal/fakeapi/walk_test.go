package fakeapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"syncd/internal/fakeapi"
)

// listPage is a page of any provider's list.
type listPage struct {
	rows  []json.RawMessage
	ids   []string
	total int         // −1: the provider tells none
	next  json.Number // Millis' cursor; "": the end
}

// listRequest is a request for a page: the newest one, or the one after the rows read so far.
func listRequest(p fakeapi.Provider, size, read int, before listPage) (method, path, body string) {
	switch p {
	case fakeapi.Millis:
		path = fmt.Sprintf("/call-logs?limit=%d", min(size, 100))
		if read > 0 {
			path += "&start_after_ts=" + before.next.String()
		}
		return "GET", path, ""
	case fakeapi.Burki:
		return "GET", fmt.Sprintf("/api/v1/calls/?limit=%d&skip=%d", size, read), ""
	default:
		key := ""
		if read > 0 {
			key = fmt.Sprintf(`,"pagination_key":%q`, before.ids[len(before.ids)-1])
		}
		return "POST", "/functions/v1/call-list", fmt.Sprintf(`{"limit":%d,"filter_criteria":{"include_test_calls":true}%s}`, size, key)
	}
}

// try sends a request with the valid key straight into a handler.
func try(t *testing.T, h http.Handler, method, path, body string, p fakeapi.Provider) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", authorization(p, key))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// authorization presents a key as the provider wants it.
func authorization(p fakeapi.Provider, key string) string {
	if p == fakeapi.Millis {
		return key
	}
	return "Bearer " + key
}

// decode reads a page.
func decode(t *testing.T, p fakeapi.Provider, body string) listPage {
	t.Helper()
	var answer struct {
		Histories, Items, Calls []json.RawMessage
		Total                   *int
		TotalCount              *int        `json:"total_count"`
		Next                    json.Number `json:"next_cursor"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%s: %v: %.200s", p, err, body)
	}
	out := listPage{total: -1, next: answer.Next, rows: append(append(answer.Histories, answer.Items...), answer.Calls...)}
	for _, total := range []*int{answer.Total, answer.TotalCount} {
		if total != nil {
			out.total = *total
		}
	}
	for _, r := range out.rows {
		out.ids = append(out.ids, idOf(t, p, r))
	}
	return out
}

// idOf is the id of an element of a list.
func idOf(t *testing.T, p fakeapi.Provider, row []byte) string {
	t.Helper()
	var f struct {
		Session string      `json:"session_id"`
		Call    string      `json:"call_id"`
		ID      json.Number `json:"id"`
	}
	if err := json.Unmarshal(row, &f); err != nil {
		t.Fatal(err)
	}
	return map[fakeapi.Provider]string{fakeapi.Millis: f.Session, fakeapi.Burki: f.ID.String(), fakeapi.Voicy: f.Call}[p]
}

// walk reads the whole list in pages and returns its rows and their ids. Every total must be the number of rows that there are.
func walk(t *testing.T, h http.Handler, p fakeapi.Provider, size int) (rows []json.RawMessage, ids []string) {
	t.Helper()
	var page listPage
	var totals []int
	for {
		method, path, body := listRequest(p, size, len(rows), page)
		page = decode(t, p, ask(t, h, method, path, body, p))
		rows, ids, totals = append(rows, page.rows...), append(ids, page.ids...), append(totals, page.total)
		if p == fakeapi.Millis && page.next == "" || p != fakeapi.Millis && len(page.rows) < size {
			break
		}
	}
	for _, total := range totals {
		if total >= 0 && total != len(rows) {
			t.Errorf("%s: a page says %d in all, and there were %d", p, total, len(rows))
		}
	}
	return rows, ids
}
