package fakeapi

import "net/http"

// page is what one request for the list is answered with. It is made while the calls are held for reading.
type page struct {
	s        *Server
	now      int64
	elements [][]byte
	ids      []string // of the elements, where ask is set
	ask      bool     // somebody needs the ids: the work of making them is spared otherwise
	failed   bool     // a call on it is poisoned such that no page that holds it can be served
}

func (s *Server) newPage(now int64) *page {
	return &page{s: s, now: now, ask: s.opts.CountServed || s.positions.tracked() || len(s.poisoned) > 0}
}

// add appends the call of a row.
func (p *page) add(r row) {
	element := p.s.listed(r, p.now)
	if p.ask {
		id := p.s.idOf(r)
		p.ids = append(p.ids, id)
		switch how, poisoned := p.s.poisoned[id]; {
		case poisoned && how == ServerError:
			p.failed = true
		case poisoned:
			element = spoiled(element)
		}
	}
	p.elements = append(p.elements, element)
}

// send answers with the page, whose body the vendor has built around its elements, or with the failure that a poisoned call makes of it.
// The keys are the positions that it hands out: they and the counts are noted only where the page is served.
func (p *page) send(w http.ResponseWriter, body []byte, keys ...string) {
	if p.failed {
		p.s.vendor.fail(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	p.s.positions.issue(keys)
	if p.s.opts.CountServed {
		p.s.traffic.countServed(p.ids)
	}
	send(w, http.StatusOK, body)
}

// answer looks up the call that a request names by its id. Where there is none, or it is poisoned such that nothing of it can be served, it
// answers itself and says false; missing is the vendor's word for a call that is not there.
func (s *Server) answer(w http.ResponseWriter, id, missing string) (Record, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	record, ok := s.lookup(id, s.now())
	how, poisoned := s.poisoned[id]
	switch {
	case !ok:
		s.vendor.fail(w, http.StatusNotFound, missing)
	case poisoned && how == ServerError:
		s.vendor.fail(w, http.StatusInternalServerError, "Internal Server Error")
		return Record{}, false
	case poisoned:
		record = record.spoiled()
	}
	return record, ok
}
