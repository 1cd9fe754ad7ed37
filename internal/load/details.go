package load

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"syncd/internal/call"
)

// DetailsQuery says which answers about single calls a source's tables are looked through for.
type DetailsQuery struct {
	Source string
	Parts  []call.Part // what every final call should have
	Single call.Part   // what is asked about a call that does not become final

	Now       time.Time
	Unsettled time.Duration // how long after its start a call that is not final is asked about; 0: never

	// Touched leaves out what is due of calls of which no payload was fetched since: it was found when it became so. It must reach back
	// before whatever was fetched and not committed at the last look. What was tried, and calls that do not become final, are never left
	// out. Zero looks at everything.
	Touched time.Time

	// Renew, where it is not nil, is all that is due: each of Parts of the final calls that started in its stretch, whatever is stored of it and
	// however it was tried, unless it was stored or tried since.
	Renew *Renewal

	Before *DueDetail // go on after this one, the last of the page before; nil: from the newest call
	Limit  int        // how many at most; fewer are returned only where there are no more
}

// Renewal is a stretch of calls whose details are asked for again.
type Renewal struct {
	Since, Until time.Time // by the start of calls, [Since, Until)
	Reading      int64     // the number of a reading: what was stored by this or a later one is new
	At           time.Time // what was tried at this time or later is not tried again
}

// DueDetail is an answer about a single call that is to be asked for.
type DueDetail struct {
	ID          string
	StartedAt   *time.Time
	Part        call.Part
	Attempts    int   // tries so far for the list payload that the call has now
	ListReading int64 // the reading of that list payload; 0: the call has none
}

// DetailTry is an answer about a single call that did not come whole.
type DetailTry struct {
	Source, ID  string
	Part        call.Part
	State       string // missing: the provider says there is none; failed; incomplete: it came, and lacked what it should bring
	Attempts    int
	ListReading int64 // of the list payload that it belongs to, as DueDetail tells it
	At          time.Time
	RetryAt     *time.Time // nil: never again, unless the list payload changes
	Error       string
}

// DetailKey names an answer about a single call.
type DetailKey struct {
	ID   string
	Part call.Part
}

// SaveDetailTry records tries of answers, in place of what earlier tries of the same left.
func (tx *Tx) SaveDetailTry(ctx context.Context, tries ...DetailTry) error {
	newest := make(map[string]map[DetailKey]DetailTry)
	for _, t := range tries {
		if newest[t.Source] == nil {
			newest[t.Source] = make(map[DetailKey]DetailTry)
		}
		newest[t.Source][DetailKey{t.ID, t.Part}] = t
	}
	for _, source := range slices.Sorted(maps.Keys(newest)) {
		if err := tx.EndDetailTry(ctx, source, slices.Collect(maps.Keys(newest[source]))...); err != nil {
			return err
		}
		list := slices.Collect(maps.Values(newest[source]))
		if err := tx.insertRows(ctx, rows{"sync.details", len(list), []column{
			full("source", func(i int) string { return list[i].Source }),
			full("call_id", func(i int) string { return list[i].ID }),
			full("part", func(i int) string { return string(list[i].Part) }),
			full("state", func(i int) string { return list[i].State }),
			value("attempts", duckdb.TYPE_INTEGER, func(i int) int32 { return int32(list[i].Attempts) }), //nolint:gosec // a few
			value("reading", duckdb.TYPE_BIGINT, func(i int) int64 { return list[i].ListReading }),
			value("tried_at", duckdb.TYPE_TIMESTAMP_TZ, func(i int) time.Time { return list[i].At }),
			moment("retry_at", func(i int) *time.Time { return list[i].RetryAt }),
			optional("error", func(i int) string { return list[i].Error }),
		}}); err != nil {
			return fmt.Errorf("record tries for details of %s: %w", source, err)
		}
	}
	return nil
}

// EndDetailTry forgets the tries of answers that came whole.
func (tx *Tx) EndDetailTry(ctx context.Context, source string, came ...DetailKey) error {
	if len(came) == 0 {
		return nil
	}
	keys := make([]stagedKey, len(came))
	for i, k := range came {
		keys[i] = stagedKey{id: k.ID, part: k.Part, n: i}
	}
	if err := tx.stage(ctx, keys); err != nil {
		return fmt.Errorf("forget tries for details of %s: %w", source, err)
	}
	if err := tx.deleteStaged(ctx, source, "true", "sync.details", "AND c.part = s.part"); err != nil {
		return fmt.Errorf("forget tries for details of %s: %w", source, err)
	}
	return nil
}

// DueDetails lists the answers about single calls that are to be asked for now, newest call first, and calls without a start last. The
// tables themselves say what is missing, so nothing is queued and nothing can be lost:
//
//   - each of q.Parts of a final call whose payload is not there, or is older than the list payload: the list has changed since. Unless
//     it was tried for this list payload;
//   - what was tried, and is to be tried again by now;
//   - q.Single of a call that is not final long after its start, and was not tried.
//
// A payload whose text was dropped was there. A deleted call has nothing due. An answer about a call that stays unfinished needs a try of
// its own even where it came: without one the call is looked at again at every look, though not asked about.
//
// A look at everything goes down the calls in slices and stops as soon as it has enough, so that a page of a large backlog costs a slice,
// and not the table.
func (tx *Tx) DueDetails(ctx context.Context, q DetailsQuery) ([]DueDetail, error) {
	kinds, err := tx.dueKinds(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("look for details due of %s: %w", q.Source, err)
	}
	var due []DueDetail
	switch {
	case len(kinds) == 0:
	case q.Touched.IsZero():
		due, err = tx.walkDue(ctx, q, kinds)
	default:
		due, err = tx.touchedDue(ctx, q, kinds)
	}
	if err != nil {
		return nil, fmt.Errorf("look for details due of %s: %w", q.Source, err)
	}
	return due[:min(len(due), q.Limit)], nil
}

// CountDueDetails is how many requests it takes to ask for all that is due. Before and Limit do not count.
func (tx *Tx) CountDueDetails(ctx context.Context, q DetailsQuery) (int64, error) {
	q.Before = nil
	kinds, err := tx.dueKinds(ctx, q)
	if err != nil {
		return 0, fmt.Errorf("count details due of %s: %w", q.Source, err)
	}
	var total int64
	for _, k := range kinds {
		near := "true"
		if !q.Touched.IsZero() {
			if near, err = tx.extent(ctx, q, k); err != nil {
				return 0, fmt.Errorf("count details due of %s: %w", q.Source, err)
			}
		}
		if near == "" {
			continue
		}
		from, args := k.from(q, near)
		var n int64
		if err := tx.w.conn.QueryRowContext(ctx, `SELECT count(*)`+from, args...).Scan(&n); err != nil {
			return 0, fmt.Errorf("count details due of %s: %w", q.Source, err)
		}
		total += n
	}
	return total, nil
}

// dueKind is one reason for which an answer of one part may be due. No answer is due for two.
type dueKind struct {
	part    call.Part
	calls   string // of which calls (alias c)
	due     string // what else must be (t: what was tried; l: the list payload; r: the part's payload)
	tried   bool   // only where something was tried
	touched bool   // only where a payload of the call was fetched since q.Touched
}

// dueAgain lists the one reason there is for a renewal. What comes unchanged is not written, so its reading stays the old one: whoever pages on
// from the last answer asks for it once all the same.
func (q DetailsQuery) dueAgain() (kinds []dueKind) {
	n := q.Renew
	for _, part := range q.Parts {
		kinds = append(kinds, dueKind{part: part,
			calls: "c.is_final AND c.deleted_at IS NULL AND c.started_at >= " + instant(n.Since) + " AND c.started_at < " + instant(n.Until),
			due:   fmt.Sprintf("(r.call_id IS NULL OR r.reading < %d) AND (t.call_id IS NULL OR t.tried_at < %s)", n.Reading, instant(n.At))})
	}
	return kinds
}

// dueKinds lists the reasons for which something of q may be due.
func (tx *Tx) dueKinds(ctx context.Context, q DetailsQuery) ([]dueKind, error) {
	if q.Renew != nil {
		return q.dueAgain(), nil
	}
	var retries int64
	if err := tx.w.conn.QueryRowContext(ctx, `SELECT count(*) FROM sync.details WHERE source = $1 AND retry_at <= `+instant(q.Now),
		q.Source).Scan(&retries); err != nil {
		return nil, err
	}
	const (
		lacks   = "(r.call_id IS NULL OR r.reading < l.reading)"
		final   = "c.is_final AND c.deleted_at IS NULL"
		pending = "NOT c.is_final AND c.deleted_at IS NULL"
	)
	retry := "t.retry_at <= " + instant(q.Now)
	var kinds []dueKind
	for _, part := range q.Parts {
		kinds = append(kinds, dueKind{part: part, calls: final, touched: true,
			due: lacks + " AND (t.call_id IS NULL OR t.reading < l.reading AND (t.retry_at IS NULL OR NOT " + retry + "))"})
		if retries > 0 {
			kinds = append(kinds, dueKind{part: part, calls: final, tried: true, due: retry})
		}
	}
	if q.Single == "" || q.Unsettled <= 0 {
		return kinds, nil
	}
	unsettled := pending + " AND coalesce(c.started_at, c.first_seen_at) < " + instant(q.Now.Add(-q.Unsettled))
	kinds = append(kinds,
		dueKind{part: q.Single, calls: unsettled, due: lacks + " AND t.call_id IS NULL"},
		// Tried and given up, and the list has something new to say of it.
		dueKind{part: q.Single, calls: unsettled, tried: true, touched: true, due: lacks + " AND t.reading < l.reading AND t.retry_at IS NULL"})
	if retries > 0 {
		kinds = append(kinds, dueKind{part: q.Single, calls: pending, tried: true, due: retry})
	}
	return kinds, nil
}

// from is the statement, but for what it selects, that finds what is due for a reason among the calls that a condition on their start lets
// through.
func (k dueKind) from(q DetailsQuery, near string) (string, []any) {
	args := []any{q.Source, string(k.part)}
	raw := `(SELECT c.call_id, c.reading FROM raw_calls AS c WHERE c.source = $1 AND (` + near + `) AND `
	tries, and := "LEFT JOIN", ""
	if k.tried {
		tries = "JOIN"
	}
	if k.touched && !q.Touched.IsZero() {
		and = " AND c.call_id IN (SELECT call_id FROM " + raw + "c.fetched_at >= " + instant(q.Touched) + "))"
	}
	if q.Before != nil {
		args = append(args, q.Before.ID)
		and += " AND (" + k.after(q.Before) + ")"
	}
	return ` FROM (SELECT c.call_id, c.started_at FROM calls AS c WHERE c.source = $1 AND (` + near + `) AND ` + k.calls + and + `) AS c ` +
		tries + ` (SELECT call_id, reading, attempts, tried_at, retry_at FROM sync.details WHERE source = $1 AND part = $2) AS t ON t.call_id = c.call_id
		LEFT JOIN ` + raw + `c.part = '` + string(call.PartList) + `') AS l ON l.call_id = c.call_id
		LEFT JOIN ` + raw + `c.part = $2) AS r ON r.call_id = c.call_id WHERE ` + k.due, args
}

// after is the condition that a call's answer comes after another one in the order in which they are returned. $3 is the other's id.
func (k dueKind) after(b *DueDetail) string {
	same := "c.call_id > $3"
	if k.part > b.Part {
		same = "c.call_id >= $3"
	}
	if b.StartedAt == nil {
		return "c.started_at IS NULL AND " + same
	}
	at := instant(*b.StartedAt)
	return "c.started_at IS NULL OR c.started_at < " + at + " OR c.started_at = " + at + " AND " + same
}
