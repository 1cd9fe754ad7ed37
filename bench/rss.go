package main

import (
	"context"
	"errors"
)

// peakMemory measures the most memory that a backfill takes. This process holds none of the calls: the system tells of a process no less memory
// than its parent had when it was started.
func peakMemory(ctx context.Context, l lab, p population) (_ []row, err error) {
	calls := p.sized(l)
	s, err := serve(ctx, l, serving{Provider: p.provider, Calls: calls})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	syncd, err := l.install(s, p.provider)
	if err != nil {
		return nil, err
	}
	var peaks, walls samples
	for round := range l.Rounds {
		l.say("round %d of %d: %s calls", round+1, l.Rounds, grouped(calls))
		t, err := syncd.first(ctx, calls)
		if err != nil {
			return nil, err
		}
		peaks = append(peaks, float64(t.peak))
		walls.add(t.wall)
	}
	return []row{{What: "the most memory of a backfill of " + grouped(calls) + " calls", Unit: megabytes, Figures: peaks, Bar: atMost(768e6, 400e6),
		Beside: "in " + walls.seconds() + ", what the fake provider takes to answer included"}}, nil
}
