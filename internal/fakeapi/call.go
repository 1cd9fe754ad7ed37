package fakeapi

import (
	"math"
	"math/rand/v2"
	"time"
)

// kind is what sort of call an outcome belongs to.
type kind int

const (
	talked  kind = iota // answered, with a conversation
	machine             // answered by a machine: a short message
	missed              // rang for long, then nothing
	refused             // ended soon, unanswered
	typed               // a chat in writing
)

// outcome is a way for a call to end.
type outcome struct {
	status string
	kind   kind
	weight int
}

// call is one generated call, apart from what the clock makes of it.
type call struct {
	n       int
	start   int64 // Unix nanoseconds
	agent   int   // index into agents
	version int
	outcome outcome
	inbound bool
	web     bool // over the web: no numbers
	test    bool
	silent  bool // one of few oddities per provider: a field that is left out
	line    string
	other   string        // the customer's number
	ring    time.Duration // until it is answered; for an unanswered call, until its end
	length  time.Duration // from its start to its end
	settle  time.Duration // from its end until its costs are known

	// When the provider shows its end, its costs and a correction of them, in Unix nanoseconds; settling.go says how.
	finalAt, settledAt, correctedAt int64
	adjust                          time.Duration // what a correction adds to its length
	surcharge                       nanos         // what a correction adds to its cost
}

// Streams of chance: what a filter needs, and what only a whole record needs.
const (
	factStream uint64 = iota + 1
	textStream
	costStream
)

func (s *Server) chance(n int, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(mix(s.opts.Seed^stream<<56), mix(uint64(n)^stream<<40)))
}

// isTest says whether a generated call is a test call, without making the whole of it: one in forty.
func (s *Server) isTest(n int) bool { return mix(s.opts.Seed^0x74657374^mix(uint64(n)))%40 == 0 }

// call makes generated call n.
func (s *Server) call(n int) call {
	r := s.chance(n, factStream)
	c := call{n: n, start: s.calls.starts[n], test: s.opts.Provider == Voicy && s.isTest(n)}
	c.outcome = pick(r, s.vendor.outcomes())
	c.agent = pickAgent(r)
	a := agents[c.agent]
	passed := float64(c.start-s.opts.Since.UnixNano()) / float64(s.opts.Until.Sub(s.opts.Since))
	c.version = 1 + int(float64(a.revisions)*passed)
	c.inbound = r.Float64() < a.inbound
	if k := c.outcome.kind; k == missed || k == machine {
		c.inbound = c.inbound && r.IntN(6) == 0 // it is mostly the customer who does not answer
	}
	// Burki takes calls by telephone alone.
	c.web = c.outcome.kind == typed || c.outcome.kind == talked && r.IntN(7) == 0 && s.opts.Provider != Burki
	c.silent = r.IntN(25) == 0
	c.line = a.line
	c.other = customerNumber(s.opts.Seed, r.IntN(1+r.IntN(1+s.opts.Calls/3)))
	c.ring, c.length = lengths(r, c.outcome.kind)
	c.settle = time.Duration(5+r.IntN(175)) * time.Second
	s.opts.Settling.apply(&c)
	return c
}

// pick draws an outcome by weight.
func pick(r *rand.Rand, outcomes []outcome) outcome {
	total := 0
	for _, o := range outcomes {
		total += o.weight
	}
	draw := r.IntN(total)
	for _, o := range outcomes {
		if draw < o.weight {
			return o
		}
		draw -= o.weight
	}
	panic("fakeapi: weights that do not add up")
}

// lengths draws how long a call rings and lasts, to the millisecond. Conversations last two minutes in the median, and none over an hour.
func lengths(r *rand.Rand, k kind) (ring, length time.Duration) {
	ms := func(low, high int) time.Duration { return time.Duration(low+r.IntN(high-low)) * time.Millisecond }
	switch k {
	case talked, typed:
		ring = ms(3_000, 15_000)
		talk := math.Exp(math.Log(115) + 0.75*r.NormFloat64())
		return ring, ring + time.Duration(min(max(talk, 8), 3500)*1000)*time.Millisecond
	case machine:
		ring = ms(12_000, 25_000)
		return ring, ring + ms(15_000, 45_000)
	case missed:
		ring = ms(25_000, 45_000)
		return ring, ring
	case refused:
		ring = ms(2_000, 9_000)
		return ring, ring
	}
	panic("fakeapi: a kind of call without a length")
}

// answered says whether somebody, or a machine, took the call.
func (c call) answered() bool { return c.outcome.kind != missed && c.outcome.kind != refused }

// end is when the call ends, in Unix nanoseconds.
func (c call) end() int64 { return c.start + int64(c.length+c.adjust) }

// ended says whether the provider shows that the call is over.
func (c call) ended(now int64) bool { return now >= c.finalAt }

// settled says whether what is worked out after a call (its costs, its summary, its recording) is known.
func (c call) settled(now int64) bool { return now >= c.settledAt }

// duration is the call's reported length: from its start to its end, and zero where nobody answered.
func (c call) duration() time.Duration {
	if !c.answered() {
		return c.adjust
	}
	return c.length + c.adjust
}

// status is the provider's status of the call at a time.
func (s *Server) status(c call, now int64) string {
	age := time.Duration(now - c.start)
	switch {
	case c.ended(now):
		return c.outcome.status
	case age >= c.ring && c.answered():
		return s.vendor.talking(c)
	}
	steps := s.vendor.ringing(c)
	return steps[min(int64(len(steps))*int64(age)/int64(c.ring), int64(len(steps))-1)]
}

// fromTo are the call's parties in their order; empty over the web.
func (c call) fromTo() (from, to string) {
	switch {
	case c.web:
		return "", ""
	case c.inbound:
		return c.other, c.line
	default:
		return c.line, c.other
	}
}
