// Package schedule says when: it reads cron expressions and @every, spreads sources over the time between two ticks, and runs jobs at theirs.
//
// It owns the ticks, their jitter, and what becomes of a tick that finds its job busy, of a job that panics, and of a clock that is set. It
// refuses to know what a job does: a job is a func(context.Context) error, and what its errors mean is the job's own business, but for
// [ErrStop].
//
// Nothing is kept over a restart, and nothing needs to be: every tick follows from the schedule, the name and the calendar.
package schedule

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/zeebo/xxh3"
)

// Schedule is an endless sequence of ticks, in UTC. [Parse] makes one; the zero Schedule has no ticks.
type Schedule struct {
	calendar cron.Schedule // nil for @every
	every    time.Duration // 0 for a calendar
	interval time.Duration
	offset   time.Duration // how much later than the plain schedule each tick is
}

const (
	day      = 24 * time.Hour
	maxEvery = 366 * day
)

// Parse reads the five fields of cron, a descriptor such as @hourly, or @every with a duration. Times are UTC whatever the machine's zone.
func Parse(spec string) (Schedule, error) {
	want := errors.New(`want "@every 5m", "@hourly", or the five fields of cron such as "*/5 * * * *"`)
	// The library would slice out of bounds at a TZ= without a space.
	if strings.HasPrefix(spec, "TZ=") || strings.HasPrefix(spec, "CRON_TZ=") {
		return Schedule{}, fmt.Errorf("read schedule %q: %w, without a time zone: times are UTC", spec, want)
	}
	if text, ok := strings.CutPrefix(spec, "@every "); ok {
		// The library counts @every from the start of the process, and takes less than a second for one second.
		every, err := time.ParseDuration(text)
		if err != nil || every < time.Second || every > maxEvery {
			return Schedule{}, fmt.Errorf("read schedule %q: want @every with a duration from 1s to a year, such as @every 5m", spec)
		}
		return Schedule{every: every, interval: every}, nil
	}
	calendar, err := cron.ParseStandard(spec)
	if err != nil {
		return Schedule{}, fmt.Errorf("read schedule %q: %w (%w)", spec, want, err)
	}
	leapYear := time.Date(2024, time.January, 1, 0, 0, 0, 0, time.UTC) // it holds every day there is
	if calendar.Next(leapYear).IsZero() {
		return Schedule{}, fmt.Errorf("read schedule %q: want a schedule that comes round: this day is in no calendar", spec)
	}
	return Schedule{calendar: calendar, interval: longestGap(calendar, leapYear)}, nil
}

// Next returns the first tick after a time. Those of @every stand at whole multiples of its duration since 1970, so that a restart moves none.
func (s Schedule) Next(after time.Time) time.Time {
	// Without the monotonic reading: a tick is a time of the calendar, and must not be compared by anything else.
	plain := after.Round(0).UTC().Add(-s.offset)
	if s.calendar != nil {
		return nextOf(s.calendar, plain).Add(s.offset)
	}
	into := time.Duration(plain.UnixNano()) % s.every
	if into < 0 {
		into += s.every // before 1970, where Go's remainder is negative
	}
	return plain.Add(s.every - into + s.offset)
}

// Interval is the longest time between two ticks that follow each other: the duration of @every; for a calendar, the longest that a leap year
// shows, so that nights, weekends and months which it leaves out are counted in.
func (s Schedule) Interval() time.Duration { return s.interval }

// Jittered returns the schedule with every tick later by an amount that follows from the name alone: thousands of sources with one schedule
// must not all ask in the same second, and a restart must not move them. The ticks of @every spread over the whole interval. A cron
// expression names a time of the clock and means it, so there it is a tenth of the interval and a minute at most.
func (s Schedule) Jittered(name string) Schedule {
	bound := s.every
	if s.calendar != nil {
		bound = min(s.interval/10, time.Minute)
	}
	s.offset = share(name, bound)
	return s
}

// share is the part of a duration, in [0, whole), that falls to a name.
func share(name string, whole time.Duration) time.Duration {
	part, _ := bits.Mul64(xxh3.HashString(name), uint64(whole)) //nolint:gosec // positive
	return time.Duration(part).Truncate(time.Millisecond)       //nolint:gosec // less than whole
}

// longestGap looks at the year from a day on. All days that have a tick have the same ticks, so one of them is walked tick by tick, and then
// only the way from the last tick of a day to the first of the next such day: a walk through each minute of a year would take a second.
func longestGap(c cron.Schedule, from time.Time) time.Duration {
	var longest time.Duration
	last := nextOf(c, from.Add(-1))
	for today := last.Truncate(day); ; {
		t := nextOf(c, last)
		if !t.Truncate(day).Equal(today) {
			break
		}
		longest, last = max(longest, t.Sub(last)), t
	}
	ofDay := last.Sub(last.Truncate(day))
	for end := from.AddDate(1, 0, 0); last.Before(end); {
		t := nextOf(c, last)
		longest, last = max(longest, t.Sub(last)), t.Truncate(day).Add(ofDay)
	}
	return longest
}

// nextOf returns the next tick of a calendar that has one. The library gives up after five years, and 1900 and 2100 have no 29 February.
func nextOf(c cron.Schedule, after time.Time) time.Time {
	for {
		if t := c.Next(after); !t.IsZero() {
			return t
		}
		after = after.AddDate(5, 0, 0)
	}
}
