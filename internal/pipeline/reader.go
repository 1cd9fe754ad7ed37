package pipeline

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/panics"
)

// reader is one of those that read the windows of a run. While it reads a window, the one before it is being closed: the provider need not wait
// for the disk, nor the disk for the provider. Whatever else is committed of a source waits for that, so that everything is written in the
// order in which it was read; and the next window is planned while both are claimed, so that nothing is read twice.
type reader struct {
	*run
	closing *closing // nil: none
}

// closing is a window that was read to its end and is being committed as a fact.
type closing struct {
	done chan struct{}
	err  error // valid once done is closed
}

// readWindows reads one window after another, the first of which is claimed. When it returns, nothing is being committed any more.
func (r *reader) readWindows(ctx context.Context, c claim) (err error) {
	defer func() {
		if serr := r.settle(); serr != nil && err == nil {
			err = serr
		}
	}()
	for {
		switch {
		case ctx.Err() != nil:
			if c.ok {
				r.desk.release(c.work.Span)
			}
			return ctx.Err()
		case c.ok:
			if c, err = r.readClaimed(ctx, c.work); err != nil {
				return err
			}
			continue
		case r.closing != nil: // what is being closed may be all that is left, or leave more to do
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

// readClaimed reads a window that next has claimed, begins to close it, and claims the next one. The window is given back when it is closed, or
// when it was not read to its end, even if that panics.
func (r *reader) readClaimed(ctx context.Context, w checkpoint.Work) (next claim, err error) {
	var read *reading
	defer func() {
		if read == nil {
			r.desk.release(w.Span)
		}
	}()
	rd, err := r.readNext(ctx, w)
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
	r.close(ctx, rd, w)
	return next, nil
}

// readNext reads a window, and decides what it means where that failed. The reading is nil where the window is not to be closed, and the run
// goes on.
func (r *reader) readNext(ctx context.Context, w checkpoint.Work) (*reading, error) {
	urgency := extract.Later
	if w.Scope != checkpoint.History {
		urgency = extract.Live
	}
	ctx = extract.WithUrgency(ctx, urgency)
	rd, pages, err := r.readWindow(ctx, w)
	r.Log.Debug("window", zap.String("source", r.source.Name), zap.Stringer("span", w.Span), zap.Int("pages", pages), zap.Bool("done", err == nil))
	r.desk.mu.Lock()
	if err == nil || errors.Is(err, errDisagrees) {
		r.desk.step = checkpoint.NextStep(r.desk.step, w.Until.Sub(w.Since), pages)
	}
	if err == nil {
		r.strange, r.unread = 0, 0
		r.read[keyOf(w.Span)] = true
	}
	r.desk.mu.Unlock()
	if err == nil {
		return rd, nil
	}
	if serr := r.settle(); serr != nil {
		return nil, serr
	}
	return nil, r.windowFailed(ctx, rd, w, err)
}

// close commits a window that was read to its end, in the background.
//
// If the process dies before that commit returns, the window is read again from where it was saved last, and what was read of the next one is
// read again, too.
func (r *reader) close(ctx context.Context, rd *reading, w checkpoint.Work) {
	c := &closing{done: make(chan struct{})}
	r.closing = c
	r.sent(&rd.batch)
	go func() {
		defer close(c.done)
		defer r.desk.release(w.Span)
		defer r.endReadings(rd)
		if c.err = panics.Guard(func() error { return r.run.commit(ctx, rd, r.closeWindow) }); c.err == nil && len(rd.gone) > 0 {
			r.Log.Info("calls were deleted at the provider", zap.String("source", r.source.Name), zap.Stringer("window", rd.window.Span), zap.Int("calls", len(rd.gone)))
		}
	}()
}

// settle waits until the window before is closed. Its error ends the run.
func (r *reader) settle() error {
	if r.closing == nil {
		return nil
	}
	<-r.closing.done
	err := r.closing.err
	r.closing = nil
	return err
}

// commit makes a batch durable once the window before is closed.
func (r *reader) commit(ctx context.Context, rd *reading, ledger step) error {
	if err := r.settle(); err != nil {
		return err
	}
	r.sent(&rd.batch)
	return r.run.commit(ctx, rd, ledger)
}
