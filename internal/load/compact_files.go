package load

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// realPath is where a warehouse file itself is, or will be, wherever links to it are.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	link, err := os.Readlink(path)
	switch {
	case err != nil:
		return path
	case filepath.IsAbs(link):
		return link
	}
	return filepath.Join(filepath.Dir(path), link)
}

// tidy removes what a compaction has left beside a warehouse. It is called by whoever has DuckDB's lock of that, so nobody else is at it. What cannot be
// removed does no harm: nobody opens it.
func tidy(path string) {
	path = realPath(path)
	removeWarehouse(newOf(path))
	_ = os.Remove(oldOf(path))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncFile has a file on the disk.
func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // beside the warehouse
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// syncFolder has the names in a file's folder on the disk.
func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
