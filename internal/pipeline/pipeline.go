// Package pipeline is the loop that makes the mirror true: window → page → calls and rejects → one transaction.
//
// It owns the order of things: what is asked next, what is committed together, when a window is believed, what an error means for the work at
// hand, and that whoever was forgotten is erased, and stays so whatever is read. It refuses to know a provider, a field or a table: it pulls pages
// from an extractor, hands records to a transform, and gives what comes out to the warehouse and the ledger in one transaction. It refuses to
// know the hour, too: when to run is others' business.
//
// # How a source is read
//
// The ledger says which stretch of time is not proven yet; the planner names the most urgent window of it. The window is read page by
// page from its position. Pages are gathered for a moment and committed together: their calls, their rejects, the position that leads past
// them and the run's counts, or none of it. So there is no state in which the position is ahead of the rows, or the rows of the position,
// and a run that was killed at any instant differs from one that was not by a few requests.
//
// A window is closed, and becomes a fact that nobody reads again at that age, when the provider has said that there is no more and, where it
// tells a total, when the different ids that this reading returned are as many. If they are not, the window is read once more from its
// start; if they still are not, it stays open, with both numbers, and everything else goes on.
//
// Several runs of one source may go on at once (its live work, its history, its details): they share what is known of it, and never read
// the same stretch of time at the same moment.
//
// # What an error means
//
// A transient error has been retried already. One small request then tells whether the provider is in trouble, which ends the run, or the
// window is: that is left for later, as is one that brought an answer nobody can read, and everything else goes on. A window that failed
// three times while the provider was well is halved, down to a minute, until what cannot be read costs no more than its minute. A permanent
// error ends the run, and a person must act.
package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/transform"
)

// Source is one account, ready to be read.
type Source struct {
	Name        string
	Provider    string
	Start       time.Time       // nothing older is wanted
	Ages        []time.Duration // at which calls are read again, ascending
	Schedule    string          // as written, and the longest time between two of its ticks: the warehouse tells them
	Interval    time.Duration
	Rules       string // what its records are read with, in words without a secret: a change of them is said, as what is stored stays as it was
	Fingerprint string // of the account's address and key; another one is another account until it is shown to be the same
	PageSize    int    // how many calls a request of the list brings
	Details     bool   // fetch what the list leaves out
	Wordless    bool   // transcripts are not kept, so that a call without one lacks nothing
	Extract     extract.Source
	Transform   *transform.Transformer
}

// Watcher is told what was committed, as it happens. Its method is called from one goroutine of a source at a time, which waits for it.
type Watcher interface {
	Committed(Progress)
}

// Progress is how far a run has come.
type Progress struct {
	Run     load.Run
	Covered time.Duration // of Wanted, how much is proven
	Wanted  time.Duration
	Details int64 // how many answers about single calls were stored, of those known to be due
	Due     int64
	Looked  int64 // how many stored calls were looked at, of those there are: where a source is rebuilt from what is stored
	ToLook  int64
}

// Pipeline reads sources into a warehouse. Sources may be read side by side, and one source by several runs; the warehouse lets one commit
// at a time. There is one Pipeline for a warehouse.
type Pipeline struct {
	Warehouse *load.Warehouse
	Now       func() time.Time
	Log       *zap.Logger
	Watcher   Watcher // nil: nobody watches

	mu    sync.Mutex
	desks map[string]*desk
}

// Options say how much of a source's work a run does.
type Options struct {
	Kind     string // as sync.runs tells it
	Scope    checkpoint.Scope
	Details  bool            // then the details that are due, where the source wants them
	Range    checkpoint.Span // this stretch alone, at age 0, whatever the source's start; zero: what the source wants
	Force    bool            // with Range: whatever is proven
	Parallel int             // how many windows are read at once; 0: one
	// Patient leaves alone what failed a short while ago, and a provider that asked to be: whoever runs every few minutes must not insist.
	Patient bool
	// A person has answered: the account is the right one; the calls that vanished were deleted.
	AcceptAccount, AcceptDeletions bool
	Watcher                        Watcher // nil: the pipeline's
}

// Sync does work of a source, once, and returns its record. The error is nil where all that was asked for is done; the context's own
// where it was stopped, in which case what was read is committed and the next run goes on from there. A run that found nothing to do and
// sent no request leaves no record.
func (p *Pipeline) Sync(ctx context.Context, s Source, o Options) (load.Run, error) {
	r := p.newRun(s, o)
	if o.Patient && r.desk.heldAt(r.startedAt) {
		return load.Run{}, nil
	}
	counted := extract.WithTally(ctx, r.traffic)
	err := r.begin(counted)
	if err == nil && o.Patient {
		err = r.knock(counted)
	}
	if err == nil {
		err = r.checkAccount(counted)
	}
	if err == nil {
		err = r.work(counted)
	}
	if GoesOn(err) {
		err = errors.Join(err, r.fetchDetails(counted), r.reconcile(counted))
	}
	return r.finish(ctx, err)
}

// newRun is a run that begins now.
func (p *Pipeline) newRun(s Source, o Options) *run {
	now := p.now()
	r := &run{
		Pipeline: p, source: s, options: o, desk: p.desk(s.Name), startedAt: now,
		record: load.Run{ID: rand.Text(), Source: s.Name, Kind: o.Kind, StartedAt: now, Outcome: "running"},
		skip:   make(map[spanKey]bool), read: make(map[spanKey]bool), traffic: new(extract.Tally), watcher: o.Watcher,
	}
	if r.watcher == nil {
		r.watcher = p.Watcher
	}
	return r
}

// now is the local clock in the warehouse's terms: UTC, microseconds.
func (p *Pipeline) now() time.Time { return p.Now().UTC().Truncate(time.Microsecond) }

// desk is what the runs of a source share.
func (p *Pipeline) desk(source string) *desk {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.desks == nil {
		p.desks = make(map[string]*desk)
	}
	d, ok := p.desks[source]
	if !ok {
		d = &desk{step: checkpoint.FirstStep}
		p.desks[source] = d
	}
	return d
}
