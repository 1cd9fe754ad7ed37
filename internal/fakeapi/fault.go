package fakeapi

import (
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"
)

// Fault is one kind of fault and which answers it breaks. Every field but Kind may be left out.
type Fault struct {
	Kind Kind

	On    func(Request) bool // which requests it meets; nil: every one. The request has no Status yet
	Skip  int                // how many of the requests that On takes are let through first
	Times int                // how many answers it breaks; 0: every one from then on
	Seed  uint64             // settles what the kind leaves to chance: the same for the same sequence of requests

	// Which records the kinds that break records meet, in whichever answer holds them. Where both are left out: every record.
	ID  string // the call of this id alone
	One bool   // one call alone: the seed chooses it from the first answer that holds any

	For   time.Duration // the wait of a slow kind, what a Retry-After asks for (0: 30 s), or how far a skewed clock is off (0: 24 h ahead)
	At    int           // the byte where a body ends: 0: the seed chooses it, at each answer anew; negative: before the first
	Size  int64         // how many bytes a huge text or body has; 0: what the kind's doc says
	Depth int           // how deep a value is nested; 0: what the kind's doc says
	Text  string        // the content type, the absurd Retry-After, the nonsensical Date, the address of the other host
}

// faults are what is injected, and what came of it.
type faults struct {
	mu       sync.Mutex
	injected []*injected
	chaos    Chaos
	drawn    uint64 // how many requests the chaos has drawn for
	broken   map[Kind]int
}

// injected is a fault that is switched on.
type injected struct {
	Fault
	seen, taken int
	chosen      string // the id that One has chosen
}

// trouble is a fault as it meets one request.
type trouble struct {
	Fault
	from  *injected // nil: the chaos drew it
	n     uint64    // how many requests it met before this one
	broke bool
}

// Inject switches a fault on for the requests to come, until the function that it returns is called, or Heal. Of several faults that meet one
// request each has its turn, in the order that the package's doc tells. It panics where the kind is unknown.
func (s *Server) Inject(f Fault) (remove func()) {
	f.Kind.must()
	in := &injected{Fault: f}
	fs := &s.faults
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.injected = append(fs.injected, in)
	return func() {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		// A new slice, as a request may be looking through the old one.
		var kept []*injected
		for _, other := range fs.injected {
			if other != in {
				kept = append(kept, other)
			}
		}
		fs.injected = kept
	}
}

// Heal removes every fault that was injected, and ends the chaos. Poisoned calls, outages and forgotten positions are not its business.
func (s *Server) Heal() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.injected, s.faults.chaos = nil, Chaos{}
}

// Injected is how many answers each kind has really broken since New: a fault that met nothing it could break is not counted. An answer that
// several faults broke is counted for each. The count is there before the first byte of the answer is.
func (s *Server) Injected() map[Kind]int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	out := map[Kind]int{}
	maps.Copy(out, s.faults.broken)
	return out
}

// meet says which faults meet a request. Each has taken one of its Times, which release gives back where it broke nothing.
func (fs *faults) meet(op operation, read func() Request) []*trouble {
	fs.mu.Lock()
	listed, chaos := fs.injected, fs.chaos
	fs.mu.Unlock()
	if len(listed) == 0 && chaos.Share <= 0 {
		return nil
	}
	// Without the lock: On is the test's, and may well ask the server something.
	request := read()
	takes := func(on func(Request) bool) bool { return on == nil || on(request) }
	var met []*trouble
	for _, in := range listed {
		if !takes(in.On) {
			continue
		}
		if t := fs.take(in); t != nil {
			met = append(met, t)
		}
	}
	if chaos.Share > 0 && takes(chaos.On) {
		if t := chaos.draw(fs.next(), op); t != nil {
			met = append(met, t)
		}
	}
	return met
}

// take counts a request that a fault may meet, and returns nil where it is let through.
func (fs *faults) take(in *injected) *trouble {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	in.seen++
	if in.seen <= in.Skip || in.Times > 0 && in.taken >= in.Times {
		return nil
	}
	in.taken++
	return &trouble{Fault: in.Fault, from: in, n: uint64(in.seen - in.Skip - 1)}
}

// next is the number of a request that the chaos draws for, from 0 on.
func (fs *faults) next() uint64 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.drawn++
	return fs.drawn - 1
}

// release gives back what was taken by faults that had nothing to break.
func (fs *faults) release(met []*trouble) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, t := range met {
		if !t.broke && t.from != nil {
			t.from.taken--
			t.from = nil
		}
	}
}

// count notes that a fault broke the answer at hand.
func (fs *faults) count(t *trouble) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if t.broke {
		return
	}
	t.broke = true
	if fs.broken == nil {
		fs.broken = map[Kind]int{}
	}
	fs.broken[t.Kind]++
}

// target is the id of the only record that a fault may break; all says that it may break every one. The ids are those of the answer at hand.
func (fs *faults) target(t *trouble, ids []string) (id string, all bool) {
	switch {
	case t.ID != "":
		return t.ID, false
	case !t.One:
		return "", true
	case len(ids) == 0:
		return "", false
	}
	drawn := ids[t.chance(0)%uint64(len(ids))]
	if t.from == nil {
		return drawn, false
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if t.from.chosen == "" {
		t.from.chosen = drawn
	}
	return t.from.chosen, false
}

// chance is what the seed says of this request; the salt tells apart what is asked.
func (t *trouble) chance(salt uint64) uint64 { return mix(t.Seed ^ mix(t.n^mix(salt))) }

// wait is how long a fault takes, or asks the client to wait.
func (t *trouble) wait() time.Duration {
	if t.For > 0 {
		return t.For
	}
	return 30 * time.Second
}

// faulty lets the injected faults have their way with every request and answer.
func (s *Server) faulty(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op := s.vendor.operation(r.URL.Path)
		var request Request
		met := s.faults.meet(op, func() Request {
			entry, err := readRequest(r, s.opts.Now())
			if err != nil {
				// It was read before, and is in memory.
				panic(fmt.Sprintf("fakeapi: the request cannot be read again: %v", err))
			}
			request = entry
			return entry
		})
		if len(met) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		x := &exchange{s: s, w: w, r: r, op: op, request: request, met: met}
		defer s.faults.release(met)
		x.serve(next)
	})
}
