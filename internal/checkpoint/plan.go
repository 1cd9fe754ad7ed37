package checkpoint

import (
	"slices"
	"time"
)

// # What is planned, and in which order
//
// Work is derived, never queued: whatever the facts do not prove is work, and once it is proven it is none. So a live tick, a first
// reading of ten years, healing after an outage, reading again as calls settle and going on after a crash are one rule.
//
// The rule: for 0 and each age L at which calls are to be read again, every call that started in [Since, Now − max(L, 60 s)) must have been
// read when it was at least L old. What no fact proves of that for L = 0 is missing; what is proven for 0 and not for L is due again. It is
// read in this order:
//
//  1. the head: where the missing stretch reaches the present, its newest part, together with the last minute, which nobody is
//     promised yet but everybody wants to see, and with whatever is due again right below it;
//  2. windows that were opened and not finished, newest first, each within its own bounds and from its own position;
//  3. what is due again, newest first. It may wait until its oldest calls have waited for a tenth of L, so that slices are worth a request
//     each; what touches a slice that is due is read with it, as one window, whatever its age;
//  4. history: the newest missing stretch below the head, a step at a time.
//
// So a call costs one listing at once and one for each age, however often the clock ticks, and history that is older than the largest age
// when it is first read costs one: that reading proves every age.
//
// A step holds about twenty pages: it grows eightfold while windows come back nearly empty, and shrinks to fit where they do not.
//
// Nothing of this knows what was configured yesterday. Another start or another age is another question to the same facts: it makes work or
// makes none, and never changes what is proven.

// Scope says which work is asked for.
type Scope uint8

// The scopes. An unfinished window belongs to the one that it would be planned for today.
const (
	Head    Scope = 1 << iota // what reaches the present, and unfinished windows of the last day
	Rereads                   // what is due again
	History                   // all that is older
	All     = Head | Rereads | History
)

// fresh is how old what is unfinished may be and still belong to the head.
const fresh = 24 * time.Hour

// Want says what ought to be covered.
type Want struct {
	Span                 // what is wanted; Until zero: up to the present
	Now  time.Time       // the present: the provider's clock where it is known
	Ages []time.Duration // at which calls are read again, ascending; 0 is always among them
	Step time.Duration   // how long a window may be
	Scope
	// Taken lists what is not to be planned: windows that are being read, and those that failed and are left alone for now. They never block
	// other work.
	Taken []Span
	// Patient leaves windows that failed alone until they may be tried again.
	Patient bool
}

// Work is one window to be read.
type Work struct {
	Window
	Scope      // for which it was planned
	Head  bool // it reaches the present: its first page tells the provider's clock
	// Again says that some of it was read before. Such a reading is done whole by one process: only then does a call that it does not return
	// tell anything.
	Again bool
}

// Next returns the most urgent work, and false where all is proven that can be.
func Next(b Book, want Want) (Work, bool) {
	p := want.look(b)
	if w, ok := p.head(); ok {
		return p.work(w, Head, true), true
	}
	if w, ok := p.unfinished(); ok {
		return p.work(w, p.scopeOf(w), false), true
	}
	if w, ok := p.again(); ok {
		return p.work(w, Rereads, false), true
	}
	if w, ok := p.history(); ok {
		return p.work(w, History, false), true
	}
	return Work{}, false
}

// plan is what a Want sees in a book.
type plan struct {
	Want
	book    Book
	missing []Span // at age 0, oldest first, without what is taken or open
	settled Span   // what may be proven at age 0
	due     []dueSpan
}

// dueSpan is a stretch that is to be read again.
type dueSpan struct {
	Span
	ripe bool // it has waited long enough
}

func (want Want) look(b Book) *plan {
	p := &plan{Want: want, book: b, settled: want.settled(0)}
	taken := slices.Clone(want.Taken)
	for _, w := range b.Open {
		taken = append(taken, w.Span)
	}
	known := slices.Clone(taken)
	for _, f := range b.Facts {
		known = append(known, f.Proves(0))
	}
	p.missing = subtract(p.settled, known)
	if want.Scope&(Rereads|Head) != 0 {
		p.due = want.again(b.Facts, taken)
	}
	return p
}

// settled is what of the wanted span may be proven for an age.
func (want Want) settled(age time.Duration) Span {
	until := want.Now.Add(-max(age, Settle))
	if !want.Until.IsZero() {
		until = minTime(until, want.Until)
	}
	return Span{want.Since, until}
}

// again returns what is due again and not taken, oldest first, stretches that touch as one.
func (want Want) again(facts []Fact, taken []Span) []dueSpan {
	if len(want.Ages) == 0 {
		return nil
	}
	unread := append(Missing(facts, 0, want.settled(0)), taken...)
	var all []dueSpan
	for _, age := range want.Ages {
		edge := want.settled(age)
		for _, m := range Missing(facts, age, edge) {
			for _, s := range subtract(m, slices.Clone(unread)) {
				all = append(all, dueSpan{s, edge.Until.Sub(s.Since) >= age/10})
			}
		}
	}
	slices.SortFunc(all, func(a, b dueSpan) int { return a.Since.Compare(b.Since) })
	var joined []dueSpan
	for _, s := range all {
		if n := len(joined); n > 0 && !s.Since.After(joined[n-1].Until) {
			joined[n-1].Until = maxTime(joined[n-1].Until, s.Until)
			joined[n-1].ripe = joined[n-1].ripe || s.ripe
			continue
		}
		joined = append(joined, s)
	}
	return slices.DeleteFunc(joined, func(s dueSpan) bool { return !s.ripe })
}

// head is the newest part of what is missing, where that reaches the present.
func (p *plan) head() (Window, bool) {
	n := len(p.missing)
	if p.Scope&Head == 0 || !p.reachesPresent() {
		return Window{}, false
	}
	since := maxTime(p.missing[n-1].Since, p.settled.Until.Add(-p.Step))
	if k := len(p.due); p.Scope&Rereads != 0 && k > 0 && since.Equal(p.missing[n-1].Since) && !p.due[k-1].Until.Before(since) {
		since = minTime(since, maxTime(p.due[k-1].Since, p.settled.Until.Add(-p.Step)))
	}
	return Window{Span: Span{since, p.Now}}, true
}

// unfinished is the newest window that was opened and not finished.
func (p *plan) unfinished() (Window, bool) {
	var best Window
	found := false
	for _, w := range p.book.Open {
		overlaps := w.Since.Before(p.settled.Until) && p.Since.Before(w.Until)
		if !overlaps || p.scopeOf(w)&p.Scope == 0 || slices.ContainsFunc(p.Taken, w.Equal) || p.Patient && w.RetryAt.After(p.Now) {
			continue
		}
		if !found || w.Since.After(best.Since) {
			best, found = w, true
		}
	}
	return best, found
}

// scopeOf is the scope that an unfinished window belongs to.
func (p *plan) scopeOf(w Window) Scope {
	switch {
	case w.Until.After(p.Now.Add(-fresh)):
		return Head
	case readBefore(p.book.Facts, w.Span):
		return Rereads
	}
	return History
}

// again is the newest stretch that is due again.
func (p *plan) again() (Window, bool) {
	if p.Scope&Rereads == 0 || len(p.due) == 0 {
		return Window{}, false
	}
	return Window{Span: p.step(p.due[len(p.due)-1].Span)}, true
}

// history is the newest part of the newest missing stretch. A step of what reaches the present is the head's: whoever is not asked for the head
// leaves it alone, or would read, at every tick, the second that has passed since the head was read.
func (p *plan) history() (Window, bool) {
	missing := p.missing
	if p.Scope&Head == 0 && p.reachesPresent() {
		below := subtract(missing[len(missing)-1], []Span{{p.settled.Until.Add(-p.Step), p.settled.Until}})
		missing = append(slices.Clone(missing[:len(missing)-1]), below...)
	}
	if p.Scope&History == 0 || len(missing) == 0 {
		return Window{}, false
	}
	return Window{Span: p.step(missing[len(missing)-1])}, true
}

// reachesPresent reports whether the newest missing stretch does.
func (p *plan) reachesPresent() bool {
	n := len(p.missing)
	return n > 0 && p.Until.IsZero() && p.missing[n-1].Until.Equal(p.settled.Until)
}

// step cuts a stretch down to its newest part.
func (p *plan) step(s Span) Span { return Span{maxTime(s.Since, s.Until.Add(-p.Step)), s.Until} }

func (p *plan) work(w Window, scope Scope, head bool) Work {
	return Work{Window: w, Scope: scope, Head: head, Again: readBefore(p.book.Facts, w.Span)}
}

// readBefore reports whether some of a span is proven at age 0.
func readBefore(facts []Fact, s Span) bool {
	missing := Missing(facts, 0, s)
	return len(missing) != 1 || !missing[0].Equal(s)
}

// NextForced returns what is to be read next of spans that are read again whatever is proven: a window that was begun in them, or their newest
// part; false where nothing is left.
func NextForced(b Book, forced []Span, taken []Span, step time.Duration) (Work, bool) {
	busy := slices.Clone(taken)
	for _, w := range b.Open {
		overlaps := slices.ContainsFunc(forced, func(f Span) bool { return w.Since.Before(f.Until) && f.Since.Before(w.Until) })
		if overlaps && !slices.ContainsFunc(taken, w.Equal) {
			return Work{Window: w, Scope: History, Again: true}, true
		}
		busy = append(busy, w.Span)
	}
	var left []Span
	for _, f := range forced {
		left = append(left, subtract(f, slices.Clone(busy))...)
	}
	if len(left) == 0 {
		return Work{}, false
	}
	newest := slices.MaxFunc(left, func(a, b Span) int { return a.Until.Compare(b.Until) })
	return Work{Window: Window{Span: Span{maxTime(newest.Since, newest.Until.Add(-step)), newest.Until}}, Scope: History, Again: true}, true
}

// FirstStep is the length of the first window of a source whose traffic is not known yet.
const FirstStep = 24 * time.Hour

const (
	// PagesPerStep is what a window should hold.
	PagesPerStep = 20
	maxFactor    = 8 // how much longer or shorter than the last the next step may be
	minStep      = time.Minute
)

// NextStep returns how long the next window should be, given how long it might have been, how long the last one was, and how many
// pages that held. A short window that was nearly empty says little: it never makes the next one shorter.
func NextStep(step, last time.Duration, pages int) time.Duration {
	const longest = 200 * 365 * 24 * time.Hour // nothing is older, and multiplying further would overflow
	switch {
	case pages*maxFactor <= PagesPerStep:
		step = max(step, last*maxFactor)
	case pages > PagesPerStep*maxFactor:
		step = last / maxFactor
	default:
		step = last / time.Duration(pages) * PagesPerStep
	}
	return min(max(step, minStep), longest)
}

// Shortest is the shortest window that a poison record is narrowed down to.
const Shortest = time.Minute

// Halves cuts a window in two, to find out which half it is that cannot be read; false where it is as short as may be. The cut falls on a
// whole second, as some providers know no smaller unit.
func Halves(s Span) (older, newer Span, ok bool) {
	if s.Until.Sub(s.Since) <= Shortest {
		return Span{}, Span{}, false
	}
	cut := s.Since.Add(s.Until.Sub(s.Since) / 2).Truncate(time.Second)
	if !cut.After(s.Since) {
		return Span{}, Span{}, false
	}
	return Span{s.Since, cut}, Span{cut, s.Until}, true
}
