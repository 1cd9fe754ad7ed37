// Package load is the warehouse: the DuckDB file, its schema, and the only hand that writes it.
//
// It owns the tables and their migrations, the views that analysts read, what is said of all of them, and the copy for readers, with the views of a
// user's own that it may hold; the upsert that keeps a call one row whatever is read how often and in how many parts, its revisions, its deletion
// and return, what it still lacks, rejects, drift and run records, and that a person is erased from all of them and who is kept out from then on. It
// refuses to know providers, HTTP and coverage: what is a call, what several payloads of it say together, and whom a text tells of, is decided
// elsewhere, and which stretch of time it proves is somebody else's table in the same transaction.
//
// There is one writer connection, and a transaction is a function: [Warehouse.Write] begins, calls it, and commits or rolls back. What
// must become durable together is written in one such function.
package load

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

// Options say how a warehouse file is opened.
type Options struct {
	Path          string
	MemoryLimit   int64 // DuckDB's, in bytes; 0: DuckDB's own default
	Threads       int   // of work that is worth more than one; 0: one per core
	TempDirectory string
	LongestLog    int64 // bytes of the write-ahead log after which it is written into the file; 0: LongestLog

	Timezone *time.Location // in which views tell days; nil: the one that the file has

	// Commit, where it is not nil, is called in the place of every commit, with the function that does it. Tests prove with it what happens
	// when a commit fails before it is durable, and when it is durable and its caller is told that it failed.
	Commit func(commit func() error) error
}

// Warehouse is an open warehouse file. It is safe for concurrent use; writes take turns.
type Warehouse struct {
	path     string
	settings url.Values
	commit   func(commit func() error) error

	healed   string
	readings *readings
	epoch    atomic.Int64
	changes  atomic.Int64

	still turn       // of whoever copies the file, or changes it by a checkpoint; taken before mu
	mu    sync.Mutex // guards all below: one transaction at a time

	db      *sql.DB // nil: it was lost, and could not be opened again yet
	conn    *sql.Conn
	lost    bool // DuckDB refuses everything until the file is opened again
	threads int  // for what is done widely
	longest int64
	memory  int64  // DuckDB's limit, in bytes; 0: its own
	allowed string // the same as DuckDB reads it; "": not read yet
	enough  int64  // what a checkpoint needs of it
	roomy   bool   // checkpoints have all of it
	known   knownKeys

	extents extents
	pending *rows // those that are being inserted

	unlock func() // gives back a lock on the file beside DuckDB's own, and that with it; nil: there is none
}

// Open opens the warehouse, creates it if there is none, and brings its schema up to date. It fails with ErrBusy where another
// process holds the file, and refuses a file that is no warehouse, or one that a newer syncd wrote.
func Open(ctx context.Context, o Options) (*Warehouse, error) {
	// DuckDB puts the log of a link that leads to no file yet beside the link, and looks for it beside the file from then on.
	o.Path = realPath(o.Path)
	if err := fitName(o.Path); err != nil {
		return nil, fmt.Errorf("open warehouse %s: %w", o.Path, err)
	}
	if err := restore(o.Path); err != nil {
		return nil, fmt.Errorf("open warehouse %s: %w", o.Path, openError(err))
	}
	if err := create(ctx, o); err != nil {
		return nil, fmt.Errorf("make warehouse %s: %w", o.Path, err)
	}
	w, err := openFile(ctx, o)
	if err == nil {
		tidy(o.Path)
	}
	return w, err
}

// openFile opens a file that is there already, or lets DuckDB make it, and brings its schema up to date.
func openFile(ctx context.Context, o Options) (*Warehouse, error) {
	before := logState(o.Path)
	w, err := connect(ctx, o.Path, settings(o))
	if err != nil {
		told, err := heal(o.Path, before, err)
		if err != nil {
			return nil, err
		}
		if w, err = connect(ctx, o.Path, settings(o)); err != nil {
			return nil, err
		}
		w.healed = told
	}
	if o.Commit != nil {
		w.commit = o.Commit
	}
	if o.Threads > 0 {
		w.threads = o.Threads
	}
	if o.LongestLog > 0 {
		w.longest = o.LongestLog
	}
	w.memory = o.MemoryLimit
	err = w.prepare(ctx)
	if err == nil {
		err = w.tellZone(ctx, o.Timezone)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open warehouse %s: %w", o.Path, err), w.Close())
	}
	return w, nil
}

// connect opens a file with DuckDB's own settings, and looks no further at what is in it.
func connect(ctx context.Context, path string, settings url.Values) (*Warehouse, error) {
	w := &Warehouse{path: path, settings: settings, threads: runtime.GOMAXPROCS(0), longest: LongestLog, enough: enough, still: newTurn(), readings: newReadings(), commit: func(commit func() error) error { return commit() }}
	if err := w.dial(ctx); err != nil {
		return nil, err
	}
	return w, nil
}

// dial opens the file.
func (w *Warehouse) dial(ctx context.Context) error {
	connector, err := duckdb.NewConnector(w.path+"?"+w.settings.Encode(), func(e driver.ExecerContext) error {
		// Times are stored as UTC and shown as UTC, whatever the machine's zone.
		_, err := e.ExecContext(ctx, "SET TimeZone = 'UTC'", nil)
		return err
	})
	if err != nil {
		return fmt.Errorf("open warehouse %s: %w", w.path, openError(err))
	}
	db := sql.OpenDB(connector)
	conn, err := db.Conn(ctx)
	if err != nil {
		return errors.Join(fmt.Errorf("open warehouse %s: %w", w.path, openError(err)), db.Close())
	}
	w.db, w.conn = db, conn
	if err := w.offer(conn); err != nil {
		return errors.Join(fmt.Errorf("open warehouse %s: %w", w.path, err), w.hangUp())
	}
	return nil
}

// Healed says what of the file's write-ahead log was damaged and left out when it was opened; "" where nothing was. A person should know.
func (w *Warehouse) Healed() string { return w.healed }

// settings are DuckDB's own, fixed before the file is opened.
func settings(o Options) url.Values {
	v := url.Values{
		"access_mode": {"READ_WRITE"},
		// Any DuckDB from 1.2 opens the file, and raw payloads take a sixth of the room.
		"storage_compatibility_version": {"v1.2.0"},
		"checkpoint_threshold":          {neverByItself},
		// DuckDB compresses long text with ZSTD where its average is above 4 KiB. Payloads of several providers in one file stay below that,
		// and then are stored as they are: ten times the room.
		"zstd_min_string_length":       {"64"},
		"autoinstall_known_extensions": {"false"},
		"autoload_known_extensions":    {"false"},
		"threads":                      {"1"}, // see widely
	}
	if o.MemoryLimit > 0 {
		v.Set("memory_limit", bytesText(o.MemoryLimit))
	}
	if o.TempDirectory != "" {
		v.Set("temp_directory", o.TempDirectory)
	}
	return v
}

// fitName fails for a name that a warehouse cannot have.
func fitName(path string) error {
	if strings.EqualFold(catalogName(path), "sync") {
		return errors.New("a file of this name cannot hold the schema sync; choose another name, such as calls.duckdb")
	}
	if strings.ContainsAny(path, "?#%") {
		return errors.New("DuckDB's driver reads ?, # and % in a path as options; choose another name")
	}
	return nil
}

// catalogName is the name under which DuckDB attaches a file: its base, up to the first dot.
func catalogName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return name
}

// The writer's own temporary tables. stage holds the ids, with the nth call of a batch that each belongs to, which the next statement works on;
// moved the ids of calls whose id or start changes, with what they are from now on.
//
// They are made anew each time and not emptied: DuckDB keeps the rows that were deleted from a table in memory, which in a daemon's months is
// as much as it ever staged (58 MB a million ids), and reads past them each time.
const (
	newStage = `CREATE OR REPLACE TEMP TABLE stage (lookup VARCHAR NOT NULL, part VARCHAR NOT NULL, n INTEGER NOT NULL)`
	newMoved = `CREATE OR REPLACE TEMP TABLE moved (lookup VARCHAR NOT NULL, call_id VARCHAR NOT NULL, started_at TIMESTAMPTZ, merged BOOLEAN NOT NULL)`
)

// prepare checks that the file is ours, migrates it, and makes it ready to be written.
func (w *Warehouse) prepare(ctx context.Context) error {
	if err := w.migrate(ctx); err != nil {
		return err
	}
	if err := w.ownAgain(ctx); err != nil {
		return err
	}
	return w.takeUp(ctx)
}

// takeUp goes on from the last reading.
func (w *Warehouse) takeUp(ctx context.Context) error {
	var reading int64
	if err := w.conn.QueryRowContext(ctx, `SELECT coalesce(max(reading), 0) FROM raw_calls`).Scan(&reading); err != nil {
		return fmt.Errorf("read the last reading number: %w", err)
	}
	w.readings.startAt(reading)
	return nil
}

// Write runs a function in one transaction, and commits where it returns nil. Writers take turns. After an error, or a panic in the
// function, nothing of it has happened; only where the commit itself failed nobody knows, and then [Warehouse.Epoch] is another.
//
// If the process dies before the commit returns, the file holds all of the transaction or nothing.
func (w *Warehouse) Write(ctx context.Context, fn func(*Tx) error) (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.reopen(ctx); err != nil {
		return err
	}
	// Beginning, committing and rolling back are never interrupted: an interrupted one leaves nobody knowing whether it happened, and the
	// one connection in a state that nothing else expects.
	unstopped := context.WithoutCancel(ctx)
	if _, err := w.conn.ExecContext(unstopped, "BEGIN TRANSACTION"); err != nil {
		return fmt.Errorf("begin: %w", w.trouble(err))
	}
	tx := &Tx{w: w}
	done := false
	defer func() {
		if done {
			return
		}
		if _, rerr := w.conn.ExecContext(unstopped, "ROLLBACK"); rerr != nil && err != nil && !endedAlready(rerr) {
			err = errors.Join(err, fmt.Errorf("roll back: %w", w.trouble(rerr)))
		}
		if err != nil && ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
			err = fmt.Errorf("%w: %w", ctx.Err(), err) // DuckDB says no more than "interrupted"
		}
	}()
	if err := fn(tx); err != nil {
		return w.trouble(err)
	}
	err = w.commit(func() error {
		_, err := w.conn.ExecContext(unstopped, "COMMIT")
		return err
	})
	// Both are true whether or not it happened: a key that is believed to be known is looked for, and what was seen unchanged was so.
	w.known.add(tx.stored)
	w.widen(tx.extents)
	w.readings.add(tx.unchanged)
	if tx.changed {
		w.changes.Add(1)
	}
	if tx.newEpoch {
		w.known, w.extents = knownKeys{}, nil
	}
	if err != nil || tx.newEpoch {
		w.epoch.Add(1)
	}
	if err != nil {
		return fmt.Errorf("commit: %w", w.trouble(err))
	}
	done = true
	if w.LogSize() < w.longest || !w.still.try() {
		return nil // the log is short, or the file is being copied: then the next commit looks again
	}
	defer w.still.give()
	// What was committed stays so if the process dies here, or if this fails, which is told as a commit is that failed and may be durable.
	if err := w.checkpoint(unstopped); err != nil {
		w.epoch.Add(1)
		return err
	}
	return nil
}

// Epoch is another number whenever what a caller remembers of the tables may have become wrong: a commit has failed, which may be durable all
// the same, or the file had to be opened again, and another process may have written it in between, or somebody was forgotten. Whoever remembers something reads it from
// the tables again then. Within a transaction it does not change.
func (w *Warehouse) Epoch() int64 { return w.epoch.Load() }

// Path is where the file is.
func (w *Warehouse) Path() string { return w.path }

// Changes counts the transactions since the file was opened that changed what readers look for: calls and what belongs to them, rejects, oddities.
// The others only move the ledger and the records of runs on.
func (w *Warehouse) Changes() int64 { return w.changes.Load() }

// Close closes the file. What was committed stays, whether or not Checkpoint came before.
func (w *Warehouse) Close() error {
	_ = w.still.take(context.Background()) // DuckDB makes a checkpoint where it closes a file
	defer w.still.give()
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hangUp()
}

func (w *Warehouse) hangUp() error {
	if w.db == nil {
		return nil
	}
	err := errors.Join(w.conn.Close(), w.db.Close())
	w.db, w.conn = nil, nil
	w.letGo()
	return err
}

// letGo gives back the lock beside DuckDB's own.
func (w *Warehouse) letGo() {
	if w.unlock != nil {
		w.unlock()
		w.unlock = nil
	}
}

// Tx is a transaction of the warehouse, valid until the function it was given to returns.
type Tx struct {
	w         *Warehouse
	stored    []uint64             // hashes of the keys it stored, known to the warehouse once it commits
	extents   extents              // of what it stored
	changed   bool                 // it changes more than the ledger and the records of runs
	unchanged map[partDigest]int64 // the newest readings that saw payloads unchanged, remembered once it commits
	newEpoch  bool                 // see NewEpoch
}

// ExecContext runs a statement in the transaction.
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return tx.w.conn.ExecContext(ctx, query, args...)
}

// QueryContext runs a query in the transaction.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return tx.w.conn.QueryContext(ctx, query, args...)
}
