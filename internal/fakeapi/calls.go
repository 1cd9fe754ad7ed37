package fakeapi

import (
	"math"
	"slices"
	"sort"
)

// row is a call's place in the list. It is all that is kept of a generated call: the rest is computed when it is asked for.
type row struct {
	at  int64 // start, Unix nanoseconds
	ref int32 // ≥ 0: the number of a generated call; < 0: its complement indexes calls.hands
	odd bool  // listed late, or deleted one day: calls.fates says when
}

// calls is the provider's table, by start.
type calls struct {
	index                     // every call
	tests  index              // those that are test calls: what the list leaves out unless asked
	starts []int64            // of generated call n; never edited, so that a row is found from its number
	fates  map[int32]fate     // of the odd ones
	hands  []handmade         // never shortened: a ref stays good
	byID   map[string][]int32 // the refs of hand-made calls in rows

	lateness, lifetime int64 // the longest of any fate: how far back a call may still be unlisted, or not yet deleted
}

// handmade is a call that a test wrote, with what the filters and the order look at.
type handmade struct {
	record Record
	id     string
	at     int64
	dated  bool // at was found in the record
	test   bool
	traits traits
}

// traits are what the filters look at.
type traits struct {
	agentID, agentName string
	status, direction  string
	sid                string
	from, to, customer string
	seconds            int64
	ended              bool // seconds is known
}

// markTests fills the index of test calls.
func (c *calls) markTests(isTest func(n int) bool) {
	for _, r := range c.rows {
		if isTest(int(r.ref)) {
			c.tests.append(r, c.fates[r.ref])
		}
	}
}

// firstAt is the index of the first row that starts at or after at.
func firstAt(rows []row, at int64) int {
	return sort.Search(len(rows), func(i int) bool { return rows[i].at >= at })
}

// span returns the indices [lo, hi) of the rows that start in [from, to], both inclusive.
func span(rows []row, from, to int64) (lo, hi int) {
	lo, hi = firstAt(rows, from), len(rows)
	if to < math.MaxInt64 {
		hi = firstAt(rows, to+1)
	}
	return lo, max(lo, hi)
}

// find returns the index of a ref in rows, or false where it was removed.
func (c *calls) find(rows []row, ref int32) (int, bool) {
	at := int64(0)
	if ref < 0 {
		at = c.hands[^ref].at
	} else {
		at = c.starts[ref]
	}
	for i := firstAt(rows, at); i < len(rows) && rows[i].at == at; i++ {
		if rows[i].ref == ref {
			return i, true
		}
	}
	return 0, false
}

// add puts a hand-made call in its place, after any that start at the same time.
func (c *calls) add(h handmade) {
	r := row{at: h.at, ref: ^int32(len(c.hands))}
	c.hands = append(c.hands, h)
	if c.byID == nil {
		c.byID = map[string][]int32{}
	}
	if h.id != "" {
		c.byID[h.id] = append(c.byID[h.id], r.ref)
	}
	c.insert(r)
	if h.test {
		c.tests.insert(r)
	}
}

// remove takes a ref out of the list, and says whether it was in it.
func (c *calls) remove(ref int32) bool {
	if _, ok := c.find(c.rows, ref); !ok {
		return false
	}
	for _, rows := range []*[]row{&c.rows, &c.late, &c.doomed, &c.tests.rows, &c.tests.late, &c.tests.doomed} {
		if i, ok := c.find(*rows, ref); ok {
			*rows = slices.Delete(*rows, i, i+1)
		}
	}
	if ref < 0 {
		id := c.hands[^ref].id
		c.byID[id] = slices.DeleteFunc(c.byID[id], func(r int32) bool { return r == ref })
	}
	return true
}

// refs returns the rows that have the id, in the list's order: none, one, or several where a test inserted it again.
func (s *Server) refs(id string) []int32 {
	found := slices.Clone(s.calls.byID[id])
	if n := s.vendor.number(id); n >= 0 && n < len(s.calls.starts) && s.vendor.id(n) == id {
		if _, ok := s.calls.find(s.calls.rows, int32(n)); ok {
			found = append(found, int32(n))
		}
	}
	slices.SortFunc(found, func(a, b int32) int {
		i, _ := s.calls.find(s.calls.rows, a)
		j, _ := s.calls.find(s.calls.rows, b)
		return i - j
	})
	return found
}

// traitsOf returns what the filters look at, as of now.
func (s *Server) traitsOf(r row, now int64) traits {
	if r.ref < 0 {
		return s.calls.hands[^r.ref].traits
	}
	return s.vendor.traits(s.callAt(int(r.ref), now), now)
}

// listed returns a row as an element of the list.
func (s *Server) listed(r row, now int64) []byte {
	if r.ref < 0 {
		return []byte(s.calls.hands[^r.ref].record.List)
	}
	return s.vendor.list(s.callAt(int(r.ref), now), now)
}

// recordOf returns the call in all its parts.
func (s *Server) recordOf(ref int32, now int64) Record {
	if ref < 0 {
		return s.calls.hands[^ref].record
	}
	return s.vendor.record(s.callAt(int(ref), now), now)
}

// idOf returns the id of a row; "" for a hand-made call without one.
func (s *Server) idOf(r row) string {
	if r.ref < 0 {
		return s.calls.hands[^r.ref].id
	}
	return s.vendor.id(int(r.ref))
}

// presentRefs are those of refs that the provider lists now.
func (s *Server) presentRefs(id string, now int64) []int32 {
	return slices.DeleteFunc(s.refs(id), func(ref int32) bool {
		i, ok := s.calls.find(s.calls.rows, ref)
		return !ok || !s.calls.present(s.calls.rows[i], now)
	})
}

// lookup returns the newest call of the id that the provider lists now.
func (s *Server) lookup(id string, now int64) (Record, bool) {
	refs := s.presentRefs(id, now)
	if len(refs) == 0 {
		return Record{}, false
	}
	return s.recordOf(refs[len(refs)-1], now), true
}
