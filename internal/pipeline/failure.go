package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
)

// strangeLimit is when a run stops asking a provider that answers with nothing but what cannot be read. One poison record spoils one window;
// this many in a row are no accident, and asking for ten years of them would be a storm. Two counts of windows in a row that could not be read
// end a run. One leaves out those that had failed before, so that old failures never keep a run from what lies beyond them: it ends the run once
// it comes to this many. The other has all of them: each time it comes to a multiple of this, it ends the run if the run has read no window yet,
// or if the smallest request fails too. Of answers about single calls, of which each is one request, five times as many in a row end a run.
const strangeLimit = 5

// halveAfter is how often a window must fail, in a row and while the provider is well, before it is halved.
const halveAfter = 3

// halveLimit bounds what one run does to narrow poison down: some records' worth, from ten years to a minute. Where as many windows are failing
// already, it is no record that is at fault but the provider, in whatever small requests do not show.
const halveLimit = 120

// errDisagrees says that a window returned another number of calls than the provider counts in it.
var errDisagrees = errors.New("the provider's count and what it returned disagree")

// errVanished says that more calls are gone at once than is believed without a person.
var errVanished = errors.New("too many calls are gone at once")

// windowFailed decides what it means that a window could not be read. It returns nil where the run goes on with others.
func (r *reader) windowFailed(ctx context.Context, rd *reading, w checkpoint.Work, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if !GoesOn(err) {
		var e *extract.Error
		if !errors.As(err, &e) || e.Class != extract.Transient || e.Status == http.StatusTooManyRequests {
			r.holdUntil(err)
			return err
		}
		// Is it the provider, or this window? One request tells.
		if r.source.Extract.Probe(ctx) != nil {
			return err
		}
		if serr := r.saveFailure(ctx, rd, err); serr != nil {
			return serr
		}
	}
	if r.halve(ctx, rd, err) {
		return nil
	}
	r.Log.Warn("window left open", zap.String("source", r.source.Name), zap.Stringer("window", w.Span), zap.Error(err))
	strange, unread, read := r.leave(rd, w, err)
	if strange < strangeLimit && unread > 0 && unread%strangeLimit == 0 && (read == 0 || r.source.Extract.Probe(ctx) != nil) {
		strange = unread // old failures or new: where nothing at all could be read, it is the provider that is at fault
	}
	if strange >= strangeLimit {
		return fmt.Errorf("%s: %d windows in a row brought answers that cannot be read, so this run asks no more: check base_url, and whether the provider has trouble or a new API",
			r.source.Name, strange)
	}
	return nil
}

// leave sets a window aside for this run, and tells how many in a row could not be read, of those that had not failed before, and of all; and
// how many this run has read.
func (r *run) leave(rd *reading, w checkpoint.Work, err error) (strange, unread, read int) {
	r.desk.mu.Lock()
	defer r.desk.mu.Unlock()
	r.skip[keyOf(rd.window.Span)], r.skip[keyOf(w.Span)] = true, true
	r.faults = append(r.faults, err)
	if errors.Is(err, errDisagrees) || errors.Is(err, errVanished) {
		return r.strange, 0, len(r.read)
	}
	if w.Failures == 0 {
		r.strange++
	}
	r.unread++
	return r.strange, r.unread, len(r.read)
}

// concernsWindow reports whether an error concerns its window alone.
func concernsWindow(err error) bool {
	return errors.Is(err, errDisagrees) || errors.Is(err, errVanished) || isClass(err, extract.Malformed, extract.Lost)
}

// GoesOn reports whether other work of a source may be done after an error of a run: there was none, or it concerned nothing but windows.
func GoesOn(err error) bool {
	for _, one := range Parted(err) {
		if !concernsWindow(one) {
			return false
		}
	}
	return true
}

// NeedsPerson reports whether an error keeps the lists of a source from being read until a person acts: a key that is not accepted, another
// account, or that nobody could be kept out who was forgotten. Details that are refused keep nothing else waiting.
func NeedsPerson(err error) bool {
	return slices.ContainsFunc(Parted(err), func(one error) bool {
		var other *ErrOtherAccount
		var details ofDetails
		var key noKey
		return !errors.As(one, &details) && (errors.As(one, &other) || errors.As(one, &key) || isClass(one, extract.Permanent))
	})
}

// holdUntil heeds a provider that asks to be left alone for longer than a run waits.
func (r *run) holdUntil(err error) {
	if e := extractError(err, func(e *extract.Error) bool { return !e.Until.IsZero() }); e != nil {
		r.desk.hold(e.Until)
	}
}

// saveFailure records that a window could not be read, and when it may be tried again.
func (r *reader) saveFailure(ctx context.Context, rd *reading, err error) error {
	rd.failed(err, r.now())
	return r.commit(ctx, rd, r.saveWindow)
}

// failed notes on the window that it could not be read.
func (rd *reading) failed(err error, now time.Time) {
	rd.window.Failures++
	rd.window.Error = err.Error()
	rd.window.RetryAt = now.Add(pauseAfter(rd.window.Failures))
}

// pauseAfter is how long a window that failed so often is left alone: a minute, twice as long each time, at most six hours.
func pauseAfter(failures int) time.Duration {
	return min(time.Minute<<min(max(failures-1, 0), 10), 6*time.Hour)
}

// halve puts two windows in the place of one that failed too often while the provider was well, and reports whether it did. What a poison
// record costs is so narrowed down to a minute, within one run.
func (r *run) halve(ctx context.Context, rd *reading, err error) bool {
	if rd.window.Failures < halveAfter || errors.Is(err, errDisagrees) || errors.Is(err, errVanished) || !r.mayHalve() {
		return false
	}
	if isClass(err, extract.Malformed, extract.Lost) && r.source.Extract.Probe(ctx) != nil {
		return false // it is not this window's fault
	}
	done := false
	werr := r.writeBook(context.WithoutCancel(ctx), func(tx *load.Tx, b checkpoint.Book) (_ checkpoint.Book, err error) {
		if b, done, err = checkpoint.HalveTx(ctx, tx, r.source.Name, b, rd.window); done {
			r.halved++
		}
		return b, err
	})
	if werr != nil {
		r.Log.Warn("window not halved", zap.String("source", r.source.Name), zap.Stringer("window", rd.window.Span), zap.Error(werr))
		return false
	}
	if done {
		r.Log.Debug("window halved", zap.String("source", r.source.Name), zap.Stringer("window", rd.window.Span), zap.Error(err))
	}
	return done
}

// manyFailing is how many windows that fail are kept apart. A provider that answers every list with nonsense for days would otherwise leave one
// at every tick.
const manyFailing = 20

// mayHalve reports whether so few windows are failing that a record may be at fault.
func (r *run) mayHalve() bool {
	failing := r.failing()
	r.desk.mu.Lock()
	defer r.desk.mu.Unlock()
	return r.halved < halveLimit && failing < manyFailing
}

// failing counts the open windows that have failed.
func (r *run) failing() (n int) {
	r.desk.mu.Lock()
	defer r.desk.mu.Unlock()
	for _, w := range r.desk.book.Open {
		if w.Error != "" {
			n++
		}
	}
	return n
}

// left is the error of the windows that were left: the first few in full, for the rest their number. The ledger names them all.
func (r *run) left() error {
	const shown = 3
	if len(r.faults) <= shown {
		return errors.Join(r.faults...)
	}
	return errors.Join(append(r.faults[:shown:shown], fmt.Errorf("%s: %d more windows were left open: %w; 'FROM sync.gaps' tells each with its error",
		r.source.Name, len(r.faults)-shown, r.faults[shown]))...)
}

// isClass reports whether an error, or one of several that are joined, is the extractor's and of one of the classes.
func isClass(err error, classes ...extract.Class) bool {
	e := extractError(err, func(e *extract.Error) bool { return slices.Contains(classes, e.Class) })
	return e != nil
}

// extractError finds the extractor's error of which something is true, among all that are joined; nil: there is none.
func extractError(err error, is func(*extract.Error) bool) *extract.Error {
	for _, one := range Parted(err) {
		var e *extract.Error
		if errors.As(one, &e) && is(e) {
			return e
		}
	}
	return nil
}

// Parted takes apart what is joined in an error, however deep, so that no error hides behind another. What joins nothing stays whole. The cause
// of an extractor's error is not looked at: its class says what it means.
func Parted(err error) []error {
	switch e := err.(type) { //nolint:errorlint // it is what wraps that is looked at
	case nil:
		return nil
	case *extract.Error:
	case interface{ Unwrap() []error }:
		var all []error
		for _, one := range e.Unwrap() {
			all = append(all, Parted(one)...)
		}
		return all
	case interface{ Unwrap() error }:
		all := Parted(e.Unwrap())
		if len(all) < 2 {
			break
		}
		if _, details := err.(ofDetails); details { //nolint:errorlint // this very one
			for i := range all {
				all[i] = ofDetails{all[i]}
			}
		}
		return all
	}
	return []error{err}
}
