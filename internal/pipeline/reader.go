package pipeline

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/panics"
)

// reader is one of those that read the windows of a run. What was read is committed while it reads on: the provider need not wait for the disk, nor
// the disk for the provider. One batch is under way at a time, and whatever the reader commits next waits for it, so that it writes everything in
// the order in which it read it; and the next window is planned while the one before is claimed, so that nothing is read twice.
type reader struct {
	*run
	behind *behind // nil: nothing is under way
}

// behind is a commit that goes on behind the reader's back.
type behind struct {
	done chan struct{}
	err  error // valid once done is closed

	// The window, where it is read on, and what was taken from it to be saved. The window's row has its id once that is done.
	reading, saved *reading
}

// readWindows reads one window after another, the first of which is claimed. When it returns, nothing is being committed any more.
func (r *reader) readWindows(ctx context.Context, c claim) (err error) {
	defer func() {
		// That a commit failed is news, that the run was told to stop is none.
		if serr := r.settle(); serr != nil && (err == nil || errors.Is(err, context.Canceled)) {
			err = serr
		}
	}()
	for {
		switch {
		case ctx.Err() != nil:
			if c.claimed != nil {
				r.desk.release(c.claimed)
			}
			return ctx.Err()
		case c.claimed != nil:
			if c, err = r.readClaimed(ctx, c); err != nil {
				return err
			}
			continue
		case r.behind != nil: // what is not closed yet may be all that is left, or leave more to do
			if err := r.settle(); err != nil {
				return err
			}
		case c.freed == nil:
			return nil
		default:
			if err := wait(ctx, c.freed); err != nil {
				return err
			}
		}
		c = r.next()
	}
}

// readClaimed reads a window that next has claimed, closes it in its turn, and claims the next one. The window is given back when it is closed, or
// when it was not read to its end, even if that panics.
func (r *reader) readClaimed(ctx context.Context, c claim) (next claim, err error) {
	var read *reading
	defer func() {
		if read == nil {
			if r.behind != nil {
				<-r.behind.done // a part of the window may be under way; what came of it is for settle to tell
			}
			r.desk.release(c.claimed)
		}
	}()
	rd, err := r.readNext(ctx, c)
	if err != nil {
		return claim{}, err
	}
	if rd == nil {
		return r.next(), nil
	}
	if err := r.settle(); err != nil {
		r.endReadings(rd)
		return claim{}, err
	}
	next, read = r.next(), rd
	r.close(ctx, rd)
	return next, nil
}

// readNext reads a window, and decides what it means where that failed. The reading is nil where the window is not to be closed, and the run
// goes on.
func (r *reader) readNext(ctx context.Context, c claim) (*reading, error) {
	w, urgency := c.work, extract.Later
	if w.Scope != checkpoint.History {
		urgency = extract.Live
	}
	ctx = extract.WithUrgency(ctx, urgency)
	rd, pages, err := r.readWindow(ctx, c)
	r.Log.Debug("window", zap.String("source", r.source.Name), zap.Stringer("span", w.Span), zap.Int("pages", pages), zap.Bool("done", err == nil))
	r.desk.mu.Lock()
	if err == nil || errors.Is(err, errDisagrees) {
		r.desk.step = checkpoint.NextStep(r.desk.step, w.Until.Sub(w.Since), pages)
	}
	if err == nil {
		r.strange, r.unread = 0, 0
	}
	r.desk.mu.Unlock()
	if err == nil {
		return rd, nil
	}
	if serr := r.settle(); serr != nil {
		return nil, fmt.Errorf("%w; before that: %s", serr, err.Error()) // what failed first no longer decides what happens
	}
	return nil, r.windowFailed(ctx, rd, w, err)
}

// close commits a window that was read to its end, while the next one is read, and gives it back.
//
// If the process dies before that commit returns, the window is read again from where it was saved last, and what was read of the next one is
// read again, too.
func (r *reader) close(ctx context.Context, rd *reading) {
	r.leaveBehind(&behind{}, rd, func() error {
		defer r.desk.release(rd.claimed)
		err := r.run.commit(ctx, rd, r.closeWindow)
		if err == nil && len(rd.gone) > 0 {
			r.Log.Info("calls were deleted at the provider", zap.String("source", r.source.Name), zap.Stringer("window", rd.window.Span), zap.Int("calls", len(rd.gone)))
		}
		return err
	})
}

// save commits what was read of a window so far, with the position after it, while the window is read on.
//
// If the process dies before that commit returns, the window is read again from where it was saved before.
func (r *reader) save(ctx context.Context, rd *reading) error {
	if err := r.settle(); err != nil {
		return err
	}
	saved := &reading{window: rd.window, claimed: rd.claimed, again: rd.again, batch: rd.batch}
	rd.batch = batch{}
	r.leaveBehind(&behind{reading: rd, saved: saved}, saved, func() error { return r.run.commit(ctx, saved, r.saveWindow) })
	return nil
}

// leaveBehind has a commit of what was read done in the background. Nothing else is under way.
func (r *reader) leaveBehind(b *behind, rd *reading, commit func() error) {
	b.done = make(chan struct{})
	r.behind = b
	r.sent(&rd.batch)
	go func() {
		defer close(b.done)
		defer r.endReadings(rd)
		b.err = panics.Guard(commit)
	}()
}

// settle waits until nothing is under way. The error of what was ends the run.
func (r *reader) settle() error {
	b := r.behind
	if b == nil {
		return nil
	}
	<-b.done
	r.behind = nil
	if b.err == nil && b.saved != nil {
		b.reading.window.ID = b.saved.window.ID
	}
	return b.err
}

// commit makes a batch durable once all that was read before is.
func (r *reader) commit(ctx context.Context, rd *reading, ledger step) error {
	if err := r.settle(); err != nil {
		return err
	}
	r.sent(&rd.batch)
	return r.run.commit(ctx, rd, ledger)
}
