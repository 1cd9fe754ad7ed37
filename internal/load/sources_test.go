package load_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/load"
)

func millis() load.Source {
	return load.Source{Name: "s", Provider: "millis", Start: noon, Reread: "5m,24h", LargestAge: 24 * time.Hour, Schedule: "@every 5m", Interval: 5 * time.Minute,
		Rules: "numbers kept", Fingerprint: "account-1"}
}

func saveSource(t *testing.T, w *load.Warehouse, s load.Source) (before load.Before) {
	t.Helper()
	write(t, w, func(tx *load.Tx) (err error) {
		before, err = tx.SaveSource(t.Context(), s)
		return err
	})
	return before
}

func TestASourceIsSavedAsConfiguredAndWrittenOnlyWhereItChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w := open(t, path)
	defer w.Close()
	logged := func() int64 {
		info, err := os.Stat(path + ".wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if before := saveSource(t, w, millis()); before != (load.Before{}) {
		t.Errorf("a new source was known: %+v", before)
	}
	expect(t, w, `SELECT provider, reread, schedule, rules, interval_ms::VARCHAR, largest_age_ms::VARCHAR, account_fingerprint, state,
		configured::VARCHAR FROM sync.sources`,
		"millis 5m,24h @every 5m numbers kept 300000 86400000 account-1 active true")
	written := logged()
	known := load.Before{Known: true, Rules: "numbers kept", Fingerprint: "account-1"}
	if before := saveSource(t, w, millis()); before != known {
		t.Errorf("the same again: %+v", before)
	}
	if now := logged(); now != written {
		t.Errorf("saving the same wrote %d bytes", now-written)
	}
	upsert(t, w, observation("1", 1, noon), observation("2", 1, noon), observation("3", 1, noon))
	execute(t, w, `UPDATE calls SET deleted_at = now() WHERE call_id = '3'`)
	write(t, w, func(tx *load.Tx) error { return tx.SaveTotals(t.Context(), "s", 7, noon) })
	known.ReconciledAt = noon
	for name, change := range map[string]func(*load.Source){
		"provider": func(s *load.Source) { s.Provider = "voicy" },
		"start":    func(s *load.Source) { s.Start = noon.Add(time.Hour) },
		"reread":   func(s *load.Source) { s.Reread, s.LargestAge = "", 0 },
		"schedule": func(s *load.Source) { s.Schedule, s.Interval = "@every 1h", time.Hour },
		"interval": func(s *load.Source) { s.Interval = time.Minute + time.Nanosecond },
		"rules":    func(s *load.Source) { s.Rules = "" },
	} {
		changed := millis()
		change(&changed)
		written := logged()
		if diff := cmp.Diff(known, saveSource(t, w, changed)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if logged() == written {
			t.Errorf("a changed %s was not written", name)
		}
		saveSource(t, w, millis())
	}
	saveSource(t, w, load.Source{Name: "s", Provider: "millis", Start: noon, Interval: time.Minute + time.Nanosecond})
	expect(t, w, `SELECT reread, schedule, rules, interval_ms::VARCHAR, largest_age_ms::VARCHAR, account_fingerprint FROM sync.sources`,
		"NULL NULL NULL 60001 NULL account-1")
	expect(t, w, `SELECT provider_total::VARCHAR, warehouse_total::VARCHAR, (reconciled_at = `+stamp(noon)+`)::VARCHAR FROM sync.sources`, "7 2 true")
}

func TestAnotherAccountIsNotTakenForTheOneTheRecordsCameFrom(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	s := millis()
	s.Fingerprint = ""
	saveSource(t, w, s)
	saveSource(t, w, millis())
	expect(t, w, `SELECT account_fingerprint FROM sync.sources`, "account-1")
	s.Fingerprint, s.Rules = "account-2", "numbers dropped"
	if before := saveSource(t, w, s); before.Fingerprint != "account-1" || before.Rules != "numbers kept" {
		t.Errorf("before: %+v", before)
	}
	expect(t, w, `SELECT account_fingerprint, rules FROM sync.sources`, "account-1 numbers dropped")
	write(t, w, func(tx *load.Tx) error { return tx.SetFingerprint(t.Context(), "s", "account-2") })
	if before := saveSource(t, w, s); before.Fingerprint != "account-2" {
		t.Errorf("after it was set: %+v", before)
	}
}

func TestAParkedSourceStaysParkedUntilAStartOrSomebodySaysSo(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	saveSource(t, w, millis())
	const state = `SELECT state, reason FROM sync.sources`
	park := func(tx *load.Tx) error {
		return tx.Park(t.Context(), "s", "another account; see 'syncd check'")
	}
	write(t, w, park)
	expect(t, w, state, "parked another account; see 'syncd check'")
	write(t, w, func(tx *load.Tx) error { return tx.Unpark(t.Context(), "s") })
	expect(t, w, state, "active NULL")
	write(t, w, park)
	if before := saveSource(t, w, millis()); before.Parked != "another account; see 'syncd check'" {
		t.Errorf("%+v", before)
	}
	expect(t, w, state, "active NULL")
	for name, change := range map[string]func(*load.Tx) error{
		"park":                func(tx *load.Tx) error { return tx.Park(t.Context(), "none", "why") },
		"unpark":              func(tx *load.Tx) error { return tx.Unpark(t.Context(), "none") },
		"set the account of":  func(tx *load.Tx) error { return tx.SetFingerprint(t.Context(), "none", "a") },
		"save the totals of ": func(tx *load.Tx) error { return tx.SaveTotals(t.Context(), "none", 1, noon) },
	} {
		if err := w.Write(t.Context(), change); err == nil || !strings.HasPrefix(err.Error(), strings.TrimSpace(name)+" source none") {
			t.Errorf("%s a source that is not there: %v", name, err)
		}
	}
}

func TestASourceThatLeavesTheConfigurationKeepsItsRows(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	for _, name := range []string{"a", "b", "c"} {
		s := millis()
		s.Name = name
		saveSource(t, w, s)
	}
	keep := func(names ...string) (gone []string) {
		write(t, w, func(tx *load.Tx) (err error) {
			gone, err = tx.KeepConfigured(t.Context(), names)
			return err
		})
		return gone
	}
	for _, step := range []struct {
		names, gone []string
		left        string
	}{
		{[]string{"b", "new"}, []string{"a", "c"}, "b"},
		{[]string{"b", "new"}, nil, "b"}, // it is news once
		{[]string{"a", "b"}, nil, "a,b"},
		{nil, []string{"a", "b"}, "NULL"},
	} {
		if diff := cmp.Diff(step.gone, keep(step.names...)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", step.names, diff)
		}
		expect(t, w, `SELECT string_agg(source, ',' ORDER BY source) FROM sync.sources WHERE configured`, step.left)
	}
	expect(t, w, `SELECT count(*)::VARCHAR FROM sync.sources`, "3")
	s := millis()
	s.Name = "c"
	saveSource(t, w, s)
	expect(t, w, `SELECT source FROM sync.sources WHERE configured`, "c")
}

// tick is a run of five minutes' distance to the one before that changed nothing.
func tick(n int) load.Run {
	at := noon.Add(time.Duration(n) * 5 * time.Minute)
	return load.Run{ID: string(rune('a' + n)), Source: "s", Kind: "sync", StartedAt: at, FinishedAt: at.Add(time.Second), Outcome: "done",
		Requests: 2, Retries: 1, Pages: 2, Records: 3, Unchanged: 3}
}

// finish saves a run as one that is under way, and then as ended.
func finish(t *testing.T, w *load.Warehouse, runs ...load.Run) {
	t.Helper()
	for _, r := range runs {
		write(t, w, func(tx *load.Tx) error {
			underWay := r
			underWay.FinishedAt, underWay.Outcome, underWay.Error = time.Time{}, "running", ""
			return tx.SaveRun(t.Context(), underWay)
		})
		write(t, w, func(tx *load.Tx) error { return finishRun(t.Context(), tx, r) })
	}
}

const runRows = `SELECT run_id, outcome, runs::VARCHAR FROM sync.runs ORDER BY started_at, kind, run_id`

func TestRunsThatBroughtNothingFoldIntoOneRow(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	first := tick(0)
	first.Inserted, first.Unchanged = 1, 2
	finish(t, w, first, tick(1), tick(2), tick(3))
	expect(t, w, `SELECT run_id, runs::VARCHAR, strftime(started_at, '%H:%M:%S'), strftime(finished_at, '%H:%M:%S'),
		requests::VARCHAR, retries::VARCHAR, pages::VARCHAR, records::VARCHAR, unchanged::VARCHAR FROM sync.runs ORDER BY started_at`,
		"a 1 12:00:00 12:00:01 2 1 2 3 2", "d 3 12:05:00 12:15:01 6 3 6 9 9")
	// One that brought something ends the row, and so does any that ended otherwise.
	changed := tick(4)
	changed.Rejected, changed.Unchanged = 1, 2
	finish(t, w, changed, tick(5), tick(6))
	expect(t, w, runRows, "a done 1", "d done 3", "e done 1", "g done 2")
	stopped, failed := tick(7), tick(9)
	stopped.Outcome, failed.Outcome, failed.Error = "stopped", "failed", "the provider says 503"
	finish(t, w, stopped, tick(8), failed, tick(10))
	write(t, w, func(tx *load.Tx) error {
		died := tick(11)
		died.FinishedAt, died.Outcome = time.Time{}, "running"
		if err := tx.SaveRun(t.Context(), died); err != nil {
			return err
		}
		return tx.EndInterrupted(t.Context(), "s")
	})
	finish(t, w, tick(12), tick(13))
	expect(t, w, runRows, "a done 1", "d done 3", "e done 1", "g done 2", "h stopped 1", "i done 1", "j failed 1", "k done 1", "l interrupted 1", "n done 2")
	expect(t, w, `SELECT sum(runs)::VARCHAR, (sum(records) = sum(inserted + updated + unchanged + rejected))::VARCHAR FROM sync.runs`, "14 true")
}

func TestRunsOfAnotherKindOrSourceFoldApart(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	runs := make([]load.Run, 6)
	for i := range runs {
		runs[i] = tick(i)
	}
	runs[1].Kind, runs[4].Kind = "backfill", "backfill"
	runs[2].Source, runs[5].Source = "other", "other"
	finish(t, w, runs...)
	expect(t, w, `SELECT source, kind, run_id, runs::VARCHAR FROM sync.runs ORDER BY run_id`, "s sync d 2", "s backfill e 2", "other sync f 2")
	// What drifted is a change, and a record written again as it is under way stands for one run.
	odd := tick(6)
	odd.Drift = 1
	finish(t, w, odd, tick(7))
	expect(t, w, `SELECT run_id, runs::VARCHAR FROM sync.runs WHERE source = 's' AND kind = 'sync' ORDER BY run_id`, "d 2", "g 1", "h 1")
}

func TestAnOutageIsOneRow(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	const down = "burki: the provider says 503; it is asked again at the next run"
	runs := make([]load.Run, 9)
	for i := range runs {
		runs[i] = tick(i)
		runs[i].Records, runs[i].Unchanged, runs[i].Outcome, runs[i].Error = 0, 0, "failed", down
	}
	runs[4].Error = "another error"
	runs[6].Records, runs[6].Inserted = 1, 1
	finish(t, w, runs...)
	expect(t, w, `SELECT run_id, runs::VARCHAR, error = '`+down+`', strftime(started_at, '%H:%M') FROM sync.runs ORDER BY started_at`,
		"d 4 true 12:00", "e 1 false 12:20", "f 1 true 12:25", "g 1 true 12:30", "i 2 true 12:35")
	finish(t, w, tick(10))
	expect(t, w, `SELECT count(*)::VARCHAR FROM sync.runs`, "6")
}

func TestARejectOfARunThatIsFoldedStillNamesARun(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	r := call.Reject{Source: "s", Reason: "no id", Payload: `{}`, FetchedAt: noon}
	run := tick(0)
	run.Rejected, run.Unchanged = 1, 2
	write(t, w, func(tx *load.Tx) error { return tx.Reject(t.Context(), run.ID, []call.Reject{r}) })
	finish(t, w, run, tick(1), tick(2))
	expect(t, w, `SELECT count(*)::VARCHAR FROM sync.rejects JOIN sync.runs USING (run_id)`, "1")
}

// finishRun records a run that has ended, as a process does that has just begun.
func finishRun(ctx context.Context, tx *load.Tx, r load.Run) error {
	_, err := tx.FinishRun(ctx, r, nil)
	return err
}
