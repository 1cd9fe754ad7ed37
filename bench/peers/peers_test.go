package peers

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
)

// summary is a list of calls, or the table that was made of it, in a few figures.
type summary struct {
	Calls, IDs, DurationMS, EndedMS, Numbers, Agents, Tests, Completed int64

	Statuses map[string]int64
}

// TestBothScriptsHoldTheListAfterALoadAndAResync runs each script on a whole list and, its state removed, once more. Between the two a call
// changes at the provider, so that a script which skips known calls is found out.
func TestBothScriptsHoldTheListAfterALoadAndAResync(t *testing.T) {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the peers need Node.js 20 or newer with npm, and there is no %s here: run 'make tools'", tool)
		}
	}
	if err := Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, script := range []Script{Decent, Tuned} {
		t.Run(string(script), func(t *testing.T) {
			t.Parallel()
			testScript(t, script)
		})
	}
}

func testScript(t *testing.T, script Script) {
	since := time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
	fake := fakeapi.New(fakeapi.Options{
		Provider: fakeapi.Voicy, Seed: 7, Key: "key", Calls: 3000, Since: since, Until: since.AddDate(0, 0, 7),
	})
	server := httptest.NewServer(fake)
	defer server.Close()
	dir := t.TempDir()
	o := Options{
		URL: server.URL + fake.BasePath(), Key: "key", Database: filepath.Join(dir, "calls.duckdb"), State: filepath.Join(dir, "state.json"),
		Since: since, Until: since.AddDate(0, 0, 7), PageSize: 130, // 24 pages: more than a transaction of either
	}
	r := run(t, script, o)
	if r.Rows != 3000 || r.Pages != 24 || r.Wall <= 0 || r.CPU <= 0 || r.Peak < 1<<20 || r.Seconds <= 0 || r.Seconds > r.Wall.Seconds() {
		t.Errorf("a load of 3000 calls is told as %+v", r)
	}
	if diff := cmp.Diff(listed(t, fake), stored(t, o.Database)); diff != "" {
		t.Errorf("the list and the table after the load (-list +table):\n%s", diff)
	}
	if r := run(t, script, o); r.Rows != 0 {
		t.Errorf("with its state kept, it read %d calls again", r.Rows)
	}

	edit(t, fake)
	if err := os.Remove(o.State); err != nil {
		t.Fatal(err)
	}
	if n, err := Count(t.Context(), o.Database); err != nil || n != 3000 {
		t.Errorf("its file counts %d calls, %v", n, err)
	}
	if r := run(t, script, o); r.Rows != 3000 {
		t.Errorf("with its state removed, it read %d calls of 3000", r.Rows)
	}
	if diff := cmp.Diff(listed(t, fake), stored(t, o.Database)); diff != "" {
		t.Errorf("the list and the table after reading it again (-list +table):\n%s", diff)
	}
}

func run(t *testing.T, script Script, o Options) Result {
	t.Helper()
	r, err := Run(t.Context(), script, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// record is of a call what the figures need, in the provider's words.
type record struct {
	CallID     string  `json:"call_id"`
	CallStatus string  `json:"call_status"`
	From       *string `json:"from_number"`
	Start      int64   `json:"start_timestamp"`
	Duration   int64   `json:"duration_ms"`
	Test       bool    `json:"is_test_call"`
	Agent      *struct {
		Name string `json:"name"`
	} `json:"agent"`
}

// listed sums up what the fake lists.
func listed(t *testing.T, fake *fakeapi.Server) summary {
	t.Helper()
	s, ids := summary{Statuses: map[string]int64{}}, map[string]bool{}
	for _, id := range fake.All() {
		call, ok := fake.Call(id)
		var r record
		if err := json.Unmarshal([]byte(call.List), &r); !ok || err != nil {
			t.Fatalf("call %s of the fake: found %t, %v", id, ok, err)
		}
		ids[r.CallID] = true
		s.Calls++
		s.DurationMS += r.Duration
		s.EndedMS += r.Start + r.Duration
		s.Statuses[r.CallStatus]++
		for n, is := range map[*int64]bool{&s.Numbers: r.From != nil, &s.Agents: r.Agent != nil, &s.Tests: r.Test} {
			if is {
				*n++
			}
		}
	}
	s.IDs = int64(len(ids))
	for _, status := range []string{"user_hangup", "agent_hangup", "inactivity", "error_inactivity", "ended"} {
		s.Completed += s.Statuses[status]
	}
	return s
}

// figures are the same of the table, as a JSON object. What the scripts made of a status is held against Voicy's word for it.
const figures = `SELECT {'Calls': count(*), 'IDs': count(DISTINCT call_id), 'DurationMS': sum(duration_ms)::BIGINT, 'EndedMS': sum(epoch_ms(ended_at))::BIGINT,
	'Numbers': count(from_number), 'Agents': count(agent_name), 'Tests': count(*) FILTER (is_test),
	'Completed': count(*) FILTER (status = 'completed'),
	'Statuses': (SELECT json_group_object(status_raw, n) FROM (SELECT status_raw, count(*) AS n FROM calls GROUP BY ALL))}::JSON::VARCHAR FROM calls`

// stored sums up the table in the file, through the scripts' own client.
func stored(t *testing.T, file string) summary {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "node", "dump.mjs", file, figures).Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		t.Fatalf("dump.mjs: %v: %s", err, failed.Stderr)
	}
	var rows [][]string
	if err := json.Unmarshal(out, &rows); err != nil || len(rows) != 1 || len(rows[0]) != 1 {
		t.Fatalf("dump.mjs answered %q: %v", out, err)
	}
	var s summary
	if err := json.Unmarshal([]byte(rows[0][0]), &s); err != nil {
		t.Fatalf("%v: %s", err, rows[0][0])
	}
	return s
}

// edit makes the oldest call an hour longer, and end otherwise than any other.
func edit(t *testing.T, fake *fakeapi.Server) {
	t.Helper()
	ids := fake.All()
	old, _ := fake.Call(ids[len(ids)-1])
	fields := map[string]any{}
	if err := json.Unmarshal([]byte(old.List), &fields); err != nil {
		t.Fatal(err)
	}
	fields["call_status"], fields["duration_ms"] = "voicemail", 3_600_000
	changed, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if err := fake.Put(fakeapi.Record{List: string(changed)}); err != nil {
		t.Fatal(err)
	}
}
