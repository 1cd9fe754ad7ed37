package load

import (
	"context"
	"crypto/md5" //nolint:gosec // it is no secret that is hashed: DuckDB and Go both have it, and both call it the same
	"encoding/binary"
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

const (
	searchesBeforeReading = 10
	keysOfASearch         = 2000 // a search for so many keys counts as two
)

// keyHash is keyHashOf in SQL: it fills the set, which is then asked without a question to DuckDB.
const keyHash = `md5_number_lower(source || chr(31) || call_id)`

// keyHashOf is a hash of a call's key. No name of a source has a control character in it.
func keyHashOf(source, id string) uint64 {
	key := make([]byte, 0, 128)
	key = append(append(append(key, source...), 31), id...)
	sum := md5.Sum(key) //nolint:gosec // as above
	return binary.LittleEndian.Uint64(sum[8:])
}

// readTx fills the set once it pays. It reports whether the set can be asked for so many keys.
func (k *knownKeys) readTx(ctx context.Context, tx *Tx, keys int) (bool, error) {
	if k.hashes != nil {
		return true, nil
	}
	if k.searches += 1 + keys/keysOfASearch; k.searches < searchesBeforeReading {
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
