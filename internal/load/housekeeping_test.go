package load_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/load"
)

const day = 24 * time.Hour

func housekeep(t *testing.T, w *load.Warehouse, h load.Housekeeping) load.Housekept {
	t.Helper()
	kept, err := w.Housekeep(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func TestACallWhosePayloadWasDroppedIsStillRecognised(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	same, changes, young := observation("same", 1, noon), observation("changes", 1, noon), observation("young", 1, noon)
	young.FetchedAt = noon.Add(time.Microsecond)
	upsert(t, w, same, changes, young)
	write(t, w, func(tx *load.Tx) error {
		return tx.Reject(t.Context(), "run", []call.Reject{
			{Source: "s", Reason: "no id", Payload: `{"old":1}`, FetchedAt: noon.Add(-time.Hour)},
			{Source: "s", Reason: "no id", Payload: `{"young":1}`, FetchedAt: noon.Add(time.Hour)}})
	})
	if got := housekeep(t, w, load.Housekeeping{Now: noon.AddDate(10, 0, 0)}); got != (load.Housekept{}) {
		t.Errorf("to keep all for ever dropped %+v", got)
	}
	h := load.Housekeeping{Now: noon.Add(30*day + time.Microsecond), KeepRaw: 30 * day}
	if got := housekeep(t, w, h); got != (load.Housekept{Payloads: 2, Rejects: 1}) {
		t.Errorf("dropped %+v", got)
	}
	const payloads = `SELECT call_id, payload, content_hash::VARCHAR, reading::VARCHAR FROM raw_calls ORDER BY call_id`
	expect(t, w, payloads, "changes NULL 1 1", "same NULL 1 1", `young {"id":"young","v":1} 1 1`)
	expect(t, w, `SELECT reason, payload FROM sync.rejects ORDER BY fetched_at`, "no id NULL", `no id {"young":1}`)
	if got := housekeep(t, w, h); got != (load.Housekept{}) {
		t.Errorf("again dropped %+v", got)
	}
	same.FetchedAt, same.Reading = noon.Add(40*day), 2
	if got := upsert(t, w, same); got != (load.Counts{Unchanged: 1}) {
		t.Errorf("the unchanged call: %+v", got)
	}
	older := changes
	older.ContentHash, older.Reading = 9, 0
	if got := upsert(t, w, older); got != (load.Counts{Unchanged: 1}) {
		t.Errorf("an older reading: %+v", got)
	}
	changes = observation("changes", 2, noon)
	changes.FetchedAt, changes.Reading, changes.Call.AgentName = noon.Add(40*day), 2, "Ann"
	if got := upsert(t, w, changes); got != (load.Counts{Updated: 1}) {
		t.Errorf("the changed call: %+v", got)
	}
	expect(t, w, payloads, `changes {"id":"changes","v":2} 2 2`, "same NULL 1 1", `young {"id":"young","v":1} 1 1`)
	expect(t, w, `SELECT agent_name, revision::VARCHAR FROM calls WHERE call_id = 'changes'`, "Ann 2")
	// The record that is rejected again is still the one that was, and brings no payload back.
	write(t, w, func(tx *load.Tx) error {
		return tx.Reject(t.Context(), "later", []call.Reject{{Source: "s", Reason: "no id", Payload: `{"old":1}`, FetchedAt: noon.Add(40 * day)}})
	})
	expect(t, w, `SELECT count(*)::VARCHAR, count(payload)::VARCHAR FROM sync.rejects`, "2 1")
}

func TestPayloadsOfALargeWarehouseGoInSlices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w := open(t, path)
	defer w.Close()
	const rows = 130_001 // several slices, the first of them short
	execute(t, w, fmt.Sprintf(`INSERT INTO raw_calls
		SELECT 's', i::VARCHAR, 'list', '{}', %s + to_microseconds(i), 1, i, NULL FROM range(%d) AS t(i)`, stamp(noon), rows))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := w.Housekeep(ctx, load.Housekeeping{Now: noon, KeepRaw: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	// Other writers take their turns meanwhile.
	written := make(chan error)
	go func() {
		defer close(written)
		for i := range 5 {
			written <- w.Write(t.Context(), func(tx *load.Tx) error {
				_, err := tx.ExecContext(t.Context(), `DELETE FROM raw_calls WHERE call_id = ?`, fmt.Sprint(100+i))
				return err
			})
		}
	}()
	done := make(chan load.Housekept)
	go func() {
		defer close(done)
		kept, err := w.Housekeep(t.Context(), load.Housekeeping{Now: noon.Add(day + 120_000*time.Microsecond), KeepRaw: day})
		if err != nil {
			t.Error(err)
		}
		done <- kept
	}()
	for err := range written {
		if err != nil {
			t.Error(err)
		}
	}
	if kept := <-done; kept.Payloads < 119_995 || kept.Payloads > 120_000 {
		t.Errorf("dropped %d payloads", kept.Payloads)
	}
	expect(t, w, `SELECT count(*)::VARCHAR, count(payload)::VARCHAR,
		min(fetched_at) FILTER (payload IS NOT NULL) = `+stamp(noon.Add(120_000*time.Microsecond))+` FROM raw_calls`,
		fmt.Sprint(rows-5, " 10001 true"))
}

func TestRecordsOfOldRunsGoAndTheLastSuccessStaysKnown(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	at := func(id string, source, outcome string, age time.Duration, ended bool) load.Run {
		r := load.Run{ID: id, Source: source, Kind: id, StartedAt: noon.Add(-age - time.Minute), Outcome: outcome, Records: 1, Inserted: 1}
		if ended {
			r.FinishedAt = noon.Add(-age)
		}
		return r
	}
	for _, r := range []load.Run{
		at("old", "s", "done", 91*day, true), at("older failure", "s", "failed", 95*day, true), at("died", "s", "interrupted", 92*day, false),
		at("young", "s", "done", 90*day, true), at("long", "s", "running", 100*day, false),
		at("last success", "quiet", "done", 200*day, true), at("before that", "quiet", "done", 201*day, true), at("failure", "quiet", "failed", 150*day, true),
	} {
		write(t, w, func(tx *load.Tx) error { return tx.SaveRun(t.Context(), r) })
	}
	if diff := cmp.Diff(load.Housekept{Runs: 5}, housekeep(t, w, load.Housekeeping{Now: noon, KeepRuns: 90 * day})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	expect(t, w, `SELECT run_id FROM sync.runs ORDER BY 1`, "last success", "long", "young")
}
