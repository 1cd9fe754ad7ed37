package load

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

// Checkpoint writes the write-ahead log into the file, so that the file alone is the warehouse. It waits while the file is copied; writers do not.
func (w *Warehouse) Checkpoint(ctx context.Context) error {
	if err := w.still.take(ctx); err != nil {
		return err
	}
	defer w.still.give()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.reopen(ctx); err != nil {
		return err
	}
	return w.bringIn(ctx)
}

// bringIn makes a checkpoint where there is anything to be brought in: what is in the file already is not written again.
func (w *Warehouse) bringIn(ctx context.Context) error {
	if w.LogSize() == 0 {
		return nil
	}
	return w.checkpoint(ctx)
}

func (w *Warehouse) checkpoint(ctx context.Context) error {
	work := func() error { return w.writeLog(ctx) }
	limited := false
	err := w.widely(ctx, func() (err error) {
		limited, err = w.sparingly(ctx, work)
		return err
	})
	if limited && isOutOfMemory(err) {
		err = w.withAll(ctx, work, err)
	}
	if err != nil {
		return fmt.Errorf("checkpoint: %w", w.trouble(err))
	}
	return nil
}

// writeLog has DuckDB make a checkpoint: at the end of a transaction, or by a statement where that could not be.
func (w *Warehouse) writeLog(ctx context.Context) error {
	err := w.writeLogAtCommit(ctx)
	switch {
	case err == nil && w.LogSize() == 0:
		return nil
	case isFatal(err), err != nil && ctx.Err() != nil:
		return err
	}
	// The disk may have had no room for the comment, and the checkpoint needs none; or something was in its way, which this tells.
	_, err = w.conn.ExecContext(ctx, "CHECKPOINT")
	return err
}

// writeLogAtCommit has DuckDB make the checkpoint at the end of a transaction. It makes none in a file that is no warehouse yet.
//
// A statement, CHECKPOINT among them, is done by whichever thread takes it first, and what it does in parallel is begun by that one. Where another
// than ours is faster, ours does nothing from then on but ask whether it is done: of two threads one writes all, at twice the CPU, which happened at one
// checkpoint of four. The checkpoint at the end of a transaction is begun by the thread that ends it, always. So there is one, which gives a table the
// comment that it has, and for which no log is too short.
//
// If the process dies here, the file and its log are as they were, with or without a comment that changes nothing.
func (w *Warehouse) writeLogAtCommit(ctx context.Context) error {
	var comment sql.NullString
	err := w.conn.QueryRowContext(ctx, `SELECT comment FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'sync' AND table_name = 'schema_versions'`).Scan(&comment)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	same := "NULL"
	if comment.Valid {
		same = literal(comment.String)
	}
	// A setting that an interruption left as it is here would have every commit make a checkpoint, while the file is copied, too.
	unstopped := context.WithoutCancel(ctx)
	if err = w.checkpointFrom(unstopped, "0B"); err == nil {
		_, err = w.conn.ExecContext(ctx, "COMMENT ON TABLE sync.schema_versions IS "+same)
	}
	if serr := w.checkpointFrom(unstopped, neverByItself); serr != nil && err == nil {
		w.lost, err = true, serr // the file is opened again, with the setting that it is to have
	}
	if e := (*duckdb.Error)(nil); errors.As(err, &e) {
		return &duckdb.Error{Type: e.Type, Msg: ofComment.ReplaceAllLiteralString(e.Msg, "")}
	}
	return err
}

// ofComment is what DuckDB says of the transaction that gave the comment. Nobody needs to know it, and syncd opens the file again by itself.
var ofComment = regexp.MustCompile(`Transaction COMMIT succeeded and is durable, but the autocheckpoint failed\. (?:Reopen the database instance to recover\. )?`)

// checkpointFrom sets the length of a log that makes a commit lead to a checkpoint.
func (w *Warehouse) checkpointFrom(ctx context.Context, length string) error {
	_, err := w.conn.ExecContext(ctx, "SET checkpoint_threshold = '"+length+"'")
	return err
}

// neverByItself is the length of a log that leads to a checkpoint within whatever commit comes next, which would have one thread: see Write.
const neverByItself = "1000TB"

// withAll makes a checkpoint for which the memory that it was given was too little, with all that is allowed, as are all from then on. DuckDB gives a
// file up whose checkpoint failed, and so it is opened again.
//
// If the process dies here, the file and its log are as they were before the checkpoint: the next process replays the log.
func (w *Warehouse) withAll(ctx context.Context, work func() error, first error) error {
	w.roomy, w.lost = true, true
	if err := w.reopen(ctx); err != nil {
		return fmt.Errorf("%w; before that: %w", err, first)
	}
	if err := w.widely(ctx, work); err != nil {
		return fmt.Errorf("%w; before that: %w", err, first)
	}
	return nil
}

// LogSize is the length of the write-ahead log, in bytes; without one, 0. To look at it leaves DuckDB's lock alone.
func (w *Warehouse) LogSize() int64 {
	info, err := os.Stat(LogPath(w.path))
	if err != nil {
		return 0
	}
	return info.Size()
}

// LongestLog is how long the write-ahead log may become, in bytes. A checkpoint rewrites what changed: many small ones double the time of a first sync
// and the size of its file. So the log is written into the file at the end of a run, and before that only where it has grown long: what is in it is
// in memory, too.
const LongestLog = 240 << 20

// enough is how much memory a checkpoint needs, in bytes, where the log is not longer than it should be.
const enough = 264 << 20

// enoughPerThread is what it needs for each thread that it has beyond two: each compresses rows of its own.
const enoughPerThread = 64 << 20

// sparingly does work with no more memory than it needs, and reports whether that was less than is allowed. DuckDB keeps what a checkpoint reads and
// writes for as long as its limit allows, which in a first sync of long transcripts is half a gigabyte that nobody asks for again.
func (w *Warehouse) sparingly(ctx context.Context, work func() error) (limited bool, err error) {
	limit := w.enough + max(w.LogSize()-w.longest, 0) // a transaction can be larger than the longest log
	limit += int64(max(w.threads-2, 0)) * enoughPerThread
	if w.roomy || w.memory > 0 && w.memory <= limit {
		return false, work()
	}
	switch {
	case w.allowed != "": // read once, as it is told rounded and would shrink each time
	case w.memory > 0:
		w.allowed = bytesText(w.memory)
	default: // DuckDB's own choice, such as 18.8 GiB. RESET would tell of it again, and leave the lower limit in force
		if err := w.conn.QueryRowContext(ctx, `SELECT current_setting('memory_limit')`).Scan(&w.allowed); err != nil {
			return false, fmt.Errorf("read the memory limit: %w", err)
		}
	}
	err = w.limitMemory(ctx, bytesText(limit))
	if isOutOfMemory(err) { // what is in memory now has no room below that
		if err := w.limitMemory(ctx, w.allowed); err != nil {
			return false, err
		}
		return false, work()
	}
	if err == nil {
		err = work()
	}
	if rerr := w.limitMemory(context.WithoutCancel(ctx), w.allowed); rerr != nil && err == nil {
		err = rerr
	}
	return true, err
}

// limitMemory sets DuckDB's limit.
func (w *Warehouse) limitMemory(ctx context.Context, limit string) error {
	if _, err := w.conn.ExecContext(ctx, "SET memory_limit = '"+limit+"'"); err != nil {
		return fmt.Errorf("limit memory to %s: %w", limit, err)
	}
	return nil
}

// bytesText is a number of bytes as DuckDB reads it.
func bytesText(n int64) string { return strconv.FormatInt(n, 10) + "B" }

// widely does work with all threads. Everything else has one: of what a daemon does all day, to wait for threads that have nothing to do would take
// a third.
func (w *Warehouse) widely(ctx context.Context, work func() error) error {
	if w.threads == 1 {
		return work()
	}
	if _, err := w.conn.ExecContext(ctx, "SET threads = "+strconv.Itoa(w.threads)); err != nil {
		return fmt.Errorf("use %d threads: %w", w.threads, err)
	}
	// A thread that has just been started looks for work without resting, and would take the whole of it before ours does, which then keeps a core
	// busy with waiting: in one checkpoint of five, half as long again, and twice the CPU. One that rests only helps.
	select {
	case <-time.After(5 * time.Millisecond):
	case <-ctx.Done():
	}
	err := work()
	if _, nerr := w.conn.ExecContext(context.WithoutCancel(ctx), "SET threads = 1"); nerr != nil && err == nil {
		err = fmt.Errorf("use one thread: %w", nerr)
	}
	return err
}

// isLarge reports whether the file is so large that to look through all of it is worth more than one thread.
func (w *Warehouse) isLarge() bool {
	const large = 256 << 20
	info, err := os.Stat(w.path)
	return err == nil && info.Size() >= large
}

// turn is had by one at a time, and waited for no longer than a context lasts.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take waits for the turn.
func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try takes the turn if nobody has it.
func (t turn) try() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

func (t turn) give() { <-t }
