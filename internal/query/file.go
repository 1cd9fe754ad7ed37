package query

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// WriteFile answers one SELECT into Options.Output and returns the number of rows. The file appears whole or not at all: it is written beside its
// place and then moved there, over an earlier one. Errors are those of Run; too many rows leave no file.
func (r *Reader) WriteFile(ctx context.Context, sql string, f Format) (int64, error) {
	if f == Parquet {
		return r.WriteParquet(ctx, sql, 0)
	}
	return r.whole(func() (int64, error) { return r.writeText(ctx, sql, f) })
}

// WriteParquet is WriteFile for Parquet, with at most so many rows in a row group, or with DuckDB's own number for 0. DuckDB holds a group in memory
// until it is whole, so groups of long rows should be small.
func (r *Reader) WriteParquet(ctx context.Context, sql string, group int64) (int64, error) {
	return r.whole(func() (int64, error) { return r.copyParquet(ctx, sql, group) })
}

// whole has an answer written beside its place, and moves it there.
func (r *Reader) whole(write func() (int64, error)) (n int64, err error) {
	if r.part == "" {
		return 0, errors.New("write a file: none was named when the warehouse was opened")
	}
	defer func() {
		if rm := os.Remove(r.part); rm != nil && !errors.Is(rm, os.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("remove the unfinished file: %w", rm))
		}
	}()
	n, err = write()
	if errors.Is(err, ErrTooManyRows) {
		return 0, &limitError{rows: r.opts.MaxRows, whole: true}
	}
	if err != nil {
		return 0, err
	}
	if err := os.Rename(r.part, r.opts.Output); err != nil {
		return 0, fmt.Errorf("move the finished file into place: %w", err)
	}
	return n, nil
}

// copyParquet has DuckDB write the file: it was allowed this one path before everything else was closed.
func (r *Reader) copyParquet(ctx context.Context, sql string, group int64) (int64, error) {
	ctx, cancel := r.limit(ctx)
	defer cancel()
	s, q, err := r.accept(ctx, sql)
	if err != nil {
		return 0, err
	}
	defer s.close()
	text := q.renaming(r.opts.MaxRows)
	if err := s.verify(ctx, q, text); err != nil {
		return 0, r.explain(ctx, err)
	}
	// DuckDB's own temporary file would be another path, which is not allowed.
	const head, options = "COPY (\n", "\n) TO %s (FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false%s)"
	groups := ""
	if group > 0 {
		groups = fmt.Sprintf(", ROW_GROUP_SIZE %d", group)
	}
	n, err := s.exec(ctx, head+text.sql+fmt.Sprintf(options, quote(r.part), groups))
	if err != nil {
		return 0, r.explain(ctx, q.located(err, len(head)+text.offset))
	}
	if r.opts.MaxRows > 0 && n > r.opts.MaxRows {
		return 0, &limitError{rows: r.opts.MaxRows}
	}
	return n, nil
}

func (r *Reader) writeText(ctx context.Context, sql string, f Format) (n int64, err error) {
	file, err := os.OpenFile(r.part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("write the answer: %w", err)
	}
	defer func() {
		if c := file.Close(); c != nil && err == nil {
			err = fmt.Errorf("write the answer: %w", c)
		}
	}()
	w := bufio.NewWriter(file)
	if n, err = r.Run(ctx, sql, f, w); err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, fmt.Errorf("write the answer: %w", err)
	}
	return n, nil
}

// partFile checks where an answer is to go, and names the file beside it that it is written to first. Both paths are absolute.
func partFile(own []string, output string) (part, target string, err error) {
	target, err = filepath.Abs(output)
	if err != nil {
		return "", "", fmt.Errorf("write to %s: %w", output, err)
	}
	if resolved, err := filepath.EvalSymlinks(target); err == nil {
		target = resolved // a link stays a link to the new answer
	}
	info, err := os.Stat(target)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return "", "", fmt.Errorf("write to %s: it is not a regular file", output)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return "", "", fmt.Errorf("write to %s: %w", output, err)
	}
	for _, path := range own {
		if path == "" {
			continue
		}
		if err := notWarehouse(path, target, info); err != nil {
			return "", "", err
		}
	}
	dir, base := filepath.Split(target)
	if _, err := os.Stat(dir); err != nil {
		return "", "", fmt.Errorf("write to %s: %w", output, err)
	}
	return filepath.Join(dir, "."+base+"."+rand.Text()[:8]+".part"), target, nil
}

// notWarehouse refuses an output that is the warehouse, its copy, or a file that belongs to it, under any name.
func notWarehouse(warehouse, target string, info os.FileInfo) error {
	paths := []string{warehouse}
	if resolved, err := filepath.EvalSymlinks(warehouse); err == nil {
		paths = append(paths, resolved)
	}
	for _, p := range paths {
		for _, suffix := range []string{"", ".wal", ".wal.checkpoint", ".wal.recovery", ".tmp", ".sock", ".forget.key", ".exports.json", ".compacting", ".before-compacting"} {
			own, err := filepath.Abs(p + suffix)
			if err != nil {
				return fmt.Errorf("look at the warehouse: %w", err)
			}
			there, err := os.Stat(own)
			if own == target || err == nil && info != nil && os.SameFile(there, info) {
				return fmt.Errorf("write to %s: that is the warehouse itself; name another file", target)
			}
		}
	}
	return nil
}
