package pipeline

import (
	"context"
	"slices"
	"sync"
	"time"

	"syncd/internal/checkpoint"
	"syncd/internal/load"
	"syncd/internal/transform"
)

// desk is what is known of a source while the process lives, shared by all its runs. Whatever of it matters after the process is in the
// warehouse too: the book is read from there once, and changed only with a transaction that has committed.
//
// Its lock is never held while a request is under way, and not while calls are committed: only the transactions at both ends of a run are waited for
// with it, which are short unless the log has become long just then.
type desk struct {
	writing sync.Mutex // held, by whoever does not hold mu yet, while a transaction is under way that changes the book or the record of a run
	mu      sync.Mutex
	saved   load.Source // as the warehouse has it; zero before the first run
	epoch   int64       // of the warehouse, when what is known of its tables was read
	book    checkpoint.Book
	claims  []*checkpoint.Span   // being read, or read and not closed yet; each is the one that it was claimed as
	detail  bool                 // details are being fetched
	freed   chan struct{}        // closed when a claim is given back; nil: nobody waits for one
	step    time.Duration        // how long the next window should be
	skew    time.Duration        // the provider's clock less ours
	skewed  bool                 // it is known
	doubted time.Duration        // what one answer said it was, and is not believed yet
	down    bool                 // the last run found the provider, or the way to it, in trouble
	held    time.Time            // the provider asked to be left alone until then
	account string               // the fingerprint of the account that was found to be the right one
	counted time.Time            // when the provider's total was last held against the warehouse
	ended   map[string]*load.Row // the last row of sync.runs of each kind that this process left
	changes int64                // how many commits changed a call
	looked  looks                // for details

	suppressions *transform.Suppressions // who is kept out; nil: nobody
	rebuilding   bool                    // the source is being rebuilt from what is stored
}

// heldAt reports whether the provider asked to be left alone at a time.
func (d *desk) heldAt(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held.After(now)
}

// hold remembers until when the provider wants to be left alone.
func (d *desk) hold(until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if until.After(d.held) {
		d.held = until
	}
}

// release gives a claimed span back.
func (d *desk) release(claimed *checkpoint.Span) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.claims, claimed); i >= 0 {
		d.claims = slices.Delete(d.claims, i, i+1)
	}
	d.free()
}

// free wakes those that wait for what others do. The desk is locked.
func (d *desk) free() {
	if d.freed != nil {
		close(d.freed)
		d.freed = nil
	}
}

// awaiting is closed when a claim is given back. The desk is locked.
func (d *desk) awaiting() <-chan struct{} {
	if d.freed == nil {
		d.freed = make(chan struct{})
	}
	return d.freed
}

// wait waits until something is given back.
func wait(ctx context.Context, freed <-chan struct{}) error {
	select {
	case <-freed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
