package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"syncd/internal/fakeapi"
)

// slowPages measures how much of a provider's slowness reading several windows at once hides.
func slowPages(ctx context.Context, l lab) (_ []row, err error) {
	const wait, pageSize = 100 * time.Millisecond, 1_000
	pages := l.scaled(60, 3)
	s, err := serve(ctx, l, serving{Provider: fakeapi.Voicy, Calls: pages * pageSize, Delay: wait})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	syncd, err := l.install(s, fakeapi.Voicy)
	if err != nil {
		return nil, err
	}
	widths := []int{1, 4}
	perPage, requests := make([]samples, len(widths)), make([]samples, len(widths))
	for round := range l.Rounds {
		l.say("round %d of %d: %d pages", round+1, l.Rounds, pages)
		for i, width := range widths {
			before, err := s.asked(ctx)
			if err != nil {
				return nil, err
			}
			t, err := syncd.first(ctx, pages*pageSize, "--parallel", strconv.Itoa(width))
			if err != nil {
				return nil, err
			}
			after, err := s.asked(ctx)
			if err != nil {
				return nil, err
			}
			perPage[i] = append(perPage[i], t.wall.Seconds()*1000/float64(pages))
			requests[i] = append(requests[i], float64(after.Asked-before.Asked))
		}
	}
	var rows []row
	for i, width := range widths {
		rows = append(rows, row{What: fmt.Sprintf("a page of %d calls at a provider that takes %v, --parallel %d", pageSize, wait, width),
			Unit: milliseconds, Figures: perPage[i], Beside: fmt.Sprintf("%d pages of calls, %.0f requests", pages, requests[i].median())})
	}
	return rows, nil
}
