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

// isEmptyNear reports whether the warehouse has no call of a source between the starts, for certain.
func (tx *Tx) isEmptyNear(ctx context.Context, source string, starts []*time.Time) (bool, error) {
	lo, hi, null := bounds(starts)
	if lo == nil || null {
		return false, nil
	}
	if tx.w.extents == nil {
		if len(starts) < worthwhile {
			return false, nil
		}
		if err := tx.readExtents(ctx); err != nil {
			return false, fmt.Errorf("read between which starts there are calls: %w", err)
		}
	}
	e, any := tx.w.extents[source]
	if any && !hi.Before(e.oldest) && !lo.After(e.newest) {
		return false, nil
	}
	e, any = tx.extents[source] // what this transaction has stored
	return !any || hi.Before(e.oldest) || lo.After(e.newest), nil
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
