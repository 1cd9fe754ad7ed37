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
	_, err = os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		probe, err := os.CreateTemp(filepath.Dir(path), ".syncd-check-*")
		if err != nil {
			return Info{}, fmt.Errorf("warehouse %s: %w", path, openError(err))
		}
		return Info{}, errors.Join(probe.Close(), os.Remove(probe.Name()))
	case err != nil:
		return Info{}, fmt.Errorf("warehouse %s: %w", path, openError(err))
	}
	readOnly := settings(Options{})
	readOnly.Set("access_mode", "READ_ONLY")
	w, err := connect(ctx, path, readOnly)
	if err != nil {
		return Info{}, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	info = Info{Exists: true}
	if info.Version, err = w.knownVersion(ctx); err != nil {
		return Info{}, fmt.Errorf("warehouse %s: %w", path, err)
	}
	if info.Version == 0 {
		return info, nil
	}
	if err := w.conn.QueryRowContext(ctx, `SELECT count(*) FROM calls`).Scan(&info.Calls); err != nil {
		return Info{}, fmt.Errorf("warehouse %s: count its calls: %w", path, err)
	}
	return info, nil
}
