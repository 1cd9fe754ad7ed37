package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// stream is the answer to a request for work: a line for each frame, sent at once.
type stream struct {
	w        http.ResponseWriter
	rc       *http.ResponseController
	patience time.Duration
	cancel   context.CancelFunc // ends the work

	mu     sync.Mutex // guards w, and below
	broken error      // why no frame can be sent any more
}

func newStream(w http.ResponseWriter, patience time.Duration, cancel context.CancelFunc) *stream {
	return &stream{w: w, rc: http.NewResponseController(w), patience: patience, cancel: cancel}
}

// emit sends an event. Once the client is gone, it fails and the work's ctx is over.
func (s *stream) emit(e Event) error { return s.send(frame{Event: &e}) }

// last sends the end and lets nothing follow it. A client that left needs none.
func (s *stream) last(e end) {
	_ = s.send(frame{End: &e})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = errors.New("the work has ended")
	}
}

func (s *stream) send(f frame) error {
	line, err := encode(f)
	if err != nil {
		return fmt.Errorf("send an event: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken != nil {
		return s.broken
	}
	// A client that is stopped by a Ctrl-Z does not read, and must not hold up the warehouse for longer than this.
	err = s.rc.SetWriteDeadline(time.Now().Add(s.patience))
	if err == nil {
		if _, err = s.w.Write(line); err == nil {
			err = s.rc.Flush()
		}
	}
	if err != nil {
		s.broken = fmt.Errorf("send an event: the client went away: %w", err)
		s.cancel()
	}
	return s.broken
}

// encode writes a value as a line of JSON. What was JSON before keeps its characters: <, > and & are not made escapes.
func encode(v any) ([]byte, error) {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return line.Bytes(), err
}

// keepAlive sends a sign of life at once, and then each interval until it is stopped.
func (s *stream) keepAlive(interval time.Duration) (stop func()) {
	done := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for s.send(frame{}) == nil {
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		ticking.Wait()
	}
}
