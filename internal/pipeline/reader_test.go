package pipeline_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/transform"
)

// Windows that hold little are read faster than they could be committed one by one.
func TestWindowsThatWereReadInAMomentAreOneCommit(t *testing.T) {
	var commits atomic.Int64
	w, err := load.Open(t.Context(), load.Options{Path: filepath.Join(t.TempDir(), "calls.duckdb"), Commit: func(commit func() error) error {
		commits.Add(1)
		return commit()
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := provider(t, fakeapi.Voicy, 3000)
	before := commits.Load()
	run, err := newPipeline(w).Sync(t.Context(), s.source, everything)
	if err != nil {
		t.Fatal(err)
	}
	// What the source is, all that was read, that the provider's total was compared, and the end of the run.
	if n := commits.Load() - before; run.Pages < 60 || n > 4 {
		t.Errorf("%d pages were committed in %d transactions", run.Pages, n)
	}
	mirrors(t, w, s)
}

// The provider must not wait for the disk: while a window is committed, the next one is asked for.
func TestTheNextWindowIsReadWhileOneIsCommitted(t *testing.T) {
	// Every window is one page, and every look at the clock three seconds later, so that each is worth a commit of its own.
	s := provider(t, fakeapi.Voicy, 500, func(_ *fakeapi.Options, a *extract.Account, _ *transform.Options) { a.PageSize = 1000 })
	var commits, looks, opened atomic.Int64
	var ahead atomic.Bool
	w, err := load.Open(t.Context(), load.Options{Path: filepath.Join(t.TempDir(), "calls.duckdb"), Commit: func(commit func() error) error {
		windows := commits.Add(1) - opened.Load() - 1 // the first commit after the opening records the source
		for deadline := time.Now().Add(5 * time.Second); opened.Load() > 0 && windows > 0 && !ahead.Load() && time.Now().Before(deadline); {
			ahead.Store(int64(s.fake.RequestCount()) > windows)
			time.Sleep(time.Millisecond) // the request comes over real HTTP, from a goroutine that is not ours
		}
		return commit()
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	opened.Store(commits.Load())
	p := newPipeline(w)
	p.Now = func() time.Time { return present.Add(time.Duration(looks.Add(1)) * 3 * time.Second) }
	quarter := checkpoint.Span{Since: present.AddDate(0, -3, 0), Until: present.AddDate(0, 0, -1)}
	if _, err := p.Sync(t.Context(), s.source, pipeline.Options{Kind: "backfill", Range: quarter}); err != nil {
		t.Fatal(err)
	}
	if !ahead.Load() {
		t.Error("nothing was asked for while a window was committed")
	}
}
