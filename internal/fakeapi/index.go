package fakeapi

import "slices"

// index is a part of the table in the list's order: ascending by at, equal ones in the order of their arrival. Late and doomed are those of
// rows that are listed later than they start, and that are deleted one day.
type index struct{ rows, late, doomed []row }

// fate is the time in which an odd call is listed, [from, until) in Unix nanoseconds.
type fate struct{ from, until int64 }

// insert puts a row in its place, after any that start at the same time.
func (x *index) insert(r row) {
	_, i := span(x.rows, r.at, r.at)
	x.rows = slices.Insert(x.rows, i, r)
}

// append adds a row that starts after every other.
func (x *index) append(r row, f fate) {
	x.rows = append(x.rows, r)
	x.mark(r, f)
}

// mark notes a row, which starts after every other that was marked, as late or doomed.
func (x *index) mark(r row, f fate) {
	if !r.odd {
		return
	}
	if f.from > r.at {
		x.late = append(x.late, r)
	}
	if f.until < never {
		x.doomed = append(x.doomed, r)
	}
}

// present says whether a row is listed now.
func (c *calls) present(r row, now int64) bool {
	if !r.odd {
		return r.at <= now
	}
	f := c.fates[r.ref]
	return f.from <= now && now < f.until
}

// count is how many rows of an index that start in [from, to] are listed now. The bound to must not lie beyond now. It looks at no row but
// those whose fate is open: what started longer ago than any lateness is listed, and than any lifetime deleted.
func (c *calls) count(x *index, from, to, now int64) int {
	lo, hi := span(x.rows, from, to)
	n := hi - lo
	lo, hi = span(x.late, max(from, now-c.lateness), to)
	for _, r := range x.late[lo:hi] {
		if c.fates[r.ref].from > now {
			n--
		}
	}
	lo, hi = span(x.doomed, from, to)
	open := min(max(lo, firstAt(x.doomed, now-c.lifetime+1)), hi)
	n -= open - lo
	for _, r := range x.doomed[open:hi] {
		if c.fates[r.ref].until <= now {
			n--
		}
	}
	return n
}

// below is the index in rows of the newest one that is listed now and has skip others that are listed now above it; −1 where there is none.
func (c *calls) below(rows []row, skip int, now int64) int {
	if len(c.fates) == 0 {
		return max(len(rows)-1-skip, -1)
	}
	for i := len(rows) - 1; i >= 0; i-- {
		if !c.present(rows[i], now) {
			continue
		}
		if skip == 0 {
			return i
		}
		skip--
	}
	return -1
}
