package schedule

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"syncd/internal/panics"
)

// ErrStop in an error of a job says that the job is not to be run again. The other jobs go on.
var ErrStop = errors.New("not to be run again")

// Job is something to be done at every tick of its schedule. Its name is its own among the jobs of a Run, and decides its jitter.
type Job struct {
	Name     string
	Schedule Schedule
	Do       func(context.Context) error
}

// Options say how jobs are run. Report is required.
type Options struct {
	// Report is told each error of a job, panics included (see [panics.Error]), but not that a job stopped because it was told to. Jobs call it
	// at the same time.
	Report func(name string, err error)
	// Now is the clock that ticks are compared with; nil: time.Now.
	Now func() time.Time
}

const (
	// nap is the longest wait without a look at the clock. Timers stand still while a laptop sleeps and know nothing of a clock that is set;
	// a look each half minute bounds what either can cost.
	nap = 30 * time.Second

	// First runs are spread over 10 ms for each job, but 10 s at most: three jobs begin at once, a thousand over ten seconds.
	firstSpreadOfOne = 10 * time.Millisecond
	firstSpread      = 10 * time.Second
)

// Run runs every job when it starts, as a daemon that was down must not wait a whole interval to catch up, and then at each tick. It returns
// when ctx has ended and every job has returned: nil, unless the jobs could not be run at all.
//
// A job is never run twice at a time. A tick that finds it busy is dropped, not queued: what is due is worked out anew at each run, so one run
// does the work of all the ticks that it outlasted, and a job that always takes longer than its interval rests until the next tick
// instead of running without a pause. For the same reason ticks that passed while the machine slept are one run, not many.
func Run(ctx context.Context, jobs []Job, o Options) error {
	if err := check(jobs, o); err != nil {
		return err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	var running sync.WaitGroup
	for _, j := range jobs {
		j.Schedule = j.Schedule.Jittered(j.Name)
		spread := min(time.Duration(len(jobs))*firstSpreadOfOne, firstSpread, j.Schedule.Interval()/10)
		running.Go(func() { o.keep(ctx, j, share(j.Name, spread)) })
	}
	<-ctx.Done()
	running.Wait()
	return nil
}

// check refuses jobs that could not be meant.
func check(jobs []Job, o Options) error {
	if o.Report == nil {
		return errors.New("run jobs: nobody is there to be told of errors: set Options.Report")
	}
	seen := make(map[string]bool, len(jobs))
	for _, j := range jobs {
		switch {
		case j.Name == "" || j.Do == nil || j.Schedule.interval == 0:
			return fmt.Errorf("run jobs: job %q lacks a name, a schedule or something to do", j.Name)
		case seen[j.Name]:
			return fmt.Errorf("run jobs: there are two jobs named %q: give each a name of its own", j.Name)
		}
		seen[j.Name] = true
	}
	return nil
}

// keep runs one job until ctx ends or the job is not to be run again.
func (o Options) keep(ctx context.Context, j Job, first time.Duration) {
	for ready := sleep(ctx, first); ready; ready = o.await(ctx, j.Schedule) {
		err := panics.Guard(func() error { return j.Do(ctx) })
		if err != nil && !told(ctx, err) {
			o.Report(j.Name, err)
		}
		if errors.Is(err, ErrStop) {
			return
		}
	}
}

// await waits for the next tick from now, and reports whether it came before ctx ended.
func (o Options) await(ctx context.Context, s Schedule) bool {
	due := s.Next(o.Now())
	for {
		now := o.Now().Round(0)
		wait := due.Sub(now)
		if wait <= 0 {
			return true
		}
		// Where the clock was set back, the tick waited for is further away than the next one is now.
		if sooner := s.Next(now); sooner.Before(due) {
			due, wait = sooner, sooner.Sub(now)
		}
		if !sleep(ctx, min(wait, nap)) {
			return false
		}
	}
}

// sleep reports whether the time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// told reports whether an error says no more than that the job was told to stop. Of joined errors each one must: a disk that was full
// meanwhile is news.
func told(ctx context.Context, err error) bool {
	if ctx.Err() == nil {
		return false
	}
	switch e := err.(type) { //nolint:errorlint // this walks the tree of wrapped errors itself
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			if !told(ctx, one) {
				return false
			}
		}
		return true
	case interface{ Unwrap() error }:
		return told(ctx, e.Unwrap())
	}
	return errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx))
}
