package growth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Growth is how much a file has grown by small commits, in bytes.
type Growth struct {
	Before, After int64
	Rows          int64 // what the new rows themselves take: how much a copy of the file, written anew, has grown
	Log           int64 // the longest write-ahead log that there was between two checkpoints
	Checkpoint    time.Duration
}

// Gross is the growth as a share of the file before.
func (g Growth) Gross() float64 { return float64(g.After-g.Before) / float64(g.Before) }

// Net is the growth that the new rows do not explain, as a share of the file before.
func (g Growth) Net() float64 { return float64(g.After-g.Before-g.Rows) / float64(g.Before) }

// FileGrowth does so many commits of size calls, half of which are calls of the last day that changed, and brings the log into the file after
// every so many of them. Growth.Checkpoint is the median of what that took.
func FileGrowth(ctx context.Context, path string, commits, size, every int) (g Growth, err error) {
	compact, err := compactSize(ctx, path)
	if err != nil {
		return g, err
	}
	if g.Before, err = sizeOf(path); err != nil {
		return g, err
	}
	if err := g.write(ctx, path, commits, size, every); err != nil {
		return g, err
	}
	if g.After, err = sizeOf(path); err != nil {
		return g, err
	}
	after, err := compactSize(ctx, path)
	g.Rows = after - compact
	return g, err
}

func (g *Growth) write(ctx context.Context, path string, commits, size, every int) (err error) {
	s, err := open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	var took []time.Duration
	for i := range commits {
		if _, err := s.commit(ctx, Batch{Size: size, Updated: 0.5}); err != nil {
			return err
		}
		if (i+1)%every != 0 {
			continue
		}
		log, err := sizeOf(path + ".wal")
		if err != nil {
			return err
		}
		g.Log = max(g.Log, log)
		began := time.Now()
		if err := s.w.Checkpoint(ctx); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	g.Checkpoint = quantile(took, 0.5)
	return nil
}

// compactSize is the size of a file that holds the same rows and was written at once.
func compactSize(ctx context.Context, path string) (_ int64, err error) {
	copied := path + ".compact"
	defer func() { err = errors.Join(err, os.Remove(copied)) }()
	if err := prepare(ctx, copied); err != nil {
		return 0, err
	}
	if err := copyRows(ctx, copied, path); err != nil {
		return 0, fmt.Errorf("copy %s: %w", path, err)
	}
	return sizeOf(copied)
}

func copyRows(ctx context.Context, to, from string) (err error) {
	db, err := connect(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, `ATTACH '`+from+`' AS original (READ_ONLY)`); err != nil {
		return err
	}
	rows, err := db.QueryContext(ctx, `SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = 'original' ORDER BY ALL`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var tables []string
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return err
		}
		tables = append(tables, table)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := db.ExecContext(ctx, `INSERT INTO `+table+` FROM original.`+table); err != nil { //nolint:gosec // the catalog's own names
			return fmt.Errorf("%s: %w", table, err)
		}
	}
	_, err = db.ExecContext(ctx, `CHECKPOINT`)
	return err
}
