package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"syncd/internal/checkpoint"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
)

// step is one thing that happens.
func (w *world) step() {
	switch n := w.rng.IntN(20); {
	case n < 12:
		w.syncSome()
	case n < 15:
		d := time.Duration(w.rng.Int64N(int64(36 * time.Hour)))
		w.note("time passes: %s", d)
		time.Sleep(d)
		return // nothing was written
	case n < 16:
		w.note("a restart")
		w.close()
		w.open()
	case n < 17:
		s := w.sources[w.rng.IntN(len(w.sources))]
		s.config.Ages, s.config.Details = w.ages(), w.rng.IntN(3) > 0
		w.newReread = true
		s.account.PageSize = 3 + w.rng.IntN(30)
		s.config.PageSize = s.account.PageSize
		s.config.Start = s.config.Start.Add(time.Duration(w.rng.IntN(49)-24) * time.Hour)
		w.note("the configuration changes: %s from %s, ages %s, details %t, pages of %d", s.config.Name, s.config.Start.Format(time.DateTime), s.config.Ages, s.config.Details, s.config.PageSize)
		w.close()
		w.open()
	case n < 18:
		w.note("housekeeping")
		w.housekept = time.Now().Add(-24 * time.Hour)
		if _, err := w.file.Housekeep(w.t.Context(), load.Housekeeping{Now: time.Now(), KeepRuns: 24 * time.Hour}); err != nil {
			w.t.Errorf("housekeeping: %v", err)
		}
	case n < 19:
		w.note("a checkpoint")
		if err := w.file.Checkpoint(w.t.Context()); err != nil {
			w.t.Errorf("checkpoint: %v", err)
		}
	default:
		s := w.sources[w.rng.IntN(len(w.sources))]
		if ids := s.fake.All(); len(ids) > 0 {
			id := ids[w.rng.IntN(len(ids))]
			w.note("%s is poisoned at %s for one sync", id, s.config.Name)
			s.fake.Poison(id, []fakeapi.Poisoning{fakeapi.InvalidJSON, fakeapi.ServerError}[w.rng.IntN(2)])
			w.syncSome()
			s.fake.Cure(id)
			return
		}
	}
	w.check()
}

// syncSome lets a process work for a while, with whatever goes wrong.
func (w *world) syncSome() {
	var lines []string
	for _, s := range w.sources {
		lines = append(lines, w.inject(s)...)
	}
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	w.mishap = nil
	switch n := w.rng.IntN(10); {
	case n < 4:
		w.mishap = &mishap{in: w.rng.IntN(8), how: way(w.rng.IntN(int(powerLoss) + 1)), torn: w.rng.Float64(), stop: stop}
		lines = append(lines, fmt.Sprintf("after %d commits %s", w.mishap.in, w.mishap.how))
	case n < 6:
		after := time.Duration(w.rng.Int64N(int64(5 * time.Second)))
		lines = append(lines, fmt.Sprintf("stopped after %s", after))
		timer := time.AfterFunc(after, stop)
		defer timer.Stop()
	}
	w.note("sync: %s", strings.Join(lines, ", "))
	w.work(ctx)
	if m := w.mishap; m != nil && m.happened {
		w.counts.mishaps[m.how]++
		if m.how.kills() {
			// What the dead process would still have written is not looked at.
			if err := w.file.Close(); err != nil {
				w.note("the dead process: %v", err)
			}
			w.path = m.left
			w.mishap = nil
			w.open()
		}
	}
	w.mishap = nil
	if w.rng.IntN(4) > 0 { // some faults last
		for _, s := range w.sources {
			s.fake.Heal()
		}
	}
	w.check()
}

// inject breaks a provider for a while, or not.
func (w *world) inject(s *source) (lines []string) {
	kinds, lies := honest(), lying()
	if w.seed%5 == 0 { // every fifth world's providers lie
		kinds = append(kinds, lies...)
	}
	for range w.rng.IntN(4) {
		f := fakeapi.Fault{Kind: kinds[w.rng.IntN(len(kinds))], Skip: w.rng.IntN(8), Times: 1 + w.rng.IntN(5), Seed: w.rng.Uint64(), One: w.rng.IntN(2) == 0, Size: 64 << 20}
		switch f.Kind {
		case fakeapi.HugeTranscript:
			f.Size = 50 << 10
		case fakeapi.LongContentLength:
			f.Size = 0
		case fakeapi.ClockSkew:
			f.For = time.Duration(w.rng.IntN(97)-48) * time.Hour / 2
		case fakeapi.SlowHeaders, fakeapi.SlowBody:
			f.For = time.Duration(w.rng.IntN(20)) * time.Second
		}
		if slices.Contains(lies, f.Kind) {
			// What was untrue of a list is made good by reading it again; of a single call, only once the call changes.
			f.On = listed
			s.lies = append(s.lies, f.Kind)
			w.skewed = w.skewed || f.Kind == fakeapi.ClockSkew
		}
		s.fake.Inject(f)
		w.counts.injected++
		lines = append(lines, fmt.Sprintf("%s: %s, %d times after %d", s.config.Name, f.Kind, f.Times, f.Skip))
	}
	return lines
}

// lying are the faults that can be read and tell what is not so: that is stored, until the provider says otherwise.
func lying() []fakeapi.Kind {
	return slices.Concat(fakeapi.Misleading(), fakeapi.Misshapen(),
		[]fakeapi.Kind{fakeapi.ClockSkew, fakeapi.UnknownFields, fakeapi.LoneSurrogates, fakeapi.InvalidUTF8, fakeapi.DeepestNesting})
}

// honest are the faults that nothing untrue can be read from. Bodies beyond all measure are left to the tests of the extractors and of the command, as
// each takes a second of real time.
func honest() []fakeapi.Kind {
	none := append(lying(), fakeapi.GzipBomb, fakeapi.EndlessBody)
	return slices.DeleteFunc(slices.Concat(fakeapi.Transient(), fakeapi.Refusing(), fakeapi.Malformed(), fakeapi.Benign()),
		func(k fakeapi.Kind) bool { return slices.Contains(none, k) })
}

// listed says whether a request is for a page of the list.
func listed(r fakeapi.Request) bool {
	return strings.HasSuffix(r.Path, "/call-logs") || strings.HasSuffix(r.Path, "/calls/") || strings.HasSuffix(r.Path, "/call-list")
}

// work lets every source be read, side by side, as a daemon or a command would.
func (w *world) work(ctx context.Context) {
	var runs sync.WaitGroup
	began := len(w.history)
	for _, s := range w.sources {
		todo := []pipeline.Options{{Kind: "sync", Scope: checkpoint.All, Details: true, Parallel: 1 + w.rng.IntN(3)}}
		switch w.rng.IntN(5) {
		case 0: // as the daemon: live work beside history
			todo = []pipeline.Options{
				{Kind: "live", Scope: checkpoint.Head | checkpoint.Rereads, Patient: true},
				{Kind: "history", Scope: checkpoint.History, Patient: true},
				{Kind: "details", Details: true, Patient: true},
			}
		case 1:
			past := time.Since(s.config.Start)
			if past <= 0 {
				break // a new start may lie ahead
			}
			until := s.config.Start.Add(time.Duration(w.rng.Int64N(int64(past))))
			todo = append(todo, pipeline.Options{Kind: "backfill", Force: true, Parallel: 2, Range: checkpoint.Span{Since: s.config.Start, Until: until.Truncate(time.Microsecond)}})
		}
		for i, o := range todo {
			runs.Go(func() {
				time.Sleep(time.Duration(i) * 77 * time.Microsecond) // so that they always begin in the same order
				run, err := w.pipeline.Sync(ctx, s.config, o)
				if run.Records != run.Inserted+run.Updated+run.Unchanged+run.Rejected {
					w.t.Errorf("the counts do not add up: %+v", run)
				}
				if err != nil && strings.Contains(err.Error(), key) {
					w.t.Errorf("the key is in an error: %v", err)
				}
				w.ended(s, o, run, err)
			})
		}
	}
	runs.Wait()
	slices.Sort(w.history[began:]) // those that ended at the same moment
}

// ended notes how a run ended.
func (w *world) ended(s *source, o pipeline.Options, run load.Run, err error) {
	w.counts.mu.Lock()
	defer w.counts.mu.Unlock()
	w.counts.runs++
	text := "done"
	if err != nil {
		w.counts.failed++
		text = err.Error()
		if errors.Is(err, context.Canceled) {
			text = "stopped"
		}
	}
	if len(text) > 300 {
		text = text[:300] + " …"
	}
	w.note("  %s %s: %d requests, %d records, %d inserted, %d updated, %d rejected: %s", s.config.Name, o.Kind, run.Requests, run.Records, run.Inserted, run.Updated, run.Rejected, text)
}
