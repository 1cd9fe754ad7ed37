package pipeline_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/extract"
	"syncd/internal/pipeline"
	"syncd/internal/transform"
)

// sampleDay is how long after the source's start the samples' present is: short enough for one window.
const sampleDay = 20 * time.Hour

// documented serves a documented response, byte for byte, to whoever asks for a list, and an empty page to whoever asks to go on from it.
func documented(t *testing.T, file, provider, path string, start time.Time) pipeline.Source {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "..", "testdata", provider, file))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			t.Errorf("asked for %s, want %s", r.URL.Path, path)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Date", start.Add(sampleDay).Format(http.TimeFormat))
		if asked, _ := io.ReadAll(r.Body); bytes.Contains(asked, []byte("pagination_key")) {
			_, _ = io.WriteString(w, `{"calls":[],"total_count":42}`)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	from, err := extract.New(extract.Account{Source: provider + "-docs", Provider: provider, Key: key, BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	to, err := transform.New(transform.Options{Source: provider + "-docs", Provider: provider})
	if err != nil {
		t.Fatal(err)
	}
	return pipeline.Source{Name: provider + "-docs", Provider: provider, Start: start, Extract: from, Transform: to}
}

// everyColumn asks for every column of calls, as text, so that a value of another type or scale shows; times of reading aside.
const everyColumn = `SELECT to_json(c)::VARCHAR FROM (SELECT COLUMNS(* EXCLUDE (first_seen_at, changed_at))::VARCHAR,
	typeof(cost) AS type_of_cost FROM calls) AS c ORDER BY c.call_id`

func TestTheDocumentedSampleOfBurki(t *testing.T) {
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	start := time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC)
	pl := newPipeline(w)
	pl.Now = func() time.Time { return start.Add(sampleDay) }
	run, err := pl.Sync(t.Context(), documented(t, "list_sample.json", "burki", "/api/v1/calls/", start), everything)
	if err != nil {
		t.Fatal(err)
	}
	if run.Drift != 0 || run.Rejected != 0 {
		t.Errorf("run %+v", run)
	}
	want := []map[string]any{{
		"source": "burki-docs", "provider": "burki", "call_id": "101", "agent_id": "123", "agent_name": nil, "agent_version": nil,
		"flow_name": nil, "channel": "unknown", "direction": "unknown", "from_number": nil, "to_number": "+15551234567",
		"customer_number": "+15559876543", "telephony_sid": "CA5f0c2d9e8b7a41638d5e6f7081920a3b", "status": "completed", "status_raw": "completed", "end_reason": nil,
		"is_final": "true", "started_at": "2024-01-15 10:00:00+00", "ended_at": nil, "duration_ms": "180000", "cost": "0.050000000",
		"cost_currency": "USD", "summary": nil, "recording_url": nil, "is_test": nil, "metadata": nil, "revision": "1",
		"deleted_at": nil, "type_of_cost": "DECIMAL(18,9)",
	}}
	compareJSON(t, rows(t, w, everyColumn), want)
	expect(t, w, `SELECT seq, component, amount::VARCHAR, currency, typeof(amount) FROM call_costs ORDER BY seq`,
		"0 | llm | 0.020000000 | USD | DECIMAL(18,9)",
		"1 | tts | 0.010000000 | USD | DECIMAL(18,9)",
		"2 | stt | 0.010000000 | USD | DECIMAL(18,9)",
		"3 | telephony | 0.010000000 | USD | DECIMAL(18,9)",
	)
	expect(t, w, `SELECT (SELECT sum(amount) FROM call_costs) = (SELECT cost FROM calls)`, "true")
}

func TestTheDocumentedSampleOfVoicy(t *testing.T) {
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	start := time.Date(2023, 12, 31, 12, 0, 0, 0, time.UTC)
	pl := newPipeline(w)
	pl.Now = func() time.Time { return start.Add(sampleDay) }
	// The sample says that 42 calls match and shows two: they are stored, and the window stays open, with both numbers.
	run, err := pl.Sync(t.Context(), documented(t, "list_sample.json", "voicy", "/call-list", start), everything)
	if err == nil || !strings.Contains(err.Error(), "it counts 42 calls and returned 2") {
		t.Fatalf("error %v", err)
	}
	if run.Drift != 0 || run.Rejected != 0 {
		t.Errorf("run %+v", run)
	}
	call := func(id, version, status, reason, from, to, customer, direction, started, ended, ms string) map[string]any {
		return map[string]any{
			"source": "voicy-docs", "provider": "voicy", "call_id": id, "agent_id": nil, "agent_name": "Customer Support Agent",
			"agent_version": version, "flow_name": nil, "channel": "phone", "direction": direction, "from_number": from, "to_number": to,
			"customer_number": customer, "telephony_sid": nil, "status": "completed", "status_raw": status, "end_reason": reason,
			"is_final": "true", "started_at": started, "ended_at": ended, "duration_ms": ms, "cost": nil, "cost_currency": nil,
			"summary": nil, "recording_url": nil, "is_test": nil, "metadata": nil, "revision": "1", "deleted_at": nil,
			"type_of_cost": "DECIMAL(18,9)",
		}
	}
	compareJSON(t, rows(t, w, everyColumn), []map[string]any{
		call("550e8400-e29b-41d4-a716-446655440000", "2", "user_hangup", "user", "+15551234567", "+15559876543", "+15559876543", "outbound",
			"2024-01-01 00:00:00+00", "2024-01-01 00:02:00+00", "120000"),
		call("550e8400-e29b-41d4-a716-446655440002", "1", "agent_hangup", "agent", "+15559876543", "+15551234567", "+15559876543", "inbound",
			"2023-12-31 23:00:00+00", "2023-12-31 23:03:00+00", "180000"),
	})
	expect(t, w, `SELECT (SELECT count(*) FROM call_costs), (SELECT count(*) FROM call_messages), (SELECT count(*) FROM raw_calls)`, "0 | 0 | 2")
}

func compareJSON(t *testing.T, lines []string, want []map[string]any) {
	t.Helper()
	var got []map[string]any
	for _, line := range lines {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		got = append(got, row)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
