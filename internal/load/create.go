package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// create makes the warehouse file where there is none: under a name of its own first, with its tables, and then under the one that was
// asked for. If the process dies while DuckDB writes the first pages of a file, what is left cannot be opened; so it must not bear the
// name. Of several processes that make the same file at once, one wins, and the others use its.
func create(ctx context.Context, o Options) error {
	if _, err := os.Lstat(o.Path); !errors.Is(err, fs.ErrNotExist) {
		return nil // there, or not to be seen: opening it will tell
	}
	if _, err := os.Lstat(o.Path + ".wal"); err == nil {
		// DuckDB would replay it into the new file: rows and claims of coverage from a warehouse that is gone.
		return fmt.Errorf("there is no such file, but %s.wal is there, of a warehouse that is gone; bring that back, or delete the .wal", o.Path)
	}
	final := o.Path
	sweep(final, time.Hour)
	var err error
	if o.Path, err = newName(final); err != nil {
		return err
	}
	defer removeWarehouse(o.Path)
	w, err := openFile(ctx, o)
	if err != nil {
		return err
	}
	if err := errors.Join(w.Checkpoint(ctx), w.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, never replaces what is there.
	err = os.Link(o.Path, final)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return os.Rename(o.Path, final) // a file system without hard links
	}
	return nil
}

// newName is a name beside path that nobody has: what is half made never bears the name itself. DuckDB wants to make the file, so only the name is
// taken from a temporary one.
func newName(path string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return "", openError(err)
	}
	return f.Name(), errors.Join(f.Close(), os.Remove(f.Name()))
}

// removeWarehouse removes a half-made file. What cannot be removed does no harm: nobody opens it, and the next sweep tries again.
func removeWarehouse(path string) {
	_ = os.Remove(path)
	_ = os.Remove(path + ".wal")
	_ = os.RemoveAll(path + ".tmp") // where DuckDB puts what memory has no room for
}

// sweep removes what processes that died here left of their own tries, once it is old enough to be nobody's.
func sweep(final string, old time.Duration) {
	left, err := filepath.Glob(final + ".new-*")
	if err != nil {
		return // the path itself reads as a pattern: then it stays
	}
	for _, path := range left {
		if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()) >= old {
			removeWarehouse(path)
		}
	}
}
