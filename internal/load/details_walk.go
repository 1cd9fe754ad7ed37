package load

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// touchedDue looks once, where the calls are that may have something due.
func (tx *Tx) touchedDue(ctx context.Context, q DetailsQuery, kinds []dueKind) ([]DueDetail, error) {
	var due []DueDetail
	for _, k := range kinds {
		near, err := tx.extent(ctx, q, k)
		if err != nil {
			return nil, err
		}
		if near == "" {
			continue
		}
		if due, err = tx.appendDue(ctx, due, q, k, near); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(due, newestFirst)
	return due, nil
}

// walkDue goes down through all calls, a slice at a time, and through those without a start at last.
func (tx *Tx) walkDue(ctx context.Context, q DetailsQuery, kinds []dueKind) ([]DueDetail, error) {
	s := slice{until: q.Now, span: 24 * time.Hour, top: q.Before == nil}
	switch {
	case q.Before == nil:
	case q.Before.StartedAt == nil:
		s.last = true
	default:
		s.until = q.Before.StartedAt.Add(time.Microsecond)
	}
	var due []DueDetail
	for len(due) < q.Limit {
		near := "c.started_at IS NULL"
		if !s.last {
			if err := tx.fit(ctx, q.Source, &s); err != nil {
				return nil, err
			}
			near = s.near()
		}
		var more []DueDetail
		for _, k := range kinds {
			var err error
			if more, err = tx.appendDue(ctx, more, q, k, near); err != nil {
				return nil, err
			}
		}
		slices.SortFunc(more, newestFirst)
		due = append(due, more...)
		if s.last {
			break
		}
		s.next()
	}
	return due, nil
}

// sliceOfCalls is about how many calls one step of a walk through everything looks at. A slice of bottomless span reaches down to the oldest.
const (
	sliceOfCalls = 100_000
	bottomless   = 50 * 365 * 24 * time.Hour
)

// slice is a stretch of starts that holds about a slice of calls: [until - span, until), but without an upper end at the top.
type slice struct {
	until time.Time
	span  time.Duration
	top   bool
	last  bool // what is left are calls without a start
}

func (s *slice) near() string {
	from := "c.started_at IS NOT NULL"
	if s.span < bottomless {
		from = "c.started_at >= " + instant(s.until.Add(-s.span))
	}
	if s.top {
		return from
	}
	return from + " AND c.started_at < " + instant(s.until)
}

func (s *slice) next() {
	s.last = s.span >= bottomless
	s.top = false
	s.until = s.until.Add(-s.span)
}

// fit widens or narrows a slice until it holds about as many calls as it should. To count the calls of a stretch costs next to nothing,
// to sort all calls by their start would cost more than the look itself.
func (tx *Tx) fit(ctx context.Context, source string, s *slice) error {
	count := func() (n int64, err error) {
		err = tx.w.conn.QueryRowContext(ctx, `SELECT count(*) FROM calls AS c WHERE c.source = $1 AND `+s.near(), source).Scan(&n)
		return n, err
	}
	n, err := count()
	for err == nil && n < sliceOfCalls/2 && s.span < bottomless {
		s.span *= 4
		n, err = count()
	}
	for err == nil && n > sliceOfCalls*4 && s.span > time.Second {
		s.span /= 2
		n, err = count()
	}
	return err
}

// extent is the condition on their start that finds all calls of which something may be due for a reason; "" where there are none. It is
// cheap: it looks at few columns, and mostly at what was stored last.
func (tx *Tx) extent(ctx context.Context, q DetailsQuery, k dueKind) (string, error) {
	from, args := `calls AS c WHERE c.source = $1 AND `+k.calls, []any{q.Source}
	const tries = `(SELECT call_id FROM sync.details AS t WHERE t.source = $1 AND t.part = $2`
	switch {
	case k.touched:
		from = `raw_calls AS c WHERE c.source = $1 AND c.fetched_at >= ` + instant(q.Touched)
	case k.tried:
		from, args = from+` AND c.call_id IN `+tries+` AND `+k.due+`)`, append(args, string(k.part))
	default:
		from, args = from+` AND c.call_id NOT IN `+tries+`)`, append(args, string(k.part))
	}
	var lo, hi sql.NullTime
	var n, started int64
	if err := tx.w.conn.QueryRowContext(ctx, `SELECT min(c.started_at), max(c.started_at), count(*), count(c.started_at) FROM `+from,
		args...).Scan(&lo, &hi, &n, &started); err != nil {
		return "", err
	}
	var starts []*time.Time
	if started > 0 {
		starts = append(starts, timePointer(lo), timePointer(hi))
	}
	if n > started {
		starts = append(starts, nil)
	}
	return between(starts), nil
}

func (tx *Tx) appendDue(ctx context.Context, due []DueDetail, q DetailsQuery, k dueKind, near string) ([]DueDetail, error) {
	from, args := k.from(q, near)
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(`SELECT c.call_id, c.started_at, coalesce(l.reading, 0),
		CASE WHEN t.reading < l.reading THEN 0 ELSE coalesce(t.attempts, 0) END%s ORDER BY c.started_at DESC NULLS LAST, c.call_id LIMIT %d`,
		from, q.Limit), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		d := DueDetail{Part: k.part}
		var startedAt sql.NullTime
		if err := rows.Scan(&d.ID, &startedAt, &d.ListReading, &d.Attempts); err != nil {
			return nil, err
		}
		d.StartedAt = timePointer(startedAt)
		due = append(due, d)
	}
	return due, rows.Err()
}

// newestFirst is the order in which details are asked for.
func newestFirst(a, b DueDetail) int {
	switch {
	case a.StartedAt == nil && b.StartedAt != nil:
		return 1
	case a.StartedAt != nil && b.StartedAt == nil:
		return -1
	case a.StartedAt != nil && !a.StartedAt.Equal(*b.StartedAt):
		return b.StartedAt.Compare(*a.StartedAt)
	}
	return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(string(a.Part), string(b.Part)))
}
