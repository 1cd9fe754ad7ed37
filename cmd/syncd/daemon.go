package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"
	"unicode"

	"go.uber.org/zap"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/panics"
	"syncd/internal/pipeline"
	"syncd/internal/schedule"
)

// daemon runs every source on its schedule. At a tick a source's live work is done: the head, and what is due again. Its history and its
// details follow in the background, each once at a time, and give way to live work under the rate limit. So a first reading of ten years
// never keeps a fresh call waiting, and a tick never waits for either.
type daemon struct {
	*holder
	log *zap.Logger

	mu         sync.Mutex
	behind     map[string]bool // what of which source is done in the background now
	parked     map[string]time.Time
	said       map[string]said // of which source's which kind of work, since it last went well
	unsaved    int64           // how many records were committed since the file was last brought up to date
	savedAt    time.Time
	background sync.WaitGroup
}

const (
	// parkedFor is how long a source is left alone that cannot be read until a person acts. It is tried again then, as a provider that had
	// mixed up its keys for an hour must not cost a night.
	parkedFor = time.Hour
	// sayAgain is how often an error is logged that goes on.
	sayAgain = time.Hour
	// The write-ahead log is brought into the file once it holds so many records, and at least so often: replaying it after a crash must be
	// quick, and each time rewrites some of the file. It is looked at every few minutes.
	saveRecords = 40_000
	saveBytes   = 64 << 20 // of the log, which grows long in a run of hours that has not ended and been counted
	saveAtLeast = time.Hour
	saveLook    = 5 * time.Minute
	houseEach   = 24 * time.Hour
)

// said is when each nature of error was last logged.
type said map[string]time.Time

// newDaemon makes the daemon of a holder that is not served yet: from then on it is told of the work that is handed over, too.
func newDaemon(h *holder, log *zap.Logger) *daemon {
	d := &daemon{holder: h, log: log, behind: make(map[string]bool), parked: make(map[string]time.Time), said: make(map[string]said)}
	h.done = d.handed
	if h.copies != nil {
		h.copies.report = d.notCopied
	}
	return d
}

// run does the work of all sources until ctx ends, and returns when all of it has come to rest.
func (d *daemon) run(ctx context.Context) error {
	jobs := make([]schedule.Job, 0, len(d.sources)+2)
	for _, s := range d.sources {
		times, err := schedule.Parse(s.Schedule)
		if err != nil {
			return fmt.Errorf("source %s: schedule: %w", s.Name, err)
		}
		jobs = append(jobs, schedule.Job{Name: s.Name, Schedule: times, Do: func(ctx context.Context) error { return d.tick(ctx, s) }})
	}
	for _, j := range []struct {
		name  string
		every time.Duration
		do    func(context.Context) error
	}{{"(save)", saveLook, d.save}, {"(house)", houseEach, d.tidy}} {
		times, err := schedule.Parse("@every " + j.every.String())
		if err != nil {
			return err
		}
		jobs = append(jobs, schedule.Job{Name: j.name, Schedule: times, Do: j.do})
	}
	err := schedule.Run(ctx, jobs, schedule.Options{Report: d.report, Now: d.pipeline.Now})
	d.background.Wait()
	return err
}

// tick does a source's live work, and sets the rest of it going. What went wrong has been said, and is tried again at the next tick.
func (d *daemon) tick(ctx context.Context, s pipeline.Source) error {
	if d.isParked(s.Name) {
		return nil
	}
	if !d.sync(ctx, s, pipeline.Options{Kind: "live", Scope: checkpoint.Head | checkpoint.Rereads, Patient: true}) {
		return nil
	}
	d.later(ctx, s, pipeline.Options{Kind: "history", Scope: checkpoint.History, Patient: true})
	d.later(ctx, s, pipeline.Options{Kind: "details", Details: true, Patient: true})
	return nil
}

// later does work of a source in the background, unless it is being done.
func (d *daemon) later(ctx context.Context, s pipeline.Source, o pipeline.Options) {
	key := s.Name + " " + o.Kind
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.behind[key] {
		return
	}
	d.behind[key] = true
	d.background.Go(func() {
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			delete(d.behind, key)
		}()
		d.sync(ctx, s, o)
	})
}

// sync does work of a source, says what came of it, and parks a source that cannot be read until a person acts. A panic costs the source this
// run and no other source anything. It reports whether the source can be read: single windows that cannot keep nothing else from going on.
func (d *daemon) sync(ctx context.Context, s pipeline.Source, o pipeline.Options) bool {
	o.Watcher = d.activity
	var run load.Run
	err := panics.Guard(func() (err error) {
		run, err = d.pipeline.Sync(ctx, s, o)
		return err
	})
	d.activity.ended(s.Name, o.Kind)
	d.count(run)
	switch {
	case err == nil:
		d.well(ctx, s, run)
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
	case pipeline.NeedsPerson(err): // which details never do: a key may be let list calls and not read single ones
		d.park(ctx, s, err)
	case d.isNews(s.Name+" "+o.Kind, err):
		d.log.Error("source failed, and is tried again at its next tick", zap.String("source", s.Name), zap.String("kind", o.Kind), zap.Error(err))
	}
	return ctx.Err() == nil && pipeline.GoesOn(err)
}

// handed takes note of what became of a source in work that a person asked for. That person is told of a failure; what it means for the next
// ticks is decided as ever: a source that a person has mended is no longer parked.
func (d *daemon) handed(ctx context.Context, s pipeline.Source, run load.Run, err error) {
	d.count(run)
	switch stopped := ctx.Err() != nil; {
	case err == nil:
		d.well(context.WithoutCancel(ctx), s, run) // the person may have left by now
	case !stopped && pipeline.NeedsPerson(err):
		d.park(ctx, s, err)
	}
}

// count notes what a run has left to be brought into the file, and to be copied.
func (d *daemon) count(run load.Run) {
	d.copies.look()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unsaved += run.Inserted + run.Updated + run.Rejected
}

// well says that a source that had been in trouble is read again, and what a run brought.
func (d *daemon) well(ctx context.Context, s pipeline.Source, run load.Run) {
	d.mu.Lock()
	_, parked := d.parked[s.Name]
	trouble := parked || len(d.said[s.Name+" "+run.Kind]) > 0
	if run.Requests > 0 {
		delete(d.said, s.Name+" "+run.Kind)
		delete(d.said, s.Name+" parked")
		delete(d.parked, s.Name)
	}
	d.mu.Unlock()
	if run.Requests == 0 {
		return
	}
	if parked {
		if err := d.pipeline.Warehouse.Write(ctx, func(tx *load.Tx) error { return tx.Unpark(ctx, s.Name) }); err != nil {
			d.report(s.Name, err)
		}
	}
	level := zap.DebugLevel
	if trouble || run.Inserted+run.Updated+run.Rejected > 0 {
		level = zap.InfoLevel
	}
	d.log.Log(level, "synced", zap.String("source", s.Name), zap.String("kind", run.Kind), zap.Int64("inserted", run.Inserted), zap.Int64("updated", run.Updated),
		zap.Int64("rejected", run.Rejected), zap.Int64("requests", run.Requests), zap.Bool("after trouble", trouble))
}

// park leaves a source alone for a while.
func (d *daemon) park(ctx context.Context, s pipeline.Source, why error) {
	if d.isNews(s.Name+" parked", why) {
		d.log.Error("source parked; the others go on, and it is tried again in an hour", zap.String("source", s.Name), zap.Error(why))
	}
	d.mu.Lock()
	d.parked[s.Name] = d.pipeline.Now().Add(parkedFor)
	d.mu.Unlock()
	if err := d.pipeline.Warehouse.Write(ctx, func(tx *load.Tx) error { return tx.Park(ctx, s.Name, why.Error()) }); err != nil {
		d.report(s.Name, err)
	}
}

func (d *daemon) isParked(source string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.parked[source].After(d.pipeline.Now())
}

// isNews takes note of an error of one kind of a source's work, and reports whether to log it: at once where anything that is joined in it is of
// another nature than before, and again each hour while it goes on. So an outage of three days is not three days of lines, even where its errors
// come and go between a few, and no kind of work silences another.
func (d *daemon) isNews(key string, err error) (news bool) {
	now := d.pipeline.Now()
	old := func(at time.Time) bool { return now.Sub(at) >= sayAgain }
	d.mu.Lock()
	defer d.mu.Unlock()
	before, found := d.said[key], make(said)
	for _, one := range pipeline.Parted(err) {
		found[nature(one)] = now
	}
	for which := range found {
		at, known := before[which]
		news = news || !known || old(at)
	}
	if !news {
		return false
	}
	maps.DeleteFunc(before, func(_ string, at time.Time) bool { return old(at) })
	maps.Copy(found, before) // what was logged before keeps its time
	d.said[key] = found
	return true
}

// nature is what stays of an error that goes on: its window, its times and the answer's first bytes are others at every tick.
func nature(err error) string {
	var e *extract.Error
	if errors.As(err, &e) {
		return fmt.Sprintf("%s, status %d", e.Class, e.Status)
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, err.Error())
}

// report is told what a job could not handle itself.
func (d *daemon) report(name string, err error) {
	d.log.Error("job failed, and is tried again at its next tick", zap.String("job", name), zap.Error(err))
}

// notCopied is told that no copy for readers could be made.
func (d *daemon) notCopied(err error) {
	if d.isNews("(copy)", err) {
		d.log.Error("no copy for readers could be made: they have the one before; it is tried again", zap.Error(err))
	}
}

// save brings what was committed into the file, so that its write-ahead log stays small, and opening it after a crash quick.
func (d *daemon) save(ctx context.Context) error {
	now := d.pipeline.Now()
	d.mu.Lock()
	due := d.unsaved >= saveRecords || d.unsaved > 0 && now.Sub(d.savedAt) >= saveAtLeast || d.pipeline.Warehouse.LogSize() >= saveBytes
	if due {
		d.unsaved, d.savedAt = 0, now
	}
	d.mu.Unlock()
	if !due {
		return nil
	}
	return d.pipeline.Warehouse.Checkpoint(ctx)
}

// tidy drops what is too old to be kept.
func (d *daemon) tidy(ctx context.Context) error {
	defer d.copies.look()
	return keepHouse(ctx, d.pipeline.Warehouse, d.config, d.pipeline.Now())
}
