package load

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Source is what the configuration says of one source, as far as sync.sources keeps it.
type Source struct {
	Name        string
	Provider    string
	Start       time.Time     // nothing older is wanted
	Reread      string        // the configured ages, as written
	LargestAge  time.Duration // the largest of them; 0: there are none
	Schedule    string
	Interval    time.Duration // the longest time between two ticks of the schedule: what is not read for longer is late; 0: it has none
	Rules       string        // what its records are read with: privacy and the value of a credit, in words without a secret
	Fingerprint string        // of the account that the key opens; "" where it is not known
}

// Before is what was recorded of a source before it was saved.
type Before struct {
	Known        bool      // it was recorded at all; nothing below is set where it was not
	Rules        string    // that its records were read with
	Fingerprint  string    // of the account that its records came from; "": none was ever known
	Parked       string    // why it was parked; "" where it was active
	ReconciledAt time.Time // when the provider's total was last held against the warehouse; zero: never
}

// SaveSource records a source as configured and active, and returns what was recorded before. A parked source becomes active, because a
// start is a new try. It writes only where something changed, and never touches what the configuration does not say: the provider's total,
// the rules by which records are stored already, to which new ones are added, and the fingerprint of the account that the records came from. A first fingerprint is kept; one that differs is left to the caller, who
// must not let two accounts run into one source before somebody has said so: see [Tx.SetFingerprint].
//
// It is durable with the caller's transaction. If the process dies before that commits, the next start saves the same.
func (tx *Tx) SaveSource(ctx context.Context, s Source) (Before, error) {
	before, err := tx.sourceBefore(ctx, s.Name)
	if err != nil {
		return Before{}, fmt.Errorf("read source %s: %w", s.Name, err)
	}
	values := []any{s.Provider, s.Start, s.Reread, s.Schedule, s.Rules, milliseconds(s.Interval), milliseconds(s.LargestAge), s.Fingerprint, s.Name}
	statement := `INSERT INTO sync.sources (provider, start, reread, schedule, rules, interval_ms, largest_age_ms, account_fingerprint, source, state, configured, stored_rules)
		VALUES ($1, $2, nullif($3, ''), nullif($4, ''), nullif($5, ''), nullif($6, 0), nullif($7, 0), nullif($8, ''), $9, 'active', true, nullif($5, ''))`
	if before.Known {
		statement = `UPDATE sync.sources SET provider = $1, start = $2, reread = nullif($3, ''), schedule = nullif($4, ''), rules = nullif($5, ''),
			interval_ms = nullif($6, 0), largest_age_ms = nullif($7, 0), account_fingerprint = coalesce(account_fingerprint, nullif($8, '')),
			state = 'active', reason = NULL, configured = true,
			stored_rules = CASE WHEN $5 = '' OR list_contains(string_split(coalesce(stored_rules, ''), '` + rulesApart + `'), $5) THEN stored_rules
				ELSE concat_ws('` + rulesApart + `', stored_rules, $5) END
		WHERE source = $9 AND (provider, start, reread, schedule, rules, interval_ms, largest_age_ms, state, reason, configured,
				account_fingerprint IS NULL AND $8 <> '')
			IS DISTINCT FROM ($1, $2, nullif($3, ''), nullif($4, ''), nullif($5, ''), nullif($6, 0), nullif($7, 0), 'active', NULL, true, false)`
	}
	if _, err := tx.ExecContext(ctx, statement, values...); err != nil {
		return Before{}, fmt.Errorf("save source %s: %w", s.Name, err)
	}
	return before, nil
}

func (tx *Tx) sourceBefore(ctx context.Context, name string) (Before, error) {
	var b Before
	var reconciledAt sql.NullTime
	err := tx.w.conn.QueryRowContext(ctx, `SELECT coalesce(rules, ''), coalesce(account_fingerprint, ''),
		CASE WHEN state = 'parked' THEN coalesce(reason, 'parked') ELSE '' END, reconciled_at FROM sync.sources WHERE source = ?`, name).
		Scan(&b.Rules, &b.Fingerprint, &b.Parked, &reconciledAt)
	if reconciledAt.Valid {
		b.ReconciledAt = reconciledAt.Time.UTC()
	}
	if errors.Is(err, sql.ErrNoRows) {
		return Before{}, nil
	}
	b.Known = err == nil
	return b, err
}

// SetFingerprint records that the records of a source come from this account from now on.
func (tx *Tx) SetFingerprint(ctx context.Context, source, fingerprint string) error {
	return tx.changeSource(ctx, source, "set the account of", `UPDATE sync.sources SET account_fingerprint = nullif($2, '') WHERE source = $1`, fingerprint)
}

// Park records that nothing is asked for a source until somebody acts, and why. The reason is shown to people: it says what to do.
func (tx *Tx) Park(ctx context.Context, source, reason string) error {
	return tx.changeSource(ctx, source, "park", `UPDATE sync.sources SET state = 'parked', reason = $2 WHERE source = $1`, reason)
}

// Unpark makes a parked source active again.
func (tx *Tx) Unpark(ctx context.Context, source string) error {
	return tx.changeSource(ctx, source, "unpark", `UPDATE sync.sources SET state = 'active', reason = NULL WHERE source = $1`)
}

// SaveTotals records how many calls the provider says it has in all, beside how many are here and were not deleted: counted in the same
// transaction, so that the two belong to one moment.
func (tx *Tx) SaveTotals(ctx context.Context, source string, providerTotal int64, at time.Time) error {
	return tx.changeSource(ctx, source, "save the totals of", `UPDATE sync.sources SET provider_total = $2, reconciled_at = $3,
		warehouse_total = (SELECT count(*) FROM calls WHERE calls.source = $1 AND deleted_at IS NULL) WHERE source = $1`, providerTotal, at)
}

// changeSource runs an update of one source, which must be there.
func (tx *Tx) changeSource(ctx context.Context, source, operation, update string, args ...any) error {
	result, err := tx.ExecContext(ctx, update, append([]any{source}, args...)...)
	if err != nil {
		return fmt.Errorf("%s source %s: %w", operation, source, err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("%s source %s: %w", operation, source, err)
	}
	if n == 0 {
		return fmt.Errorf("%s source %s: the warehouse has no such source; save it first", operation, source)
	}
	return nil
}

// KeepConfigured records which sources the configuration names, and returns those that it names no more, by name, where that is news. Their
// rows stay: nothing is asked for them, and nothing of them is missing.
func (tx *Tx) KeepConfigured(ctx context.Context, names []string) ([]string, error) {
	changed, err := tx.reconfigured(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("read which sources were configured: %w", err)
	}
	var gone []string
	for _, name := range changed {
		is := slices.Contains(names, name)
		if _, err := tx.ExecContext(ctx, `UPDATE sync.sources SET configured = ? WHERE source = ?`, is, name); err != nil {
			return nil, fmt.Errorf("record whether source %s is configured: %w", name, err)
		}
		if !is {
			gone = append(gone, name)
		}
	}
	return gone, nil
}

// reconfigured returns the recorded sources that are configured and were not, or the other way round, by name.
func (tx *Tx) reconfigured(ctx context.Context, names []string) (changed []string, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT source, coalesce(configured, false) FROM sync.sources ORDER BY source`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var was bool
		if err := rows.Scan(&name, &was); err != nil {
			return nil, err
		}
		if was != slices.Contains(names, name) {
			changed = append(changed, name)
		}
	}
	return changed, rows.Err()
}

// milliseconds rounds up, so that nothing is called late, or settled, before it is.
func milliseconds(d time.Duration) int64 {
	return (d + time.Millisecond - 1).Milliseconds()
}
