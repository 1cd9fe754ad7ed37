package load

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"syncd/internal/call"
)

// known is what the warehouse has of one call of a batch.
type known struct {
	ids       []string // the ids it is stored under: none for a new call, two where an earlier id and the lasting one both have rows
	key       string   // the lasting id
	parts     []knownPart
	startedAt []*time.Time // of the stored rows
	deleted   bool
}

// knownPart is what the warehouse has of one part of a call: its newest payload, and the reading that saw it last.
type knownPart struct {
	part        call.Part
	contentHash int64
	reading     int64
}

// isStored reports whether the warehouse already has just this: the same payload, under the lasting id and no other, of a call that is
// there.
func (k *known) isStored(o *call.Observation) bool {
	p := k.find(o.Part)
	return len(k.ids) == 1 && k.ids[0] == k.key && p != nil && p.contentHash == o.ContentHash && !k.deleted
}

// isNewer reports whether the warehouse knows a newer state of this part than the observation is. What brings a deleted call back must be
// newer than anything that is known of it: to be deleted counts as a reading of every part.
func (k *known) isNewer(o *call.Observation) bool {
	if k.deleted {
		for _, p := range k.parts {
			if p.reading >= o.Reading {
				return true
			}
		}
	}
	p := k.find(o.Part)
	return p != nil && p.reading > o.Reading
}

// lags reports whether the stored reading of an unchanged part is older than that of the call's list payload. It is then written for the
// sake of its number: it says that the part was asked for since, and need not be again.
func (k *known) lags(o *call.Observation) bool {
	p, list := k.find(o.Part), k.find(call.PartList)
	return p != nil && list != nil && p.reading < list.reading && o.Reading > p.reading
}

func (k *known) find(part call.Part) *knownPart {
	for i := range k.parts {
		if k.parts[i].part == part {
			return &k.parts[i]
		}
	}
	return nil
}

// add notes a stored payload. Of two of one part, under two ids, the newer counts.
func (k *known) add(p knownPart) {
	if have := k.find(p.part); have == nil {
		k.parts = append(k.parts, p)
	} else if p.reading >= have.reading {
		*have = p
	}
}

// lookup finds what the warehouse has of each call of a batch.
func (tx *Tx) lookup(ctx context.Context, source string, batch []*change) error {
	some, err := tx.within(ctx, source, batch)
	if err != nil {
		return err
	}
	if near := between(startsOf(some)); near != "" {
		if err := tx.find(ctx, source, near, keysOf(some), some); err != nil {
			return err
		}
	}
	wanted := keysOf(batch)
	elsewhere, err := tx.unmatched(ctx, source, wanted, batch)
	if err != nil || len(elsewhere) == 0 {
		return err
	}
	search := func() error { return tx.find(ctx, source, "true", elsewhere, batch) }
	if tx.w.isLarge() {
		return tx.w.widely(ctx, search)
	}
	return search()
}

// keysOf are all ids that calls may be stored under.
func keysOf(batch []*change) []stagedKey {
	keys := make([]stagedKey, 0, len(batch))
	for n, c := range batch {
		keys = append(keys, stagedKey{id: c.old.key, n: n})
		for _, alias := range c.aliases() {
			keys = append(keys, stagedKey{id: alias, n: n})
		}
	}
	return keys
}

// aliases are the other ids that the observations of a call name.
func (c *change) aliases() []string {
	var ids []string
	for _, o := range c.parts {
		if o.Alias != "" && o.Alias != c.old.key && !slices.Contains(ids, o.Alias) {
			ids = append(ids, o.Alias)
		}
	}
	return ids
}

// stagedKey is an id to be looked up for the batch's nth call, and the part that is meant where one is.
type stagedKey struct {
	id   string
	part call.Part
	n    int
}

// stage replaces the contents of the staging table.
func (tx *Tx) stage(ctx context.Context, keys []stagedKey) error {
	if _, err := tx.ExecContext(ctx, newStage); err != nil {
		return fmt.Errorf("clear the staging table: %w", err)
	}
	return tx.insertRows(ctx, rows{"temp.stage", len(keys), []column{
		full("lookup", func(i int) string { return keys[i].id }),
		full("part", func(i int) string { return string(keys[i].part) }),
		value("n", duckdb.TYPE_INTEGER, func(i int) int32 { return int32(keys[i].n) }), //nolint:gosec // one of some ten thousand
	}})
}

// few is how many keys are looked for by naming them. To plan a join of staged keys takes longer than to look for so many.
const few = 100

// find looks keys up among the rows that a condition on their start (alias c, literals only, so that DuckDB can leave out what is out of range)
// lets through.
func (tx *Tx) find(ctx context.Context, source, where string, keys []stagedKey, batch []*change) error {
	if len(keys) > few {
		if err := tx.stage(ctx, keys); err != nil {
			return err
		}
		return tx.findStaged(ctx, source, where, batch)
	}
	of := make(map[string][]int, len(keys)) // the calls of the batch that an id may name
	args := []any{source}
	for _, k := range keys {
		if of[k.id] == nil {
			args = append(args, k.id)
		}
		of[k.id] = append(of[k.id], k.n)
	}
	named := ` WHERE c.source = ? AND (` + where + `) AND c.call_id IN (?` + strings.Repeat(", ?", len(args)-2) + `)`
	found := false
	if err := tx.each(ctx, `SELECT c.call_id, c.started_at, c.deleted_at IS NOT NULL FROM calls AS c`+named, args, func(rows *sql.Rows) error {
		var (
			id        string
			startedAt sql.NullTime
			deleted   bool
		)
		if err := rows.Scan(&id, &startedAt, &deleted); err != nil {
			return err
		}
		found = true
		for _, n := range of[id] {
			batch[n].old.stored(id, startedAt, deleted)
		}
		return nil
	}); err != nil || !found {
		return err
	}
	return tx.each(ctx, `SELECT c.call_id, c.part, c.content_hash, c.reading FROM raw_calls AS c`+named, args, func(rows *sql.Rows) error {
		var (
			id string
			p  knownPart
		)
		if err := rows.Scan(&id, (*string)(&p.part), &p.contentHash, &p.reading); err != nil {
			return err
		}
		for _, n := range of[id] {
			if batch[n].old.holds(id) {
				batch[n].old.add(p)
			}
		}
		return nil
	})
}

// each calls do for every row of a query.
func (tx *Tx) each(ctx context.Context, query string, args []any, do func(*sql.Rows) error) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := do(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// stored notes a row of the call, under one of its ids.
func (k *known) stored(id string, startedAt sql.NullTime, deleted bool) {
	if k.holds(id) {
		return
	}
	k.ids = append(k.ids, id)
	k.startedAt = append(k.startedAt, timePointer(startedAt))
	if id == k.key || len(k.ids) == 1 {
		k.deleted = deleted
	}
}

// findStaged looks the staged keys up.
func (tx *Tx) findStaged(ctx context.Context, source, where string, batch []*change) error {
	return tx.each(ctx, `SELECT s.n, c.call_id, c.started_at, c.deleted_at IS NOT NULL, r.part, r.content_hash, r.reading
		FROM (SELECT call_id, started_at, deleted_at FROM calls AS c WHERE c.source = $1 AND (`+where+`)) AS c
		JOIN stage AS s ON s.lookup = c.call_id
		LEFT JOIN (SELECT call_id, part, content_hash, reading FROM raw_calls AS c WHERE c.source = $1 AND (`+where+`)) AS r
			ON r.call_id = c.call_id`, []any{source}, func(rows *sql.Rows) error {
		var (
			n             int
			id            string
			startedAt     sql.NullTime
			deleted       bool
			part          sql.NullString
			hash, reading sql.NullInt64
		)
		if err := rows.Scan(&n, &id, &startedAt, &deleted, &part, &hash, &reading); err != nil {
			return err
		}
		k := &batch[n].old
		k.stored(id, startedAt, deleted)
		if part.Valid {
			k.add(knownPart{call.Part(part.String), hash.Int64, reading.Int64})
		}
		return nil
	})
}

// unmatched returns the keys that were not found near their start and that the warehouse may hold all the same.
func (tx *Tx) unmatched(ctx context.Context, source string, wanted []stagedKey, batch []*change) ([]stagedKey, error) {
	wanted = slices.DeleteFunc(wanted, func(k stagedKey) bool { return batch[k.n].old.holds(k.id) })
	if len(wanted) == 0 {
		return nil, nil
	}
	askable, err := tx.w.known.readTx(ctx, tx, len(wanted))
	if err != nil || !askable {
		return wanted, err
	}
	return slices.DeleteFunc(wanted, func(k stagedKey) bool { return !tx.w.known.has(keyHash(source, k.id)) }), nil
}

// holds reports whether the call is already known to be stored under an id.
func (k *known) holds(id string) bool { return slices.Contains(k.ids, id) }

// startsOf are the starts that a batch tells.
func startsOf(batch []*change) []*time.Time {
	starts := make([]*time.Time, 0, len(batch))
	for _, c := range batch {
		for _, o := range c.parts {
			if o.Call.StartedAt != nil {
				starts = append(starts, o.Call.StartedAt)
			}
		}
	}
	return starts
}

// between is the condition that c.started_at is one of the given starts or lies between them, as literals; "" where there are none.
func between(starts []*time.Time) string {
	lo, hi, null := bounds(starts)
	switch {
	case lo == nil && null:
		return "c.started_at IS NULL"
	case lo == nil:
		return ""
	}
	in := "c.started_at BETWEEN " + instant(*lo) + " AND " + instant(*hi)
	if null {
		in += " OR c.started_at IS NULL"
	}
	return in
}

// bounds are the earliest and the latest of some starts, nil where there is none, and whether one of them is not known.
func bounds(starts []*time.Time) (lo, hi *time.Time, null bool) {
	for _, t := range starts {
		if t == nil {
			null = true
			continue
		}
		if lo == nil || t.Before(*lo) {
			lo = t
		}
		if hi == nil || t.After(*hi) {
			hi = t
		}
	}
	return lo, hi, null
}

// instant writes a time as a literal: only a literal lets DuckDB leave out what is out of range.
func instant(t time.Time) string {
	return "TIMESTAMPTZ '" + t.UTC().Format("2006-01-02 15:04:05.999999-07") + "'"
}

func timePointer(t sql.NullTime) *time.Time {
	if !t.Valid {
		return nil
	}
	utc := t.Time.UTC()
	return &utc
}
