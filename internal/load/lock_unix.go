//go:build unix

package load

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockAsDuckDB takes the lock by which DuckDB keeps other processes from a file that it has open. It must not be called while this process has
// the file open by DuckDB: closing it here would give that lock away, too. It fails with ErrBusy where another process has it.
func lockAsDuckDB(path string) (unlock func(), _ error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // the warehouse
	if err != nil {
		return nil, fmt.Errorf("open warehouse %s: %w", path, openError(err))
	}
	whole := syscall.Flock_t{Type: syscall.F_WRLCK}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &whole); err != nil {
		_ = f.Close() // nothing was written
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
			return nil, fmt.Errorf("open warehouse %s: %w; wait for it to finish, or stop it", path, ErrBusy)
		}
		return nil, fmt.Errorf("open warehouse %s: lock it: %w", path, err)
	}
	return func() { _ = f.Close() }, nil // which gives the lock back
}
