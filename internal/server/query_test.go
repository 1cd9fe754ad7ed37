package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"syncd/internal/server"
)

// A question comes as JSON and is answered as JSON; what who asked should know is told, and all else goes to the log alone.
func TestQuestionsAreAnswered(t *testing.T) {
	src := well()
	src.query = func(_ context.Context, sql string) (json.RawMessage, error) {
		switch sql {
		case "refused":
			return nil, &server.Failure{Code: 422, Message: "COPY is not answered here"}
		case "broken":
			return nil, errors.New("fork/exec /proc/self/exe: resource temporarily unavailable")
		}
		return json.RawMessage("[\n{\"sql\":\"" + sql + "\"}\n]\n"), nil
	}
	r := start(t, src)
	for _, tt := range []struct {
		method, kind, body string
		status             int
		want               string
	}{
		{"POST", "application/json", `{"sql":"SELECT 1"}`, 200, "{\"rows\":[\n{\"sql\":\"SELECT 1\"}\n]}\n"},
		{"POST", "application/json; charset=utf-8", `{"sql":"SELECT 1"}`, 200, "{\"rows\":[\n{\"sql\":\"SELECT 1\"}\n]}\n"},
		{"POST", "application/json", `{"sql":"refused"}`, 422, `{"error":"COPY is not answered here"}` + "\n"},
		{"POST", "application/json", `{"sql":"broken"}`, 503, `{"error":"the question cannot be answered now; the log says why"}` + "\n"},
		{"POST", "application/json", `{"sql":""}`, 400, `{"error":"want {\"sql\": \"SELECT …\"}, and nothing else"}` + "\n"},
		{"POST", "application/json", `{"sql":"SELECT 1","format":"csv"}`, 400, `{"error":"want {\"sql\": \"SELECT …\"}, and nothing else"}` + "\n"},
		{"POST", "application/json", `SELECT 1`, 400, `{"error":"want {\"sql\": \"SELECT …\"}, and nothing else"}` + "\n"},
		{"POST", "application/json", `{"sql":"` + strings.Repeat("x", 3<<20) + `"}`, 400, `{"error":"want {\"sql\": \"SELECT …\"}, and nothing else"}` + "\n"},
		// What a page of another origin could send without being asked first.
		{"POST", "text/plain", `{"sql":"SELECT 1"}`, 415, `{"error":"send {\"sql\": \"SELECT …\"} with Content-Type: application/json"}` + "\n"},
		{"POST", "", `{"sql":"SELECT 1"}`, 415, `{"error":"send {\"sql\": \"SELECT …\"} with Content-Type: application/json"}` + "\n"},
		{"GET", "application/json", "", 405, `{"error":"this page is for POST alone"}` + "\n"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+r.addr+"/api/query", strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		if tt.kind != "" {
			req.Header.Set("Content-Type", tt.kind)
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != tt.status || string(body) != tt.want || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %.40s: %d %q, %v", tt.method, tt.kind, tt.body, res.StatusCode, body, err)
		}
	}
	if !strings.Contains(r.reports(), "resource temporarily unavailable") || strings.Contains(r.reports(), "COPY") {
		t.Errorf("the log has %s", r.reports())
	}
}
