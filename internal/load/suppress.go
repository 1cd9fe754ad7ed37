package load

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

// Suppression is a row of sync.suppressed: a digest, and what it is of.
type Suppression struct {
	Kind   string
	Hash   string
	Length int    // of a number; 0: it is of none
	Source string // of a call
	Erased bool   // of a call: a run had inserted it
}

// Suppressions are those who are kept out.
func (tx *Tx) Suppressions(ctx context.Context) (all []Suppression, err error) {
	if err := tx.each(ctx, `SELECT kind, hash, length, source, erased FROM sync.suppressed`, nil, func(rows *sql.Rows) error {
		var (
			s      Suppression
			length sql.NullInt64
		)
		err := rows.Scan(&s.Kind, &s.Hash, &length, text{&s.Source}, &s.Erased)
		s.Length = int(length.Int64)
		all = append(all, s)
		return err
	}); err != nil {
		return nil, fmt.Errorf("read who is kept out: %w", err)
	}
	return all, nil
}

// Suppress keeps out who is not kept out yet. Whoever asks for the same twice is told nothing.
//
// It is durable with the caller's transaction: what was erased and what keeps it out happen together or not at all.
func (tx *Tx) Suppress(ctx context.Context, at time.Time, list []Suppression) error {
	known, err := tx.Suppressions(ctx)
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(known))
	for _, s := range known {
		there[s.Kind+s.Hash] = true
	}
	fresh := make([]Suppression, 0, len(list))
	for _, s := range list {
		if !there[s.Kind+s.Hash] {
			there[s.Kind+s.Hash] = true
			fresh = append(fresh, s)
		}
	}
	if err := tx.insertRows(ctx, rows{"sync.suppressed", len(fresh), []column{
		full("kind", func(i int) string { return fresh[i].Kind }),
		full("hash", func(i int) string { return fresh[i].Hash }),
		pointed("length", duckdb.TYPE_INTEGER, func(i int) *int32 { return lengthOf(fresh[i]) }),
		optional("source", func(i int) string { return fresh[i].Source }),
		value("erased", duckdb.TYPE_BOOLEAN, func(i int) bool { return fresh[i].Erased }),
		value("suppressed_at", duckdb.TYPE_TIMESTAMP_TZ, func(int) time.Time { return at }),
	}}); err != nil {
		return fmt.Errorf("keep somebody out: %w", err)
	}
	return nil
}

func lengthOf(s Suppression) *int32 {
	if s.Length == 0 {
		return nil
	}
	n := int32(s.Length) //nolint:gosec // the digits of a number
	return &n
}

// NewEpoch says that what others remember of the tables, and what they have read and not committed yet, is of no use once this transaction has
// committed: each of them ends, and begins anew from the tables.
func (tx *Tx) NewEpoch() { tx.changed, tx.newEpoch = true, true }
