// Package pipeline is the loop that makes the mirror true: window → page → calls and rejects → one transaction.
//
// It owns the order of things: what is asked next, what is committed together, when a window is believed, and what an error means for
// the work at hand. It refuses to know a provider, a field or a table: it pulls pages from an extractor, hands records to a transform,
// and gives what comes out to the warehouse and the ledger in one transaction.
//
// # How a source is read
//
// The ledger says which stretch of time is not proven yet; the planner names the most urgent window of it. The window is read page by
// page from its position. Pages are gathered for a moment and committed together: their calls, their rejects, the position that leads past
// them and the run's counts, or none of it. So there is no state in which the position is ahead of the rows, or the rows of the position,
// and a run that was killed at any instant differs from one that was not by a few requests.
//
// A window is closed, and becomes a fact that nobody reads again, when the provider has said that there is no more and, where it tells a
// total, when the different ids that this reading returned are as many. If they are not, the window is read once more from its start;
// if they still are not, it stays open, with both numbers, and everything else goes on.
//
// Three classes of error decide: a transient one has been retried already and ends this run of the source; a permanent one ends it too,
// and a person must act; a malformed answer stops its window, position unmoved, and no other.
package pipeline

import (
	"context"
	"crypto/rand"
	"time"

	"go.uber.org/zap"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/transform"
)

// Source is one account, ready to be read.
type Source struct {
	Name      string
	Provider  string
	Start     time.Time // nothing older is wanted
	Reread    string    // the configured ages and schedule, as written: the warehouse tells them
	Schedule  string
	Rules     string // what its records are read with, in words without a secret: a change of them is said, as what is stored stays as it was
	Extract   extract.Source
	Transform *transform.Transformer
}

// Watcher is told what was committed, as it happens. Its method is called from the goroutine of the source, which waits for it.
type Watcher interface {
	Committed(Progress)
}

// Progress is how far a run has come.
type Progress struct {
	Run     load.Run
	Covered time.Duration // of Wanted, how much is proven
	Wanted  time.Duration
}

// Pipeline reads sources into a warehouse. Sources may be read side by side; the warehouse lets one commit at a time.
type Pipeline struct {
	Warehouse *load.Warehouse
	Now       func() time.Time
	Log       *zap.Logger
	Watcher   Watcher // nil: nobody watches
}

// Options say how much of a source's work a run does.
type Options struct {
	Kind     string // as sync.runs tells it
	HeadOnly bool   // no history and nothing unfinished, only what is newest
}

// Sync does the due work of a source, once, and returns its record. The error is nil where all that was due is covered; the context's
// own where it was stopped, in which case what was read is committed and the next run goes on from there.
func (p *Pipeline) Sync(ctx context.Context, s Source, o Options) (load.Run, error) {
	now := p.now()
	r := &run{
		Pipeline: p, source: s, options: o, due: now, startedAt: now, step: checkpoint.FirstStep,
		before: s.Extract.Traffic(),
		record: load.Run{ID: rand.Text(), Source: s.Name, Kind: o.Kind, StartedAt: now, Outcome: "running"},
	}
	err := r.begin(ctx)
	if err == nil {
		err = r.work(ctx)
	}
	return r.finish(ctx, err)
}

// now is the local clock in the warehouse's terms: UTC, microseconds.
func (p *Pipeline) now() time.Time { return p.Now().UTC().Truncate(time.Microsecond) }
