// Package growth measures what a warehouse's size costs: how much longer a commit and a reopening take at ten million calls than at one, and how
// much a file grows that the rows in it do not explain.
//
// It owns the warehouses that it measures, the calls in them, and the clock around them. What is timed goes through the same doors as the
// pipeline's own commits. It refuses to judge: it returns figures, and whoever prints them knows the bars. Only the building of a warehouse,
// which is never timed, goes past the writer: ten million calls would take it minutes.
//
// Warehouses that are compared take turns, commit by commit, so that what else the machine does falls on all of them alike.
package growth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Timing is what the commits into one warehouse took.
type Timing struct {
	Median, P90 time.Duration
	CPU         time.Duration // the median of the processor time, which a busy machine tells more truly; 0 where the system does not tell it
	First       time.Duration // the slowest of the commits before: one of them reads the keys of all calls, unless no key was new
}

// warmUp is how many commits are not counted: it is at the tenth with new keys that the writer reads the keys of all calls.
const warmUp = 12

// Batch says what the calls of a commit are. Those that are not changed ones follow the newest call.
type Batch struct {
	Size    int
	Updated float64 // the share that are calls of the last day with a new payload
	// Together: the changed calls started one after another, as those of one page did. Otherwise they are spread over the day, and the writer
	// must look through all of it.
	Together bool
}

// Commits does n commits into each warehouse, in turns.
func Commits(ctx context.Context, paths []string, b Batch, n int) (all []Timing, err error) {
	sessions := make([]*session, len(paths))
	defer func() {
		for _, s := range sessions {
			if s != nil {
				err = errors.Join(err, s.close(ctx))
			}
		}
	}()
	for i, path := range paths {
		if sessions[i], err = open(ctx, path); err != nil {
			return nil, err
		}
	}
	costs := make([][]cost, len(paths))
	for range warmUp + n {
		for i, s := range sessions {
			c, err := s.commit(ctx, b)
			if err != nil {
				return nil, fmt.Errorf("commit to %s: %w", paths[i], err)
			}
			costs[i] = append(costs[i], c)
		}
	}
	for _, c := range costs {
		all = append(all, timing(c[:warmUp], c[warmUp:]))
	}
	return all, nil
}

// cost is what one commit took.
type cost struct{ wall, cpu time.Duration }

func timing(first, counted []cost) Timing {
	walls, cpus := columns(counted)
	before, _ := columns(first)
	return Timing{Median: quantile(walls, 0.5), P90: quantile(walls, 0.9), CPU: quantile(cpus, 0.5), First: quantile(before, 1)}
}

func columns(costs []cost) (walls, cpus []time.Duration) {
	for _, c := range costs {
		walls, cpus = append(walls, c.wall), append(cpus, c.cpu)
	}
	return walls, cpus
}

// quantile is the smallest value that at least the share q of all are not above; 0 where there are none.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, min(len(sorted)-1, int(q*float64(len(sorted))+0.999999)-1))]
}
