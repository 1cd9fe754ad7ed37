package httpapi

import (
	"context"
	"slices"
	"sync"
	"time"
)

// limiter lets at most n requests reach the provider in any span of time, and the most urgent of those that wait first.
//
// A request takes one of n slots before it is sent, and the slot rests for a whole span from the moment when its answer began to arrive,
// or when it failed. The provider saw the request before that moment, however long the way was, and sees the next one that has the slot
// after the rest; so no n+1 of them can fall into one span of the provider's clock. That is why this is not golang.org/x/time/rate: a token
// bucket of n a minute lets n through at once and refills meanwhile, so up to 2n fall into one minute; and it counts when a
// request leaves, so two that leave far enough apart may arrive together. The price is that slow answers lower the rate a little
// (by the time that they take, once a span): the safe side, as a provider that is slow is better asked less. It is one process's own: what
// another sent to the same account, or this one before it was started again, it does not know.
//
// Slots are not kept one by one. A slot is in use by a request in flight, or resting since an answer, or free, so the number of the ones and
// the times of the others tell how many are free, under each of several rates at once.
type limiter struct {
	mu       sync.Mutex
	rates    []Rate      // all of them hold; none: no limit
	inFlight int         // requests that have taken a slot and not given it back
	answered []time.Time // when the latest answers arrived, ascending: as many as the largest rate has slots, and some older ones
	held     time.Time   // nothing is sent before
	waiting  queue
	arrivals uint64 // numbers the waiters
	wake     *time.Timer
}

// leftAlone turns a request away: the provider wants to be left alone for longer than a request waits.
type leftAlone struct{ until time.Time }

func (e *leftAlone) Error() string { return "the provider cannot be asked now" }

func newLimiter(r Rate) *limiter {
	l := &limiter{}
	l.tighten(r)
	return l
}

// tighten adds a rate that holds from now on, beside those that do. Of what was sent before, it counts as much as the other rates remember.
func (l *limiter) tighten(r Rate) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Requests > 0 && !slices.Contains(l.rates, r) {
		l.rates = append(l.rates, r)
	}
}

// acquire waits for a slot that has rested, until nothing holds requests up, and until nothing more urgent waits. Every acquire that returns
// nil needs a release or a giveBack. Its errors are the context's own, or *leftAlone.
func (l *limiter) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := l.enqueue(urgencyOf(ctx))
	for {
		select {
		case err := <-w.turn:
			if err != nil {
				return err
			}
			if sent, err := l.confirm(ctx, w); sent || err != nil {
				return err
			}
		case <-ctx.Done():
			l.withdraw(w)
			return ctx.Err()
		}
	}
}

func (l *limiter) enqueue(u Urgency) *waiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrivals++
	w := &waiter{urgency: u, number: l.arrivals, turn: make(chan error, 1)}
	l.waiting.push(w)
	l.dispatch()
	return w
}

// confirm looks once more, when the goroutine of a request whose turn came runs at last: in between its context may have ended, or
// another answer may have asked for a wait, which then holds this request too. It goes back to its old place.
func (l *limiter) confirm(ctx context.Context, w *waiter) (sent bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err = ctx.Err()
	if err == nil && !l.held.After(time.Now()) {
		return true, nil
	}
	l.inFlight--
	if err == nil {
		l.waiting.push(w)
	}
	l.dispatch()
	return false, err
}

// withdraw takes back a request that waits no longer. Its turn may have come at the same moment: then the slot goes to the next.
func (l *limiter) withdraw(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.place >= 0 {
		l.waiting.leave(w)
	} else if <-w.turn == nil {
		l.inFlight--
	}
	l.dispatch()
}

// release lets a slot rest. The answer arrived, or the request failed, at the time given.
func (l *limiter) release(answered time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	l.remember(answered)
	l.dispatch()
}

// giveBack returns the slot of a request that was never sent.
func (l *limiter) giveBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	l.dispatch()
}

// hold keeps every request back until the time given, as the provider asked.
func (l *limiter) hold(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.After(l.held) {
		l.held = until
		l.dispatch()
	}
}

// remember notes when an answer arrived. Two that arrive together may be noted in the wrong order, hence the search from the end.
func (l *limiter) remember(answered time.Time) {
	at, largest := len(l.answered), 0
	for at > 0 && l.answered[at-1].After(answered) {
		at--
	}
	for _, r := range l.rates {
		largest = max(largest, r.Requests)
	}
	l.answered = slices.Insert(l.answered, at, answered)
	if old := len(l.answered) - largest; old > largest {
		l.answered = slices.Delete(l.answered, 0, old) // not one at a time, so that it costs little
	}
}

// dispatch gives what slots there are to those who wait, and sets the clock for when there will be more.
func (l *limiter) dispatch() {
	now := time.Now()
	for !l.waiting.empty() {
		if l.held.Sub(now) > longestWait {
			l.waiting.next().turn <- &leftAlone{until: l.held}
			continue
		}
		free, known := l.nextFree()
		switch {
		case !known: // every slot is in use: the next answer will tell
			return
		case free.After(now):
			l.wakeIn(free.Sub(now))
			return
		}
		l.inFlight++
		l.waiting.next().turn <- nil
	}
}

// nextFree is when a request may be sent; not known while all slots of a rate are in use. With k slots not in use, one of them has rested
// when the k-th latest answer is a span old, as the slots that still rest are those of later answers.
func (l *limiter) nextFree() (at time.Time, known bool) {
	at = l.held
	for _, r := range l.rates {
		unused := r.Requests - l.inFlight
		if unused <= 0 {
			return time.Time{}, false
		}
		if n := len(l.answered); n >= unused {
			if rested := l.answered[n-unused].Add(r.Per); rested.After(at) {
				at = rested
			}
		}
	}
	return at, true
}

// wakeIn looks again after a while. One clock is enough: who is first, and when, is decided anew each time.
func (l *limiter) wakeIn(d time.Duration) {
	if l.wake != nil {
		l.wake.Reset(d)
		return
	}
	l.wake = time.AfterFunc(d, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.dispatch()
	})
}

// sleep waits, or returns the context's error as soon as it has one.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
