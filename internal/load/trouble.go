package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
)

// ErrBusy says that another process holds the warehouse file.
var ErrBusy = errors.New("the warehouse is held by another process")

// around is what the driver says around DuckDB's own words.
const around = "database/sql/driver: could not connect to database: "

// damagedFile reports whether DuckDB found the file's own blocks to be other than what it wrote, or not there.
func damagedFile(text string) bool {
	return strings.Contains(text, "Corrupt database file") || strings.Contains(text, "Could not read enough bytes from file")
}

const damagedHint = "bring back a copy of it, or move it away and sync again"

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

var conflictingLock = regexp.MustCompile(`(?s)lock.*?PID (\d+)`)

// openError turns DuckDB's words for the ways in which a file cannot be opened into ours.
func openError(err error) error {
	text := err.Error()
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err // nothing is wrong with the file
	case strings.Contains(text, "Could not set lock"), strings.Contains(text, "Conflicting lock"):
		if m := conflictingLock.FindStringSubmatch(text); m != nil {
			return fmt.Errorf("%w (process %s); wait for it to finish, or stop it", ErrBusy, m[1])
		}
		return fmt.Errorf("%w; wait for it to finish, or stop it", ErrBusy)
	case damagedLog.MatchString(text):
		return fmt.Errorf("its write-ahead log is damaged, as by a power loss (%s); the next 'syncd sync' or 'syncd run' keeps what came before the damage, and reads the rest again",
			damagedLog.FindString(text))
	case damagedFile(text):
		return fmt.Errorf("the file is damaged (%s); %s", firstLine(strings.TrimPrefix(text, around)), damagedHint)
	case strings.Contains(text, "not a valid DuckDB database file"):
		return errors.New("this is not a DuckDB file; choose another path, or move it away")
	case errors.Is(err, fs.ErrNotExist), strings.Contains(text, "No such file or directory"):
		return errors.New("no such folder; make it first")
	case strings.Contains(text, "Is a directory"), strings.Contains(text, "is a directory"):
		return errors.New("this is a folder; name a file in it, such as calls.duckdb")
	case strings.Contains(text, "read-only file system"), strings.Contains(text, "Read-only file system"):
		return errors.New("the file system is read-only; the folder and the file must be writable")
	case errors.Is(err, fs.ErrPermission), strings.Contains(text, "Permission denied"):
		return errors.New("permission denied; the folder and the file must be writable")
	}
	// What the driver says around DuckDB's own words helps nobody.
	return errors.New(strings.TrimPrefix(text, around))
}

// trouble notes whether DuckDB has given up on the file, and says of what a person can mend how to do so.
func (w *Warehouse) trouble(err error) error {
	if isFatal(err) {
		w.lost = true
		w.epoch.Add(1)
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "No space left on device"), strings.Contains(text, "Disk quota exceeded"):
		return diskFull(err)
	case damagedFile(text):
		return fmt.Errorf("%w; the file is damaged: %s", err, damagedHint)
	case isOutOfMemory(err):
		return fmt.Errorf("%w: raise warehouse.memory_limit", &memoryError{err})
	}
	return err
}

// isFatal reports whether DuckDB refuses everything from then on.
func isFatal(err error) bool {
	var e *duckdb.Error
	return errors.As(err, &e) && (e.Type == duckdb.ErrorTypeFatal || e.Type == duckdb.ErrorTypeInternal)
}

// diskFull says of a full disk what can be done.
func diskFull(err error) error {
	return fmt.Errorf("%w; the disk is full: make room, nothing that was stored is lost", err)
}

// isOutOfMemory reports whether DuckDB's limit was reached.
func isOutOfMemory(err error) bool {
	var e *duckdb.Error
	return err != nil && (errors.As(err, &e) && e.Type == duckdb.ErrorTypeOutOfMemory || outOfMemory.MatchString(err.Error()))
}

// outOfMemory is how DuckDB says within other errors that its limit is reached.
var outOfMemory = regexp.MustCompile(`(?i)out of memory|failed to (?:pin|allocate) (?:block|data)|could not allocate block`)

// memoryError says so without DuckDB's advice, which is for those who type SQL.
type memoryError struct{ error }

func (e *memoryError) Error() string {
	return firstLine(e.error.Error()) + "; DuckDB may use no more memory"
}

func (e *memoryError) Unwrap() error { return e.error }

// endedAlready reports whether a transaction could not be rolled back because a commit that failed had ended it.
func endedAlready(err error) bool { return strings.Contains(err.Error(), "no transaction is active") }

// reopen opens the file again where DuckDB has given up on it: after a checkpoint that found the disk full it refuses everything else until
// then, and a daemon must not need a restart when there is room again. What was committed is in the file and its write-ahead log. Another
// process may take the file in between; then the next writer tries again.
func (w *Warehouse) reopen(ctx context.Context) error {
	if w.db != nil && !w.lost {
		return nil
	}
	_ = w.hangUp() // that what was lost cannot be closed well is no news
	if err := w.dial(ctx); err != nil {
		return err
	}
	w.lost, w.known, w.extents = false, knownKeys{}, nil
	w.epoch.Add(1)
	_, err := w.knownVersion(ctx)
	if err == nil {
		err = w.takeUp(ctx)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open warehouse %s again: %w", w.path, err), w.hangUp())
	}
	return nil
}
