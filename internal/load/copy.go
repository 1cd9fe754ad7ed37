package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"syncd/internal/disk"
)

// Copy says which file is to be copied where, and what must be found in the copy.
type Copy struct {
	From string           `json:"from"`
	To   string           `json:"to"`   // there must be none yet
	At   time.Time        `json:"at"`   // when it was settled
	Rows map[string]int64 `json:"rows"` // of each table, with its schema

	Views    string        `json:"views"`    // a folder with the user's own views; "": none
	Patience time.Duration `json:"patience"` // how long a file of them may take; 0: ten seconds

	Memory        int64  `json:"memory"` // that DuckDB may take, in bytes; 0: as it likes
	TempDirectory string `json:"temp_directory"`
}

// Copied is what came of a Copy.
type Copied struct {
	Bytes  int64 `json:"bytes"`
	Cloned bool  `json:"cloned"` // its blocks are shared with the file's

	ViewErrors []string `json:"view_errors"` // why views of the user's own are not in it, a line each
}

// errMoved says that the file changed while it was copied.
var errMoved = errors.New("a checkpoint changed the file while it was copied; the next copy is made anew")

// MakeCopy copies a warehouse file for readers, tells in the copy as of when it is, and checks it. It must be called in a process that has neither
// file open. What it leaves where it fails is for the caller to remove.
func MakeCopy(ctx context.Context, c Copy) (done Copied, err error) {
	if done, err = copyStill(c); err != nil {
		return done, fmt.Errorf("copy %s: %w", c.From, err)
	}
	if done.ViewErrors, err = finishCopy(ctx, c); err != nil {
		return done, fmt.Errorf("finish the copy of %s: %w", c.From, err)
	}
	info, err := os.Stat(c.To)
	if err != nil {
		return done, fmt.Errorf("copy %s: %w", c.From, err)
	}
	done.Bytes = info.Size()
	return done, nil
}

// headers is how many bytes at the start of a file tell which checkpoint it is of: its own header and the two that checkpoints write in turns.
const headers = 3 * 4096

// copyStill copies a file and checks that no checkpoint changed it meanwhile.
func copyStill(c Copy) (done Copied, err error) {
	in, err := os.Open(c.From)
	if err != nil {
		return done, err
	}
	defer in.Close() //nolint:errcheck // nothing was written to it
	before, err := readHeaders(in)
	if err != nil {
		return done, err
	}
	out, err := os.OpenFile(c.To, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return done, openError(err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if done.Cloned = clone(out, in); !done.Cloned {
		info, err := in.Stat()
		if err != nil {
			return done, err
		}
		if err := hasRoom(filepath.Dir(c.To), info.Size()); err != nil {
			return done, err
		}
		if _, err := io.Copy(out, io.LimitReader(in, info.Size())); err != nil {
			if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
				err = diskFull(err)
			}
			return done, err
		}
	}
	after, err := readHeaders(in)
	if err == nil && !bytes.Equal(before, after) {
		err = errMoved
	}
	return done, err
}

func readHeaders(f *os.File) ([]byte, error) {
	head := make([]byte, headers)
	_, err := f.ReadAt(head, 0)
	return head, err
}

// room is what DuckDB needs beside the copy to finish it.
const room = 16 << 20

// hasRoom fails where a disk has too little room for a file of so many bytes.
func hasRoom(dir string, size int64) error {
	free, known := disk.Free(dir)
	if known && free < size+room {
		return fmt.Errorf("the copy takes %d MB, and %s has %d MB of room; make some, or put the copy elsewhere (warehouse.publish)", (size+room)>>20, dir, free>>20)
	}
	return nil
}

// finishCopy tells in the copy as of when it is, makes the user's own views in it, has it on the disk, and checks that it holds what it should:
// last, so that whatever a view did is seen.
func finishCopy(ctx context.Context, c Copy) (viewErrors []string, err error) {
	w, err := openCopy(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := w.tellWhen(ctx, c.At); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if c.Views != "" {
		if err := w.Close(); err != nil {
			return nil, err
		}
		if viewErrors, err = makeViews(ctx, c); err != nil {
			return nil, err
		}
		if w, err = openCopy(ctx, c); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.holds(ctx, c.Rows), w.Checkpoint(ctx), w.Close()); err != nil {
		return nil, err
	}
	if _, err := os.Stat(LogPath(c.To)); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("its write-ahead log is not empty")
	}
	if err := os.Chtimes(c.To, c.At, c.At); err != nil {
		return nil, err
	}
	return viewErrors, syncFile(c.To)
}

func openCopy(ctx context.Context, c Copy) (*Warehouse, error) {
	return connect(ctx, c.To, settings(Options{MemoryLimit: c.Memory, TempDirectory: c.TempDirectory}))
}

// tellWhen makes the views that go by the time go by that of the copy.
func (w *Warehouse) tellWhen(ctx context.Context, at time.Time) error {
	if _, err := w.knownVersion(ctx); err != nil {
		return err
	}
	return w.Write(ctx, func(tx *Tx) error {
		for _, s := range []string{
			`CREATE OR REPLACE TABLE sync.published (published_at TIMESTAMPTZ NOT NULL)`,
			`INSERT INTO sync.published VALUES (` + instant(at) + `)`,
			`COMMENT ON TABLE sync.published IS 'One row, in copies for readers alone: as of when this copy is.'`,
			`COMMENT ON COLUMN sync.published.published_at IS 'What was committed by then is in this copy; UTC. Never NULL.'`,
		} {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return err
			}
		}
		for _, view := range []string{"gaps", "freshness"} {
			if err := tx.replaceView(ctx, view, `FROM sync.`+view+`_at((SELECT published_at FROM sync.published))`); err != nil {
				return fmt.Errorf("replace sync.%s: %w", view, err)
			}
		}
		return nil
	})
}

// ownAgain makes a warehouse of a copy for readers that somebody has put in the place of a file that was lost: what goes by the time goes by the present
// again. It is one transaction: if the process dies before it commits, the next Open does it.
func (w *Warehouse) ownAgain(ctx context.Context) error {
	var copied bool
	if err := w.conn.QueryRowContext(ctx, `SELECT count(*) > 0 FROM duckdb_tables() WHERE schema_name = 'sync' AND table_name = 'published'`).Scan(&copied); err != nil || !copied {
		return err
	}
	return w.Write(ctx, func(tx *Tx) error {
		tx.changed = true
		for _, view := range []string{"gaps", "freshness"} {
			if err := tx.replaceView(ctx, view, `FROM sync.`+view+`_at(now())`); err != nil {
				return fmt.Errorf("replace sync.%s: %w", view, err)
			}
		}
		_, err := tx.ExecContext(ctx, `DROP TABLE sync.published`)
		return err
	})
}

// replaceView gives a view of the schema sync another query. What was said of it and of its columns is said of the new one: DuckDB forgets it.
func (tx *Tx) replaceView(ctx context.Context, view, query string) error {
	said, err := tx.comments(ctx, view)
	if err != nil {
		return err
	}
	for _, s := range append([]string{`CREATE OR REPLACE VIEW sync.` + view + ` AS ` + query}, said...) {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// comments returns the statements that say of a view of the schema sync, and of its columns, what is said of them now.
func (tx *Tx) comments(ctx context.Context, view string) (statements []string, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT 'VIEW sync.' || view_name, comment FROM duckdb_views() WHERE schema_name = 'sync' AND view_name = $1 AND comment IS NOT NULL
		UNION ALL SELECT 'COLUMN sync.' || table_name || '.' || column_name, comment FROM duckdb_columns()
		WHERE schema_name = 'sync' AND table_name = $1 AND comment IS NOT NULL`, view)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var of, comment string
		if err := rows.Scan(&of, &comment); err != nil {
			return nil, err
		}
		statements = append(statements, `COMMENT ON `+of+` IS '`+strings.ReplaceAll(comment, "'", "''")+`'`)
	}
	return statements, rows.Err()
}

// holds checks that every table has the rows that it should.
func (w *Warehouse) holds(ctx context.Context, want map[string]int64) error {
	have, err := w.countRows(ctx)
	if err != nil {
		return err
	}
	for table, n := range want {
		if have[table] != n {
			return fmt.Errorf("the copy has %d rows of %s, and there are %d", have[table], table, n)
		}
	}
	return nil
}

// countRows counts the rows of each table.
func (w *Warehouse) countRows(ctx context.Context) (map[string]int64, error) {
	rows, err := w.conn.QueryContext(ctx, `SELECT schema_name || '.' || table_name FROM duckdb_tables()
		WHERE database_name = current_database() AND NOT temporary ORDER BY ALL`)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	defer rows.Close()
	counts := make(map[string]int64)
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("list the tables: %w", err)
		}
		counts[name] = 0
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	for name := range counts {
		var n int64
		if err := w.conn.QueryRowContext(ctx, `SELECT count(*) FROM `+quoted(name)).Scan(&n); err != nil {
			return nil, fmt.Errorf("count the rows of %s: %w", name, err)
		}
		counts[name] = n
	}
	return counts, nil
}
