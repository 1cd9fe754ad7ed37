package main

import (
	"context"
	"fmt"

	"syncd/bench/growth"
)

// grown measures what ten times as many calls cost.
func grown(ctx context.Context, l lab) ([]row, error) {
	small, large := l.scaled(1_000_000, 2_000), l.scaled(10_000_000, 20_000)
	paths := []string{l.path("small.duckdb"), l.path("large.duckdb")}
	for i, calls := range []int{small, large} {
		l.say("a warehouse of %s calls is built", grouped(calls))
		if err := growth.Build(ctx, paths[i], calls); err != nil {
			return nil, err
		}
	}
	var rows []row
	against := grouped(large) + " calls against " + grouped(small)
	for _, b := range []struct {
		what  string
		batch growth.Batch
		bar   *bar
	}{
		{"a commit of 100 new calls: ", growth.Batch{Size: 100}, atMost(1.25, 1.1)},
		{"a commit of 100 changed calls of one page: ", growth.Batch{Size: 100, Updated: 1, Together: true}, atMost(1.25, 1.1)},
		{"a commit of 1,000 new calls: ", growth.Batch{Size: 1_000}, atMost(1.15, 1.05)},
		{"a commit of 1,000 changed calls of one page: ", growth.Batch{Size: 1_000, Updated: 1, Together: true}, atMost(1.15, 1.05)},
	} {
		r, err := commits(ctx, l, paths, b.batch)
		if err != nil {
			return rows, err
		}
		r.What, r.Bar = b.what+against, b.bar
		rows = append(rows, r)
	}
	r, err := reopened(ctx, l, paths)
	if err != nil {
		return rows, err
	}
	r.What += against
	rows = append(rows, r)
	for _, path := range paths {
		if err := remove(path); err != nil {
			return rows, err
		}
	}
	more, err := fileGrown(ctx, l, small)
	return append(rows, more...), err
}

// commits measures commits of a kind into the small and the large warehouse, in turns.
func commits(ctx context.Context, l lab, paths []string, b growth.Batch) (row, error) {
	n := l.scaled(40, 3)
	var walls, cpus [2]samples
	var first samples
	for round := range l.Rounds {
		l.say("round %d of %d: %d commits of %d calls, %.0f %% of them changed", round+1, l.Rounds, n, b.Size, b.Updated*100)
		got, err := growth.Commits(ctx, paths, b, n)
		if err != nil {
			return row{}, err
		}
		for i, t := range got {
			walls[i].add(t.Median)
			cpus[i].add(t.CPU)
		}
		first.add(got[1].First)
	}
	return row{Unit: times, Figures: walls[1].over(walls[0]), Beside: fmt.Sprintf("%s against %s; CPU %s against %s; the slowest of the first %s",
		walls[1].seconds(), walls[0].seconds(), cpus[1].seconds(), cpus[0].seconds(), first.seconds())}, nil
}

// reopened measures how soon a warehouse whose process was killed can be written again.
func reopened(ctx context.Context, l lab, paths []string) (row, error) {
	log := int64(l.scaled(50_000_000, 200_000))
	l.say("%d rounds of reopening after a kill, with a log of %s", l.Rounds, megabytes.format(float64(log)))
	all, err := growth.Reopen(ctx, paths, log, l.Rounds)
	if err != nil {
		return row{}, err
	}
	var totals, opens [2]samples
	for i := range all {
		for _, r := range all[i] {
			totals[i].add(r.Total())
			opens[i].add(r.Open)
		}
	}
	return row{What: "from the start after a kill, with a log of " + megabytes.format(float64(log)) + ", to the first commit: ", Unit: times,
		Figures: totals[1].over(totals[0]), Bar: atMost(2, 1.2),
		Beside: fmt.Sprintf("%s against %s, of which the opening %s against %s", totals[1].seconds(), totals[0].seconds(), opens[1].seconds(), opens[0].seconds()),
	}, nil
}

// fileGrown measures how much a file grows by many small commits, as a daemon makes them, half of whose calls are new. The warehouse is one that
// nobody has written since it was built: in one that has grown already there is room that new rows would fill unseen.
func fileGrown(ctx context.Context, l lab, calls int) ([]row, error) {
	const size, every = 10, 100
	n, path := l.scaled(10_000, 2*every), l.path("growing.duckdb")
	l.say("%s commits of %d calls to a warehouse of %s", grouped(n), size, grouped(calls))
	if err := growth.Build(ctx, path, calls); err != nil {
		return nil, err
	}
	g, err := growth.FileGrowth(ctx, path, n, size, every)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("growth of a file of %s calls by %s commits of %d, half of them changed ones", grouped(calls), grouped(n), size)
	return []row{
		{What: what + ": gross", Unit: share, Figures: samples{g.Gross()}, Bar: atMost(0.3, 0.1),
			Beside: megabytes.format(float64(g.Before)) + " to " + megabytes.format(float64(g.After))},
		{What: what + ": that the new rows do not explain", Unit: share, Figures: samples{g.Net()}, Bar: atMost(0.3, 0.1),
			Beside: fmt.Sprintf("the new rows %s; a checkpoint %s; the log at most %s", megabytes.format(float64(g.Rows)),
				duration(g.Checkpoint.Seconds()), megabytes.format(float64(g.Log)))},
	}, nil
}
