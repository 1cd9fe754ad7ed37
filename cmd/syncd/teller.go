package main

import (
	"encoding/json"
	"fmt"
	"sync"

	"syncd/internal/control"
	"syncd/internal/pipeline"
)

// The kinds of events that a job sends while it is done elsewhere.
const (
	eventBegan    = "began"
	eventProgress = "progress"
	eventFinished = "finished"
	eventReports  = "reports"
)

// sendEvent sends one event over the socket.
func sendEvent(emit func(control.Event) error, kind string, data any) error {
	body, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("tell of %s: %w", kind, err)
	}
	return emit(control.Event{Kind: kind, Data: body})
}

// teller tells the client of a job how it comes on, and the holder's own activity too. It never keeps those waiting who tell it: a client that
// reads slowly gets the latest state of each source, and misses what came between. A client that went away has ended its work by its context.
type teller struct {
	emit func(control.Event) error
	next *activity
	kind string // of the runs: other runs of the same sources go on

	mu     sync.Mutex
	latest map[string]pipeline.Progress // by source, not sent yet
	ended  []sourceReport               // not sent yet
	wake   chan struct{}
	closed bool
	done   sync.WaitGroup
}

func newTeller(emit func(control.Event) error, next *activity, kind string) *teller {
	t := &teller{emit: emit, next: next, kind: kind, latest: make(map[string]pipeline.Progress), wake: make(chan struct{}, 1)}
	t.done.Go(t.send)
	return t
}

// Committed implements pipeline.Watcher.
func (t *teller) Committed(p pipeline.Progress) {
	t.next.Committed(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latest[p.Run.Source] = p
	t.rouse()
}

// Finished implements watcher.
func (t *teller) Finished(source string, ok bool) {
	t.next.ended(source, t.kind)
	t.mu.Lock()
	defer t.mu.Unlock()
	r := sourceReport{Source: source}
	if !ok {
		r.Error = "failed"
	}
	t.ended = append(t.ended, r)
	t.rouse()
}

// rouse has what is there sent, unless that is about to happen.
func (t *teller) rouse() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// close returns once all is sent, or nobody listens any more.
func (t *teller) close() {
	t.mu.Lock()
	t.closed = true
	t.rouse()
	t.mu.Unlock()
	t.done.Wait()
}

// send sends until close.
func (t *teller) send() {
	if sendEvent(t.emit, eventBegan, nil) != nil {
		return
	}
	for range t.wake {
		t.mu.Lock()
		latest, ended, closed := t.latest, t.ended, t.closed
		t.latest, t.ended = make(map[string]pipeline.Progress), nil
		t.mu.Unlock()
		for _, p := range latest {
			if sendEvent(t.emit, eventProgress, p) != nil {
				return
			}
		}
		for _, r := range ended {
			if sendEvent(t.emit, eventFinished, r) != nil {
				return
			}
		}
		if closed {
			return
		}
	}
}
