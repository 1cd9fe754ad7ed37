package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
)

// TestAForeignClientReadsTheSameRows opens the file with a DuckDB client that is not ours and counts. The client is installed by the
// command that runs the tests; see the README.
func TestAForeignClientReadsTheSameRows(t *testing.T) {
	t.Parallel()
	urls := make(map[fakeapi.Provider]string)
	for _, p := range providers {
		_, urls[p] = startFake(t, p, 400)
	}
	file := configure(t, t.TempDir(), urls, "  timezone: Europe/Berlin\n")
	if out, err := syncd("sync", "-c", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	path := filepath.Join(filepath.Dir(file), "calls.duckdb")
	const counts = `SELECT (SELECT count(*) FROM calls)::VARCHAR AS calls, (SELECT count(*) FROM call_costs)::VARCHAR AS costs,
		(SELECT count(*) FROM call_messages)::VARCHAR AS messages, (SELECT count(*) FROM raw_calls)::VARCHAR AS payloads,
		(SELECT sum(amount) FROM call_costs)::VARCHAR AS amount`
	out, err := exec.CommandContext(t.Context(), "node", filepath.Join("testdata", "foreign", "dump.mjs"), path, counts).Output()
	if err != nil {
		t.Fatalf("the foreign client: %v (install it with 'make tools')", err)
	}
	var theirs [][]string
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var ours struct{ Calls, Costs, Messages, Payloads, Amount string }
	if err := json.Unmarshal([]byte(answers(t, path, counts)[0]), &ours); err != nil {
		t.Fatal(err)
	}
	want := [][]string{{ours.Calls, ours.Costs, ours.Messages, ours.Payloads, ours.Amount}}
	if diff := cmp.Diff(want, theirs); diff != "" {
		t.Errorf("what we read and what they read (-ours +theirs):\n%s", diff)
	}
	if ours.Calls == "0" || ours.Messages == "0" {
		t.Errorf("nothing to compare: %+v", ours)
	}
	foreignViews(t, path)
}

// foreignViews reads the views with the foreign client, which lives in another time zone, and with ours: the days are the same.
func foreignViews(t *testing.T, path string) {
	t.Helper()
	for _, view := range []string{"daily_calls", "hourly_volume", "agent_performance", "cost_by_component"} {
		sql := `SELECT count(*)::VARCHAR AS n, md5(string_agg(v::VARCHAR, '|' ORDER BY v::VARCHAR)) AS digest FROM ` + view + ` AS v`
		out, err := exec.CommandContext(t.Context(), "node", filepath.Join("testdata", "foreign", "dump.mjs"), path, "SET TimeZone = 'Asia/Kolkata'", sql).Output()
		if err != nil {
			t.Fatalf("the foreign client and %s: %v\n%s", view, err, out)
		}
		var theirs [][]string
		if err := json.Unmarshal(out[bytes.IndexByte(out, '\n'):], &theirs); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var ours struct{ N, Digest string }
		if err := json.Unmarshal([]byte(answers(t, path, sql)[0]), &ours); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([][]string{{ours.N, ours.Digest}}, theirs); diff != "" || ours.N == "0" {
			t.Errorf("%s as we read it and as they do (-ours +theirs):\n%s", view, diff)
		}
	}
}
