package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// choreBar shows how far a chore has come: a bar on a terminal, a plain line every ten seconds elsewhere.
type choreBar struct {
	out  *screen // nil: nobody wants to see it
	bars *mpb.Progress
	bar  *mpb.Bar

	mu      sync.Mutex
	latest  choreProgress
	began   time.Time
	printed time.Time
}

func (a *app) choreBar() *choreBar {
	now := time.Now()
	b := &choreBar{began: now, printed: now}
	if a.noProgress {
		return b
	}
	b.out = a.term.err
	return b
}

// tell shows the latest state. It is called by one goroutine at a time.
func (b *choreBar) tell(p choreProgress) {
	b.take(p)
	switch {
	case b.out == nil:
	case width(b.out.to) == 0:
		if now := time.Now(); now.Sub(b.printed) >= plainEvery {
			b.printed = now
			fmt.Fprintln(b.out, b.text())
		}
	default:
		if b.bars == nil {
			b.bars = mpb.New(mpb.WithOutput(b.out.to), mpb.WithAutoRefresh())
			b.out.draw(b.bars)
			b.bar = b.bars.AddBar(barScale, mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return fmt.Sprintf(" %-*s", barText, b.text()) })))
		}
		if p.Total > 0 { // without the lock: a bar that is being drawn waits for it, and whoever moves the bar waits for the drawing
			b.bar.SetCurrent(p.Done * (barScale - 1) / p.Total)
		}
	}
}

// take notes the latest state.
func (b *choreBar) take(p choreProgress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.What != b.latest.What {
		b.began = time.Now() // another stage has a rate of its own
	}
	b.latest = p
}

// text is the state in words: share, number, rate, time left.
func (b *choreBar) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	elapsed := max(time.Since(b.began).Seconds(), 0.001)
	rate := float64(b.latest.Done) / elapsed
	s := fmt.Sprintf("%s %s", thousands(b.latest.Done), b.latest.What)
	if total := b.latest.Total; total > 0 {
		s = fmt.Sprintf("%3d %%  %s of %s %s", 100*b.latest.Done/total, thousands(b.latest.Done), thousands(total), b.latest.What)
	}
	s += fmt.Sprintf("  %s/s", thousands(int64(rate)))
	if left := b.latest.Total - b.latest.Done; left > 0 && rate > 0 {
		s += "  " + (time.Duration(float64(left) / rate * float64(time.Second))).Round(time.Second).String() + " left"
	}
	return s
}

// close ends the display.
func (b *choreBar) close() {
	if b.bars == nil {
		return
	}
	b.bar.SetTotal(-1, true)
	b.out.draw(nil) // what is written from now on comes after it
	b.bars.Wait()
}
