package checkpoint

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// What is to be read again whatever is proven (a person said so) cannot be derived from facts, which only say that it was read once. So what
// is left of it stands in the ledger, and shrinks with every window that closes, in that window's transaction.

// keepForced is how long what was left of a forced reading is gone on with. A later wish to read again starts over.
const keepForced = 7 * 24 * time.Hour

// LoadForcedTx returns what is left of the forced reading of a span, and reports whether an earlier one from the same beginning is gone on with:
// of what that one was to read, what it left, and what lies beyond it. Where there is none, the whole span is noted as to be read.
func LoadForcedTx(ctx context.Context, tx Tx, source string, s Span, now time.Time) (left []Span, resumed bool, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT since, until, asked_since, asked_until FROM sync.forced WHERE source = ? AND asked_since = ? AND requested_at > ?
		ORDER BY since`, source, s.Since, now.Add(-keepForced))
	if err != nil {
		return nil, false, fmt.Errorf("read what is left to be read again of %s: %w", source, err)
	}
	defer rows.Close()
	beyond := []Span{s}
	for rows.Next() {
		var l, asked Span
		if err := rows.Scan(&l.Since, &l.Until, &asked.Since, &asked.Until); err != nil {
			return nil, false, fmt.Errorf("read what is left to be read again of %s: %w", source, err)
		}
		resumed = true
		if l = (Span{l.Since.UTC(), minTime(l.Until.UTC(), s.Until)}); !l.Empty() {
			left = append(left, l)
		}
		beyond = Without(beyond, Span{asked.Since.UTC(), asked.Until.UTC()})
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("read what is left to be read again of %s: %w", source, err)
	}
	left = append(left, beyond...)
	return left, resumed, SaveForcedTx(ctx, tx, source, s, left, now)
}

// SaveForcedTx notes what is left of the forced reading of a span.
//
// If the process dies before the commit, the window that has just been read is read again; nothing else is.
func SaveForcedTx(ctx context.Context, tx Tx, source string, s Span, left []Span, now time.Time) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM sync.forced WHERE source = ? AND since < ? AND until > ?`, source, s.Until, s.Since); err != nil {
		return fmt.Errorf("note what is left to be read again of %s: %w", source, err)
	}
	for _, l := range left {
		if _, err := tx.ExecContext(ctx, `INSERT INTO sync.forced VALUES (?, ?, ?, ?, ?, ?)`, source, l.Since, l.Until, s.Since, s.Until, now); err != nil {
			return fmt.Errorf("note what is left to be read again of %s: %w", source, err)
		}
	}
	return nil
}

// Without returns what is left of spans once another is taken out of them.
func Without(spans []Span, read Span) []Span {
	var left []Span
	for _, s := range spans {
		left = append(left, subtract(s, []Span{read})...)
	}
	return slices.Clip(left)
}
