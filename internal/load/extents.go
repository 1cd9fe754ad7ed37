package load

import (
	"context"
	"fmt"
	"time"
)

// extents tells for each source between which starts the warehouse has calls. What lies beyond is empty, and nothing need be looked for there:
// so it is with every window of a first reading, and with whatever is newer than all that is stored.
//
// They are read from the file once and then kept up, and only grow: an extent that is too wide costs a question, one that is too narrow a search
// through everything, as a key that is known is looked for wherever it may be.
type extents map[string]extent // nil: not read yet

type extent struct{ oldest, newest time.Time }

// worthwhile is from how many calls on knowing the extents is worth the question: for fewer, looking is as cheap.
const worthwhile = 1000

// within leaves out of a batch the calls that start beyond all that their source has stored. Windows overlap by a moment, so that of a large batch
// there are often a few within.
func (tx *Tx) within(ctx context.Context, source string, batch []*change) ([]*change, error) {
	if tx.w.extents == nil {
		if len(batch) < worthwhile {
			return batch, nil
		}
		if err := tx.readExtents(ctx); err != nil {
			return nil, fmt.Errorf("read between which starts there are calls: %w", err)
		}
	}
	before, during := tx.w.extents[source], tx.extents[source] // what this transaction has stored is not in the first
	var some []*change
	for _, c := range batch {
		if lo, hi, null := bounds(startsOf([]*change{c})); lo == nil || null || before.meets(*lo, *hi) || during.meets(*lo, *hi) {
			some = append(some, c)
		}
	}
	return some, nil
}

// meets reports whether a stretch of starts touches an extent. The zero extent is that of nothing.
func (e extent) meets(lo, hi time.Time) bool {
	return !e.newest.IsZero() && !hi.Before(e.oldest) && !lo.After(e.newest)
}

func (tx *Tx) readExtents(ctx context.Context) error {
	rows, err := tx.QueryContext(ctx, `SELECT source, min(started_at), max(started_at) FROM calls WHERE started_at IS NOT NULL GROUP BY source`)
	if err != nil {
		return err
	}
	defer rows.Close()
	read := make(extents)
	for rows.Next() {
		var source string
		var e extent
		if err := rows.Scan(&source, &e.oldest, &e.newest); err != nil {
			return err
		}
		read[source] = e
	}
	if err := rows.Err(); err != nil {
		return err
	}
	tx.w.extents = read
	return nil
}

// with makes an extent hold some starts.
func (e extents) with(source string, starts []*time.Time) extents {
	lo, hi, _ := bounds(starts)
	if lo == nil {
		return e
	}
	if e == nil {
		e = make(extents)
	}
	had, any := e[source]
	if !any {
		had = extent{*lo, *hi}
	}
	if lo.Before(had.oldest) {
		had.oldest = *lo
	}
	if hi.After(had.newest) {
		had.newest = *hi
	}
	e[source] = had
	return e
}

// widen takes over what a transaction has stored. Where they were not read yet, reading them will find it.
func (w *Warehouse) widen(by extents) {
	if w.extents == nil {
		return
	}
	for source, e := range by {
		w.extents = w.extents.with(source, []*time.Time{&e.oldest, &e.newest})
	}
}
