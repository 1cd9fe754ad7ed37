package load

import (
	"context"
	"fmt"
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

const searchesBeforeReading = 10

// keyHash is DuckDB's hash of a call's key: the same function fills the set and asks it.
const keyHash = `hash(source, call_id)`

// readTx fills the set once it pays. It reports whether the set can be asked.
func (k *knownKeys) readTx(ctx context.Context, tx *Tx) (bool, error) {
	if k.hashes != nil {
		return true, nil
	}
	if k.searches++; k.searches < searchesBeforeReading {
		return false, nil
	}
	hashes := make(map[uint64]struct{})
	rows, err := tx.QueryContext(ctx, `SELECT `+keyHash+` FROM calls`)
	if err != nil {
		return false, fmt.Errorf("read the keys of the calls: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var h uint64
		if err := rows.Scan(&h); err != nil {
			return false, fmt.Errorf("read the keys of the calls: %w", err)
		}
		hashes[h] = struct{}{}
	}
	if err := rows.Err(); err != nil {
		return false, fmt.Errorf("read the keys of the calls: %w", err)
	}
	k.hashes = hashes
	return true, nil
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
