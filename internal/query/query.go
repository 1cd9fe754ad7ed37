// Package query answers read-only SQL on a warehouse file, in a process that is not its writer.
//
// It owns the guard (which statements are answered at all), the reading instance of DuckDB with everything but reading switched off, and
// the forms an answer takes: table, json, ndjson, csv and Parquet. It refuses to write to the warehouse, to read any other file, to run
// beside the writer in one process, and to judge a statement by its text: DuckDB's own parser says what it is.
//
// The DuckDB driver holds a whole answer in memory, outside the memory limit, before it gives the first row. So the engine is spoken to
// through the bindings that the driver itself stands on, which can stream; nothing else of the driver is used but its cache of
// open instances, so that a file that this process already has open in another way is refused instead of opened twice.
package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"syncd/internal/disk"
)

// DefaultMemoryLimit is what DuckDB may use where Options names no limit, in bytes.
const DefaultMemoryLimit = 1 << 30

// defaultLockWait covers a writer that is just finishing: the end of a sync, a checkpoint.
const defaultLockWait = 3 * time.Second

// Options say what is read and within which bounds.
type Options struct {
	Path          string        // the warehouse file; it must exist
	Keep          []string      // files beside Path that are syncd's own, which no answer may be written to, nor what goes with them
	Output        string        // the one file that WriteFile may make; "": none, and WriteFile is an error
	MemoryLimit   int64         // bytes; 0: DefaultMemoryLimit
	Threads       int           // 0: one for each core
	TempDirectory string        // where large sorts and joins spill, into a private directory that Close removes; "": the system's
	Timeout       time.Duration // for one query, writing its answer included; 0: none
	LockWait      time.Duration // how long to wait for a writer to let go of the file; 0: 3 s, negative: not at all
	MaxRows       int64         // most rows of one answer; 0: no bound
	TimeZone      string        // IANA name in which TIMESTAMPTZ values are shown; "": UTC
	Width         int           // columns of the terminal that tables must fit into; 0: nothing is cut
}

// Reader is an open warehouse. Its methods may be called from several goroutines; Close must come after they returned.
type Reader struct {
	opts   Options
	temp   string // private spill directory
	unlock func() // of what tells that it is in use
	part   string // where WriteFile writes before the rename; "" without Output
	db     *instance
}

// Open opens the warehouse for reading alone. A missing file is an error that satisfies errors.Is(err, fs.ErrNotExist); a file held by a
// writer for longer than Options.LockWait is a *BusyError.
func Open(ctx context.Context, o Options) (*Reader, error) {
	if err := checkWarehouse(o.Path); err != nil {
		return nil, err
	}
	r := &Reader{opts: withDefaults(o)}
	if o.Output != "" {
		part, target, err := partFile(append([]string{o.Path}, o.Keep...), o.Output)
		if err != nil {
			return nil, err
		}
		r.part, r.opts.Output = part, target
	}
	var err error
	if r.temp, r.unlock, err = makeTemp(o.TempDirectory); err != nil {
		return nil, fmt.Errorf("make a directory for temporary data: %w", err)
	}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, r.removeTemp())
	}
	return r, nil
}

// Close lets go of the file and removes temporary data. A second Close does nothing.
func (r *Reader) Close() error {
	r.db.close()
	return r.removeTemp()
}

func (r *Reader) removeTemp() error {
	defer r.unlock()
	if err := os.RemoveAll(r.temp); err != nil {
		return fmt.Errorf("remove temporary data: %w", err)
	}
	return nil
}

// Run answers one SELECT (or VALUES, TABLE, DESCRIBE, SHOW, SUMMARIZE) and writes the rows to w as they come. It returns how many were written.
//
// A statement that is not answered here is an error that satisfies errors.Is(err, ErrRefused), and nothing was executed. A statement that
// DuckDB cannot answer is a *SQLError. With more than Options.MaxRows rows the first of them are written, well formed, and the
// error satisfies errors.Is(err, ErrTooManyRows). A query that ran out of time, or whose ctx ended, is interrupted, and its error wraps ctx's.
func (r *Reader) Run(ctx context.Context, sql string, f Format, w io.Writer) (int64, error) {
	if f == Parquet {
		return 0, errors.New("parquet is written to a file: name one with -o FILE")
	}
	ctx, cancel := r.limit(ctx)
	defer cancel()
	s, q, err := r.accept(ctx, sql)
	if err != nil {
		return 0, err
	}
	defer s.close()
	n, err := r.write(ctx, s, q, f, w)
	return n, r.explain(ctx, err)
}

// accept opens a session and has it judge the statement. The session is the caller's to close.
func (r *Reader) accept(ctx context.Context, sql string) (*session, *statement, error) {
	s, err := r.db.connect()
	if err != nil {
		return nil, nil, err
	}
	q, err := s.accept(ctx, sql)
	if err != nil {
		s.close()
		return nil, nil, r.explain(ctx, err)
	}
	return s, q, nil
}

// write streams the rows of an accepted statement.
func (r *Reader) write(ctx context.Context, s *session, q *statement, f Format, w io.Writer) (n int64, err error) {
	limit := r.opts.MaxRows
	text := q.selecting(f, limit)
	if err := s.verify(ctx, q, text); err != nil {
		return 0, err
	}
	rows, err := s.stream(ctx, text.sql, len(q.columns))
	if err != nil {
		return 0, q.located(err, text.offset)
	}
	defer rows.close()
	out, err := newEncoder(f, w, q.columns, r.opts.Width)
	if err != nil {
		return 0, err
	}
	for rows.next(ctx) {
		if limit > 0 && n == limit {
			return n, errors.Join(out.finish(true), &limitError{rows: limit})
		}
		if err := out.row(rows.cells); err != nil {
			return n, fmt.Errorf("write the answer: %w", err)
		}
		n++
	}
	if rows.err != nil {
		return n, q.located(rows.err, text.offset)
	}
	if err := out.finish(false); err != nil {
		return n, fmt.Errorf("write the answer: %w", err)
	}
	return n, nil
}

func (r *Reader) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if r.opts.Timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, r.opts.Timeout, &timeoutError{after: r.opts.Timeout})
}

// explain says why an interrupted query ended: DuckDB tells only that it was interrupted.
func (r *Reader) explain(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || !interrupted(err) {
		return err
	}
	if cause := context.Cause(ctx); errors.As(cause, new(*timeoutError)) {
		return cause
	}
	return fmt.Errorf("the query was stopped: %w", ctx.Err())
}

func withDefaults(o Options) Options {
	if o.MemoryLimit == 0 {
		o.MemoryLimit = DefaultMemoryLimit
	}
	if o.TimeZone == "" {
		o.TimeZone = "UTC"
	}
	if o.LockWait == 0 {
		o.LockWait = defaultLockWait
	}
	return o
}

// checkWarehouse looks at the name alone: opening the file here, and closing it, would drop the locks this process may have on it.
func checkWarehouse(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("there is no warehouse at %s: run `syncd sync` first: %w", path, os.ErrNotExist)
	case err != nil:
		return fmt.Errorf("look at the warehouse: %w", err)
	case info.IsDir():
		return fmt.Errorf("the warehouse %s is a directory: name the file in it", path)
	}
	return nil
}

// open opens the instance, waiting a little for a writer, and then takes from it everything that reading does not need.
func (r *Reader) open(ctx context.Context) error {
	path, err := filepath.Abs(r.opts.Path)
	if err != nil {
		return fmt.Errorf("open the warehouse: %w", err)
	}
	config := map[string]string{
		"access_mode":                  "READ_ONLY",
		"memory_limit":                 kib(r.opts.MemoryLimit),
		"temp_directory":               r.temp,
		"max_temp_directory_size":      kib(maxSpill(r.temp)),
		"autoinstall_known_extensions": "false",
		"autoload_known_extensions":    "false",
		"allow_community_extensions":   "false",
		"allow_persistent_secrets":     "false",
	}
	if r.opts.Threads > 0 {
		config["threads"] = strconv.Itoa(r.opts.Threads)
	}
	if r.db, err = openWaiting(ctx, path, config, r.opts.LockWait); err != nil {
		return err
	}
	if err := r.confine(ctx); err != nil {
		r.db.close()
		return err
	}
	return nil
}

// maxSpill is how much a question may put aside on a disk where what it asks for outgrows its memory, in bytes: a quarter of what there is room for but
// for a gibibyte, as others need the disk, and ask, too; and no more than 10 GiB.
func maxSpill(dir string) int64 {
	const most, left = 10 << 30, 1 << 30
	if free, known := disk.Free(dir); known {
		return min((free-left)/4, most)
	}
	return most
}

// kib is a number of bytes as DuckDB reads it.
func kib(n int64) string { return strconv.FormatInt(max(n>>10, 1), 10) + "KiB" }

// openWaiting tries again while a writer holds the file, until the wait is over.
func openWaiting(ctx context.Context, path string, config map[string]string, wait time.Duration) (*instance, error) {
	deadline := time.Now().Add(wait)
	for pause := 25 * time.Millisecond; ; pause = min(2*pause, 250*time.Millisecond) {
		db, err := openInstance(path, config)
		if err == nil {
			return db, nil
		}
		if err = openError(path, err); !errors.Is(err, ErrBusy) || time.Now().Add(pause).After(deadline) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the warehouse: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

// confine sets what can be set only once the file is open. The order matters: after external access is off no path can be allowed,
// and after the lock nothing can be set at all.
func (r *Reader) confine(ctx context.Context) error {
	s, err := r.db.connect()
	if err != nil {
		return err
	}
	defer s.close()
	settings := []string{
		"SET GLOBAL TimeZone = " + quote(r.opts.TimeZone),
		"SET GLOBAL errors_as_json = true",
	}
	if r.part != "" {
		settings = append(settings, "SET GLOBAL allowed_paths = ["+quote(r.part)+"]")
	}
	settings = append(settings,
		"SET GLOBAL enable_external_access = false",
		"SET GLOBAL lock_configuration = true")
	for _, sql := range settings {
		if _, err := s.exec(ctx, sql); err != nil {
			return fmt.Errorf("confine the reader (%s): %w", sql, err)
		}
	}
	return nil
}
