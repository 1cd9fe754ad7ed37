package load_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/load"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, path string) *load.Warehouse {
	t.Helper()
	w, err := load.Open(t.Context(), load.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func ptr[T any](v T) *T { return &v }

// observation is a plausible call; its content hash is the reading's business, so the caller gives it.
func observation(id string, hash int64, startedAt time.Time) call.Observation {
	return call.Observation{
		Call: call.Call{
			Key: call.Key{Source: "s", ID: id}, Provider: "burki",
			Channel: call.ChannelPhone, Direction: call.DirectionUnknown, Status: call.InProgress, StatusRaw: "ongoing",
			StartedAt: &startedAt,
		},
		Part: call.PartList, Payload: fmt.Sprintf(`{"id":%q,"v":%d}`, id, hash), ContentHash: hash, Reading: 1, FetchedAt: noon,
	}
}

func upsert(t *testing.T, w *load.Warehouse, obs ...call.Observation) load.Counts {
	t.Helper()
	var counts load.Counts
	if err := w.Write(t.Context(), func(tx *load.Tx) (err error) {
		counts, err = tx.Upsert(t.Context(), "s", obs)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return counts
}

// lines returns the rows of a query, each as one line of text.
func lines(t *testing.T, w *load.Warehouse, query string) []string {
	t.Helper()
	var out []string
	err := w.Write(t.Context(), func(tx *load.Tx) error {
		rows, err := tx.QueryContext(t.Context(), query)
		if err != nil {
			return err
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(sql.NullString)
			}
			if err := rows.Scan(values...); err != nil {
				return err
			}
			cells := make([]string, len(columns))
			for i, v := range values {
				cells[i] = "NULL"
				if s := v.(*sql.NullString); s.Valid {
					cells[i] = s.String
				}
			}
			out = append(out, strings.Join(cells, " "))
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func expect(t *testing.T, w *load.Warehouse, query string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, lines(t, w, query)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", query, diff)
	}
}

func TestACallThatSettlesLeavesItsRevisions(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	first := observation("1", 1, noon)
	if got := upsert(t, w, first); got != (load.Counts{Inserted: 1}) {
		t.Errorf("first reading: %+v", got)
	}
	settled := observation("1", 2, noon)
	settled.FetchedAt = noon.Add(time.Hour)
	settled.Call.Status, settled.Call.StatusRaw = call.Completed, "completed"
	settled.Call.DurationMS, settled.Call.EndedAt = ptr(int64(60_000)), ptr(noon.Add(time.Minute))
	settled.Call.Cost, settled.Call.CostCurrency = ptr(call.Amount(50_000_000)), "USD"
	settled.Call.Costs = []call.Cost{{Component: call.LLM, Amount: ptr(call.Amount(50_000_000)), Currency: "USD"}}
	settled.Call.Messages = []call.Message{{Role: call.RoleAgent, Content: "hello", OffsetMS: ptr(int64(12))}}
	if got := upsert(t, w, settled); got != (load.Counts{Updated: 1}) {
		t.Errorf("second reading: %+v", got)
	}
	expect(t, w, `SELECT revision::VARCHAR, status, is_final::VARCHAR, cost::VARCHAR, first_seen_at < changed_at FROM calls`, "2 completed true 0.050000000 true")
	expect(t, w, `SELECT revision::VARCHAR, field, old_value, new_value FROM call_revisions ORDER BY field`,
		"2 cost NULL 0.050000000",
		"2 cost_currency NULL USD",
		`2 costs NULL [{"component":"llm","amount":"0.050000000","currency":"USD"}]`,
		"2 duration_ms NULL 60000",
		"2 ended_at NULL 2026-03-01T12:01:00Z",
		"2 messages NULL 1 turns, 5 bytes",
		"2 status in_progress completed",
		"2 status_raw ongoing completed",
	)
	// Again the same: compared with its children, nothing has changed.
	settled.ContentHash = 3
	if got := upsert(t, w, settled); got != (load.Counts{Updated: 1}) {
		t.Errorf("another payload of the same call: %+v", got)
	}
	expect(t, w, `SELECT count(*)::VARCHAR, max(revision)::VARCHAR FROM call_revisions`, "8 2")
	expect(t, w, `SELECT count(*)::VARCHAR, max(content_hash)::VARCHAR FROM raw_calls`, "1 3")
	expect(t, w, `SELECT (SELECT count(*) FROM calls)::VARCHAR, (SELECT count(*) FROM call_costs)::VARCHAR, (SELECT count(*) FROM call_messages)::VARCHAR`, "1 1 1")
}

func TestAMovedStartLeavesOneRow(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	// Past the tenth search the set of known keys answers; both ways must find the row.
	for i := range 15 {
		id := fmt.Sprint("call-", i)
		o := observation(id, 1, noon.Add(time.Duration(i)*time.Minute))
		o.Call.Messages = []call.Message{{Role: call.RoleAgent, Content: "hello"}}
		upsert(t, w, o)
		o.ContentHash, o.Call.StartedAt = 2, ptr(noon.AddDate(0, 1, i))
		if got := upsert(t, w, o); got != (load.Counts{Updated: 1}) {
			t.Errorf("%s: %+v", id, got)
		}
		o.ContentHash, o.Call.StartedAt = 3, nil
		upsert(t, w, o)
		o.ContentHash, o.Call.StartedAt = 4, ptr(noon.AddDate(0, -1, i))
		upsert(t, w, o)
	}
	expect(t, w, `SELECT count(*)::VARCHAR, count(DISTINCT call_id)::VARCHAR, max(revision)::VARCHAR FROM calls`, "15 15 4")
	expect(t, w, `SELECT count(*)::VARCHAR, count(DISTINCT call_id)::VARCHAR FROM raw_calls`, "15 15")
	expect(t, w, `SELECT count(*)::VARCHAR FROM calls JOIN call_messages USING (source, call_id, started_at) JOIN raw_calls USING (source, call_id, started_at)`, "15")
}

func TestTheSameCallTwiceInABatchIsOneRow(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	a, b := observation("1", 1, noon), observation("1", 2, noon)
	b.Call.AgentName = "last wins"
	if got := upsert(t, w, a, b); got != (load.Counts{Inserted: 1, Unchanged: 1}) {
		t.Errorf("%+v", got)
	}
	expect(t, w, `SELECT agent_name FROM calls`, "last wins")
}

func TestAnOlderReadingNeverReplacesANewerOne(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	newer, older := observation("1", 2, noon), observation("1", 1, noon)
	newer.Reading, newer.Call.AgentName = 8, "new"
	older.Reading, older.Call.AgentName = 7, "old"
	upsert(t, w, newer)
	if got := upsert(t, w, older); got != (load.Counts{Unchanged: 1}) {
		t.Errorf("%+v", got)
	}
	if got := upsert(t, w, older, newer, older); got != (load.Counts{Unchanged: 3}) {
		t.Errorf("%+v", got)
	}
	expect(t, w, `SELECT agent_name, revision::VARCHAR FROM calls`, "new 1")

	// Of a call that is not stored yet the newer of a batch counts, wherever it stands.
	newer.Call.ID, older.Call.ID = "2", "2"
	upsert(t, w, newer, older)
	expect(t, w, `SELECT agent_name, revision::VARCHAR FROM calls WHERE call_id = '2'`, "new 1")
}

func TestAMillisCallIsRekeyedWhenItsSessionIDAppears(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	early := observation("call-9", 1, noon)
	early.Call.Messages = []call.Message{{Role: call.RoleAgent, Content: "hello"}}
	upsert(t, w, early)
	early.ContentHash, early.Call.AgentName = 2, "named"
	upsert(t, w, early) // so that there is a revision to bring along
	late := observation("session-1", 3, noon)
	late.Alias = "call-9"
	if got := upsert(t, w, late); got != (load.Counts{Updated: 1}) {
		t.Errorf("%+v", got)
	}
	if got := upsert(t, w, late); got != (load.Counts{Unchanged: 1}) {
		t.Errorf("again: %+v", got)
	}
	expect(t, w, `SELECT call_id, revision::VARCHAR FROM calls`, "session-1 3")
	expect(t, w, `SELECT DISTINCT call_id FROM raw_calls`, "session-1")
	expect(t, w, `SELECT DISTINCT call_id FROM call_revisions`, "session-1")
	expect(t, w, `SELECT count(*)::VARCHAR FROM call_messages`, "0")
	expect(t, w, `SELECT old_value, new_value FROM call_revisions WHERE field = 'call_id'`, "call-9 session-1")
}

func TestACallSeenAgainUnderItsEarlierIDHealsAtTheNextReading(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	lasting := observation("session-1", 1, noon)
	lasting.Alias = "call-9"
	upsert(t, w, lasting)
	upsert(t, w, observation("call-9", 2, noon)) // one answer in which session_id is null
	if got := upsert(t, w, lasting); got != (load.Counts{Updated: 1}) {
		t.Errorf("the next reading: %+v", got)
	}
	if got := upsert(t, w, lasting); got != (load.Counts{Unchanged: 1}) {
		t.Errorf("the one after: %+v", got)
	}
	expect(t, w, `SELECT call_id, revision::VARCHAR FROM calls`, "session-1 1")
	expect(t, w, `SELECT call_id FROM raw_calls`, "session-1")
}

func TestARecordingThatArrivesLateIsStoredAndIsNoRevision(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	o := observation("1", 1, noon)
	upsert(t, w, o)
	o.ContentHash, o.FetchedAt, o.Call.RecordingURL = 2, noon.Add(time.Hour), "https://example.org/1.wav"
	if got := upsert(t, w, o); got != (load.Counts{Updated: 1}) {
		t.Errorf("%+v", got)
	}
	expect(t, w, `SELECT recording_url, revision::VARCHAR, (changed_at = first_seen_at)::VARCHAR FROM calls`, "https://example.org/1.wav 1 true")
	expect(t, w, `SELECT count(*)::VARCHAR FROM call_revisions`, "0")
}

func TestBothIDsOfACallInOneBatchAreOneRow(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	early, late := observation("call-9", 1, noon), observation("session-1", 3, noon)
	late.Alias = "call-9"
	if got := upsert(t, w, early, late); got != (load.Counts{Inserted: 1, Unchanged: 1}) {
		t.Errorf("%+v", got)
	}
	expect(t, w, `SELECT call_id FROM calls`, "session-1")
}

func TestNothingOfAFailedTransactionStays(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	boom := errors.New("boom")
	err := w.Write(t.Context(), func(tx *load.Tx) error {
		if _, err := tx.Upsert(t.Context(), "s", []call.Observation{observation("1", 1, noon)}); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = w.Write(t.Context(), func(tx *load.Tx) error {
			if _, err := tx.Upsert(t.Context(), "s", []call.Observation{observation("2", 1, noon)}); err != nil {
				return err
			}
			panic("boom")
		})
	}()
	ctx, cancel := context.WithCancel(t.Context())
	if err := w.Write(ctx, func(tx *load.Tx) error {
		if _, err := tx.Upsert(ctx, "s", []call.Observation{observation("3", 1, noon)}); err != nil {
			return err
		}
		cancel()
		return ctx.Err()
	}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	expect(t, w, `SELECT count(*)::VARCHAR FROM calls`, "0")
	if got := upsert(t, w, observation("1", 1, noon)); got.Inserted != 1 {
		t.Errorf("after the failures: %+v", got)
	}
}

func TestARejectedRecordIsKeptOnce(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	r := call.Reject{Source: "s", Reason: "no id", Detail: "it has no id", Payload: `{}`, FetchedAt: noon}
	for _, run := range []string{"run-1", "run-2"} {
		if err := w.Write(t.Context(), func(tx *load.Tx) error { return tx.Reject(t.Context(), run, []call.Reject{r}) }); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, w, `SELECT run_id, reason, payload FROM sync.rejects`, "run-1 no id {}")
}

func TestDriftIsCountedOncePerStoredPayload(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	o := observation("1", 1, noon)
	o.Drift = []call.Drift{{Path: "status", Sample: "paused"}, {Path: "carrier", Sample: "x"}}
	upsert(t, w, o)
	upsert(t, w, o) // unchanged
	p := observation("2", 1, noon)
	p.Drift = []call.Drift{{Path: "status", Sample: "held"}}
	upsert(t, w, p)
	expect(t, w, `SELECT path, sample, occurrences::VARCHAR FROM sync.drift ORDER BY path`, "carrier x 1", "status paused 2")
}

// Whatever makes a call of nothing is told so, and the batch is not stored.
func TestACallWithoutASourceOrAnIDIsRefused(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	nameless, homeless := observation("", 1, noon), observation("2", 1, noon)
	homeless.Call.Source = ""
	for _, o := range []call.Observation{nameless, homeless, {}} {
		err := w.Write(t.Context(), func(tx *load.Tx) error {
			_, err := tx.Upsert(t.Context(), "s", []call.Observation{observation("1", 1, noon), o})
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "a call is without a source or an id") {
			t.Errorf("%+v: error %v", o.Call.Key, err)
		}
	}
	expect(t, w, `SELECT (SELECT count(*) FROM calls) + (SELECT count(*) FROM raw_calls)`, "0")
}
