package load

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/duckdb/duckdb-go/v2"
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
	connector, err := duckdb.NewConnector(path+"?access_mode=READ_ONLY&autoinstall_known_extensions=false&autoload_known_extensions=false", nil)
	if err != nil {
		return Info{}, fmt.Errorf("warehouse %s: %w", path, openError(err))
	}
	db := sql.OpenDB(connector)
	w := &Warehouse{path: path, db: db}
	defer func() { err = errors.Join(err, w.Close()) }()
	if w.conn, err = db.Conn(ctx); err != nil {
		return Info{}, fmt.Errorf("warehouse %s: %w", path, openError(err))
	}
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
