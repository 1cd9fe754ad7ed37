package load_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/load"
)

func markDeleted(t *testing.T, w *load.Warehouse, reading int64, ids ...load.Ref) int64 {
	t.Helper()
	var n int64
	if err := w.Write(t.Context(), func(tx *load.Tx) (err error) {
		n, err = tx.MarkDeleted(t.Context(), "s", ids, noon.Add(time.Hour), reading)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestLiveCallsAreThoseOfTheStretchThatAreNotDeleted(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	for id, at := range map[string]time.Duration{
		"before": -time.Microsecond, "at since": 0, "gone": time.Microsecond, "within": time.Minute, "at until": time.Hour,
	} {
		upsert(t, w, observation(id, 1, noon.Add(at)))
	}
	nowhere := observation("without a start", 1, noon)
	nowhere.Call.StartedAt = nil
	upsert(t, w, nowhere)
	execute(t, w, `INSERT INTO calls SELECT * REPLACE ('another' AS source) FROM calls WHERE call_id = 'within'`)
	markDeleted(t, w, 2, load.Ref{ID: "gone", StartedAt: &noon})
	var got []load.Ref
	if err := w.Write(t.Context(), func(tx *load.Tx) (err error) {
		got, err = tx.LiveIDs(t.Context(), "s", noon, noon.Add(time.Hour))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want := []load.Ref{{ID: "at since", StartedAt: &noon}, {ID: "within", StartedAt: ptr(noon.Add(time.Minute))}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("live (-want +got):\n%s", diff)
	}
}

func TestADeletedCallStaysWithItsRevision(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	upsert(t, w, observation("1", 1, noon))
	upsert(t, w, observation("2", 1, noon))
	nowhere := observation("3", 1, noon)
	nowhere.Call.StartedAt = nil
	upsert(t, w, nowhere)
	for _, id := range []string{"1", "2"} {
		try(t, w, load.DetailTry{Source: "s", ID: id, Part: call.PartDetail, State: "failed", ListReading: 1, At: noon, RetryAt: &noon})
	}
	// One is not where it was said to be, one is named twice, one is not there.
	refs := []load.Ref{{ID: "1", StartedAt: ptr(noon.AddDate(0, 1, 0))}, {ID: "3"}, {ID: "3"}, {ID: "4", StartedAt: &noon}}
	if n := markDeleted(t, w, 5, refs...); n != 2 {
		t.Errorf("%d marked", n)
	}
	if n := markDeleted(t, w, 6, refs...); n != 0 {
		t.Errorf("%d marked again", n)
	}
	expect(t, w, `SELECT call_id, revision::VARCHAR, deleted_at::VARCHAR, (changed_at = deleted_at)::VARCHAR FROM calls ORDER BY call_id`,
		"1 2 2026-03-01 13:00:00+00 true", "2 1 NULL NULL", "3 2 2026-03-01 13:00:00+00 true")
	expect(t, w, `SELECT call_id, revision::VARCHAR, field, old_value, new_value FROM call_revisions ORDER BY call_id`,
		"1 2 deleted_at NULL 2026-03-01T13:00:00Z", "3 2 deleted_at NULL 2026-03-01T13:00:00Z")
	expect(t, w, `SELECT call_id, reading::VARCHAR FROM raw_calls ORDER BY call_id`, "1 5", "2 1", "3 5")
	expect(t, w, `SELECT call_id FROM sync.details`, "2")
}

func TestADeletedCallComesBackOnlyByANewerReading(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	o := observation("1", 1, noon)
	upsert(t, w, o)
	markDeleted(t, w, 5, load.Ref{ID: "1", StartedAt: &noon})
	for _, reading := range []int64{4, 5} {
		for _, hash := range []int64{1, 2} {
			late := observation("1", hash, noon)
			late.Reading = reading
			if got := upsert(t, w, late, part(late, call.PartDetail, 9, reading)); got != (load.Counts{Unchanged: 2}) {
				t.Errorf("reading %d: %+v", reading, got)
			}
		}
	}
	expect(t, w, `SELECT count(deleted_at)::VARCHAR, count(*)::VARCHAR FROM calls`, "1 1")
	o.Reading, o.FetchedAt = 6, noon.Add(2*time.Hour)
	if got := upsert(t, w, o); got != (load.Counts{Updated: 1}) {
		t.Errorf("listed again, unchanged: %+v", got)
	}
	if got := upsert(t, w, o); got != (load.Counts{Unchanged: 1}) {
		t.Errorf("and again: %+v", got)
	}
	expect(t, w, `SELECT revision::VARCHAR, deleted_at::VARCHAR FROM calls`, "3 NULL")
	expect(t, w, `SELECT old_value, new_value FROM call_revisions WHERE revision = 3`, "2026-03-01T13:00:00Z NULL")
}

func TestACallThatANewerReadingSawIsNotMarkedAsDeleted(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	for _, changes := range []bool{true, false} {
		o := observation("1", 1, noon)
		o.Reading = w.NextReading()
		upsert(t, w, o)
		asked := w.NextReading() // about the one call: there is none
		o.Reading = w.NextReading()
		if changes {
			o.ContentHash = 2
		}
		upsert(t, w, o)
		if n := markDeleted(t, w, asked, load.Ref{ID: "1", StartedAt: &noon}); n != 0 {
			t.Errorf("%d marked, though listed since (changed: %v)", n, changes)
		}
		w.EndReading(asked)
	}
	expect(t, w, `SELECT count(*)::VARCHAR FROM calls WHERE deleted_at IS NULL`, "1")
}
