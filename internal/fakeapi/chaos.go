package fakeapi

import "time"

// Chaos is what goes wrong by chance. Each request draws, from the seed and from its number, whether a fault meets it, and which: the same
// sequence of requests meets the same faults.
type Chaos struct {
	Seed  uint64
	Share float64            // of the requests that meet a fault, from 0 to 1
	Kinds []Kind             // what is drawn from; nil: Kinds(). What cannot break an answer to the request at hand is left out of the draw
	On    func(Request) bool // which requests draw; nil: every one

	For  time.Duration // as in Fault, for the faults that are drawn; a skewed clock is 24 h ahead or behind whatever it says
	Size int64
}

// Disturb begins a chaos in the place of any other, as Options.Faults does from the beginning on. It counts requests anew.
func (s *Server) Disturb(c Chaos) {
	for _, k := range c.Kinds {
		k.must()
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.chaos, s.faults.drawn = c, 0
}

// draw is what meets the request of a number; nil: nothing.
func (c Chaos) draw(number uint64, op operation) *trouble {
	h := mix(c.Seed ^ mix(number))
	if float64(h>>11)/(1<<53) >= c.Share {
		return nil
	}
	from := c.Kinds
	if from == nil {
		from = Kinds()
	}
	var fitting []Kind
	for _, k := range from {
		if k.fits(op) {
			fitting = append(fitting, k)
		}
	}
	if len(fitting) == 0 {
		return nil
	}
	h = mix(h)
	f := Fault{Kind: fitting[h%uint64(len(fitting))], Seed: mix(h), One: h>>63 == 0, For: c.For, Size: c.Size}
	if f.Kind == ClockSkew {
		f.For = 24 * time.Hour
		if h>>62&1 == 1 {
			f.For = -f.For
		}
	}
	return &trouble{Fault: f, n: number}
}
