package load

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"syncd/internal/call"
)

// Run is one run of one source, as sync.runs tells it. Records is always the sum of Inserted, Updated, Unchanged and Rejected.
type Run struct {
	ID         string
	Source     string
	Kind       string
	StartedAt  time.Time
	FinishedAt time.Time // zero while it runs, and for ever if its process died
	Outcome    string    // running, done, failed, stopped, or interrupted: its process died
	Requests   int64
	Retries    int64
	Pages      int64
	Records    int64
	Inserted   int64
	Updated    int64
	Unchanged  int64
	Rejected   int64
	Drift      int64
	Error      string
}

// SaveRun writes the run's record as it stands. In the transaction that stores a page it makes the counts true of what is stored: if the
// process dies, the record counts what was committed and no more.
func (tx *Tx) SaveRun(ctx context.Context, r Run) error {
	if err := tx.replaceRun(ctx, []string{r.ID}, r, 1); err != nil {
		return fmt.Errorf("save run of %s: %w", r.Source, err)
	}
	return nil
}

// FinishRun writes the record of a run that has ended. Where it repeats the run before it, the one row stands for both, so that a quiet
// year, or an outage of three days at a tick every five minutes, does not bury what happened: a run that was done and changed nothing folds
// into another such, and one that failed without a change into one that failed so with the same error. The row keeps the first beginning and
// the last end, the later run's id, and the sums; runs says how many it stands for. The run before is the latest of the same source and
// kind, however it ended: one that was stopped or interrupted, or that changed something, is never folded and lets nothing fold past it.
//
// It is durable with the caller's transaction. If the process dies before that commits, the run's own record stays as it was saved last.
//
// last is what the last run of the same source and kind in this process left, as FinishRun returned it; nil: it is looked for.
func (tx *Tx) FinishRun(ctx context.Context, r Run, last *Row) (Row, error) {
	before := Row{}
	if r.folds() {
		var err error
		if last != nil {
			before = *last
		} else if before, err = tx.lastRun(ctx, r); err != nil {
			return Row{}, fmt.Errorf("look for the run of %s before: %w", r.Source, err)
		}
	}
	row := Row{r, 1}
	replaced := []string{r.ID}
	if before.folds() && before.Outcome == r.Outcome && before.Error == r.Error {
		replaced = append(replaced, before.ID)
		row.StartedAt = before.StartedAt
		row.Requests += before.Requests
		row.Retries += before.Retries
		row.Pages += before.Pages
		row.Records += before.Records
		row.Unchanged += before.Unchanged
		row.Runs += before.Runs
	}
	if err := tx.replaceRun(ctx, replaced, row.Run, row.Runs); err != nil {
		return Row{}, fmt.Errorf("finish run of %s: %w", r.Source, err)
	}
	return row, nil
}

// CountMost gives a run's record the counts that its row tells, where that row counts more records: a commit that its process took for failed
// was durable.
func (tx *Tx) CountMost(ctx context.Context, r *Run) error {
	var stored Run
	err := tx.w.conn.QueryRowContext(ctx, `SELECT pages, records, inserted, updated, unchanged, rejected, drift FROM sync.runs WHERE run_id = ?`, r.ID).
		Scan(&stored.Pages, &stored.Records, &stored.Inserted, &stored.Updated, &stored.Unchanged, &stored.Rejected, &stored.Drift)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("read the run of %s: %w", r.Source, err)
	case stored.Records > r.Records:
		r.Pages, r.Records, r.Drift = stored.Pages, stored.Records, stored.Drift
		r.Inserted, r.Updated, r.Unchanged, r.Rejected = stored.Inserted, stored.Updated, stored.Unchanged, stored.Rejected
	}
	return nil
}

// Row is a row of sync.runs: a run, or several that folded into one.
type Row struct {
	Run
	Runs int64 // how many; 0: there is no such row
}

// folds reports whether a run that has ended may share its row with others like it.
func (r Run) folds() bool {
	return r.Inserted+r.Updated+r.Rejected+r.Drift == 0 && (r.Outcome == "done" && r.Error == "" || r.Outcome == "failed" && r.Error != "")
}

// lastRun returns the latest row of the run's source and kind that has ended.
func (tx *Tx) lastRun(ctx context.Context, r Run) (Row, error) {
	var b Row
	err := tx.w.conn.QueryRowContext(ctx, `SELECT run_id, started_at, outcome, requests, retries, pages, records, inserted, updated, unchanged, rejected, drift,
			coalesce(error, ''), coalesce(runs, 1)
		FROM sync.runs WHERE source = $1 AND kind = $2 AND run_id <> $3 AND outcome <> 'running'
		ORDER BY coalesce(finished_at, started_at) DESC, started_at DESC LIMIT 1`, r.Source, r.Kind, r.ID).
		Scan(&b.ID, &b.StartedAt, &b.Outcome, &b.Requests, &b.Retries, &b.Pages, &b.Records, &b.Inserted, &b.Updated, &b.Unchanged, &b.Rejected, &b.Drift,
			&b.Error, &b.Runs)
	if errors.Is(err, sql.ErrNoRows) {
		return Row{}, nil
	}
	return b, err
}

// replaceRun writes a record in place of others.
func (tx *Tx) replaceRun(ctx context.Context, replaced []string, r Run, runs int64) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM sync.runs WHERE run_id = ? OR run_id = ?`, replaced[0], replaced[len(replaced)-1]); err != nil {
		return err
	}
	var finished any
	if !r.FinishedAt.IsZero() {
		finished = r.FinishedAt
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO sync.runs (run_id, source, kind, started_at, finished_at, outcome, requests, retries, pages, records,
		inserted, updated, unchanged, rejected, drift, error, runs) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''), ?)`,
		r.ID, r.Source, r.Kind, r.StartedAt, finished, r.Outcome, r.Requests, r.Retries, r.Pages, r.Records,
		r.Inserted, r.Updated, r.Unchanged, r.Rejected, r.Drift, r.Error, runs)
	return err
}

// EndInterrupted marks runs of a source that are still recorded as running. There is one writer, so their process is no more.
func (tx *Tx) EndInterrupted(ctx context.Context, source string) error {
	if _, err := tx.ExecContext(ctx, `UPDATE sync.runs SET outcome = 'interrupted' WHERE source = ? AND outcome = 'running'`, source); err != nil {
		return fmt.Errorf("mark interrupted runs of %s: %w", source, err)
	}
	return nil
}

// Reject keeps records that could not become calls. A record that is rejected again is kept once, and one that had been resolved is not any more.
func (tx *Tx) Reject(ctx context.Context, runID string, rejects []call.Reject) error {
	for _, r := range rejects {
		id := rejectID(r)
		result, err := tx.ExecContext(ctx, `INSERT INTO sync.rejects SELECT $1, $2, $3, $4, nullif($5, ''), $6, $7, NULL
			WHERE NOT EXISTS (FROM sync.rejects WHERE reject_id = $1)`,
			id, r.Source, runID, r.Reason, r.Detail, r.Payload, r.FetchedAt)
		if err != nil {
			return fmt.Errorf("keep a rejected record of %s: %w", r.Source, err)
		}
		n, err := result.RowsAffected()
		if err != nil {
			return fmt.Errorf("keep a rejected record of %s: %w", r.Source, err)
		}
		tx.changed = tx.changed || n > 0
		if n > 0 {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE sync.rejects SET resolved_at = NULL WHERE reject_id = ? AND resolved_at IS NOT NULL`, id); err != nil {
			return fmt.Errorf("keep a rejected record of %s: %w", r.Source, err)
		}
	}
	return nil
}

// sighting is what a batch saw of one path of drift.
type sighting struct {
	sample      string
	first, last time.Time
	n           int64
}

// addDrift counts the oddities of the calls written. What is not written is not counted, so that reading a call again, after a crash or
// for its own sake, does not count it again.
func (tx *Tx) addDrift(ctx context.Context, source string, written []*change) error {
	seen := make(map[string]sighting)
	for _, c := range written {
		for _, d := range c.obs.Drift {
			s, ok := seen[d.Path]
			if !ok {
				s = sighting{sample: d.Sample, first: c.obs.FetchedAt, last: c.obs.FetchedAt}
			}
			s.n++
			if c.obs.FetchedAt.After(s.last) {
				s.last = c.obs.FetchedAt
			}
			seen[d.Path] = s
		}
	}
	for _, path := range slices.Sorted(maps.Keys(seen)) {
		if err := tx.addSighting(ctx, source, path, seen[path]); err != nil {
			return err
		}
	}
	return nil
}

// AddDrift counts an oddity that is not a record's own, such as rows that moved between two pages.
func (tx *Tx) AddDrift(ctx context.Context, source string, d call.Drift, at time.Time, n int64) error {
	if err := tx.addSighting(ctx, source, d.Path, sighting{d.Sample, at, at, n}); err != nil {
		return fmt.Errorf("record drift of %s: %w", source, err)
	}
	return nil
}

// addSighting keeps the first sample of a path: the one that made somebody look stays the same, unless it was erased.
func (tx *Tx) addSighting(ctx context.Context, source, path string, s sighting) error {
	tx.changed = true
	result, err := tx.ExecContext(ctx, `UPDATE sync.drift SET occurrences = occurrences + ?, last_seen_at = greatest(last_seen_at, ?), sample = coalesce(sample, ?)
		WHERE source = ? AND path = ?`, s.n, s.last, s.sample, source, path)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO sync.drift VALUES (?, ?, ?, ?, ?, ?)`, source, path, s.sample, s.first, s.last, s.n)
	return err
}
