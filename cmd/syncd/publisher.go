package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"syncd/internal/config"
	"syncd/internal/load"
)

const (
	// shareOfTime is how many times as long as a copy took nothing is copied after it: copying takes at most 2 % of the time.
	shareOfTime = 50
	// moveOn is how long a copy may lack what moved the ledger alone: readers learn from it how fresh the rest is.
	moveOn = time.Hour
	// tryAgain is how soon a copy is tried again that could not be made, at least.
	tryAgain = time.Minute
	// lastCopy is how long the copy may take that is made when everything ends because somebody said so.
	lastCopy = time.Minute
)

// copyStatus is what status tells of the copy for readers.
type copyStatus struct {
	Path            string     `json:"path"`
	PublishedAt     *time.Time `json:"published_at"`     // what was committed by then is in it; null: there is none yet
	SizeBytes       int64      `json:"size_bytes"`       //
	Behind          bool       `json:"behind"`           // the warehouse has changed since
	IntervalSeconds float64    `json:"interval_seconds"` // copies are made no sooner after one another: publish_every, or longer where copying takes long
	TookSeconds     float64    `json:"took_seconds"`     // how long the last one took that this process made; 0: none yet
	HeldSeconds     float64    `json:"held_seconds"`     // how long commits waited for it
	Cloned          bool       `json:"cloned"`           // the file system shares its blocks with the warehouse's
	Error           string     `json:"error,omitempty"`  // why the last one could not be made
	FailedAt        *time.Time `json:"failed_at,omitempty"`
	ViewErrors      []string   `json:"view_errors,omitempty"` // the user's own views that could not be made in the last one
}

// look tells what the file system knows of a copy. One that is of later than now was made by a clock that was wrong, and tells nothing.
func (s *copyStatus) look(warehouse string, now time.Time) {
	s.PublishedAt, s.SizeBytes, s.Behind = nil, 0, true
	info, err := os.Stat(s.Path)
	if err != nil {
		return
	}
	at := info.ModTime().UTC()
	s.PublishedAt, s.SizeBytes = &at, info.Size()
	s.Behind = hasMoved(warehouse, at) || at.After(now)
}

// hasMoved reports whether anything of a warehouse was written after a time.
func hasMoved(warehouse string, at time.Time) bool {
	return isNewer(warehouse, at) || isNewer(load.LogPath(warehouse), at)
}

// isNewer reports whether a file that holds anything was written after a time.
func isNewer(path string, at time.Time) bool {
	info, err := os.Stat(path)
	return err == nil && info.Size() > 0 && info.ModTime().After(at)
}

// publisher has the copy for readers made when there is something new, no more often than is wanted, and remembers what became of it.
// The zero pointer makes none.
type publisher struct {
	warehouse *load.Warehouse
	path      string
	views     string
	every     time.Duration
	now       func() time.Time
	report    func(error)
	wake      chan struct{}

	making sync.Mutex // by whoever makes a copy

	mu       sync.Mutex
	status   copyStatus
	has      int64 // which of the warehouse's changes are in the copy
	missing  bool  // there is none
	behind   bool  // it lacked something when this process opened the warehouse
	first    bool  // there was no warehouse before: a copy is of use once something is in it
	earliest time.Time
	failures int
}

// newPublisher makes the publisher of a warehouse that is about to be opened, or nil where no copy is wanted. What the file system tells of the
// two files is only of use before.
func newPublisher(c *config.Config, now func() time.Time) *publisher {
	if c.Warehouse.Publish == "" {
		return nil
	}
	p := &publisher{path: c.Warehouse.Publish, views: c.Warehouse.Views, every: c.Warehouse.PublishEvery, now: now, wake: make(chan struct{}, 1), report: func(error) {}}
	p.status = copyStatus{Path: p.path, IntervalSeconds: p.every.Seconds()}
	p.status.look(c.Warehouse.Path, now())
	p.missing, p.behind, p.first = p.status.PublishedAt == nil, p.status.Behind, !exists(c.Warehouse.Path)
	p.earliest = now()
	if !p.behind {
		p.earliest = p.earliest.Add(p.every - min(now().Sub(*p.status.PublishedAt), p.every))
	}
	return p
}

// of says of which warehouse, once that is open. What opening it changed, such as its schema, is not in the copy. A nil publisher stays nil.
func (p *publisher) of(w *load.Warehouse) *publisher {
	if p != nil && w != nil {
		p.warehouse = w
		if p.first {
			p.has, p.missing, p.behind = w.Changes(), false, false
		}
	}
	return p
}

// start makes copies until ctx ends, the first one not before a rest. What it returns ends that, makes the last copy, and tells why it could not.
func (p *publisher) start(ctx context.Context, rest time.Duration) (finish func() error) {
	if p == nil {
		return func() error { return nil }
	}
	if at := p.now().Add(rest); at.After(p.earliest) {
		p.earliest = at
	}
	going, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.run(ctx, going.Done())
	}()
	return func() error {
		stop()
		<-ended
		return p.finish(ctx)
	}
}

// look has the publisher see whether there is something new.
func (p *publisher) look() {
	if p == nil {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default: // it will
	}
}

// run makes copies until it is told to end; one that is being made is finished first, unless ctx has ended.
func (p *publisher) run(ctx context.Context, end <-chan struct{}) {
	for {
		timer := time.NewTimer(time.Hour)
		wait, wanted := p.due()
		if wanted {
			timer.Reset(max(wait, 0))
		}
		select {
		case <-end:
			timer.Stop()
			return
		case <-p.wake: // there may be something new
			timer.Stop()
			continue
		case <-timer.C:
		}
		if !wanted {
			continue
		}
		if err := p.publish(ctx); err != nil && ctx.Err() == nil {
			p.report(err)
		}
	}
}

// due tells whether a copy is wanted, and in how long.
func (p *publisher) due() (wait time.Duration, wanted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.earliest
	if _, err := os.Stat(p.path); errors.Is(err, fs.ErrNotExist) && !p.first {
		p.missing = true // somebody has removed it
	}
	switch {
	case p.lacks():
	case p.status.PublishedAt == nil:
		return 0, false
	case hasMoved(p.warehouse.Path(), *p.status.PublishedAt):
		at = at.Add(max(moveOn-p.every, 0))
	default:
		return 0, false
	}
	return at.Sub(p.now()), true
}

// lacks reports whether the copy lacks anything that readers look for.
func (p *publisher) lacks() bool { return p.missing || p.behind || p.warehouse.Changes() != p.has }

// publish makes a copy now.
func (p *publisher) publish(ctx context.Context) error {
	p.making.Lock()
	defer p.making.Unlock()
	changes := p.warehouse.Changes()
	made, err := p.warehouse.Publish(ctx, load.Publishing{Path: p.path, Views: p.views, Now: p.now, Copy: copyAside})
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now() // which, of the system's clock, goes on evenly whatever that is set to
	if err != nil {
		if ctx.Err() == nil {
			p.failures++
			at := now.UTC()
			p.status.Error, p.status.FailedAt = err.Error(), &at
			p.earliest = now.Add(max(p.every, min(tryAgain<<min(p.failures-1, 6), time.Hour)))
		}
		return err
	}
	p.has, p.missing, p.behind, p.first, p.failures = changes, false, false, false, 0
	interval := max(p.every, shareOfTime*made.Took)
	p.earliest = now.Add(interval)
	p.status = copyStatus{Path: p.path, PublishedAt: &made.At, SizeBytes: made.Bytes, IntervalSeconds: interval.Seconds(), TookSeconds: made.Took.Seconds(),
		HeldSeconds: made.Held.Seconds(), Cloned: made.Cloned, ViewErrors: made.ViewErrors}
	return nil
}

// finish makes the last copy, where the one that there is lacks anything. Where ctx has ended, it does not take long.
func (p *publisher) finish(ctx context.Context) error {
	if _, wanted := p.due(); !wanted {
		return nil
	}
	if ctx.Err() != nil {
		if !p.lacks() {
			return nil // what moved the ledger alone is not worth keeping anybody waiting who wants this to end
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(context.WithoutCancel(ctx), lastCopy, errors.New("there was no time left for it; the next start makes it"))
		defer cancel()
	}
	return p.publish(ctx)
}

// complain says what is wrong with views of the user's own in the last copy that was made.
func (p *publisher) complain(to io.Writer) {
	if p == nil {
		return
	}
	for _, problem := range p.tell().ViewErrors {
		fmt.Fprintf(to, "syncd: a view of your own is left out: %s\n", problem)
	}
}

// tell is what status says of the copy; nil where none is wanted.
func (p *publisher) tell() *copyStatus {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.status
	s.Behind = p.lacks()
	return &s
}
