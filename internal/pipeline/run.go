package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
)

// ages at which calls are read: for now each once, as soon as it can be.
var ages = []time.Duration{0}

// run is one run of one source.
type run struct {
	*Pipeline
	source  Source
	options Options
	record  load.Run
	before  extract.Traffic

	book      checkpoint.Book
	startedAt time.Time // our clock
	due       time.Time // the present of this run: the provider's clock at its start, as soon as that is known
	clockRead bool      // it is known
	step      time.Duration
	skip      []checkpoint.Span
	faults    []error // of windows that were left, while others went on
	strange   int     // how many windows in a row, none of which had failed before, brought malformed answers
}

// begin records the source and reads its ledger.
func (r *run) begin(ctx context.Context) error {
	return r.Warehouse.Write(ctx, func(tx *load.Tx) (err error) {
		rules, err := tx.SaveSource(ctx, load.Source{Name: r.source.Name, Provider: r.source.Provider, Start: r.source.Start,
			Reread: r.source.Reread, Schedule: r.source.Schedule, Rules: r.source.Rules})
		if err != nil {
			return err
		}
		if rules != "" && rules != r.source.Rules {
			r.Log.Warn("privacy or credit_value has changed: what is stored already stays as it was; for one rule throughout, delete the file and sync again",
				zap.String("source", r.source.Name), zap.String("was", rules), zap.String("is", r.source.Rules))
		}
		if err := tx.EndInterrupted(ctx, r.source.Name); err != nil {
			return err
		}
		if r.book, err = checkpoint.LoadTx(ctx, tx, r.source.Name); err != nil {
			return err
		}
		r.book, err = checkpoint.DropTx(ctx, tx, r.source.Name, r.book, r.source.Start)
		return err
	})
}

// work reads windows until none is left that this run can read.
func (r *run) work(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		w, ok := checkpoint.Next(r.book.Facts, r.book.Open, checkpoint.Want{
			Start: r.source.Start, Due: r.due, Step: r.step, Skip: r.skip, HeadOnly: r.options.HeadOnly,
		})
		if !ok {
			return r.left()
		}
		pages, err := r.readWindow(ctx, w)
		r.Log.Debug("window", zap.String("source", r.source.Name), zap.Stringer("span", w.Span), zap.Int("pages", pages), zap.Bool("done", err == nil))
		if err == nil || errors.Is(err, errDisagrees) {
			r.step = checkpoint.NextStep(r.step, w.Until.Sub(w.Since), pages)
		}
		if err == nil {
			r.strange = 0
			if r.provedNothing(w.Span) {
				// A clock that jumps can make a window end in the provider's future. It is read again, but not by this run: without end is no way
				// to ask.
				r.Log.Warn("window proved nothing", zap.String("source", r.source.Name), zap.Stringer("window", w.Span))
				r.skip = append(r.skip, w.Span)
			}
			continue
		}
		if !leavesOthers(err) {
			return err
		}
		r.Log.Warn("window left open", zap.String("source", r.source.Name), zap.Stringer("window", w.Span), zap.Error(err))
		r.skip = append(r.skip, w.Span)
		r.faults = append(r.faults, err)
		if !errors.Is(err, errDisagrees) && w.Failures == 0 {
			r.strange++
		}
		if r.strange == strangeLimit {
			return errors.Join(r.left(), fmt.Errorf("%s: %d windows in a row brought answers that cannot be read, so this run asks no more: check base_url, and whether the provider has trouble or a new API",
				r.source.Name, strangeLimit))
		}
	}
}

// strangeLimit is when a run stops asking a provider that answers with nothing but what cannot be read. One poison record spoils one window;
// this many in a row are no accident, and asking for ten years of them would be a storm. A window that had failed before does not count,
// so that old failures never keep a run from what lies beyond them.
const strangeLimit = 5

// provedNothing reports whether all of a window that was read is still missing.
func (r *run) provedNothing(s checkpoint.Span) bool {
	if settled := r.due.Add(-checkpoint.Settle); s.Until.After(settled) {
		s.Until = settled
	}
	if s.Empty() {
		return false
	}
	missing := checkpoint.Missing(r.book.Facts, 0, s)
	return len(missing) == 1 && missing[0].Equal(s)
}

// readClock learns the provider's clock from the first page that this run gets: a clock of ours that runs ahead must not prove what was not
// there yet, and one that runs behind must not keep fresh calls waiting. It is learnt once, as every answer tells it a little differently,
// and never put later than a reading of the head: what that proves must satisfy the plan, or the plan would have no end.
func (r *run) readClock(readAt, sent time.Time, head bool) {
	if !r.clockRead {
		r.due, r.clockRead = r.startedAt.Add(readAt.Sub(sent)), true
	}
	if head && r.due.After(readAt) {
		r.due = readAt
	}
}

// left is the error of the windows that were left: the first few in full, for the rest their number. The ledger names them all.
func (r *run) left() error {
	const shown = 3
	if len(r.faults) <= shown {
		return errors.Join(r.faults...)
	}
	return errors.Join(append(r.faults[:shown:shown], fmt.Errorf("%s: %d more windows were left open; 'FROM sync.windows' tells each with its error",
		r.source.Name, len(r.faults)-shown))...)
}

// errDisagrees says that a window returned another number of calls than the provider counts in it.
var errDisagrees = errors.New("the provider's count and what it returned disagree")

// leavesOthers reports whether an error concerns its window alone.
func leavesOthers(err error) bool {
	return errors.Is(err, errDisagrees) || isClass(err, extract.Malformed, extract.Lost)
}

// finish writes the run's record.
func (r *run) finish(ctx context.Context, err error) (load.Run, error) {
	record := r.counted()
	record.FinishedAt, record.Outcome = r.now(), "done"
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		record.Outcome = "stopped"
	default:
		record.Outcome, record.Error = "failed", strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	// A run that was stopped is recorded all the same.
	ctx = context.WithoutCancel(ctx)
	if werr := r.Warehouse.Write(ctx, func(tx *load.Tx) error { return tx.SaveRun(ctx, record) }); werr != nil {
		err = errors.Join(err, fmt.Errorf("%s: record the run: %w", r.source.Name, werr))
	}
	return record, err
}

// counted is the run's record with what was sent until now.
func (r *run) counted() load.Run {
	record, sent := r.record, r.source.Extract.Traffic()
	record.Requests = sent.Requests - r.before.Requests
	record.Retries = sent.Retries - r.before.Retries
	return record
}

// progress tells the watcher how far the run has come.
func (r *run) progress() {
	if r.Watcher == nil {
		return
	}
	wanted := checkpoint.Span{Since: r.source.Start, Until: r.due.Add(-checkpoint.Settle)}
	if wanted.Empty() {
		return
	}
	p := Progress{Run: r.counted(), Wanted: wanted.Until.Sub(wanted.Since)}
	p.Covered = p.Wanted
	for _, m := range checkpoint.Missing(r.book.Facts, 0, wanted) {
		p.Covered -= m.Until.Sub(m.Since)
	}
	r.Watcher.Committed(p)
}
