package main

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// samples are one figure a round.
type samples []float64

func (s samples) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func (s samples) ends() (low, high float64) {
	if len(s) == 0 {
		return 0, 0
	}
	return slices.Min(s), slices.Max(s)
}

// over is the ratio of each round: what ran side by side is compared, so that what else the machine did then falls on both.
func (s samples) over(reference samples) samples {
	ratios := make(samples, len(s))
	for i := range s {
		ratios[i] = s[i] / reference[i]
	}
	return ratios
}

// add notes a time, in seconds.
func (s *samples) add(d time.Duration) { *s = append(*s, d.Seconds()) }

// seconds writes the median of times.
func (s samples) seconds() string { return duration(s.median()) }

func duration(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.3g ms", seconds*1000)
	}
	return fmt.Sprintf("%.2f s", seconds)
}

// rate writes how many calls a second the median is.
func (s samples) rate(calls int) string {
	return fmt.Sprintf("%.3g k calls/s", float64(calls)/s.median()/1000)
}

// grouped writes a number with commas.
func grouped(n int) string {
	text := strconv.Itoa(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// inTurns runs what is compared, once a round, each round beginning with another: whoever comes second finds warmer caches.
func inTurns(round int, runs ...func() error) error {
	for i := range runs {
		if err := runs[(round+i)%len(runs)](); err != nil {
			return err
		}
	}
	return nil
}
