package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"syncd/bench/process"
)

// idle watches the daemon for as long as every source needs to have its tick, once each has had its first.
func idle(ctx context.Context, l lab) (_ []row, err error) {
	sources, watched := l.scaled(100, 3), max(2*time.Second, time.Duration(float64(5*time.Minute)*l.Scale))
	s, err := process.NewSite(ctx, sources, 20)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.Sync(ctx, l.Binary); err != nil {
		return nil, err
	}
	l.say("%d sources are left alone for %v, and watched for as long", sources, watched)
	i, err := process.MeasureIdle(ctx, l.Binary, s, watched, watched)
	if err != nil {
		return nil, err
	}
	during := fmt.Sprintf("in %v with %d requests", i.For.Round(time.Second), i.Requests)
	return []row{
		{What: fmt.Sprintf("memory of the daemon with %d sources and nothing new", sources), Unit: megabytes, Figures: samples{float64(i.RSS)},
			Bar: atMost(120e6, 70e6), Beside: "at most " + megabytes.format(float64(i.Peak)) + ", its start included"},
		{What: "its share of a processor, ticks included", Unit: share, Figures: samples{i.CPU}, Bar: atMost(0.005, 0.001),
			Beside: fmt.Sprintf("%s; %s in %v between ticks", during, share.format(i.Quiet), i.QuietFor.Round(time.Second))},
	}, nil
}
