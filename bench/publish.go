package main

import (
	"context"
	"fmt"

	"syncd/bench/growth"
)

// published measures what a copy for readers takes, and how long commits wait for it.
func published(ctx context.Context, l lab) (rows []row, err error) {
	for _, calls := range []int{l.scaled(1_000_000, 2_000), l.scaled(10_000_000, 20_000)} {
		l.say("a warehouse of %s calls is built, and copied %d times", grouped(calls), l.Rounds)
		path := l.path("calls.duckdb")
		if err := growth.Build(ctx, path, calls); err != nil {
			return rows, err
		}
		all, err := growth.Publish(ctx, path, l.Binary, l.Rounds)
		if err != nil {
			return rows, err
		}
		var took, held, longest samples
		commits := 0
		for _, p := range all {
			took, held, longest, commits = append(took, p.Took.Seconds()*1000), append(held, p.Held.Seconds()*1000), append(longest, p.Between.Seconds()*1000), commits+p.Commits
		}
		how := "copied"
		if all[0].Cloned {
			how = "cloned"
		}
		what := "a copy for readers of " + grouped(calls) + " calls: "
		rows = append(rows,
			row{What: what + "all of it", Unit: milliseconds, Figures: took, Beside: fmt.Sprintf("%s, %s", megabytes.format(float64(all[0].Bytes)), how)},
			row{What: what + "how long commits wait", Unit: milliseconds, Figures: held,
				Beside: fmt.Sprintf("the slowest of %d commits of 100 calls meanwhile took %.0f ms", commits, greatest(longest))})
		if err := remove(path); err != nil { // and the copy beside it
			return rows, err
		}
	}
	return rows, nil
}

// greatest is the largest of some figures.
func greatest(s samples) float64 {
	_, high := s.ends()
	return high
}
