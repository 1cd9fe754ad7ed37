package load_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/load"
)

// Large batches take shortcuts that small ones do not. Whatever they meet, they must leave the same warehouse.
func TestALargeBatchEndsAsSmallOnesDo(t *testing.T) {
	for _, piece := range []int{3000, 100} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
			defer w.Close()
			var total []load.Counts
			for _, batch := range readAgain(w) {
				var counts load.Counts
				for some := range slices.Chunk(batch, piece) {
					c := upsert(t, w, some...)
					counts.Inserted, counts.Updated, counts.Unchanged = counts.Inserted+c.Inserted, counts.Updated+c.Updated, counts.Unchanged+c.Unchanged
				}
				total = append(total, counts)
			}
			want := []load.Counts{
				{Inserted: 2000},
				{Inserted: 3, Updated: 4, Unchanged: 1996}, // a call is changed, one moves, one is found by its earlier id, of one only the payload differs
				{Unchanged: 2003},
				{Inserted: 1500},
				{Unchanged: 2003}, // all of it an older reading's
			}
			if diff := cmp.Diff(want, total); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			expect(t, w, `SELECT count(*), count(DISTINCT call_id), count(deleted_at) FROM calls`, "3503 3503 0")
			expect(t, w, `SELECT count(*), count(DISTINCT call_id) FROM raw_calls`, "3503 3503")
			expect(t, w, `SELECT call_id, field FROM call_revisions WHERE field <> 'deleted_at' ORDER BY ALL`,
				"call-10 agent_name", "call-20 started_at", "session-30 call_id")
			expect(t, w, `SELECT call_id, agent_name, status FROM calls WHERE call_id IN ('call-10', 'call-11') ORDER BY ALL`,
				"call-10 another in_progress", "call-11 NULL in_progress")
		})
	}
}

// readAgain is what five readings of one stretch of time bring.
func readAgain(w *load.Warehouse) [][]call.Observation {
	stretch := func(from, n int, reading int64) []call.Observation {
		var all []call.Observation
		for i := from; i < from+n; i++ {
			o := observation(fmt.Sprintf("call-%d", i), int64(i), noon.Add(time.Duration(i)*time.Second))
			o.Reading = reading
			all = append(all, o)
		}
		return all
	}
	late := w.NextReading() // under way all the time
	first := stretch(0, 2000, w.NextReading())
	changed := func(reading int64) []call.Observation {
		all := stretch(0, 2000, reading)
		all[10].Call.AgentName, all[10].ContentHash = "another", 7777
		moved := all[20].Call.StartedAt.Add(400 * 24 * time.Hour)
		all[20].Call.StartedAt, all[20].ContentHash = &moved, 7778
		all[30].Call.ID, all[30].Alias, all[30].ContentHash = "session-30", "call-30", 7779
		return append(all, stretch(5000, 3, reading)...)
	}
	again := changed(w.NextReading())
	again[40].ContentHash = 7780 // nothing but the payload
	same := changed(w.NextReading())
	same[40].ContentHash = 7780
	new := stretch(10_000, 1500, w.NextReading())
	old := changed(late)
	for i := range old {
		old[i].ContentHash++ // whatever it says, it was sent before all others
	}
	return [][]call.Observation{first, again, same, new, old}
}

// A call may have moved beyond all that its source has, and beyond what a large batch looks at.
func TestACallThatMovedBeyondAllOthersIsFoundByALargeBatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w := open(t, path)
	var first, moved []call.Observation
	for i := range 1200 {
		o := observation(fmt.Sprintf("call-%d", i), 1, noon.Add(time.Duration(i)*time.Second))
		first = append(first, o)
		later := o.Call.StartedAt.Add(30 * 24 * time.Hour)
		o.Call.StartedAt, o.ContentHash, o.Reading = &later, 2, 2
		moved = append(moved, o)
	}
	upsert(t, w, first...)
	if err := w.Close(); err != nil { // another process knows nothing of it but what is in the file
		t.Fatal(err)
	}
	w = open(t, path)
	defer w.Close()
	if got := upsert(t, w, moved...); got.Updated != 1200 {
		t.Errorf("%+v, want all updated", got)
	}
	expect(t, w, `SELECT count(*), min(started_at) > '2026-03-31' FROM calls`, "1200 true")
}

// What a transaction has stored must be found by it again, and be forgotten with it.
func TestALargeBatchFindsWhatItsOwnTransactionHasStored(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	var batch []call.Observation
	for i := range 1200 {
		batch = append(batch, observation(fmt.Sprintf("call-%d", i), 1, noon.Add(time.Duration(i)*time.Second)))
	}
	rolledBack := fmt.Errorf("not this time")
	for _, end := range []error{rolledBack, nil} {
		err := w.Write(t.Context(), func(tx *load.Tx) error {
			for round, want := range []load.Counts{{Inserted: 1200}, {Unchanged: 1200}} {
				if got, err := tx.Upsert(t.Context(), "s", batch); err != nil || got != want {
					t.Errorf("round %d: %+v, %v, want %+v", round, got, err, want)
				}
			}
			return end
		})
		if err != end { //nolint:errorlint // the very error that was returned
			t.Fatal(err)
		}
	}
	expect(t, w, `SELECT count(*) FROM calls`, "1200")
}
