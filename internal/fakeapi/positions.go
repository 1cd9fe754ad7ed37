package fakeapi

import "sync"

// positions are which places in a list the provider still knows. Until a test makes it forget some, it knows them all and notes none.
type positions struct {
	mu        sync.Mutex
	forgotten map[string]bool
	issued    map[string]bool // since every position was forgotten; nil: that never happened
}

// ForgetPositions makes the provider refuse every position that it handed out before, as after a restart of its cache: Voicy answers 400 to a
// pagination_key, Millis 422 to a start_after_ts. What pages hand out from then on is good again. Burki has nothing to forget: its position
// is a plain offset.
func (s *Server) ForgetPositions() {
	s.positions.mu.Lock()
	defer s.positions.mu.Unlock()
	s.positions.issued = map[string]bool{}
}

// Forget makes the provider refuse the position at one call for good, though it still lists the call: Voicy its id, Millis its start. It says
// whether there is such a position; there is none for a call that is not listed now, nor at Burki, whose position is a plain offset. The
// position at a deleted call is refused by Voicy without this.
func (s *Server) Forget(id string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	refs := s.presentRefs(id, s.now())
	if len(refs) == 0 || s.opts.Provider == Burki {
		return false
	}
	key := id
	if s.opts.Provider == Millis {
		i, _ := s.calls.find(s.calls.rows, refs[len(refs)-1])
		key = decimal(s.calls.rows[i].at)
	}
	p := &s.positions
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.forgotten == nil {
		p.forgotten = map[string]bool{}
	}
	p.forgotten[key] = true
	return true
}

// knows says whether a request may go on from a position.
func (p *positions) knows(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.forgotten[key] && (p.issued == nil || p.issued[key])
}

// tracked says whether it matters which positions are handed out.
func (p *positions) tracked() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.issued != nil
}

// issue notes positions as handed out.
func (p *positions) issue(keys []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.issued == nil {
		return
	}
	for _, key := range keys {
		p.issued[key] = true
	}
}
