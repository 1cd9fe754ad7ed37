package fakeapi

import (
	"math"
	"time"
)

// Settling is how generated calls change after they started. Its times are counted from a call's start; a zero keeps what a call does by
// chance, and none puts a later step before an earlier one. The list, the filters and every answer for the single call follow it alike.
type Settling struct {
	// ListedAfterEnd is the share of calls, by chance per call, that the provider knows nothing of until it shows their end: absent from the
	// list, its totals and the answers by id, and then listed under their earlier start.
	ListedAfterEnd float64

	// StatusAt is when a call gets its last status, its duration and its transcript; until then it is shown under way, even where it ended
	// earlier. A call that would last longer is shortened to this.
	StatusAt time.Duration

	// CostAt is when what is worked out after a call appears: costs at Millis and Burki (whose recordings come then too), and at Voicy, which
	// tells no cost, the summary and the list's agent, which is null until then.
	CostAt time.Duration

	// CorrectionAt is when each call is changed once more: the cost grows by one to nine cents (Millis' platform component, Burki's telephony
	// and total), and where no cost is told (Voicy, and Burki's agents without cost tracking) the duration by one to five seconds.
	CorrectionAt time.Duration
}

// never is a time that does not come.
const never = math.MaxInt64

// apply sets when a call settles.
func (t Settling) apply(c *call) {
	c.finalAt = c.start + int64(c.length)
	if t.StatusAt > 0 {
		if c.length > t.StatusAt {
			// Shortened in proportion, so that a missed call rings to its end and a conversation keeps its share.
			c.ring = max(time.Millisecond, time.Duration(float64(c.ring)/float64(c.length)*float64(t.StatusAt)).Truncate(time.Millisecond))
			c.length = max(c.ring, t.StatusAt.Truncate(time.Millisecond))
		}
		c.finalAt = c.start + int64(t.StatusAt)
	}
	if !c.answered() {
		c.ring = c.length
	}
	c.settledAt = c.start + int64(c.length+c.settle)
	if t.CostAt > 0 {
		c.settledAt = c.start + int64(t.CostAt)
	}
	c.settledAt = max(c.settledAt, c.finalAt)
	c.correctedAt = never
	if t.CorrectionAt > 0 {
		c.correctedAt = max(c.start+int64(t.CorrectionAt), c.settledAt)
	}
}

// callAt makes generated call n with the correction that it has by now.
func (s *Server) callAt(n int, now int64) call {
	c := s.call(n)
	if now < c.correctedAt {
		return c
	}
	h := mix(s.opts.Seed ^ 0x636f7272656374 ^ mix(uint64(n)))
	if s.opts.Provider == Millis || s.opts.Provider == Burki && !agents[c.agent].unpriced {
		c.surcharge = nanos(1+h%9) * 10_000_000
	} else {
		c.adjust = time.Duration(1000+h%4001) * time.Millisecond
	}
	return c
}
