//go:build !unix

package load

import (
	"errors"
	"fmt"
)

// lockAsDuckDB fails where DuckDB's lock is not known: a log that may be another process's is never cut off, and a file that may be is never replaced.
func lockAsDuckDB(path string) (func(), error) {
	return nil, fmt.Errorf("open warehouse %s: %w", path, errors.New("on this system no other process can be kept from the file"))
}
