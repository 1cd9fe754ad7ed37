package openapitest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"syncd/internal/fakeapi"
	"syncd/internal/fakeapi/openapitest"
)

// recorder is a test that collects its failures instead of failing.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

// TestBreaches feeds each document what it must refuse, and its sound neighbour: a check that lets everything pass would go unseen.
func TestBreaches(t *testing.T) {
	const burkiCall = `{"id":101,"call_sid":"CA1","assistant_id":123,"to_phone_number":"+15550100101","customer_phone_number":"+15552000000",` +
		`"status":"completed","total_cost":0.05,"started_at":"2024-01-15T10:00:00Z"}`
	const voicyCall = `{"call_id":"a","call_type":"phone_call","call_status":"user_hangup","agent":null,"from_number":null,"to_number":null,` +
		`"direction":"incoming","start_timestamp":1704067200000,"duration_ms":null}`
	for _, c := range []struct {
		name     string
		provider fakeapi.Provider
		method   string
		target   string
		auth     string
		body     string
		answer   string
		breach   string // in the report; "": none
	}{
		{"millis, sound", fakeapi.Millis, "GET", "/call-logs?limit=100&start_time=1704067200.5", "k", "", `{"histories":[{"ts":null,"chat":"[]"}],"next_cursor":null}`, ""},
		{"millis, no header", fakeapi.Millis, "GET", "/call-logs", "", "", `{"histories":[]}`, "authorization"},
		{"millis, limit too large", fakeapi.Millis, "GET", "/call-logs?limit=101", "k", "", `{"histories":[]}`, "limit"},
		{"millis, limit zero", fakeapi.Millis, "GET", "/call-logs?limit=0", "k", "", `{"histories":[]}`, "limit"},
		{"millis, unknown parameter", fakeapi.Millis, "GET", "/call-logs?since=1", "k", "", `{"histories":[]}`, `"since"`},
		{"millis, unknown path", fakeapi.Millis, "GET", "/call-log", "k", "", `{}`, "no such operation"},
		{"millis, no histories", fakeapi.Millis, "GET", "/call-logs", "k", "", `{"next_cursor":null}`, "histories"},
		{"millis, unknown status", fakeapi.Millis, "GET", "/call-logs", "k", "", `{"histories":[{"call_status":"COMPLETED"}]}`, "call_status"},
		{"millis, chat not in a string", fakeapi.Millis, "GET", "/call-logs", "k", "", `{"histories":[{"chat":[]}]}`, "chat"},
		{"burki, sound", fakeapi.Burki, "GET", "/api/v1/calls/?skip=0&limit=1000&date_from=2024-01-15T10:00:00Z", "Bearer k", "", `{"items":[` + burkiCall + `],"total":1,"skip":0,"limit":1000}`, ""},
		{"burki, count is no id", fakeapi.Burki, "GET", "/api/v1/calls/count", "Bearer k", "", `{"count":3}`, ""},
		{"burki, raw key", fakeapi.Burki, "GET", "/api/v1/calls/", "k", "", `{"items":[],"total":0,"skip":0,"limit":100}`, "bearer"},
		{"burki, without the slash", fakeapi.Burki, "GET", "/api/v1/calls", "Bearer k", "", `{}`, "no such operation"},
		{"burki, no total", fakeapi.Burki, "GET", "/api/v1/calls/", "Bearer k", "", `{"items":[],"skip":0,"limit":100}`, "total"},
		{"burki, bare array", fakeapi.Burki, "GET", "/api/v1/calls/", "Bearer k", "", `[]`, "object"},
		{"burki, skip negative", fakeapi.Burki, "GET", "/api/v1/calls/?skip=-1", "Bearer k", "", `{"items":[],"total":0,"skip":0,"limit":100}`, "skip"},
		{"voicy, sound", fakeapi.Voicy, "POST", "/functions/v1/call-list", "Bearer k", `{"limit":1000,"filter_criteria":{"start_timestamp":{"lower_threshold":1}}}`, `{"calls":[` + voicyCall + `],"total_count":1}`, ""},
		{"voicy, bound in seconds with a fraction", fakeapi.Voicy, "POST", "/functions/v1/call-list", "Bearer k", `{"filter_criteria":{"start_timestamp":{"lower_threshold":1.5}}}`, `{"calls":[],"total_count":0}`, "lower_threshold"},
		{"voicy, unknown criterion", fakeapi.Voicy, "POST", "/functions/v1/call-list", "Bearer k", `{"filter_criteria":{"since":1}}`, `{"calls":[],"total_count":0}`, "since"},
		{"voicy, limit", fakeapi.Voicy, "POST", "/functions/v1/call-list", "Bearer k", `{"limit":1001}`, `{"calls":[],"total_count":0}`, "limit"},
		{"voicy, transcript in the list", fakeapi.Voicy, "POST", "/functions/v1/call-list", "Bearer k", `{}`, `{"calls":[` + strings.Replace(voicyCall, "{", `{"transcript":[],`, 1) + `],"total_count":1}`, "transcript"},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := &recorder{TB: t}
			h := openapitest.Handler(seen, c.provider, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil || string(body) != c.body {
					t.Errorf("the request arrived as %q, %v; want it untouched", body, err)
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusOK)
				if _, err := io.WriteString(w, c.answer); err != nil {
					t.Error(err)
				}
			}))
			r := httptest.NewRequest(c.method, c.target, strings.NewReader(c.body))
			r.Header.Set("Content-Type", "application/json")
			if c.auth != "" {
				r.Header.Set("Authorization", c.auth)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Body.String() != c.answer {
				t.Errorf("the answer arrived as %q; want it untouched", w.Body)
			}
			report := strings.Join(seen.errors, "\n")
			switch {
			case c.breach == "" && report != "":
				t.Errorf("reported %s; want no report", report)
			case c.breach != "" && !strings.Contains(report, c.breach):
				t.Errorf("reported %q; want a word about %q", report, c.breach)
			}
		})
	}
}
