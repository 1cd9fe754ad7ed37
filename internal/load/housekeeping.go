package load

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Housekeeping says what grows too old to be kept.
type Housekeeping struct {
	Now      time.Time
	KeepRaw  time.Duration // how long after it was fetched a raw payload is kept; 0: for ever
	KeepRuns time.Duration // how long after it ended a run's record is kept; 0: for ever
}

// Housekept says what went.
type Housekept struct {
	Payloads int64 // of calls
	Rejects  int64 // payloads of rejects
	Runs     int64
}

// sliceRows is how many rows of raw_calls one transaction looks at: some 25 ms, so that a commit never waits long behind it.
const sliceRows = 50_000

// Housekeep drops what is too old, in transactions of their own that other writers take turns with.
//
// Of a raw payload the row stays, with its content hash and reading: a call whose payload went is still recognised as unchanged, or as older
// than what is stored, and a changed one brings a new payload, which is as young as its fetching. A reject's payload is as raw as any other,
// so it goes by the same rule, resolved or not: whoever limits how long payloads are kept means all of them. The reject itself always stays,
// because it is the only trace of a record that was counted, and it is what tells that a call is missing; the provider may still have it.
//
// Of the runs, the last that was done stays for each source whatever its age, as it says since when nothing has succeeded.
//
// If the process dies in between, what was committed is gone, and the next Housekeep goes on with the rest.
func (w *Warehouse) Housekeep(ctx context.Context, h Housekeeping) (Housekept, error) {
	var kept Housekept
	if h.KeepRaw > 0 {
		before := h.Now.Add(-h.KeepRaw)
		var err error
		if kept.Payloads, err = w.dropPayloads(ctx, before); err != nil {
			return kept, fmt.Errorf("drop raw payloads fetched before %s: %w", timeText(&before), err)
		}
		if kept.Rejects, err = w.drop(ctx, `UPDATE sync.rejects SET payload = NULL WHERE payload IS NOT NULL AND fetched_at < ?`, before); err != nil {
			return kept, fmt.Errorf("drop payloads of rejects fetched before %s: %w", timeText(&before), err)
		}
	}
	if h.KeepRuns > 0 {
		before := h.Now.Add(-h.KeepRuns)
		var err error
		// An interrupted run has no end; it is as old as its beginning.
		if kept.Runs, err = w.drop(ctx, `DELETE FROM sync.runs WHERE outcome <> 'running' AND coalesce(finished_at, started_at) < ?
			AND (outcome <> 'done' OR EXISTS (FROM sync.runs AS later
				WHERE later.source = sync.runs.source AND later.outcome = 'done' AND later.finished_at > sync.runs.finished_at))`, before); err != nil {
			return kept, fmt.Errorf("drop records of runs that ended before %s: %w", timeText(&before), err)
		}
	}
	return kept, nil
}

// dropPayloads goes through raw_calls slice by slice, from the last row to the first: rows that another writer's deletions move between two
// slices only ever move towards the first, so none is passed over. Row numbers are literals, so that DuckDB reads no more than the slice.
func (w *Warehouse) dropPayloads(ctx context.Context, before time.Time) (int64, error) {
	var end int64
	if err := w.Write(ctx, func(tx *Tx) error {
		return w.conn.QueryRowContext(ctx, `SELECT coalesce(max(rowid) + 1, 0) FROM raw_calls`).Scan(&end)
	}); err != nil {
		return 0, err
	}
	var dropped int64
	for ; end > 0; end -= sliceRows {
		n, err := w.drop(ctx, `UPDATE raw_calls SET payload = NULL WHERE payload IS NOT NULL AND fetched_at < ?
			AND rowid >= `+strconv.FormatInt(end-sliceRows, 10)+` AND rowid < `+strconv.FormatInt(end, 10), before)
		if err != nil {
			return dropped, err
		}
		dropped += n
	}
	return dropped, nil
}

// drop runs a statement in a transaction of its own, and returns how many rows it changed.
func (w *Warehouse) drop(ctx context.Context, statement string, before time.Time) (n int64, err error) {
	err = w.Write(ctx, func(tx *Tx) error {
		result, err := tx.ExecContext(ctx, statement, before)
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		tx.changed = n > 0
		return err
	})
	if err != nil {
		return 0, err // rolled back: nothing went
	}
	return n, nil
}
