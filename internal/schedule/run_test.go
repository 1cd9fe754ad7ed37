package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"syncd/internal/panics"
	"syncd/internal/schedule"
)

// Time in these tests is synctest's. A bubble begins at midnight, 1 January 2000, UTC.

// reports collects what a Run says.
type reports struct {
	mu  sync.Mutex
	all map[string][]error
}

func (r *reports) add(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = make(map[string][]error)
	}
	r.all[name] = append(r.all[name], err)
}

// runFor runs jobs for a time, and returns what was reported.
func runFor(t *testing.T, d time.Duration, jobs ...schedule.Job) map[string][]error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var r reports
	if err := schedule.Run(ctx, jobs, schedule.Options{Report: r.add}); err != nil {
		t.Fatal(err)
	}
	return r.all
}

func TestAJobRunsAtOnceAndThenAtEachTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := parse(t, "@every 5m")
		begun := time.Now()
		var runs []time.Time
		runFor(t, time.Hour, schedule.Job{Name: "burki", Schedule: s, Do: func(context.Context) error {
			runs = append(runs, time.Now())
			return nil
		}})
		if len(runs) != 13 {
			t.Fatalf("%d runs in an hour, want the first and twelve ticks", len(runs))
		}
		if late := runs[0].Sub(begun); late > 10*time.Millisecond {
			t.Errorf("the first run came after %s", late)
		}
		tick := s.Jittered("burki").Next(begun)
		for i, r := range runs[1:] {
			if !r.Equal(tick) {
				t.Errorf("run %d came at %s, its tick is at %s", i+1, r, tick)
			}
			tick = tick.Add(5 * time.Minute)
		}
	})
}

func TestABusyJobIsNeitherRunTwiceNorQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy, runs atomic.Int32
		var last time.Time
		s := parse(t, "@every 5m")
		runFor(t, 2*time.Hour, schedule.Job{Name: "slow", Schedule: s, Do: func(context.Context) error {
			if busy.Add(1) > 1 {
				t.Error("two runs at a time")
			}
			defer busy.Add(-1)
			if n := runs.Add(1); n > 1 && !time.Now().Equal(s.Jittered("slow").Next(last)) {
				t.Errorf("run %d began at %s, the first tick after the one before is %s", n, time.Now(), s.Jittered("slow").Next(last))
			}
			time.Sleep(12 * time.Minute) // outlasts two ticks
			last = time.Now()
			return nil
		}})
		if n := runs.Load(); n < 8 || n > 9 {
			t.Errorf("%d runs of 12 minutes, each at a tick of 5, in two hours", n)
		}
	})
}

func TestASlowJobHoldsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quick := 0
		runFor(t, time.Hour,
			schedule.Job{Name: "stuck", Schedule: parse(t, "@every 1m"), Do: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
			schedule.Job{Name: "quick", Schedule: parse(t, "@every 1m"), Do: func(context.Context) error { quick++; return nil }})
		if quick != 61 {
			t.Errorf("the quick job ran %d times in an hour, want 61", quick)
		}
	})
}

func TestAPanicEndsOneRunAndShowsNoValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const secret = "sk-live-1234 +15550001234"
		runs, good := 0, 0
		got := runFor(t, 10*time.Minute,
			schedule.Job{Name: "panics", Schedule: parse(t, "@every 1m"), Do: func(context.Context) error {
				runs++
				if runs%2 == 0 {
					return explode(runs-2, secret)
				}
				panic(errors.New(secret))
			}},
			schedule.Job{Name: "good", Schedule: parse(t, "@every 1m"), Do: func(context.Context) error { good++; return nil }})
		if runs != 11 || good != 11 {
			t.Errorf("%d runs of the job that panics, %d of the other: want 11 of each", runs, good)
		}
		if len(got) != 1 || len(got["panics"]) != runs {
			t.Fatalf("reported: %v", got)
		}
		for i, err := range got["panics"] {
			var p *panics.Error
			if !errors.As(err, &p) || len(p.Stack) == 0 {
				t.Fatalf("run %d: %v is no panic with a stack", i, err)
			}
			reason, where := "*errors.errorString", "TestAPanicEndsOneRunAndShowsNoValue"
			if i%2 == 1 {
				reason, where = "index out of range", "explode (run_test.go:"
			}
			if strings.Contains(err.Error(), "sk-live") || !strings.Contains(p.Reason, reason) || !strings.Contains(p.Stack[0], where) {
				t.Errorf("run %d: %v, want %s in %s", i, err, reason, where)
			}
			if strings.Contains(err.Error(), "0x") {
				t.Errorf("run %d: an argument's value is shown: %v", i, err)
			}
		}
	})
}

//go:noinline
func explode(i int, args ...string) error {
	return errors.New(args[i+1])
}

func TestAnEndlessRecursionOfFramesIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down func(n int)
		down = func(n int) {
			if n == 0 {
				panic("the bottom")
			}
			down(n - 1)
		}
		got := runFor(t, time.Second, schedule.Job{Name: "deep", Schedule: parse(t, "@hourly"), Do: func(context.Context) error { down(1000); return nil }})
		if err := got["deep"][0].Error(); len(err) > 10_000 || !strings.Contains(err, "a value of type string") {
			t.Errorf("%d bytes: %s", len(err), err)
		}
	})
}

func TestAStoppedJobRestsAndTheOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped, failing := 0, 0
		got := runFor(t, 10*time.Minute,
			schedule.Job{Name: "stopped", Schedule: parse(t, "@every 1m"), Do: func(context.Context) error {
				stopped++
				return fmt.Errorf("the key was refused: %w", schedule.ErrStop)
			}},
			schedule.Job{Name: "failing", Schedule: parse(t, "@every 1m"), Do: func(context.Context) error { failing++; return errors.New("timed out") }})
		if stopped != 1 || len(got["stopped"]) != 1 || !errors.Is(got["stopped"][0], schedule.ErrStop) {
			t.Errorf("the stopped job ran %d times, reported: %v", stopped, got["stopped"])
		}
		if failing != 11 || len(got["failing"]) != 11 {
			t.Errorf("the failing job ran %d times and was reported %d times, want 11 and 11", failing, len(got["failing"]))
		}
	})
}

func TestRunReturnsWhenEveryJobHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var r reports
		var returned atomic.Bool
		diskFull := errors.New("no space left")
		job := func(name string, end func(context.Context) error) schedule.Job {
			return schedule.Job{Name: name, Schedule: parse(t, "@every 1h"), Do: func(ctx context.Context) error { <-ctx.Done(); return end(ctx) }}
		}
		jobs := []schedule.Job{
			job("told", func(ctx context.Context) error { return fmt.Errorf("read burki: %w", ctx.Err()) }),
			job("both", func(ctx context.Context) error { return fmt.Errorf("close: %w", errors.Join(ctx.Err(), diskFull)) }),
			job("slow", func(context.Context) error { time.Sleep(3 * time.Second); returned.Store(true); return nil }),
		}
		time.AfterFunc(time.Minute, cancel)
		begun := time.Now()
		if err := schedule.Run(ctx, jobs, schedule.Options{Report: r.add}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != time.Minute+3*time.Second || !returned.Load() {
			t.Errorf("Run returned after %s, its slowest job done: %t", took, returned.Load())
		}
		if len(r.all["told"]) != 0 || len(r.all["both"]) != 1 || !errors.Is(r.all["both"][0], diskFull) {
			t.Errorf("reported: %v, want the full disk alone", r.all)
		}
	})
}

// setClock is a clock that is set.
type setClock struct{ ahead atomic.Int64 }

func (c *setClock) now() time.Time           { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *setClock) advance(by time.Duration) { c.ahead.Add(int64(by)) }

func TestAClockThatIsSetCostsNoRunsAndMakesNone(t *testing.T) {
	for name, tt := range map[string]struct {
		step time.Duration
		runs int // the first, twelve ticks, and one where the clock jumped over a tick
	}{
		"back":                             {-5 * time.Hour, 13},
		"back a little":                    {-2 * time.Second, 13},
		"ahead, as after a laptop's sleep": {8 * time.Hour, 14},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var clock setClock
				var runs []time.Time
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour+time.Second)
				defer cancel()
				time.AfterFunc(30*time.Minute+7*time.Second, func() { clock.advance(tt.step) })
				var r reports
				err := schedule.Run(ctx, []schedule.Job{{Name: "job", Schedule: parse(t, "@every 5m"), Do: func(context.Context) error {
					runs = append(runs, time.Now())
					return nil
				}}}, schedule.Options{Report: r.add, Now: clock.now})
				if err != nil {
					t.Fatal(err)
				}
				for i := range len(runs) - 1 {
					if gap := runs[i+1].Sub(runs[i]); gap > 5*time.Minute+2*time.Second {
						t.Errorf("nothing ran for %s", gap)
					}
				}
				if len(runs) != tt.runs {
					t.Errorf("%d runs in an hour, want %d", len(runs), tt.runs)
				}
			})
		})
	}
}

func TestAThousandJobsForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		before := runtime.NumGoroutine()
		var runs, most atomic.Int64
		perSecond := make(map[int64]int)
		var mu sync.Mutex
		jobs := make([]schedule.Job, n)
		for i := range jobs {
			jobs[i] = schedule.Job{Name: fmt.Sprintf("source-%d", i), Schedule: parse(t, "@every 5m"), Do: func(context.Context) error {
				mu.Lock()
				perSecond[time.Now().Unix()]++
				mu.Unlock()
				if runs.Add(1)%100 == 0 {
					most.Store(max(most.Load(), int64(runtime.NumGoroutine()-before)))
				}
				time.Sleep(2 * time.Second)
				return nil
			}}
		}
		runFor(t, time.Hour, jobs...)
		if got := runs.Load(); got < 12*n || got > 13*n {
			t.Errorf("%d runs in an hour, want about 13 of each", got)
		}
		if most.Load() > n+10 {
			t.Errorf("%d goroutines for %d jobs", most.Load(), n)
		}
		for second, count := range perSecond {
			if count > n/5 {
				t.Errorf("%d runs began in one second, %s", count, time.Unix(second, 0).UTC())
			}
		}
	})
}

func TestJobsThatCannotBeMeantAreRefused(t *testing.T) {
	do := func(context.Context) error { t.Error("it ran"); return nil }
	ok := schedule.Job{Name: "a", Schedule: parse(t, "@hourly"), Do: do}
	report := schedule.Options{Report: func(string, error) {}}
	for name, tt := range map[string]struct {
		jobs []schedule.Job
		o    schedule.Options
	}{
		"two of one name": {[]schedule.Job{ok, ok}, report},
		"no name":         {[]schedule.Job{{Schedule: ok.Schedule, Do: do}}, report},
		"no schedule":     {[]schedule.Job{{Name: "a", Do: do}}, report},
		"nothing to do":   {[]schedule.Job{{Name: "a", Schedule: ok.Schedule}}, report},
		"nobody is told":  {[]schedule.Job{ok}, schedule.Options{}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := schedule.Run(ctx, tt.jobs, tt.o); err == nil {
			t.Errorf("%s: taken", name)
		}
		cancel()
	}
}
