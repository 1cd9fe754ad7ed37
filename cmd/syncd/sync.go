package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"syncd/internal/config"
	"syncd/internal/load"
	"syncd/internal/pipeline"
)

func newSync(a *app) *cobra.Command {
	var fresh bool
	cmd := &cobra.Command{
		Use:   "sync [SOURCE…]",
		Short: "do all due work of every source (or those), history included, once",
		Example: `  syncd sync                 everything that is due, then exit
  syncd sync millis-us       one source
  syncd sync --fresh         the newest calls alone, no history`,
		RunE: func(cmd *cobra.Command, names []string) error {
			c, all, err := a.configured(names)
			if err != nil {
				return err
			}
			kind := "sync"
			if fresh {
				kind = "fresh"
			}
			w, err := load.Open(cmd.Context(), warehouseOptions(c.Warehouse))
			if err != nil {
				return err
			}
			// Even where the file could not be closed well, what became of each source is told.
			results, err := a.syncSources(cmd.Context(), w, all, pipeline.Options{Kind: kind, HeadOnly: fresh}, c.Log)
			return errors.Join(err, printResults(a.term.out, results), outcome(a.term.err, results))
		},
	}
	cmd.Flags().BoolVar(&fresh, "fresh", false, "the newest calls alone: no history, nothing unfinished")
	return cmd
}

// result is what became of one source.
type result struct {
	source string
	run    load.Run
	err    error
	took   time.Duration
}

// syncSources reads sources side by side into the warehouse and closes it, its log written into the file. The error is the warehouse's own;
// what became of a source is in its result.
func (a *app) syncSources(ctx context.Context, w *load.Warehouse, all []pipeline.Source, o pipeline.Options, c config.Log) ([]result, error) {
	log, err := a.newLog(c, a.term.err)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	p := &pipeline.Pipeline{Warehouse: w, Now: time.Now, Log: log}
	var bars *progress
	if !a.noProgress {
		names := make([]string, len(all))
		for i, s := range all {
			names[i] = s.Name
		}
		bars = newProgress(a.term.err, names)
		p.Watcher = bars
	}
	results := make([]result, len(all))
	var running sync.WaitGroup
	for i, s := range all {
		running.Go(func() {
			began := time.Now()
			run, err := p.Sync(ctx, s, o)
			results[i] = result{s.Name, run, err, time.Since(began)}
			if bars != nil {
				bars.Finished(s.Name, err == nil)
			}
		})
	}
	running.Wait()
	if bars != nil {
		bars.Close()
	}
	// Whatever was committed is brought into the file, also when this was told to stop: the next to open it finds no log to replay.
	return results, errors.Join(w.Checkpoint(context.WithoutCancel(ctx)), w.Close())
}

// printResults prints one line a source.
func printResults(to io.Writer, results []result) error {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	if len(results) == 0 {
		return nil
	}
	fmt.Fprintln(t, "SOURCE\tOUTCOME\tINSERTED\tUPDATED\tUNCHANGED\tREJECTED\tREQUESTS\tTIME")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.source, r.run.Outcome, thousands(r.run.Inserted), thousands(r.run.Updated),
			thousands(r.run.Unchanged), thousands(r.run.Rejected), thousands(r.run.Requests), r.took.Round(10*time.Millisecond))
	}
	return t.Flush()
}

// outcome says what went wrong with each source, and returns the error that stands for all of them.
func outcome(to io.Writer, results []result) error {
	failed := 0
	var all []error
	for _, r := range results {
		if r.err == nil {
			continue
		}
		failed++
		all = append(all, r.err)
		if !errors.Is(r.err, context.Canceled) {
			say(to, r.err)
		}
	}
	err := errors.Join(all...)
	switch {
	case failed == 0:
		return nil
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(to, "syncd: stopped; what was read is stored, and the next sync goes on from there")
		return shownError{err}
	case failed < len(results):
		return partlyError{shownError{err}}
	}
	return shownError{err}
}
