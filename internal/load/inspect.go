package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Info is what can be seen of a warehouse file without changing it.
type Info struct {
	Exists  bool
	Version int   // of its schema; 0 where it has none yet
	Calls   int64 // rows of calls
}

// Inspect looks at a warehouse file, read-only. No file is no error: Open would make one, if the folder lets it, and that is tried with
// nothing left behind. It fails as Open would, with ErrBusy where another process holds the file.
func Inspect(ctx context.Context, path string) (info Info, err error) {
	w, version, err := openToRead(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		probe, err := os.CreateTemp(filepath.Dir(path), ".syncd-check-*")
		if err != nil {
			return Info{}, fmt.Errorf("warehouse %s: %w", path, openError(err))
		}
		return Info{}, errors.Join(probe.Close(), os.Remove(probe.Name()))
	case err != nil:
		return Info{}, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	info = Info{Exists: true, Version: version}
	if info.Version == 0 {
		return info, nil
	}
	if err := w.conn.QueryRowContext(ctx, `SELECT count(*) FROM calls`).Scan(&info.Calls); err != nil {
		return Info{}, fmt.Errorf("warehouse %s: count its calls: %w", path, err)
	}
	return info, nil
}

// OpenReadOnly opens a warehouse file for looking at it: nothing can be written. Where there is no file the error is fs.ErrNotExist, and where
// another process holds it ErrBusy. A file that an older syncd wrote is an error: some of what is looked for is not in it.
func OpenReadOnly(ctx context.Context, path string) (*Warehouse, error) {
	w, version, err := openToRead(ctx, path)
	if err != nil {
		return nil, err
	}
	all, err := migrations()
	if err == nil && version < len(all) {
		err = fmt.Errorf("warehouse %s: its schema is version %d, of an older syncd, and this one reads %d; run 'syncd sync' once to bring it up to date", path, version, len(all))
	}
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// openToRead opens a warehouse file that is there, read-only, and tells the version of its schema; 0 where it has none yet. Where there is no
// file the error is fs.ErrNotExist, and where another process holds it ErrBusy.
func openToRead(ctx context.Context, path string) (*Warehouse, int, error) {
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, fmt.Errorf("warehouse %s: %w", path, err)
	case err != nil:
		return nil, 0, fmt.Errorf("warehouse %s: %w", path, openError(err))
	}
	readOnly := settings(Options{})
	readOnly.Set("access_mode", "READ_ONLY")
	readOnly.Del("threads") // it answers what is asked of all of it
	w, err := connect(ctx, path, readOnly)
	if err != nil {
		return nil, 0, err
	}
	version, err := w.knownVersion(ctx)
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("warehouse %s: %w", path, err), w.Close())
	}
	return w, version, nil
}
