package load

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"syncd/internal/call"
)

// StoredQuery says which stored calls of a source are wanted next: newest start first, those without a start last.
type StoredQuery struct {
	Source  string
	After   *Ref // go on after this one, the last of the batch before; nil: from the newest call
	Limit   int  // how many at most
	Bytes   int  // of payloads: a batch ends with the call that reaches it
	History bool // with their revisions

	span time.Duration // how long a stretch was found to hold about Limit calls; it need not be right
}

// StoredCalls reads the next batch of calls as they are stored, with all that belongs to them, for Rewrite in the same transaction. There are no more
// where it is empty.
func (tx *Tx) StoredCalls(ctx context.Context, q *StoredQuery) ([]*Stored, error) {
	refs, err := tx.nextRefs(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("look for stored calls of %s: %w", q.Source, err)
	}
	if len(refs) == 0 {
		return nil, nil
	}
	batch, err := tx.readStored(ctx, q, refs)
	if err != nil {
		return nil, fmt.Errorf("read stored calls of %s: %w", q.Source, err)
	}
	return batch, nil
}

// CountCalls is how many calls of a source there are, deleted ones included.
func (tx *Tx) CountCalls(ctx context.Context, source string) (n int64, err error) {
	if err := tx.w.conn.QueryRowContext(ctx, `SELECT count(*) FROM calls WHERE source = ?`, source).Scan(&n); err != nil {
		return 0, fmt.Errorf("count the calls of %s: %w", source, err)
	}
	return n, nil
}

// Next names the call after which the next batch begins.
func (s *Stored) Next() *Ref {
	return &Ref{ID: s.change.old.ids[0], StartedAt: s.change.old.startedAt[0]}
}

// nextRefs names the calls that come next. It goes down in stretches, so that what lies far below is not looked at for each batch.
func (tx *Tx) nextRefs(ctx context.Context, q *StoredQuery) ([]Ref, error) {
	if q.After != nil && q.After.StartedAt == nil {
		return tx.refs(ctx, q.Source, "c.started_at IS NULL AND c.call_id > $2", "c.call_id", q.Limit, q.After.ID)
	}
	s := slice{span: max(q.span, time.Minute)}
	var found []Ref
	var err error
	if q.After == nil {
		newest, err := tx.newestStart(ctx, q.Source)
		if err != nil || newest == nil {
			return tx.refsWithoutStart(ctx, q, err)
		}
		s.until = newest.Add(time.Microsecond)
	} else {
		at := instant(*q.After.StartedAt)
		if found, err = tx.refs(ctx, q.Source, "c.started_at = "+at+" AND c.call_id > $2", "c.call_id", q.Limit, q.After.ID); err != nil {
			return nil, err
		}
		s.until = *q.After.StartedAt
	}
	for stretches := 0; len(found) < q.Limit && !s.last; stretches++ {
		more, err := tx.refs(ctx, q.Source, s.near(), "c.started_at DESC, c.call_id", q.Limit-len(found))
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
		q.span = s.span
		if len(found) == q.Limit && stretches == 0 {
			q.span /= 2 // it holds more, and all of that was sorted
		}
		s.next()
		s.span *= 4
	}
	if len(found) == 0 {
		return tx.refsWithoutStart(ctx, q, nil)
	}
	return found, nil
}

func (tx *Tx) refsWithoutStart(ctx context.Context, q *StoredQuery, err error) ([]Ref, error) {
	if err != nil {
		return nil, err
	}
	return tx.refs(ctx, q.Source, "c.started_at IS NULL", "c.call_id", q.Limit)
}

func (tx *Tx) newestStart(ctx context.Context, source string) (*time.Time, error) {
	var newest sql.NullTime
	err := tx.w.conn.QueryRowContext(ctx, `SELECT max(started_at) FROM calls WHERE source = ?`, source).Scan(&newest)
	return timePointer(newest), err
}

func (tx *Tx) refs(ctx context.Context, source, near, order string, limit int, args ...any) ([]Ref, error) {
	var found []Ref
	err := tx.each(ctx, fmt.Sprintf(`SELECT c.call_id, c.started_at FROM calls AS c WHERE c.source = $1 AND (%s) ORDER BY %s LIMIT %d`, near, order, limit),
		append([]any{source}, args...), func(rows *sql.Rows) error {
			var r Ref
			var startedAt sql.NullTime
			if err := rows.Scan(&r.ID, &startedAt); err != nil {
				return err
			}
			r.StartedAt = timePointer(startedAt)
			found = append(found, r)
			return nil
		})
	return found, err
}

// readStored reads what is stored of calls, as far as the bytes of their payloads may go.
func (tx *Tx) readStored(ctx context.Context, q *StoredQuery, refs []Ref) ([]*Stored, error) {
	changes := make([]*change, len(refs))
	batch := make([]*Stored, len(refs))
	// A batch is thousands of calls, and of most nothing will be written: what each needs is made at once for all.
	all := make([]struct {
		stored    Stored
		change    change
		obs       call.Observation
		id        [1]string
		startedAt [1]*time.Time
	}, len(refs))
	for n, ref := range refs {
		one := &all[n]
		one.id[0], one.startedAt[0] = ref.ID, ref.StartedAt
		one.change = change{obs: &one.obs, again: true, old: known{key: ref.ID, ids: one.id[:], startedAt: one.startedAt[:]}}
		one.stored.change = &one.change
		changes[n], batch[n] = &one.change, &one.stored
	}
	near, err := tx.stageStored(ctx, changes)
	if err != nil {
		return nil, err
	}
	n, err := tx.readPayloads(ctx, q, near, batch)
	if err != nil {
		return nil, err
	}
	if n < len(batch) {
		batch, changes = batch[:n], changes[:n]
		if near, err = tx.stageStored(ctx, changes); err != nil {
			return nil, err
		}
	}
	if err := tx.readCalls(ctx, q.Source, near, changes); err != nil {
		return nil, err
	}
	if err := tx.readChildren(ctx, q.Source, near, changes); err != nil {
		return nil, err
	}
	for _, s := range batch {
		if s.change.before == nil {
			return nil, errors.New("a call was found and then was not: the file is damaged, or another process wrote it")
		}
		s.Was = s.change.before.call
	}
	if q.History {
		err = tx.readHistory(ctx, q.Source, batch)
	}
	return batch, err
}

// readPayloads reads the payloads of the staged calls, and returns for how many of the calls it did.
func (tx *Tx) readPayloads(ctx context.Context, q *StoredQuery, near string, batch []*Stored) (whole int, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT s.n, c.part, c.payload, c.fetched_at, c.content_hash, c.reading`+stagedRows("raw_calls", near)+
		`ORDER BY s.n, c.reading DESC, c.part`, q.Source)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	bytes, last := 0, 0
	for rows.Next() {
		var (
			n       int
			p       StoredPayload
			payload sql.NullString
		)
		if err := rows.Scan(&n, (*string)(&p.Part), &payload, &p.FetchedAt, &p.ContentHash, &p.Reading); err != nil {
			return 0, err
		}
		if n != last && bytes >= q.Bytes {
			return n, nil
		}
		last = n
		p.Payload, p.Dropped, p.FetchedAt = payload.String, !payload.Valid, p.FetchedAt.UTC()
		bytes += len(p.Payload)
		batch[n].Parts = append(batch[n].Parts, p)
		batch[n].change.old.add(knownPart{p.Part, p.ContentHash, p.Reading})
	}
	return len(batch), rows.Err()
}

// Since reports whether a payload of the call came by a reading of this number or a later one.
func (s *Stored) Since(reading int64) bool {
	return len(s.Parts) > 0 && s.Parts[0].Reading >= reading
}
