package load

import (
	"context"
	"slices"

	"github.com/duckdb/duckdb-go/v2"

	"syncd/internal/call"
)

// newSeen makes the temporary table of what a batch saw; why it is made anew each time is said at stage.
const newSeen = `CREATE OR REPLACE TEMP TABLE seen (lookup VARCHAR NOT NULL, n INTEGER NOT NULL, content_hash BIGINT NOT NULL, reading BIGINT NOT NULL)`

// leaveOut returns the calls of a batch without those of which the warehouse has just what was observed, and counts them. A batch of which
// nothing has changed, as most that are read again, is then done with one question, whose answer is a number for each call. What is odd in any
// way stays, and is looked at closely: a call of several parts or ids, one that is deleted, one that was seen by a newer reading.
func (tx *Tx) leaveOut(ctx context.Context, source string, f *Found, batch []*change, oldestUnderWay int64) ([]*change, error) {
	if len(batch) < worthwhile {
		return batch, nil
	}
	if some, err := tx.within(ctx, source, batch); len(some) < worthwhile || err != nil {
		return batch, err
	}
	unchanged, err := tx.findUnchanged(ctx, source, between(startsOf(batch)), batch)
	if err != nil {
		return nil, err
	}
	rest := make([]*change, 0, len(batch))
	for i, c := range batch {
		if !unchanged[i] {
			rest = append(rest, c)
			continue
		}
		f.counts.Unchanged++
		if o := c.parts[0]; o.Reading > oldestUnderWay {
			f.unchanged = append(f.unchanged, unchangedAt{digestOf(source, c.old.key, o.Part), o.Reading})
		}
	}
	return rest, nil
}

// findUnchanged reports for each call of a batch whether the warehouse has just what was observed, among the rows that a condition on their start
// lets through.
func (tx *Tx) findUnchanged(ctx context.Context, source, near string, batch []*change) ([]bool, error) {
	unchanged := make([]bool, len(batch))
	if near == "" {
		return unchanged, nil
	}
	plain, err := tx.plain(ctx, source, batch)
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, newSeen); err != nil {
		return nil, err
	}
	if err := tx.insertRows(ctx, rows{"temp.seen", len(plain), []column{
		full("lookup", func(i int) string { return batch[plain[i]].old.key }),
		value("n", duckdb.TYPE_INTEGER, func(i int) int32 { return int32(plain[i]) }), //nolint:gosec // one of some ten thousand
		value("content_hash", duckdb.TYPE_BIGINT, func(i int) int64 { return batch[plain[i]].parts[0].ContentHash }),
		value("reading", duckdb.TYPE_BIGINT, func(i int) int64 { return batch[plain[i]].parts[0].Reading }),
	}}); err != nil {
		return nil, err
	}
	found, err := tx.QueryContext(ctx, `SELECT s.n
		FROM (SELECT call_id FROM calls AS c WHERE c.source = $1 AND (`+near+`) AND c.deleted_at IS NULL) AS c
		JOIN seen AS s ON s.lookup = c.call_id
		JOIN (SELECT call_id, content_hash, reading FROM raw_calls AS c WHERE c.source = $1 AND (`+near+`) AND c.part = 'list') AS r
			ON r.call_id = c.call_id AND r.content_hash = s.content_hash AND r.reading <= s.reading`, source)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	for found.Next() {
		var n int
		if err := found.Scan(&n); err != nil {
			return nil, err
		}
		unchanged[n] = true
	}
	return unchanged, found.Err()
}

// plain names the calls of a batch that were seen in their list alone, and that no other id can name.
func (tx *Tx) plain(ctx context.Context, source string, batch []*change) ([]int, error) {
	aliases := 0
	for _, c := range batch {
		aliases += len(c.aliases())
	}
	certain := false
	if aliases > 0 {
		var err error
		if certain, err = tx.w.known.readTx(ctx, tx, aliases); err != nil {
			return nil, err
		}
	}
	plain := make([]int, 0, len(batch))
	for i, c := range batch {
		if len(c.parts) != 1 || c.parts[0].Part != call.PartList {
			continue
		}
		if slices.ContainsFunc(c.aliases(), func(id string) bool { return !certain || tx.w.known.has(keyHash(source, id)) }) {
			continue
		}
		plain = append(plain, i)
	}
	return plain, nil
}
