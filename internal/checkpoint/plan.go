package checkpoint

import (
	"slices"
	"time"
)

// # What is planned, and in which order
//
// Work is derived, never queued: whatever the facts do not prove is work, and once it is proven it is none. So a live tick, a first
// reading of ten years, healing after an outage and going on after a crash are one rule.
//
// A call that started before Due − 60 s must have been read. What no fact proves of [Start, Due − 60 s), and no open window is
// already reading, is missing. It is read newest first:
//
//  1. the head: where the missing stretch reaches the present, its newest part, together with the last minute, which nobody is
//     promised yet but everybody wants to see;
//  2. windows that were opened and not finished, newest first, each within its own bounds and from its own position;
//  3. history: the newest missing stretch, a step at a time.
//
// A step holds about twenty pages: it grows eightfold while windows come back nearly empty, and shrinks to fit where they do not.

// Want says what ought to be covered.
type Want struct {
	Start time.Time // nothing older is wanted
	Due   time.Time // the present: the provider's clock where it is known
	Step  time.Duration
	// Skip lists windows that failed in this run, by span: they are left alone until the next, and never block other work.
	Skip []Span
	// HeadOnly asks for the head and nothing else.
	HeadOnly bool
}

// Work is one window to be read.
type Work struct {
	Window
	Head bool // it reaches the present: its first page tells the provider's clock
}

// Next returns the most urgent work, and false where all is proven that can be.
func Next(facts []Fact, open []Window, want Want) (Work, bool) {
	wanted := Span{want.Start, want.Due.Add(-Settle)}
	taken := slices.Clone(want.Skip)
	for _, f := range facts {
		taken = append(taken, f.Proves(0))
	}
	for _, w := range open {
		taken = append(taken, w.Span)
	}
	missing := subtract(wanted, taken)

	if n := len(missing); n > 0 && missing[n-1].Until.Equal(wanted.Until) {
		head := Span{maxTime(missing[n-1].Since, wanted.Until.Add(-want.Step)), want.Due}
		return Work{Window: Window{Span: head}, Head: true}, true
	}
	if want.HeadOnly {
		return Work{}, false
	}
	if w, ok := newestOpen(open, want); ok {
		return Work{Window: w}, true
	}
	if n := len(missing); n > 0 {
		last := missing[n-1]
		return Work{Window: Window{Span: Span{maxTime(last.Since, last.Until.Add(-want.Step)), last.Until}}}, true
	}
	return Work{}, false
}

// newestOpen returns the newest unfinished window that is still wanted and did not fail in this run.
func newestOpen(open []Window, want Want) (Window, bool) {
	var best Window
	found := false
	for _, w := range open {
		if !w.Until.After(want.Start) || slices.ContainsFunc(want.Skip, w.Equal) {
			continue
		}
		if !found || w.Since.After(best.Since) {
			best, found = w, true
		}
	}
	return best, found
}

// FirstStep is the length of the first window of a source whose traffic is not known yet.
const FirstStep = 24 * time.Hour

const (
	pagesPerStep = 20 // what a window should hold
	maxFactor    = 8  // how much longer or shorter than the last the next step may be
	minStep      = time.Minute
)

// NextStep returns how long the next window should be, given how long it might have been, how long the last one was, and how many
// pages that held. A short window that was nearly empty says little: it never makes the next one shorter.
func NextStep(step, last time.Duration, pages int) time.Duration {
	const longest = 200 * 365 * 24 * time.Hour // nothing is older, and multiplying further would overflow
	switch {
	case pages*maxFactor <= pagesPerStep:
		step = max(step, last*maxFactor)
	case pages > pagesPerStep*maxFactor:
		step = last / maxFactor
	default:
		step = last / time.Duration(pages) * pagesPerStep
	}
	return min(max(step, minStep), longest)
}
