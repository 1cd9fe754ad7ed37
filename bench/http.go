package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// overHTTP measures the whole process of a backfill against the reference, which reads the same records from a file and whose own start and end
// are not counted.
func overHTTP(ctx context.Context, l lab, p population) (_ []row, err error) {
	calls, records := p.sized(l), l.path("calls.ndjson")
	s, err := serve(ctx, l, serving{Provider: p.provider, Calls: calls, Records: records})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	syncd, err := l.install(s, p.provider)
	if err != nil {
		return nil, err
	}
	load := func() (taken, error) { return syncd.first(ctx, calls) }
	if _, err := load(); err != nil {
		return nil, fmt.Errorf("prepare the answers: %w", err)
	}
	if err := s.prepared(ctx); err != nil {
		return nil, err
	}
	if _, _, err := reference(ctx, p.provider, records, l.path("prepare-ctas.duckdb")); err != nil {
		return nil, err
	}
	var ours, cpu, theirs samples
	for round := range l.Rounds {
		l.say("round %d of %d: %s calls", round+1, l.Rounds, grouped(calls))
		if err := inTurns(round,
			func() error {
				t, err := load()
				ours.add(t.wall)
				cpu.add(t.cpu)
				return err
			},
			func() error {
				took, _, err := reference(ctx, p.provider, records, l.path("ctas"+strconv.Itoa(round)+".duckdb"))
				theirs = append(theirs, took)
				return err
			}); err != nil {
			return nil, err
		}
	}
	asked, err := s.asked(ctx)
	if err != nil {
		return nil, err
	}
	return []row{{What: grouped(calls) + " calls (" + megabytes.format(float64(s.Size)) + ") over HTTP, the whole process: throughput as a share of CTAS's",
		Unit: share, Figures: theirs.over(ours), Bar: atLeast(0.35, 0.55),
		Beside: "syncd " + ours.seconds() + ", " + ours.rate(calls) + ", CPU " + cpu.seconds() + "; CTAS " + theirs.seconds()}}, asked.check()
}

// first reads everything into a new file, and counts what is in it.
func (i *installation) first(ctx context.Context, calls int, flags ...string) (taken, error) {
	if err := remove(i.database); err != nil {
		return taken{}, err
	}
	t, err := i.backfill(ctx, flags...)
	if err != nil {
		return taken{}, err
	}
	n, err := i.count(ctx)
	if err == nil && n != int64(calls) {
		err = fmt.Errorf("after the backfill there are %d calls of %d", n, calls)
	}
	return t, err
}
