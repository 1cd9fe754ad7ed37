package main

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"syncd/internal/pipeline"
)

// progress shows how far sources have come: bars on a terminal, a plain line every ten seconds elsewhere. What it measures is the share
// of the wanted time that is covered: the one thing that is known of every provider before the end.
type progress struct {
	mu      sync.Mutex
	started time.Time
	latest  map[string]pipeline.Progress
	from    map[string]time.Duration // what was covered when the run began: it took no time of this run
	details map[string]stage
	ended   map[string]time.Time
	failed  map[string]bool
	order   []string

	bars *mpb.Progress // nil: plain lines
	bar  map[string]*mpb.Bar
	out  *screen
	stop chan struct{}
	done sync.WaitGroup
}

// stage is where a source's details stood when the first of them was told of.
type stage struct {
	at   time.Time
	done int64
}

const plainEvery = 10 * time.Second

// newProgress shows the progress of sources on a writer. Close ends it.
func newProgress(out *screen, sources []string) *progress {
	p := &progress{started: time.Now(), latest: make(map[string]pipeline.Progress), from: make(map[string]time.Duration),
		details: make(map[string]stage), ended: make(map[string]time.Time), failed: make(map[string]bool), order: sources, bar: make(map[string]*mpb.Bar), out: out, stop: make(chan struct{})}
	if width(out.to) == 0 {
		p.done.Go(p.printLines)
		return p
	}
	p.bars = mpb.New(mpb.WithOutput(out.to), mpb.WithAutoRefresh())
	out.draw(p.bars)
	longest := 0
	for _, name := range sources {
		longest = max(longest, len(name))
	}
	for _, name := range sources {
		p.bar[name] = p.bars.AddBar(barScale,
			mpb.PrependDecorators(decor.Name(name, decor.WC{W: longest + 1, C: decor.DindentRight})),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return fmt.Sprintf(" %-*s", barText, p.text(name)) })))
	}
	return p
}

const (
	barScale = 10_000
	barText  = 46 // columns that the words after a bar may take, so that the bars end below one another
)

// Committed implements pipeline.Watcher.
func (p *progress) Committed(now pipeline.Progress) {
	b := p.take(now)
	if b != nil { // without the lock: a bar that is being drawn waits for it, and whoever moves the bar waits for the drawing
		b.SetCurrent(int64(share(now) * (barScale - 1))) // the last step is Close's: a full bar is a finished one
	}
}

// take notes how far a source is, and returns its bar.
func (p *progress) take(now pipeline.Progress) *mpb.Bar {
	p.mu.Lock()
	defer p.mu.Unlock()
	name := now.Run.Source
	if _, ok := p.from[name]; !ok {
		p.from[name] = now.Covered
	}
	if _, ok := p.details[name]; !ok && now.Due > 0 {
		p.details[name] = stage{time.Now(), now.Details}
	}
	p.latest[name] = now
	return p.bar[name]
}

func share(p pipeline.Progress) float64 {
	if p.ToLook > 0 {
		return float64(p.Looked) / float64(p.ToLook)
	}
	if p.Wanted <= 0 {
		return 1
	}
	return float64(p.Covered) / float64(p.Wanted)
}

// text is one source's state in words: share, calls, rate, time left.
func (p *progress) text(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, ok := p.latest[name]
	if !ok {
		if p.failed[name] {
			return "stopped"
		}
		return "waiting for the first page"
	}
	elapsed := time.Since(p.started)
	if ended, ok := p.ended[name]; ok {
		elapsed = ended.Sub(p.started)
	}
	if now.Details < now.Due && !p.failed[name] {
		return fmt.Sprintf("%3.0f %%  details %s of %s%s", 100*share(now), thousands(now.Details), thousands(now.Due), p.details[name].left(now))
	}
	rate := float64(now.Run.Records) / max(elapsed.Seconds(), 0.001)
	s := fmt.Sprintf("%3.0f %%  %s records  %s/s", 100*share(now), thousands(now.Run.Records), thousands(int64(rate)))
	gained := now.Covered - p.from[name]
	switch {
	case p.failed[name]:
		s += "  stopped"
	case gained > 0 && now.Covered < now.Wanted:
		left := time.Duration(float64(elapsed) * float64(now.Wanted-now.Covered) / float64(gained))
		s += "  " + left.Round(time.Second).String() + " left"
	}
	return s
}

// left is how long the other details take if they go on coming as they have come.
func (s stage) left(now pipeline.Progress) string {
	came := now.Details - s.done
	if came <= 0 {
		return ""
	}
	left := time.Duration(float64(time.Since(s.at)) * float64(now.Due-now.Details) / float64(came))
	return "  " + left.Round(time.Second).String() + " left"
}

// printLines prints a line for every source, every ten seconds.
func (p *progress) printLines() {
	ticker := time.NewTicker(plainEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			for _, name := range p.order {
				fmt.Fprintf(p.out, "%s: %s\n", name, p.text(name))
			}
		case <-p.stop:
			return
		}
	}
}

// Finished says that a source is done with, well or not.
func (p *progress) Finished(name string, ok bool) {
	p.mu.Lock()
	b := p.bar[name]
	p.ended[name], p.failed[name] = time.Now(), !ok
	p.mu.Unlock()
	switch {
	case b == nil:
	case ok:
		b.SetCurrent(barScale)
	default:
		b.Abort(false)
	}
}

// Close ends the display and leaves its last state standing.
func (p *progress) Close() {
	close(p.stop)
	p.done.Wait()
	if p.bars != nil {
		for _, b := range p.bar {
			if !b.Completed() {
				b.Abort(false)
			}
		}
		p.out.draw(nil) // what is written from now on comes after them
		p.bars.Wait()
	}
}

// thousands writes a whole number with commas.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
