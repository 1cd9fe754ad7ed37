package fakeapi

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// operation is what a request asks for, by its path alone.
type operation int

const (
	otherOperation operation = iota
	listOperation
	callOperation // one call, or a part of it
)

// Traffic is how many requests came since New, whatever they were answered with.
type Traffic struct {
	Lists  int64 // for a page of the list
	Calls  int64 // for a single call, or a part of it
	Others int64
}

// traffic counts what reaches a fake, and what of it was served.
type traffic struct {
	mu     sync.Mutex
	times  []int64 // of every request by the provider's clock, Unix nanoseconds, as they came
	counts Traffic
	served map[string]int
}

// Traffic returns the counts by what was asked for.
func (s *Server) Traffic() Traffic {
	s.traffic.mu.Lock()
	defer s.traffic.mu.Unlock()
	return s.traffic.counts
}

// Busiest is the most requests that came in any span of a length by the provider's clock, over all requests since New. A span holds its
// beginning and not its end, so that two requests exactly per apart are never in one.
func (s *Server) Busiest(per time.Duration) int {
	s.traffic.mu.Lock()
	times := slices.Clone(s.traffic.times)
	s.traffic.mu.Unlock()
	slices.Sort(times) // a test may set the clock back, and requests overtake each other
	most, first := 0, 0
	for i, at := range times {
		for at-times[first] >= int64(per) && first < i {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// Served returns how often each call was on a list page that was answered, by id; empty without Options.CountServed.
func (s *Server) Served() map[string]int {
	s.traffic.mu.Lock()
	defer s.traffic.mu.Unlock()
	return maps.Clone(s.traffic.served)
}

// arrived counts a request.
func (t *traffic) arrived(at time.Time, what operation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times = append(t.times, at.UnixNano())
	switch what {
	case listOperation:
		t.counts.Lists++
	case callOperation:
		t.counts.Calls++
	default:
		t.counts.Others++
	}
}

// countServed counts the calls of a page.
func (t *traffic) countServed(ids []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.served == nil {
		t.served = map[string]int{}
	}
	for _, id := range ids {
		t.served[id]++
	}
}
