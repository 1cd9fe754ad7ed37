package fakeapi

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	keptRequests = 1024
	keptBody     = 64 << 10
)

// Request is one request that reached a fake. Its headers, which hold the key, are not kept.
type Request struct {
	At     time.Time // by the provider's clock
	Method string
	Path   string
	Query  url.Values
	Body   string // the first 64 KiB
	Status int    // of the answer; 0 where the connection was cut before one
}

// requestLog keeps the last requests, and counts them all.
type requestLog struct {
	mu    sync.Mutex
	ring  []Request
	total int64
}

func (l *requestLog) add(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) < keptRequests {
		l.ring = append(l.ring, r)
	} else {
		l.ring[l.total%keptRequests] = r
	}
	l.total++
}

// Requests returns the last 1,024 requests, oldest first.
func (s *Server) Requests() []Request {
	l := &s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Request, 0, len(l.ring))
	first := 0
	if len(l.ring) == keptRequests {
		first = int(l.total % keptRequests)
	}
	out = append(out, l.ring[first:]...)
	return append(out, l.ring[:first]...)
}

// RequestCount is how many requests came since New.
func (s *Server) RequestCount() int64 {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.total
}

// readRequest describes a request for the log and leaves its body to be read again.
func readRequest(r *http.Request, at time.Time) (Request, error) {
	entry := Request{At: at, Method: r.Method, Path: r.URL.Path, Query: r.URL.Query()}
	if r.Body == nil || r.Body == http.NoBody {
		return entry, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 1<<20))
	if err != nil {
		return entry, fmt.Errorf("read request body: %w", err)
	}
	entry.Body = string(body[:min(len(body), keptBody)])
	r.Body = io.NopCloser(bytes.NewReader(body))
	return entry, nil
}
