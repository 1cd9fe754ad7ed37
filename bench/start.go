package main

import (
	"context"
	"errors"

	"syncd/bench/process"
)

// started measures commands from their start to their end, as a person at a shell does.
func started(ctx context.Context, l lab) (_ []row, err error) {
	const runs = 10
	calls := l.scaled(10_000, 10)
	s, err := process.NewSite(ctx, 3, calls)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Sync(ctx, l.Binary); err != nil {
		return nil, err
	}
	rows := []row{
		{What: "syncd version", Unit: milliseconds, Bar: atMost(60, 30)},
		{What: "syncd status of 3 sources with " + grouped(calls) + " calls each", Unit: milliseconds, Bar: atMost(250, 120)},
	}
	cpus := make([]samples, len(rows))
	for round := range l.Rounds {
		l.say("round %d of %d: %d runs each", round+1, l.Rounds, runs)
		for i, args := range [][]string{{"version"}, {"status", "-c", s.Config}} {
			got, err := process.Start(ctx, runs, l.Binary, args...)
			if err != nil {
				return nil, err
			}
			rows[i].Figures = append(rows[i].Figures, got.Median.Seconds()*1000)
			cpus[i].add(got.CPU)
		}
	}
	for i := range rows {
		rows[i].Beside = "CPU " + cpus[i].seconds()
	}
	return rows, nil
}
