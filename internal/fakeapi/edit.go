package fakeapi

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Record is a call as the provider answers with it, byte for byte. The parts of a hand-made record need not be what the vendor documents, nor
// even JSON: that is what a test may want to see survived.
type Record struct {
	At time.Time // its place in the list; zero: the start that List tells

	List   string // the element of the list; the id, and what filters look at, are read from it
	Detail string // the answer for the single call; "": List

	// Burki's further answers. "": an empty array, and for Costs a 404.
	Transcripts, Recordings, Costs string
}

// Insert adds a call, even where another has its id. A record that tells no start needs At. A call whose start the provider's clock has not
// reached is not listed yet.
func (s *Server) Insert(r Record) error {
	h, err := s.readRecord(r)
	if err != nil {
		return fmt.Errorf("insert a call into the fake of %s: %w", s.opts.Provider, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls.add(h)
	return nil
}

// Put adds a call in the place of every call that has its id. A record that tells no start keeps the place of the call it replaces; one whose
// At is zero moves to the start that it tells. A generated call that was replaced neither settles nor is deleted on its own any more.
func (s *Server) Put(r Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.refs(s.vendor.read([]byte(r.List)).id)
	h, err := s.readRecord(r)
	if errors.Is(err, errUndated) && len(old) > 0 {
		i, _ := s.calls.find(s.calls.rows, old[0])
		r.At = time.Unix(0, s.calls.rows[i].at)
		h, err = s.readRecord(r)
	}
	if err == nil && h.id == "" {
		err = errors.New("the record has no id that could be replaced: use Insert")
	}
	if err != nil {
		return fmt.Errorf("put a call into the fake of %s: %w", s.opts.Provider, err)
	}
	for _, ref := range old {
		s.calls.remove(ref)
	}
	s.calls.add(h)
	return nil
}

// Remove deletes every call that has the id, and says whether there was one.
func (s *Server) Remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, found := s.now(), false
	if len(s.presentRefs(id, now)) > 0 {
		s.removed = append(s.removed, id)
	}
	for _, ref := range s.refs(id) {
		// What the provider itself deleted stays in the table, for Deleted to tell.
		if i, _ := s.calls.find(s.calls.rows, ref); !s.calls.gone(s.calls.rows[i], now) {
			found = s.calls.remove(ref) || found
		}
	}
	return found
}

// Call returns a call as the provider would answer with it now, for a test to change and Put back.
func (s *Server) Call(id string) (Record, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.lookup(id, s.now())
}

// Count is how many calls the provider lists that started in [since, until), without test calls, as the list leaves them out too. A zero time
// is no bound.
func (s *Server) Count(since, until time.Time) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.now()
	from, to := bounds(since, until, now)
	return s.calls.count(&s.calls.index, from, to, now) - s.calls.count(&s.calls.tests, from, to, now)
}

// IDs returns the ids of the calls that Count counts, newest first; "" for a hand-made call without one.
func (s *Server) IDs(since, until time.Time) []string { return s.ids(since, until, false) }

// All returns the ids of every call that the provider lists now, test calls included, as the list gives them where it is asked for test
// calls too; newest first, "" for a hand-made call without one. What is listed later only, or was deleted, is not among them.
func (s *Server) All() []string { return s.ids(time.Time{}, time.Time{}, true) }

func (s *Server) ids(since, until time.Time, tests bool) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.now()
	from, to := bounds(since, until, now)
	lo, hi := span(s.calls.rows, from, to)
	ids := make([]string, 0, hi-lo)
	for i := hi - 1; i >= lo; i-- {
		r := s.calls.rows[i]
		if !s.calls.present(r, now) {
			continue
		}
		if !tests && len(s.calls.tests.rows) > 0 {
			if _, test := s.calls.find(s.calls.tests.rows, r.ref); test {
				continue
			}
		}
		ids = append(ids, s.idOf(r))
	}
	return ids
}

// bounds turns [since, until) into inclusive Unix nanoseconds that end now.
func bounds(since, until time.Time, now int64) (from, to int64) {
	from, to = math.MinInt64, now
	if !since.IsZero() {
		from = since.UnixNano()
	}
	if !until.IsZero() {
		to = min(now, until.UnixNano()-1)
	}
	return from, to
}

var errUndated = errors.New("the record tells no start: set At")

// readRecord reads what a hand-made call says of itself.
func (s *Server) readRecord(r Record) (handmade, error) {
	h := s.vendor.read([]byte(r.List))
	h.record = r
	if !r.At.IsZero() {
		h.at, h.dated = r.At.UnixNano(), true
	}
	if !h.dated {
		return handmade{}, errUndated
	}
	return h, nil
}
