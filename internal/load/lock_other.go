//go:build !unix

package load

import (
	"errors"
	"fmt"
)

// lockAsDuckDB fails where DuckDB's lock is not known: a log that may be another process's is never cut off.
func lockAsDuckDB(path string) (func(), error) {
	return nil, fmt.Errorf("open warehouse %s: %w", path, errors.New("its write-ahead log is damaged; bring back a copy of the file and its log, or move both away and sync again"))
}
