package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Status is what there is to tell people about a warehouse at a moment: what it holds, how fresh and how complete that is, and what to do
// about what is not. Times are UTC, durations seconds. It names no call, no number and no transcript.
type Status struct {
	At        time.Time      `json:"at"`
	Warehouse FileStatus     `json:"warehouse"`
	Sources   []SourceStatus `json:"sources"` // by name
}

// FileStatus tells of the warehouse file.
type FileStatus struct {
	Path          string `json:"path"`
	Exists        bool   `json:"exists"`
	SchemaVersion int    `json:"schema_version"` // 0: it has no tables yet
	SizeBytes     int64  `json:"size_bytes"`
	WALBytes      int64  `json:"wal_bytes"` // of the write-ahead log beside it, which a checkpoint writes into it
	Calls         int64  `json:"calls"`     // of all sources, those left out that a provider deleted
}

// SourceStatus tells of one source what sync.freshness, sync.gaps and its last run say. What is nil is not known yet.
type SourceStatus struct {
	Source     string `json:"source"`
	Provider   string `json:"provider"`
	Configured bool   `json:"configured"`
	State      string `json:"state"` // active or parked
	Reason     string `json:"reason,omitempty"`
	Problem    string `json:"problem,omitempty"` // what is wrong now; "" while all is well
	Advice     string `json:"advice,omitempty"`  // what to do about it

	FreshUntil    *time.Time `json:"fresh_until"`
	LagSeconds    *float64   `json:"lag_s"`
	CoveredSince  *time.Time `json:"covered_since"`
	SettledUntil  *time.Time `json:"settled_until"`
	LastSuccessAt *time.Time `json:"last_success_at"`
	Missing       Missing    `json:"missing"`
	Settling      Settling   `json:"settling"`

	OpenWindows       int64 `json:"open_windows"`
	FailingWindows    int64 `json:"failing_windows"`
	Calls             int64 `json:"calls"`
	DeletedCalls      int64 `json:"deleted_calls"`
	UnsettledCalls    int64 `json:"unsettled_calls"`
	Rejects           int64 `json:"rejects"`
	Drift             int64 `json:"drift"`
	DetailsFailed     int64 `json:"details_failed"`
	DetailsIncomplete int64 `json:"details_incomplete"`

	ProviderTotal  *int64     `json:"provider_total"`
	WarehouseTotal *int64     `json:"warehouse_total"`
	ReconciledAt   *time.Time `json:"reconciled_at"`

	LastRun     *RunStatus `json:"last_run"`
	LastError   string     `json:"last_error,omitempty"` // of the last run that had one, be it long ago
	LastErrorAt *time.Time `json:"last_error_at"`
}

// Missing is the time that is late.
type Missing struct {
	Stretches int64   `json:"stretches"`
	Seconds   float64 `json:"duration_s"`
	Newest    []Gap   `json:"newest"` // at most twenty, the newest first
	More      int64   `json:"more"`   // how many older ones there are
}

// Gap is one stretch of time that is missing.
type Gap struct {
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Error string    `json:"error,omitempty"` // why its reading failed
}

// Settling is the time that was read and will be read again.
type Settling struct {
	Stretches int64      `json:"stretches"`
	Seconds   float64    `json:"duration_s"`
	Since     *time.Time `json:"since"` // the oldest of it
}

// RunStatus is a row of sync.runs: a run, or several alike.
type RunStatus struct {
	Kind       string     `json:"kind"`
	Outcome    string     `json:"outcome"`
	Runs       int64      `json:"runs"` // how many it stands for
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
	Requests   int64      `json:"requests"`
	Retries    int64      `json:"retries"`
	Pages      int64      `json:"pages"`
	Records    int64      `json:"records"`
	Inserted   int64      `json:"inserted"`
	Updated    int64      `json:"updated"`
	Unchanged  int64      `json:"unchanged"`
	Rejected   int64      `json:"rejected"`
	Drift      int64      `json:"drift"`
	Error      string     `json:"error,omitempty"`
}

// Status tells of an open warehouse. Everything in it is of one moment: it is read in one transaction, between those of other writers.
func (w *Warehouse) Status(ctx context.Context, at time.Time) (Status, error) {
	s := Status{At: at.UTC().Truncate(time.Microsecond), Warehouse: FileStatus{Exists: true}}
	err := w.Write(ctx, func(tx *Tx) (err error) {
		if err := w.conn.QueryRowContext(ctx, `SELECT path FROM duckdb_databases() WHERE database_name = current_database()`).
			Scan(&s.Warehouse.Path); err != nil {
			return fmt.Errorf("look at the file: %w", err)
		}
		if s.Warehouse.SchemaVersion, err = w.schemaVersion(ctx); err != nil {
			return err
		}
		s.Sources, err = tx.sourceStatuses(ctx, s.At)
		return err
	})
	if err != nil {
		return Status{}, fmt.Errorf("read the status of the warehouse: %w", err)
	}
	for _, source := range s.Sources {
		s.Warehouse.Calls += source.Calls
	}
	if err := s.Warehouse.measure(); err != nil {
		return Status{}, err
	}
	return s, nil
}

// ReadStatus tells of a warehouse file that no process has open, without changing it. Where there is no file, or one without tables, that is
// what it tells. It fails with ErrBusy where another process holds the file: that one knows its status.
func ReadStatus(ctx context.Context, path string, at time.Time) (s Status, err error) {
	s = Status{At: at.UTC().Truncate(time.Microsecond), Warehouse: FileStatus{Path: path}, Sources: []SourceStatus{}}
	w, version, err := openToRead(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return Status{}, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if version == 0 {
		s.Warehouse.Exists = true
		err = s.Warehouse.measure()
		return s, err
	}
	all, err := migrations()
	if err != nil {
		return Status{}, err
	}
	if version < len(all) {
		return Status{}, fmt.Errorf("warehouse %s: its schema is version %d, of an older syncd, and this one reads %d; run 'syncd sync' once to bring it up to date",
			path, version, len(all))
	}
	if s, err = w.Status(ctx, at); err != nil {
		return Status{}, fmt.Errorf("warehouse %s: %w", path, err)
	}
	s.Warehouse.Path = path
	for i := range s.Sources {
		source := &s.Sources[i]
		if run := source.LastRun; run != nil && run.Outcome == "running" {
			run.Outcome = "interrupted" // no process holds the file, so its own is no more
			source.Problem, source.Advice = source.judge()
		}
	}
	return s, nil
}

// measure takes the size of the file and its log. Looking at their sizes leaves DuckDB's lock alone, as opening them would not.
func (f *FileStatus) measure() error {
	for _, part := range []struct {
		path string
		size *int64
	}{{f.Path, &f.SizeBytes}, {LogPath(f.Path), &f.WALBytes}} {
		info, err := os.Stat(part.path)
		switch {
		case err == nil:
			*part.size = info.Size()
		case !errors.Is(err, fs.ErrNotExist): // a log that was just written into the file is gone
			return fmt.Errorf("measure the warehouse: %w", err)
		}
	}
	return nil
}

// worthAWord is how much must be missing to be called trouble, in seconds. At every tick what is newest is late for as long as it takes to ask.
const worthAWord = 60

// judge says what is wrong with a source now and what to do about it, the gravest first; "" where all is well.
func (s *SourceStatus) judge() (problem, advice string) {
	switch run := s.LastRun; {
	case !s.Configured:
		return "", ""
	case s.State == "parked":
		return "parked: " + s.Reason, "put that right, then run 'syncd sync " + s.Source + "': a start makes it active again"
	case run == nil:
		return "it has not run yet", "run 'syncd sync " + s.Source + "'"
	case run.Outcome == "failed":
		return run.Error, "the next run tries again by itself; 'syncd check' tests the key and the way to the provider"
	case s.FailingWindows > 0:
		problem = fmt.Sprintf("windows that failed: %d", s.FailingWindows)
		for _, gap := range s.Missing.Newest {
			if gap.Error != "" {
				problem += ", the newest with: " + gap.Error
				break
			}
		}
		return problem, "they are tried again by themselves; 'FROM sync.gaps' names the hours that are missing until then"
	case run.Outcome == "interrupted":
		return "the process of its last run died", "nothing is lost: the next run goes on where that one stopped"
	case s.Missing.Seconds >= worthAWord && run.Outcome != "running":
		return "hours are missing", "run 'syncd sync " + s.Source + "', or let 'syncd run' read them"
	}
	return "", ""
}
