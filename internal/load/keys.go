package load

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/zeebo/xxh3"
)

// knownKeys is the set of all keys that the warehouse holds, hashed. A key that it does not have is new for certain, and nothing needs
// to be looked for; one that it has may be a call whose start has moved out of the range in which rows are looked for first, and is
// then looked for everywhere.
//
// Reading the set from the file costs about as much as looking everywhere ten times, so it is read at the tenth time, and kept up from
// then on: a short run into a large warehouse never pays for it, a long one pays once.
type knownKeys struct {
	hashes   map[uint64]struct{} // nil: not read yet
	searches int                 // how often it would have helped so far
}

const (
	searchesBeforeReading = 10
	keysOfASearch         = 2000 // a search for so many keys counts as two
)

// keyHash is the hash of a call's key.
func keyHash(source, id string) uint64 {
	return xxh3.HashStringSeed(id, xxh3.HashString(source))
}

// readTx fills the set once it pays. It reports whether the set can be asked for so many keys.
func (k *knownKeys) readTx(ctx context.Context, tx *Tx, keys int) (bool, error) {
	if k.hashes != nil {
		return true, nil
	}
	if k.searches += 1 + keys/keysOfASearch; k.searches < searchesBeforeReading {
		return false, nil
	}
	hashes, err := tx.readKeys(ctx)
	if err != nil {
		return false, fmt.Errorf("read the keys of the calls: %w", err)
	}
	k.hashes = hashes
	return true, nil
}

// readKeys hashes all keys that the file holds. They may be tens of millions, so they are taken from the driver itself: database/sql converts each
// value in ways that take ten times as long as reading it.
func (tx *Tx) readKeys(ctx context.Context) (map[uint64]struct{}, error) {
	var n int64
	if err := tx.w.conn.QueryRowContext(ctx, `SELECT count(*) FROM calls`).Scan(&n); err != nil {
		return nil, err
	}
	hashes := make(map[uint64]struct{}, n+n/8)
	err := tx.w.conn.Raw(func(dc any) (err error) {
		rows, err := dc.(driver.QueryerContext).QueryContext(ctx, `SELECT source, call_id FROM calls`, nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		row := make([]driver.Value, 2)
		for {
			if err := rows.Next(row); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			source, ok := row[0].(string)
			id, okay := row[1].(string)
			if !ok || !okay {
				return fmt.Errorf("a key is %T and %T, where two texts are expected", row[0], row[1])
			}
			hashes[keyHash(source, id)] = struct{}{}
		}
	})
	return hashes, err
}

// has reports whether the warehouse may hold the key; false is certain.
func (k *knownKeys) has(hash uint64) bool {
	_, ok := k.hashes[hash]
	return ok
}

// add records keys that a transaction has committed. Where the set was not read yet, reading it will find them.
func (k *knownKeys) add(hashes []uint64) {
	if k.hashes == nil {
		return
	}
	for _, h := range hashes {
		k.hashes[h] = struct{}{}
	}
}
