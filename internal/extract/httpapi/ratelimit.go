package httpapi

import (
	"context"
	"sync"
	"time"
)

// limiter lets at most n requests reach the provider in any span of time.
//
// A request takes one of n slots before it is sent, and the slot rests for a whole span from the moment when its answer began to arrive,
// or when it failed. The provider saw the request before that moment, however long the way was, and sees the next one that has the slot
// after the rest; so no n+1 of them can fall into one span of the provider's clock. That is why this is not golang.org/x/time/rate: a token
// bucket of n a minute lets n through at once and refills meanwhile, so up to 2n fall into one minute; and it counts when a
// request leaves, so two that leave far enough apart may arrive together. The price is that slow answers lower the rate a little
// (by the time that they take, once a span): the safe side, as a provider that is slow is better asked less. It is one process's own: what
// another sent to the same account, or this one before it was started again, it does not know.
type limiter struct {
	span  time.Duration
	slots chan time.Time // the slots that are not in use, with the time when each has rested; nil: no limit

	mu   sync.Mutex
	held time.Time // nothing is sent before
}

func newLimiter(r Rate) *limiter {
	if r.Requests == 0 {
		return &limiter{}
	}
	l := &limiter{span: r.Per, slots: make(chan time.Time, r.Requests)}
	for range r.Requests {
		l.slots <- time.Time{}
	}
	return l
}

// acquire waits for a slot that has rested, and until nothing holds requests up. Every acquire that returns nil needs a release.
func (l *limiter) acquire(ctx context.Context) error {
	if l.slots == nil {
		return l.waitHeld(ctx)
	}
	select {
	case rested := <-l.slots:
		err := sleepUntil(ctx, rested)
		if err == nil {
			err = l.waitHeld(ctx)
		}
		if err != nil {
			l.slots <- rested // never blocks: it has room for every slot
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// release gives a slot back. The answer arrived, or the request failed, at the time given.
func (l *limiter) release(answered time.Time) {
	if l.slots != nil {
		l.slots <- answered.Add(l.span)
	}
}

// hold keeps every request back until the time given, as the provider asked.
func (l *limiter) hold(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until.After(l.held) {
		l.held = until
	}
}

// waitHeld waits until nothing holds requests up; the time may move on while it waits.
func (l *limiter) waitHeld(ctx context.Context) error {
	for {
		l.mu.Lock()
		held := l.held
		l.mu.Unlock()
		if !held.After(time.Now()) {
			return ctx.Err()
		}
		if err := sleepUntil(ctx, held); err != nil {
			return err
		}
	}
}

func sleepUntil(ctx context.Context, t time.Time) error {
	if t.IsZero() {
		return ctx.Err()
	}
	return sleep(ctx, time.Until(t))
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
