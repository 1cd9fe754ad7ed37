package load

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// newestGaps is how many missing stretches a status names.
const newestGaps = 20

// sourceStatuses reads the status of every source, by name.
func (tx *Tx) sourceStatuses(ctx context.Context, at time.Time) ([]SourceStatus, error) {
	all, err := tx.readFreshness(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("read sync.freshness: %w", err)
	}
	bySource := make(map[string]*SourceStatus, len(all))
	for i := range all {
		bySource[all[i].Source] = &all[i]
	}
	if err := tx.readGaps(ctx, at, bySource); err != nil {
		return nil, fmt.Errorf("read sync.gaps: %w", err)
	}
	if err := tx.readLastRuns(ctx, bySource); err != nil {
		return nil, fmt.Errorf("read sync.runs: %w", err)
	}
	for i := range all {
		all[i].Problem, all[i].Advice = all[i].judge()
	}
	return all, nil
}

func (tx *Tx) readFreshness(ctx context.Context, at time.Time) ([]SourceStatus, error) {
	rows, err := tx.QueryContext(ctx, `SELECT source, provider, configured, state, reason, last_success_at, fresh_until, covered_since, settled_until,
		open_windows, failing_windows, calls, deleted_calls, unsettled_calls, rejects, drift, details_failed, details_incomplete,
		last_error, last_error_at, provider_total, warehouse_total, reconciled_at
		FROM sync.freshness_at(?::TIMESTAMPTZ) ORDER BY source`, at)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []SourceStatus{}
	for rows.Next() {
		s := SourceStatus{Missing: Missing{Newest: []Gap{}}}
		var success, fresh, covered, settled, failed, reconciled sql.NullTime
		var provider, warehouse sql.NullInt64
		if err := rows.Scan(&s.Source, &s.Provider, &s.Configured, &s.State, text{&s.Reason}, &success, &fresh, &covered, &settled,
			&s.OpenWindows, &s.FailingWindows, &s.Calls, &s.DeletedCalls, &s.UnsettledCalls, &s.Rejects, &s.Drift, &s.DetailsFailed, &s.DetailsIncomplete,
			text{&s.LastError}, &failed, &provider, &warehouse, &reconciled); err != nil {
			return nil, err
		}
		s.LastSuccessAt, s.FreshUntil, s.CoveredSince, s.SettledUntil = timePointer(success), timePointer(fresh), timePointer(covered), timePointer(settled)
		s.LastErrorAt, s.ReconciledAt = timePointer(failed), timePointer(reconciled)
		s.ProviderTotal, s.WarehouseTotal = intPointer(provider), intPointer(warehouse)
		if s.FreshUntil != nil {
			lag := at.Sub(*s.FreshUntil).Seconds()
			s.LagSeconds = &lag
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

func (tx *Tx) readGaps(ctx context.Context, at time.Time, bySource map[string]*SourceStatus) error {
	rows, err := tx.QueryContext(ctx, `SELECT source, state, since, until, error FROM sync.gaps_at(?::TIMESTAMPTZ) ORDER BY source, since DESC`, at)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var source, state string
		var gap Gap
		if err := rows.Scan(&source, &state, &gap.Since, &gap.Until, text{&gap.Error}); err != nil {
			return err
		}
		gap.Since, gap.Until = gap.Since.UTC(), gap.Until.UTC()
		s := bySource[source]
		if state == "settling" {
			s.Settling.Stretches++
			s.Settling.Seconds += gap.Until.Sub(gap.Since).Seconds()
			s.Settling.Since = &gap.Since // the last one read is the oldest
			continue
		}
		s.Missing.Stretches++
		s.Missing.Seconds += gap.Until.Sub(gap.Since).Seconds()
		if len(s.Missing.Newest) < newestGaps {
			s.Missing.Newest = append(s.Missing.Newest, gap)
		} else {
			s.Missing.More++
		}
	}
	return rows.Err()
}

// readLastRuns reads the run of each source that is under way, or else the one that ended last. A folded row began long before it ended, so
// its beginning tells nothing.
func (tx *Tx) readLastRuns(ctx context.Context, bySource map[string]*SourceStatus) error {
	rows, err := tx.QueryContext(ctx, `SELECT source, kind, outcome, coalesce(runs, 1), started_at, finished_at, requests, retries, pages, records,
		inserted, updated, unchanged, rejected, drift, error FROM sync.runs
		QUALIFY row_number() OVER (PARTITION BY source ORDER BY outcome = 'running' DESC, coalesce(finished_at, started_at) DESC, run_id) = 1`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var source string
		var r RunStatus
		var finished sql.NullTime
		if err := rows.Scan(&source, &r.Kind, &r.Outcome, &r.Runs, &r.StartedAt, &finished, &r.Requests, &r.Retries, &r.Pages, &r.Records,
			&r.Inserted, &r.Updated, &r.Unchanged, &r.Rejected, &r.Drift, text{&r.Error}); err != nil {
			return err
		}
		r.StartedAt, r.FinishedAt = r.StartedAt.UTC(), timePointer(finished)
		if s := bySource[source]; s != nil { // a run of a source that sync.sources does not have tells of nothing
			s.LastRun = &r
		}
	}
	return rows.Err()
}
