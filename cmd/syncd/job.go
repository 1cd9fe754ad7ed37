package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"go.uber.org/zap"

	"syncd/internal/checkpoint"
	"syncd/internal/config"
	"syncd/internal/control"
	"syncd/internal/load"
	"syncd/internal/panics"
	"syncd/internal/pipeline"
)

// job is what a command asks of sources. Where another process holds the warehouse it goes there as JSON, and its progress comes back.
type job struct {
	Command         string          `json:"command"` // sync or backfill
	Sources         []string        `json:"sources"` // none: all
	Fresh           bool            `json:"fresh,omitempty"`
	Range           checkpoint.Span `json:"range,omitzero"`
	Force           bool            `json:"force,omitempty"`
	DryRun          bool            `json:"dry_run,omitempty"` // estimate, and change nothing
	Parallel        int             `json:"parallel,omitempty"`
	AcceptAccount   bool            `json:"accept_account,omitempty"`
	AcceptDeletions bool            `json:"accept_deletions,omitempty"`
}

func (j job) options() pipeline.Options {
	o := pipeline.Options{Kind: j.Command, Scope: checkpoint.All, Details: true, Range: j.Range, Force: j.Force, Parallel: j.Parallel,
		AcceptAccount: j.AcceptAccount, AcceptDeletions: j.AcceptDeletions}
	if j.Fresh {
		o.Kind, o.Scope, o.Details = "fresh", checkpoint.Head, false
	}
	return o
}

// result is what became of one source.
type result struct {
	source string
	run    load.Run
	err    error
	took   time.Duration

	estimate *pipeline.Estimate // of a dry run
}

// watcher is told how sources come on.
type watcher interface {
	pipeline.Watcher
	Finished(source string, ok bool)
}

// runJob does a job's work on every source of it, side by side. What became of a source is in its result; a panic costs that source alone,
// and not the daemon that the job was handed to.
func runJob(ctx context.Context, p *pipeline.Pipeline, all []pipeline.Source, j job, watch watcher) []result {
	o := j.options()
	if watch != nil {
		o.Watcher = watch
	}
	results := make([]result, len(all))
	var running sync.WaitGroup
	for i, s := range all {
		running.Go(func() {
			began := time.Now()
			r := result{source: s.Name}
			r.err = panics.Guard(func() error { return r.work(ctx, p, s, j, o) })
			if r.run.Source == "" {
				r.run = load.Run{Source: s.Name, Kind: o.Kind, Outcome: "done"} // there was nothing to do
				if r.err != nil {
					r.run.Outcome = "failed"
				}
			}
			r.took = time.Since(began)
			results[i] = r
			if watch != nil && !j.DryRun {
				watch.Finished(s.Name, r.err == nil)
			}
		})
	}
	running.Wait()
	return results
}

// work does a job's work on one source.
func (r *result) work(ctx context.Context, p *pipeline.Pipeline, s pipeline.Source, j job, o pipeline.Options) (err error) {
	if j.DryRun {
		r.estimate = new(pipeline.Estimate)
		*r.estimate, err = p.Estimate(ctx, s, o)
		return err
	}
	r.run, err = p.Sync(ctx, s, o)
	return err
}

// do has a job done: by the process that holds the warehouse, where that takes work, or here.
func (a *app) do(ctx context.Context, c *config.Config, j job) ([]result, error) {
	chosen, err := c.Select(j.Sources)
	if err != nil {
		return nil, err
	}
	return byHolder(ctx, a.waiting("to read"),
		func() ([]result, error) { return a.handOver(ctx, c, chosen, j) },
		func() ([]result, error) { return a.doHere(ctx, c, chosen, j) })
}

// byHolder has work done by the process that holds the warehouse, where that takes work, or here where none does, and waits as long as neither can.
func byHolder[Result any](ctx context.Context, waits func(context.Context, error) error, handOver, here func() (Result, error)) (Result, error) {
	for {
		r, err := handOver()
		if err == nil || !errors.Is(err, control.ErrNobody) && !errors.Is(err, control.ErrRefused) {
			return r, err
		}
		if errors.Is(err, control.ErrNobody) {
			if r, err = here(); !errors.Is(err, load.ErrBusy) {
				return r, err
			}
		}
		if err := waits(ctx, err); err != nil {
			return *new(Result), err
		}
	}
}

// waiting returns a function that waits a moment for whoever holds the warehouse, and says so once.
func (a *app) waiting(why string) func(context.Context, error) error {
	said := false
	return func(ctx context.Context, held error) error {
		if !said {
			said = true
			fmt.Fprintf(a.term.err, "syncd: waiting %s: %s\n", why, held)
		}
		select {
		case <-time.After(200 * time.Millisecond):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// doHere opens the warehouse, does the job, and closes it.
func (a *app) doHere(ctx context.Context, c *config.Config, chosen []config.Source, j job) ([]result, error) {
	all, err := sources(c, chosen)
	if err != nil {
		return nil, err
	}
	if j.DryRun {
		return estimateHere(ctx, c, all, j)
	}
	copies := newPublisher(c, time.Now)
	w, err := load.Open(ctx, warehouseOptions(c.Warehouse))
	if err != nil {
		return nil, err
	}
	return a.syncSources(ctx, copies.of(w), w, c, all, j)
}

// estimateHere estimates a job with the warehouse opened for reading alone. Where there is none yet, nothing is covered.
func estimateHere(ctx context.Context, c *config.Config, all []pipeline.Source, j job) ([]result, error) {
	w, err := load.OpenReadOnly(ctx, c.Warehouse.Path)
	p := &pipeline.Pipeline{Warehouse: w, Now: time.Now, Log: zap.NewNop()}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.Warehouse = nil
		return runJob(ctx, p, all, j, nil), nil
	case err != nil:
		return nil, err
	}
	return runJob(ctx, p, all, j, nil), w.Close()
}

// syncSources does a job on an open warehouse and closes it, its log written into the file and its copy for readers made. The error is the
// warehouse's own; what became of a source is in its result.
func (a *app) syncSources(ctx context.Context, copies *publisher, w *load.Warehouse, c *config.Config, all []pipeline.Source, j job) ([]result, error) {
	log, err := a.newLog(c.Log, a.term.err)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	p := newPipeline(w, log)
	h := hold(ctx, p, c, copies, log)
	if err := keepHouse(ctx, w, c, time.Now()); err != nil {
		return nil, errors.Join(err, h.Close(), w.Close())
	}
	watch, end := a.watch(names(all))
	if watch != nil {
		h.activity.next = watch
	}
	copying := copies.start(ctx, c.Warehouse.PublishEvery)
	defer spare(spareHeap)()
	results := runJob(ctx, p, all, j, h.activity)
	end()
	// Whatever was committed is copied and brought into the file, also when this was told to stop: the next to open it finds no log to replay.
	copied := copying()
	copies.complain(a.term.err)
	return results, errors.Join(copied, h.Close(), w.Checkpoint(context.WithoutCancel(ctx)), w.Close())
}

func names(all []pipeline.Source) []string {
	list := make([]string, len(all))
	for i, s := range all {
		list[i] = s.Name
	}
	return list
}

func namesOf(all []config.Source) []string {
	list := make([]string, len(all))
	for i, s := range all {
		list[i] = s.Name
	}
	return list
}

// watch shows the progress of sources, unless nobody wants to see it. What it returns second ends the display.
func (a *app) watch(names []string) (watcher, func()) {
	if a.noProgress {
		return nil, func() {}
	}
	bars := newProgress(a.term.err, names)
	return bars, bars.Close
}

// keepRuns is how long a run's record is kept.
const keepRuns = 90 * 24 * time.Hour

// keepHouse brings what the warehouse knows of its sources in line with the configuration, and drops what is too old to be kept.
func keepHouse(ctx context.Context, w *load.Warehouse, c *config.Config, now time.Time) error {
	all := namesOf(c.Sources)
	if err := w.Write(ctx, func(tx *load.Tx) error {
		_, err := tx.KeepConfigured(ctx, all)
		return err
	}); err != nil {
		return err
	}
	_, err := w.Housekeep(ctx, load.Housekeeping{Now: now, KeepRaw: c.Warehouse.KeepRaw, KeepRuns: keepRuns})
	return err
}

// report of one source, as it goes over the socket.
type sourceReport struct {
	Source  string        `json:"source"`
	Run     load.Run      `json:"run"`
	Error   string        `json:"error,omitempty"`
	Stopped bool          `json:"stopped,omitempty"`
	Took    time.Duration `json:"took"`

	Estimate *pipeline.Estimate `json:"estimate,omitempty"`
}

func reportOf(r result) sourceReport {
	s := sourceReport{Source: r.source, Run: r.run, Took: r.took, Estimate: r.estimate}
	if r.err != nil {
		s.Error, s.Stopped = r.err.Error(), errors.Is(r.err, context.Canceled)
	}
	return s
}

func (s sourceReport) result() result {
	r := result{source: s.Source, run: s.Run, took: s.Took, estimate: s.Estimate}
	switch {
	case s.Stopped:
		r.err = context.Canceled
	case s.Error != "":
		r.err = errors.New(s.Error)
	}
	return r
}

// handOver has the process that holds the warehouse do a job, and shows its progress as if it were done here. The job ends there when ctx
// does.
func (a *app) handOver(ctx context.Context, c *config.Config, chosen []config.Source, j job) ([]result, error) {
	args, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("hand over %s: %w", j.Command, err)
	}
	list := namesOf(chosen)
	var (
		results []result
		watch   watcher
		end     = func() {}
	)
	defer func() { end() }()
	err = control.Client{Path: control.Path(c.Warehouse.Path)}.Do(ctx, control.Work{Command: j.Command, Args: args}, func(e control.Event) error {
		if watch == nil {
			watch, end = a.watch(list)
			if watch == nil {
				watch = unwatched{}
			}
		}
		switch e.Kind {
		case eventProgress:
			var p pipeline.Progress
			if err := json.Unmarshal(e.Data, &p); err != nil {
				return err
			}
			watch.Committed(p)
		case eventFinished:
			var r sourceReport
			if err := json.Unmarshal(e.Data, &r); err != nil {
				return err
			}
			watch.Finished(r.Source, r.Error == "")
		case eventReports:
			var all []sourceReport
			if err := json.Unmarshal(e.Data, &all); err != nil {
				return err
			}
			for _, s := range all {
				results = append(results, s.result())
			}
		}
		return nil
	})
	if f := (*control.Failure)(nil); errors.As(err, &f) && f.Code == exitUsage {
		return nil, usageError{f}
	}
	if errors.Is(err, control.ErrGone) && watch == nil {
		// It was just ending, and did nothing of the job.
		return nil, fmt.Errorf("%w: %w", control.ErrNobody, err)
	}
	if watch != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil, stopped(a.term.err, err)
	}
	return results, err
}

// unwatched is the watcher of those who want to see nothing.
type unwatched struct{}

func (unwatched) Committed(pipeline.Progress) {}
func (unwatched) Finished(string, bool)       {}
