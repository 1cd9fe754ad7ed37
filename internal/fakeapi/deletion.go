package fakeapi

import (
	"slices"
	"time"
)

// Where Options.DeletedAfter says nothing, a deletion comes between these after a call was listed, by chance per call.
const soonestDeletion, latestDeletion = 30 * time.Minute, 5 * 24 * time.Hour

// decideFates chooses by seed which generated calls are listed late, and which are deleted and when.
func (s *Server) decideFates() {
	o := &s.opts
	if o.Settling.ListedAfterEnd <= 0 && o.Deleted <= 0 {
		return
	}
	c := &s.calls
	c.fates = map[int32]fate{}
	for n := range c.rows {
		r := &c.rows[n]
		late := share(mix(o.Seed^0x6c617465^mix(uint64(n)))) < o.Settling.ListedAfterEnd
		doom := mix(o.Seed ^ 0x646f6f6d ^ mix(uint64(n)))
		if !late && share(doom) >= o.Deleted {
			continue
		}
		f := fate{from: r.at, until: never}
		if late {
			f.from = s.call(n).finalAt
		}
		if share(doom) < o.Deleted {
			f.until = f.from + int64(o.DeletedAfter)
			if o.DeletedAfter == 0 {
				f.until = f.from + int64(soonestDeletion) + int64(mix(doom)%uint64(latestDeletion-soonestDeletion))
			}
			c.lifetime = max(c.lifetime, f.until-r.at)
		}
		c.lateness = max(c.lateness, f.from-r.at)
		r.odd, c.fates[r.ref] = true, f
		c.mark(*r, f)
	}
}

// share turns scattered bits into a number in [0, 1).
func share(h uint64) float64 { return float64(h>>11) / (1 << 53) }

// gone says whether a row was deleted by now.
func (c *calls) gone(r row, now int64) bool { return r.odd && now >= c.fates[r.ref].until }

// Deleted returns the ids of the calls that were listed once and are deleted by now, through Options.Deleted or by Remove, in the order of
// their texts. One that is listed again is not among them.
func (s *Server) Deleted() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.now()
	var ids []string
	for _, r := range s.calls.doomed {
		if s.calls.gone(r, now) {
			ids = append(ids, s.idOf(r))
		}
	}
	ids = append(ids, s.removed...)
	ids = slices.DeleteFunc(ids, func(id string) bool { return len(s.presentRefs(id, now)) > 0 })
	slices.Sort(ids)
	return slices.Compact(ids)
}
