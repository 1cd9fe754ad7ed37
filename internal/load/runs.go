package load

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"syncd/internal/call"
)

// Source is what sync.sources tells of one source.
type Source struct {
	Name     string
	Provider string
	Start    time.Time // nothing older is wanted
	Reread   string    // the configured ages, as written
	Schedule string
	Rules    string // what its records are read with: privacy and the value of a credit, in words without a secret
}

// SaveSource records a source as active, and writes only where something changed. It returns the rules that its records were read with
// before; "" for a new source.
func (tx *Tx) SaveSource(ctx context.Context, s Source) (before string, err error) {
	var same bool
	err = tx.w.conn.QueryRowContext(ctx, `SELECT coalesce(rules, ''), provider = ? AND start = ? AND reread IS NOT DISTINCT FROM nullif(?, '')
		AND schedule IS NOT DISTINCT FROM nullif(?, '') AND rules IS NOT DISTINCT FROM nullif(?, '') AND state = 'active'
		FROM sync.sources WHERE source = ?`,
		s.Provider, s.Start, s.Reread, s.Schedule, s.Rules, s.Name).Scan(&before, &same)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("read source %s: %w", s.Name, err)
	}
	if same {
		return before, nil
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM sync.sources WHERE source = ?`, s.Name); err != nil {
		return "", fmt.Errorf("save source %s: %w", s.Name, err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO sync.sources (source, provider, start, reread, schedule, state, rules)
		VALUES (?, ?, ?, nullif(?, ''), nullif(?, ''), 'active', nullif(?, ''))`, s.Name, s.Provider, s.Start, s.Reread, s.Schedule, s.Rules); err != nil {
		return "", fmt.Errorf("save source %s: %w", s.Name, err)
	}
	return before, nil
}

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
	if _, err := tx.ExecContext(ctx, `DELETE FROM sync.runs WHERE run_id = ?`, r.ID); err != nil {
		return fmt.Errorf("save run of %s: %w", r.Source, err)
	}
	var finished any
	if !r.FinishedAt.IsZero() {
		finished = r.FinishedAt
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO sync.runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''))`,
		r.ID, r.Source, r.Kind, r.StartedAt, finished, r.Outcome, r.Requests, r.Retries, r.Pages, r.Records,
		r.Inserted, r.Updated, r.Unchanged, r.Rejected, r.Drift, r.Error); err != nil {
		return fmt.Errorf("save run of %s: %w", r.Source, err)
	}
	return nil
}

// EndInterrupted marks runs of a source that are still recorded as running. There is one writer, so their process is no more.
func (tx *Tx) EndInterrupted(ctx context.Context, source string) error {
	if _, err := tx.ExecContext(ctx, `UPDATE sync.runs SET outcome = 'interrupted' WHERE source = ? AND outcome = 'running'`, source); err != nil {
		return fmt.Errorf("mark interrupted runs of %s: %w", source, err)
	}
	return nil
}

// Reject keeps records that could not become calls. A record that is rejected again is kept once.
func (tx *Tx) Reject(ctx context.Context, runID string, rejects []call.Reject) error {
	for _, r := range rejects {
		sum := sha256.Sum256([]byte(r.Source + "\x00" + r.Reason + "\x00" + r.Payload))
		if _, err := tx.ExecContext(ctx, `INSERT INTO sync.rejects SELECT $1, $2, $3, $4, nullif($5, ''), $6, $7, NULL
			WHERE NOT EXISTS (FROM sync.rejects WHERE reject_id = $1)`,
			hex.EncodeToString(sum[:16]), r.Source, runID, r.Reason, r.Detail, r.Payload, r.FetchedAt); err != nil {
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

// addSighting keeps the first sample of a path: the one that made somebody look stays the same.
func (tx *Tx) addSighting(ctx context.Context, source, path string, s sighting) error {
	result, err := tx.ExecContext(ctx, `UPDATE sync.drift SET occurrences = occurrences + ?, last_seen_at = greatest(last_seen_at, ?)
		WHERE source = ? AND path = ?`, s.n, s.last, source, path)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO sync.drift VALUES (?, ?, ?, ?, ?, ?)`, source, path, s.sample, s.first, s.last, s.n)
	return err
}
