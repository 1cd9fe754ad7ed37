package load_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/load"
)

// fresh is what sync.freshness says of when, as clock times of one day.
const fresh = `SELECT strftime(covered_since, '%%H:%%M'), strftime(settled_until, '%%H:%%M'), strftime(fresh_until, '%%H:%%M'), lag::VARCHAR, gaps::VARCHAR,
	missing_hours::VARCHAR, settling_hours::VARCHAR FROM sync.freshness_at(%s) WHERE source = '%s'`

func TestFreshnessIsTheStretchWithoutAGapThatEndsNewest(t *testing.T) {
	at := func(hour, minute int) time.Time { return time.Date(2026, 3, 1, hour, minute, 0, 0, time.UTC) }
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	for name, c := range map[string]struct {
		windows []string
		want    string
	}{
		"nothing was read": {[]string{failed("s", 1, at(0, 0), at(1, 0), "")}, "NULL NULL NULL NULL 1 11.75 0.0"},
		"all settled":      {[]string{closed("s", 1, at(0, 0), at(11, 50), at(14, 0), 130*time.Minute)}, "00:00 11:50 11:50 00:10:00 0 0.0 0.0"},
		"the head settles": {[]string{
			closed("s", 1, at(0, 0), at(10, 0), at(12, 0), 2*time.Hour), closed("s", 2, at(10, 0), at(11, 59), at(12, 0), time.Minute),
		}, "00:00 11:00 11:59 00:01:00 0 0.0 0.9833333333333333"},
		"a gap before the newest": {[]string{
			closed("s", 1, at(0, 0), at(8, 0), at(12, 0), 4*time.Hour), closed("s", 2, at(9, 0), at(11, 59), at(12, 0), time.Minute),
		}, "09:00 11:00 11:59 00:01:00 1 1.0 0.9833333333333333"},
		"nothing of it settled": {[]string{
			closed("s", 1, at(11, 30), at(11, 40), at(11, 45), 5*time.Minute),
		}, "11:30 NULL 11:40 00:20:00 2 11.583333333333334 0.16666666666666666"},
		"an old stretch that never settled": {[]string{
			closed("s", 1, at(0, 0), at(5, 0), at(6, 0), time.Hour), closed("s", 2, at(5, 0), at(5, 30), at(5, 40), 10*time.Minute),
			closed("s", 3, at(5, 30), at(11, 59), at(12, 0), time.Minute),
		}, "00:00 05:00 11:59 00:01:00 0 0.0 1.4833333333333334"},
		"read beyond its start": {[]string{
			closed("s", 1, at(0, 0).Add(-time.Hour), at(11, 59), at(12, 0), time.Minute),
		}, "23:00 11:00 11:59 00:01:00 0 0.0 0.9833333333333333"},
		"a clock ahead of ours": {[]string{closed("s", 1, at(0, 0), at(12, 30), at(12, 40), 10*time.Minute)}, "00:00 11:40 12:00 00:00:00 0 0.0 0.3333333333333333"},
	} {
		saveSources(t, w, load.Source{Name: name, Provider: "burki", Start: at(0, 0), Interval: 14 * time.Minute, LargestAge: time.Hour})
		saveWindows(t, w, c.windows...)
		execute(t, w, `UPDATE sync.windows SET source = '`+name+`' WHERE source = 's'`)
		t.Run(name, func(t *testing.T) { expect(t, w, fmt.Sprintf(fresh, stamp(noon), name), c.want) })
	}
}

// furnish fills a warehouse with two sources: one that fails in part, and one that was parked.
func furnish(t *testing.T, w *load.Warehouse) {
	t.Helper()
	saveSources(t, w, load.Source{Name: "b", Provider: "burki", Start: noon.AddDate(0, 0, -30), LargestAge: 24 * time.Hour},
		load.Source{Name: "m", Provider: "millis", Start: noon})
	rows := []string{closed("b", 1, noon.Add(-3*time.Hour), noon.Add(-time.Minute), noon, time.Minute)}
	for n := range 12 { // two hours each, with one between them
		until := noon.Add(-time.Duration(n+1) * 6 * time.Hour)
		rows = append(rows, failed("b", n+2, until.Add(-2*time.Hour), until, fmt.Sprint("malformed ", n)))
	}
	saveWindows(t, w, rows...)
	done, gone := observation("done", 1, noon), observation("gone", 1, noon)
	done.Call.Source, gone.Call.Source = "b", "b"
	done.Call.Status = call.Completed
	done.Drift = []call.Drift{{Path: "x", Sample: "1"}}
	open := observation("open", 1, noon)
	open.Call.Source = "b"
	write(t, w, func(tx *load.Tx) error {
		ctx := t.Context()
		if _, err := tx.Upsert(ctx, "b", []call.Observation{done, gone, open}); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE calls SET deleted_at = now() WHERE call_id = 'gone'`); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO sync.details (source, call_id, part, state, attempts, reading, tried_at)
			SELECT 'b', 'done', 'detail', state, 1, 1, now() FROM (VALUES ('failed'), ('incomplete'), ('failed'), ('missing')) AS v(state)`); err != nil {
			return err
		}
		run := load.Run{ID: "1", Source: "b", Kind: "sync", StartedAt: noon.Add(-time.Hour), FinishedAt: noon.Add(-59 * time.Minute),
			Outcome: "failed", Error: "it is down"}
		return errors.Join(tx.Reject(ctx, "1", []call.Reject{{Source: "b", Reason: "no id", Payload: `{}`, FetchedAt: noon}}),
			tx.SaveTotals(ctx, "b", 5, noon), tx.Park(ctx, "m", "another account"), finishRun(ctx, tx, run))
	})
	finish(t, w, load.Run{ID: "2", Source: "b", Kind: "sync", StartedAt: noon.Add(-2 * time.Minute), FinishedAt: noon.Add(-time.Minute), Outcome: "done",
		Requests: 3, Retries: 1, Pages: 2, Records: 4, Inserted: 3, Rejected: 1, Drift: 1})
}

func TestStatusTellsPeopleWhatIsHereAndWhatIsWrong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w := open(t, path)
	furnish(t, w)
	got, err := w.Status(t.Context(), noon)
	if err != nil {
		t.Fatal(err)
	}
	if got.Warehouse.SizeBytes == 0 || got.Warehouse.WALBytes == 0 || got.Warehouse.SchemaVersion < 2 {
		t.Errorf("file: %+v", got.Warehouse)
	}
	got.Warehouse.SizeBytes, got.Warehouse.WALBytes, got.Warehouse.SchemaVersion = 0, 0, 0
	missing := load.Missing{Stretches: 25, Newest: make([]load.Gap, 20), More: 5}
	missing.Seconds = (30*day - 3*time.Hour).Seconds()
	for n := range missing.Newest {
		until := noon.Add(-time.Duration(n/2+1)*6*time.Hour + time.Duration(1-n%2)*4*time.Hour)
		since, reason := until.Add(-4*time.Hour), ""
		if n%2 == 1 {
			since, reason = until.Add(-2*time.Hour), fmt.Sprint("malformed ", n/2)
		}
		missing.Newest[n] = load.Gap{Since: since, Until: until, Error: reason}
	}
	missing.Newest[0].Until = noon.Add(-3 * time.Hour)
	want := load.Status{At: noon, Warehouse: load.FileStatus{Path: path, Exists: true, Calls: 2}, Sources: []load.SourceStatus{{
		Source: "b", Provider: "burki", Configured: true, State: "active",
		Problem:    "windows that failed: 12, the newest with: malformed 0",
		Advice:     "they are tried again by themselves; 'FROM sync.gaps' names the hours that are missing until then",
		FreshUntil: ptr(noon.Add(-time.Minute)), LagSeconds: ptr(60.0), CoveredSince: ptr(noon.Add(-3 * time.Hour)), LastSuccessAt: ptr(noon.Add(-time.Minute)),
		Missing: missing, Settling: load.Settling{Stretches: 1, Seconds: 179 * 60, Since: ptr(noon.Add(-3 * time.Hour))},
		OpenWindows: 12, FailingWindows: 12, Calls: 2, DeletedCalls: 1, UnsettledCalls: 1, Rejects: 1, Drift: 1, DetailsFailed: 2, DetailsIncomplete: 1,
		ProviderTotal: ptr(int64(5)), WarehouseTotal: ptr(int64(2)), ReconciledAt: ptr(noon),
		LastRun: &load.RunStatus{Kind: "sync", Outcome: "done", Runs: 1, StartedAt: noon.Add(-2 * time.Minute), FinishedAt: ptr(noon.Add(-time.Minute)),
			Requests: 3, Retries: 1, Pages: 2, Records: 4, Inserted: 3, Rejected: 1, Drift: 1},
		LastError: "it is down", LastErrorAt: ptr(noon.Add(-59 * time.Minute)),
	}, {
		Source: "m", Provider: "millis", Configured: true, State: "parked", Reason: "another account",
		Problem: "parked: another account", Advice: "put that right, then run 'syncd sync m': a start makes it active again",
		Missing: load.Missing{Newest: []load.Gap{}},
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Closed, the file tells the same.
	if err := errors.Join(w.Checkpoint(t.Context()), w.Close()); err != nil {
		t.Fatal(err)
	}
	got, err = load.ReadStatus(t.Context(), path, noon)
	if err != nil {
		t.Fatal(err)
	}
	got.Warehouse.SizeBytes, got.Warehouse.SchemaVersion = 0, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read from the closed file (-want +got):\n%s", diff)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"at":"2026-03-01T12:00:00Z"`, `"lag_s":60`, `"fresh_until":"2026-03-01T11:59:00Z"`, `"settled_until":null`, `"newest":[]`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %s in %s", part, text)
		}
	}
}

// TestStatusSaysWhatToDo leads one source from its first day through what can be wrong with it.
func TestStatusSaysWhatToDo(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	ctx := t.Context()
	saveSources(t, w, load.Source{Name: "s", Provider: "burki", Start: noon.Add(-time.Hour)})
	save := func(outcome, reason string, minute int) func(*load.Tx) error {
		r := load.Run{ID: fmt.Sprint("run ", minute), Source: "s", Kind: "sync", StartedAt: noon.Add(time.Duration(minute) * time.Minute), Outcome: outcome, Error: reason}
		if outcome != "running" && outcome != "interrupted" {
			r.FinishedAt = r.StartedAt
		}
		return func(tx *load.Tx) error { return finishRun(ctx, tx, r) }
	}
	run := func(statement string) func(*load.Tx) error {
		return func(tx *load.Tx) error { _, err := tx.ExecContext(ctx, statement); return err }
	}
	for _, step := range []struct {
		change          func(*load.Tx) error
		problem, advice string
	}{
		{run(`SELECT 1`), "it has not run yet", "syncd sync s"},
		{save("running", "", -9), "", ""},
		{save("interrupted", "", -9), "its last run died", "goes on where"},
		{save("failed", "it is down", -8), "it is down", "syncd check"},
		{save("done", "", -7), "hours are missing", "syncd run"},
		{run(`INSERT INTO sync.windows (source, window_id, state, since, until, attempt, failures, error)
			VALUES ('s', 1, 'open', ` + stamp(noon.Add(-time.Hour)) + `, ` + stamp(noon) + `, 0, 1, 'malformed')`),
			"windows that failed: 1, the newest with: malformed", "sync.gaps"},
		{run(`UPDATE sync.windows SET state = 'closed', read_at = until, age_ms = 0, error = NULL`), "", ""},
		{func(tx *load.Tx) error {
			return tx.Reject(ctx, "run", []call.Reject{{Source: "s", Reason: "no id", Payload: `{}`, FetchedAt: noon}})
		}, "", ""}, // told beside, as it stays for good
		{func(tx *load.Tx) error { return tx.Park(ctx, "s", "another account") }, "parked: another account", "syncd sync s"},
		{func(tx *load.Tx) error { _, err := tx.KeepConfigured(ctx, nil); return err }, "", ""},
	} {
		write(t, w, step.change)
		status, err := w.Status(ctx, noon)
		if err != nil {
			t.Fatal(err)
		}
		s := status.Sources[0]
		if !strings.HasSuffix(s.Problem, step.problem) || (s.Problem == "") != (step.problem == "") ||
			!strings.Contains(s.Advice, step.advice) || (s.Advice == "") != (step.advice == "") {
			t.Errorf("%q: %q, want %q: %q", s.Problem, s.Advice, step.problem, step.advice)
		}
	}
}

func TestARunThatNobodyRunsAnyMoreIsToldAsInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w := open(t, path)
	saveSources(t, w, load.Source{Name: "s", Provider: "burki", Start: noon})
	write(t, w, func(tx *load.Tx) error {
		return tx.SaveRun(t.Context(), load.Run{ID: "1", Source: "s", Kind: "sync", StartedAt: noon, Outcome: "running"})
	})
	alive, err := w.Status(t.Context(), noon)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	dead, err := load.ReadStatus(t.Context(), path, noon)
	if err != nil {
		t.Fatal(err)
	}
	if a, d := alive.Sources[0], dead.Sources[0]; a.LastRun.Outcome != "running" || a.Problem != "" || d.LastRun.Outcome != "interrupted" || d.Problem == "" {
		t.Errorf("open: %+v, %q; closed: %+v, %q", a.LastRun, a.Problem, d.LastRun, d.Problem)
	}
}

func TestAStatusThatCannotBeReadSaysWhy(t *testing.T) {
	dir := t.TempDir()
	none := filepath.Join(dir, "none.duckdb")
	got, err := load.ReadStatus(t.Context(), none, noon)
	if diff := cmp.Diff(load.Status{At: noon, Warehouse: load.FileStatus{Path: none}, Sources: []load.SourceStatus{}}, got); diff != "" || err != nil {
		t.Errorf("no file: %v (-want +got):\n%s", err, diff)
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for name, c := range map[string]struct{ sql, want string }{
		"empty":   {`SELECT 1`, ""},
		"earlier": {`CREATE SCHEMA sync; CREATE TABLE sync.schema_versions AS SELECT 1 AS version`, "run 'syncd sync' once"},
		"later":   {`CREATE SCHEMA sync; CREATE TABLE sync.schema_versions AS SELECT 999 AS version`, "use the newer syncd"},
		"foreign": {`CREATE TABLE mine (i INTEGER)`, "not syncd's"},
	} {
		path := filepath.Join(dir, name+".duckdb")
		db, err := sql.Open("duckdb", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(c.sql); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := load.ReadStatus(t.Context(), path, noon)
		if c.want == "" {
			if err != nil || !got.Warehouse.Exists || got.Warehouse.SizeBytes == 0 {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestTheStatusOfAFileThatAnotherProcessHoldsIsThatProcessesToTell(t *testing.T) {
	if path := os.Getenv("SYNCD_TEST_STATUS"); path != "" { // the other process
		_, err := load.ReadStatus(t.Context(), path, noon)
		fmt.Println("busy:", errors.Is(err, load.ErrBusy))
		return
	}
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w := open(t, path)
	defer w.Close()
	cmd := osexec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "SYNCD_TEST_STATUS="+path)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "busy: true") {
		t.Errorf("%v: %s", err, out)
	}
}
