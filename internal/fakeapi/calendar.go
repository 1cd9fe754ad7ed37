package fakeapi

import (
	"math/rand/v2"
	"time"
)

// hourly is how busy each hour of a working day is, by UTC.
var hourly = [24]float64{
	0.02, 0.01, 0.01, 0.01, 0.02, 0.04, 0.12, 0.35, 0.75, 1.00, 1.10, 1.05,
	0.80, 0.95, 1.10, 1.05, 0.95, 0.70, 0.45, 0.30, 0.20, 0.12, 0.06, 0.03,
}

// daily is how busy each day of the week is, from Sunday on.
var daily = [7]float64{0.10, 1.10, 1.05, 1.00, 1.00, 0.90, 0.25}

// generate spreads the calls over their time: by the hour of the day and the day of the week, with chance on both, and with the
// account growing from the first day to the last.
func generate(o Options, unit time.Duration) calls {
	c := calls{index: index{rows: make([]row, o.Calls)}, starts: make([]int64, o.Calls)}
	if o.Calls == 0 {
		return c
	}
	edges, sums := busyness(o)
	total := sums[len(sums)-1]
	r := rand.New(rand.NewPCG(mix(o.Seed^0x63616c), mix(uint64(o.Calls))))
	step, hour := int64(unit), 0
	first := edges[0] + (step-edges[0]%step)%step
	last := first - step
	for n := range o.Calls {
		// One draw from each of Calls equal shares of the busyness: sorted as they come.
		share := (float64(n) + r.Float64()) / float64(o.Calls) * total
		for sums[hour+1] <= share && hour+2 < len(sums) {
			hour++
		}
		within := (share - sums[hour]) / (sums[hour+1] - sums[hour])
		at := edges[hour] + int64(min(within, 1)*float64(edges[hour+1]-edges[hour]-1))
		at -= (at - first) % step
		// No two generated calls share a start: ties are a trap of their own, which a test lays by hand.
		at = max(at, last+step)
		last = at
		c.starts[n] = at
		c.rows[n] = row{at: at, ref: int32(n)}
	}
	return c
}

// busyness returns the edges of the hours between Since and Until in Unix nanoseconds, and the busyness up to each edge.
func busyness(o Options) (edges []int64, sums []float64) {
	since, until := o.Since.UTC(), o.Until.UTC()
	r := rand.New(rand.NewPCG(mix(o.Seed^0x646179), 0))
	edges, sums = append(edges, since.UnixNano()), append(sums, 0)
	day, chance := -1, 1.0
	for at := since; at.Before(until); {
		next := at.Truncate(time.Hour).Add(time.Hour)
		if next.After(until) {
			next = until
		}
		if at.YearDay() != day {
			day, chance = at.YearDay(), 0.8+0.4*r.Float64()
		}
		grown := 0.7 + 0.6*float64(at.Sub(since))/float64(until.Sub(since))
		weight := hourly[at.Hour()] * daily[at.Weekday()] * chance * (0.7 + 0.6*r.Float64()) * grown
		edges = append(edges, next.UnixNano())
		sums = append(sums, sums[len(sums)-1]+weight*next.Sub(at).Hours())
		at = next
	}
	return edges, sums
}

// mix scatters the bits of x (splitmix64), so that neighbouring numbers have unrelated streams of chance.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
