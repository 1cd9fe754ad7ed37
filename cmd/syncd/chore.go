package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"syncd/internal/config"
	"syncd/internal/control"
	"syncd/internal/load"
	"syncd/internal/pipeline"
)

// # Chores
//
// A chore is work on the warehouse other than reading from providers. It is done by whoever holds the file: where a daemon does, the command hands the
// chore over and follows it there; else it opens the warehouse, does the chore, has the copy for readers made, and closes it. What is asked and what came
// of it go over the socket as JSON.

// choreProgress is how far a chore has come.
type choreProgress struct {
	What  string `json:"what"`  // of what the numbers tell, such as calls
	Done  int64  `json:"done"`  //
	Total int64  `json:"total"` // 0: nobody knows
}

// chore does one kind of work with what a holder has. Its sources are those of the configuration, or those that the daemon was started with.
type chore[Args, Report any] struct {
	command string
	looks   func(args Args) bool // it changes nothing, and waits for no other chore; nil: none does
	do      func(ctx context.Context, h *holder, args Args, tell func(choreProgress)) (Report, error)
}

// The events of a chore.
const (
	eventChore  = "chore"
	eventWaits  = "waits" // for another chore
	eventReport = "report"
)

// errTurn is what a chore waits for in a holder that does another.
var errTurn = errors.New("the daemon does another chore, and one at a time")

// serve does a chore that was handed over. It ends when the holder begins to leave.
func (k chore[Args, Report]) serve(ctx context.Context, h *holder, w control.Work, emit func(control.Event) error) error {
	var args Args
	if err := json.Unmarshal(w.Args, &args); err != nil {
		return unknownWork(w.Command)
	}
	ctx, cancel := h.untilLeaving(ctx)
	defer cancel()
	report, err := k.inTurn(ctx, h, args, emit)
	h.copies.look()
	switch usage := (usageError{}); {
	case err == nil:
		return sendEvent(emit, eventReport, report)
	case errors.As(err, &usage):
		return &control.Failure{Message: err.Error(), Code: exitUsage}
	case errors.Is(err, context.Canceled) && h.isLeaving():
		return control.ErrStopped
	}
	return err
}

// inTurn does a chore when no other is being done.
func (k chore[Args, Report]) inTurn(ctx context.Context, h *holder, args Args, emit func(control.Event) error) (report Report, err error) {
	if k.looks == nil || !k.looks(args) {
		if err := h.turn.take(ctx, func() error { return sendEvent(emit, eventWaits, struct{}{}) }); err != nil {
			return report, err
		}
		defer h.turn.give()
	}
	return k.do(ctx, h, args, func(p choreProgress) { _ = sendEvent(emit, eventChore, p) }) // a client that went away has ended ctx
}

// run has a chore done, by the process that holds the warehouse where that takes work, or here, and shows its progress.
func (k chore[Args, Report]) run(ctx context.Context, a *app, c *config.Config, args Args) (Report, error) {
	bar := a.choreBar()
	defer bar.close()
	waits := a.waiting("to " + k.command)
	return byHolder(ctx, waits,
		func() (Report, error) { return k.handOver(ctx, c, args, waits, bar.tell) },
		func() (Report, error) { return k.doHere(ctx, a, c, args, bar.tell) })
}

// handOver has the process that holds the warehouse do a chore, when that does no other.
func (k chore[Args, Report]) handOver(ctx context.Context, c *config.Config, args Args, waits func(context.Context, error) error, tell func(choreProgress)) (report Report, err error) {
	body, err := json.Marshal(args)
	if err != nil {
		return report, fmt.Errorf("hand over %s: %w", k.command, err)
	}
	begun := false
	err = control.Client{Path: control.Path(c.Warehouse.Path)}.Do(ctx, control.Work{Command: k.command, Args: body}, func(e control.Event) error {
		begun = begun || e.Kind != eventWaits
		switch e.Kind {
		case eventChore:
			var p choreProgress
			if err := json.Unmarshal(e.Data, &p); err != nil {
				return err
			}
			tell(p)
		case eventWaits:
			return waits(ctx, errTurn)
		case eventReport:
			return json.Unmarshal(e.Data, &report)
		}
		return nil
	})
	if f := (*control.Failure)(nil); errors.As(err, &f) && f.Code == exitUsage {
		return report, usageError{f}
	}
	if errors.Is(err, control.ErrGone) && !begun {
		return report, fmt.Errorf("%w: %w", control.ErrNobody, err) // it was just ending, and did nothing of the chore
	}
	return report, err
}

// doHere opens the warehouse, does the chore, and closes it, its log written into the file and its copy for readers made.
func (k chore[Args, Report]) doHere(ctx context.Context, a *app, c *config.Config, args Args, tell func(choreProgress)) (report Report, err error) {
	all, err := sources(c, c.Sources)
	if err != nil {
		return report, err
	}
	log, err := a.newLog(c.Log, a.term.err)
	if err != nil {
		return report, err
	}
	copies := newPublisher(c, time.Now)
	w, err := load.Open(ctx, warehouseOptions(c.Warehouse))
	if err != nil {
		return report, err
	}
	h := hold(ctx, newPipeline(w, log), c, copies.of(w), log)
	copying := copies.start(ctx, c.Warehouse.PublishEvery)
	report, err = k.do(ctx, h.with(all), args, tell)
	copied := copying()
	copies.complain(a.term.err)
	return report, errors.Join(err, copied, h.Close(), w.Checkpoint(context.WithoutCancel(ctx)), w.Close())
}

// with is the holder as a chore has it: with sources, which a holder that takes no work does not have.
func (h *holder) with(all []pipeline.Source) *holder {
	return &holder{pipeline: h.pipeline, config: h.config, sources: all, activity: h.activity, copies: h.copies, since: h.since}
}
