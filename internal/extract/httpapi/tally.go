package httpapi

import (
	"context"
	"sync/atomic"
)

// Tally counts what was sent for one purpose, of all that an account's client sends: several runs of one source may go on at once. It is
// safe for concurrent use.
type Tally struct {
	requests atomic.Int64
	retries  atomic.Int64
}

// Requests is how many requests were sent, retries and followed redirects included.
func (t *Tally) Requests() int64 { return t.requests.Load() }

// Retries is how many times a request was tried again.
func (t *Tally) Retries() int64 { return t.retries.Load() }

type tallyKey struct{}

// WithTally counts in t, too, what is sent with the context.
func WithTally(ctx context.Context, t *Tally) context.Context {
	return context.WithValue(ctx, tallyKey{}, t)
}

// tallyOf is the tally of a context, or one that nobody reads.
func tallyOf(ctx context.Context) *Tally {
	if t, ok := ctx.Value(tallyKey{}).(*Tally); ok {
		return t
	}
	return new(Tally)
}
