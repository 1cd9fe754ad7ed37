package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncd/internal/config"
	"syncd/internal/control"
	"syncd/internal/query"
	"syncd/internal/server"
)

func newQuery(a *app) *cobra.Command {
	var (
		format, output string
		timeout        time.Duration
		maxRows        int64
	)
	cmd := &cobra.Command{
		Use:   "query 'SQL'",
		Short: "answer read-only SQL from the warehouse, whether or not the daemon runs",
		Long: `query answers one SELECT from the copy of the warehouse that is kept for readers
(warehouse.publish), in a process of its own: it keeps nobody waiting who writes,
and sees what was committed when the copy was made ('syncd status' tells when).
Where there is no copy, it answers from the warehouse itself, as long as no other
syncd has it.`,
		Example: `  syncd query 'SELECT source, count(*) FROM calls GROUP BY ALL'
  syncd query 'FROM call_costs' --format csv -o costs.csv
  syncd query 'FROM calls' --format parquet -o calls.parquet`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("give one SQL text, in quotes; this is %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			c, err := a.configuration()
			if err != nil {
				return err
			}
			if output == "-" {
				output = ""
			}
			f, err := chooseFormat(format, output)
			if err != nil {
				return usageError{fmt.Errorf("--format: %w", err)}
			}
			if f == query.Parquet && output == "" {
				return usageError{errors.New("--format parquet needs -o FILE: it is no text")}
			}
			beModest()
			boundMemory(c.Query.MemoryLimit)
			o := queryOptions(c)
			o.Output, o.Width, o.MaxRows = output, width(a.term.out), maxRows
			if cmd.Flags().Changed("timeout") {
				o.Timeout = timeout
			}
			r, err := a.openToRead(cmd.Context(), c, o)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, r.Close()) }()
			sql := strings.TrimSpace(args[0])
			if output == "" {
				_, err = r.Run(cmd.Context(), sql, f, a.term.out)
				return err
			}
			n, err := r.WriteFile(cmd.Context(), sql, f)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.term.err, "%s rows written to %s\n", thousands(n), output)
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "table, json, ndjson, csv or parquet (default: as FILE ends, else table)")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long the question may take; 0: as long as it does (default: the configuration's)")
	cmd.Flags().Int64Var(&maxRows, "max-rows", 0, "print no more rows than these, and fail where there are more; 0: all")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE`, which appears only once it is whole")
	return cmd
}

// chooseFormat is the format that is asked for, or the one that the file's name ends with, or a table.
func chooseFormat(format, output string) (query.Format, error) {
	if format != "" {
		return query.ParseFormat(format)
	}
	if f, err := query.ParseFormat(strings.TrimPrefix(strings.ToLower(filepath.Ext(output)), ".")); err == nil {
		return f, nil
	}
	return query.Table, nil
}

// queryOptions are the bounds of a question, and the copy that answers it.
func queryOptions(c *config.Config) query.Options {
	return query.Options{Path: c.Warehouse.Publish, Keep: []string{c.Warehouse.Path, c.Warehouse.Publish}, MemoryLimit: c.Query.MemoryLimit, Timeout: c.Query.Timeout, Threads: c.Warehouse.Threads,
		TempDirectory: c.Warehouse.TempDirectory}
}

// openToRead opens the copy for readers. Where there is none yet, it opens the warehouse itself, if nobody has that, or waits for the first copy.
func (a *app) openToRead(ctx context.Context, c *config.Config, o query.Options) (*query.Reader, error) {
	wait := a.waiting("for the first copy for readers")
	for {
		if c.Warehouse.Publish != "" {
			r, err := query.Open(ctx, o)
			if busy := (*query.BusyError)(nil); errors.As(err, &busy) {
				return nil, fmt.Errorf("another program (process %d) has the copy %s open for writing, which keeps all others from it; have it open the copy read-only", busy.PID, c.Warehouse.Publish)
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return r, err
			}
		}
		live := o
		live.Path = c.Warehouse.Path
		r, err := query.Open(ctx, live)
		if !errors.Is(err, query.ErrBusy) {
			return r, err
		}
		if err := noCopyComes(ctx, c, err); err != nil {
			return nil, err
		}
		if err := wait(ctx, err); err != nil {
			return nil, err
		}
	}
}

// noCopyComes tells why it is of no use to wait for a copy of a warehouse that another process holds, and nil where one will come.
func noCopyComes(ctx context.Context, c *config.Config, busy error) error {
	status, err := askStatus(ctx, c)
	switch {
	case errors.Is(err, control.ErrNobody):
		return nil // it is just beginning, or just ending
	case err != nil:
		return errors.Join(busy, err)
	case c.Warehouse.Publish == "" && status.Process != nil && status.Process.Daemon:
		return usageError{fmt.Errorf("the daemon (process %d) holds the warehouse, and no copy is made for readers: set warehouse.publish in %s, such as to calls.read.duckdb, and restart the daemon",
			status.Process.PID, c.File)}
	case c.Warehouse.Publish == "":
		return busy
	case status.Copy == nil:
		return usageError{fmt.Errorf("process %d holds the warehouse and makes no copy for readers: warehouse.publish was set after it was started; restart it", status.Process.PID)}
	case status.Copy.Error != "":
		return fmt.Errorf("there is no copy for readers yet: %s", status.Copy.Error)
	}
	return nil
}

// question is what the daemon has another process answer.
type question struct {
	SQL     string        `json:"sql"`
	Options query.Options `json:"options"`
}

// maxAnswer bounds an answer over HTTP, in bytes: the daemon holds it in memory until all of it is there.
const maxAnswer = 32 << 20

// answerQuestion answers a question as JSON.
func answerQuestion(ctx context.Context, q question, out io.Writer) (err error) {
	boundMemory(q.Options.MemoryLimit)
	r, err := query.Open(ctx, q.Options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	_, err = r.Run(ctx, q.SQL, query.JSON, out)
	return err
}

// isQuestionsFault reports whether another question could be answered.
func isQuestionsFault(err error) bool {
	return errors.Is(err, query.ErrRefused) || errors.Is(err, query.ErrTooManyRows) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*query.SQLError))
}

// errTooSlow says that the time for a question is over.
var errTooSlow = errors.New("the query takes too long")

// askers bounds how many questions over HTTP are answered at the same time: each may take the memory that it is allowed.
type askers chan struct{}

const mostAskers = 2

// drain waits until no question is being answered any more, which is soon once those who asked are gone, and has none answered from then on.
func (a askers) drain(ctx context.Context) {
	for range mostAskers {
		select {
		case a <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// Query implements server.Source. The question is answered by another process, from the copy for readers.
func (h *holder) Query(ctx context.Context, sql string) (rows json.RawMessage, err error) {
	o := queryOptions(h.config)
	if o.Path == "" {
		return nil, &server.Failure{Code: http.StatusServiceUnavailable, Message: "no copy is made for readers: set warehouse.publish, such as to calls.read.duckdb, and restart the daemon"}
	}
	select {
	case h.askers <- struct{}{}:
		defer func() { <-h.askers }()
	case <-ctx.Done():
		return nil, &server.Failure{Code: http.StatusServiceUnavailable, Message: "other questions are being answered; ask again"}
	}
	// A process that is ended at once leaves what it put aside on the disk.
	defer func() { err = errors.Join(err, query.Sweep(o.TempDirectory)) }()
	o.MaxRows = int64(h.config.Query.MaxRows)
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout+parting, errTooSlow) // some steps of DuckDB cannot be interrupted
	defer cancel()
	rows, err = aside(ctx, asideQuery, question{SQL: sql, Options: o}, maxAnswer)
	told := (*asideError)(nil)
	switch {
	case errors.Is(err, errTooSlow):
		return nil, &server.Failure{Code: http.StatusUnprocessableEntity, Message: fmt.Sprintf("the query was stopped after %s: ask for less, or allow more time", o.Timeout)}
	case errors.Is(err, errTooLong):
		return nil, &server.Failure{Code: http.StatusUnprocessableEntity, Message: fmt.Sprintf("the answer is longer than %d MB: ask for fewer rows or columns", maxAnswer>>20)}
	case errors.As(err, &told) && told.Usage:
		return nil, &server.Failure{Code: http.StatusUnprocessableEntity, Message: told.Message}
	case errors.As(err, &told) && told.Missing:
		return nil, &server.Failure{Code: http.StatusServiceUnavailable, Message: "there is no copy for readers yet; ask again in a moment"}
	}
	return rows, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
