package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

// The provider must not wait for the disk: while a window is committed, the next one is asked for, and while a part of one is, its next page.
func TestTheReaderReadsOnWhileACommitIsUnderWay(t *testing.T) {
	day := checkpoint.Span{Since: present.AddDate(0, 0, -3), Until: present.AddDate(0, 0, -2)}
	for name, c := range map[string]struct {
		page  int
		span  checkpoint.Span
		ahead int64 // more than this: within a window one page is always asked for while the one before is read
	}{
		"windows of one page": {1000, checkpoint.Span{Since: present.AddDate(0, -3, 0), Until: present.AddDate(0, 0, -1)}, 0},
		"one window of pages": {1, day, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := provider(t, fakeapi.Voicy, 500, func(_ *fakeapi.Options, a *extract.Account, _ *transform.Options) { a.PageSize = c.page })
			var commits, looks, opened atomic.Int64
			var ahead atomic.Bool
			w, err := load.Open(t.Context(), load.Options{Path: filepath.Join(t.TempDir(), "calls.duckdb"), Commit: func(commit func() error) error {
				pages := commits.Add(1) - opened.Load() - 1 // the first commit after the opening records the source
				for deadline := time.Now().Add(5 * time.Second); opened.Load() > 0 && pages > 0 && !ahead.Load() && time.Now().Before(deadline); {
					ahead.Store(s.fake.RequestCount() > pages+c.ahead)
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
			p.Now = func() time.Time { return present.Add(time.Duration(looks.Add(1)) * 3 * time.Second) } // each page is worth a commit of its own
			run, err := p.Sync(t.Context(), s.source, pipeline.Options{Kind: "backfill", Range: c.span})
			if err != nil || run.Records < 3 {
				t.Fatalf("%d records, %v", run.Records, err)
			}
			if !ahead.Load() {
				t.Error("nothing was asked for while a commit was under way")
			}
		})
	}
}

// What was read on while a part of a window could not be kept is not kept either: the position never gets ahead of the calls.
func TestAPartThatIsNotKeptEndsTheReading(t *testing.T) {
	s := provider(t, fakeapi.Voicy, 500, func(_ *fakeapi.Options, a *extract.Account, _ *transform.Options) { a.PageSize = 1 })
	var looks, commits atomic.Int64
	gone := errors.New("the disk is gone")
	w, err := load.Open(t.Context(), load.Options{Path: filepath.Join(t.TempDir(), "calls.duckdb"), Commit: func(commit func() error) error {
		if s.fake.RequestCount() > 0 && commits.Add(1) == 2 {
			return gone
		}
		return commit()
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	p := newPipeline(w)
	p.Now = func() time.Time { return present.Add(time.Duration(looks.Add(1)) * 3 * time.Second) }
	o := pipeline.Options{Kind: "backfill", Range: checkpoint.Span{Since: present.AddDate(0, 0, -3), Until: present.AddDate(0, 0, -2)}}
	run, err := p.Sync(t.Context(), s.source, o)
	if !errors.Is(err, gone) || run.Outcome != "failed" || run.Inserted != 1 {
		t.Fatalf("outcome %s, %d inserted, error %v; want one and %v", run.Outcome, run.Inserted, err, gone)
	}
	undisturbed := warehouse(t, filepath.Join(t.TempDir(), "undisturbed.duckdb"))
	defer undisturbed.Close()
	all, err := newPipeline(undisturbed).Sync(t.Context(), s.source, o)
	if err != nil {
		t.Fatal(err)
	}
	again, err := p.Sync(t.Context(), s.source, o)
	if err != nil || again.Inserted != all.Inserted-1 || again.Unchanged > 0 {
		t.Errorf("then: %d inserted, %d unchanged, %v; want %d and none", again.Inserted, again.Unchanged, err, all.Inserted-1)
	}
}

// A call that is listed late shortens the window that is being read, which then is planned by nobody else while it is read again and closed.
func TestAWindowThatWasShortenedIsReadByNobodyElse(t *testing.T) {
	var late atomic.Pointer[fakeapi.Server]
	var asked atomic.Int64
	inBubble(t, fakeapi.Burki, 200, func(w world) {
		w.account.PageSize, w.source.Details = 10, false
		w.fake.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				time.Sleep(900 * time.Millisecond) // so slow that the second reading is saved on its way
				if asked.Add(1) == 5 {
					at := time.Now().Add(-10 * time.Second)
					late.Load().Insert(fakeapi.Record{At: at, List: fmt.Sprintf(`{"id":5000000,"call_sid":"CA1","assistant_id":1,"to_phone_number":"+15550001111",
						"customer_phone_number":"+15550002222","status":"ongoing","started_at":"%s"}`, at.Format(time.RFC3339Nano))})
				}
				next.ServeHTTP(rw, r)
			})
		}
	}, func(l *life) {
		late.Store(l.fake)
		run, err := l.try(everything)
		if err != nil {
			t.Fatal(err)
		}
		// Twice twenty pages of the head, with what overlaps, and one or two of the day before it.
		if run.Outcome != "done" || run.Requests > 49 {
			t.Errorf("%s, after %d requests", run.Outcome, run.Requests)
		}
		if open := l.rows(`SELECT window_id FROM sync.windows WHERE state = 'open'`); len(open) > 0 {
			t.Errorf("windows that are open: %v", open)
		}
	})
}

// Whoever stops a run must still hear that what it was about to keep was not kept.
func TestACommitThatFailsIsToldThoughTheRunIsStopped(t *testing.T) {
	s := provider(t, fakeapi.Voicy, 20)
	var fail atomic.Bool
	gone := errors.New("the disk is gone")
	w, err := load.Open(t.Context(), load.Options{Path: filepath.Join(t.TempDir(), "calls.duckdb"), Commit: func(commit func() error) error {
		if fail.CompareAndSwap(true, false) {
			return gone
		}
		return commit()
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	p := newPipeline(w)
	p.Now = func() time.Time { // which is asked for once the page has come
		if s.fake.RequestCount() > 0 && ctx.Err() == nil {
			fail.Store(true)
			stop()
		}
		return present
	}
	run, err := p.Sync(ctx, s.source, everything)
	if !errors.Is(err, gone) || run.Outcome != "failed" {
		t.Errorf("outcome %s, error %v, want %v", run.Outcome, err, gone)
	}
}

// slow counts how often somebody looked at the clock while it was being asked for a page.
type slow struct {
	extract.Source
	looks  *atomic.Int64
	beside atomic.Int64
}

func (s *slow) Fetch(ctx context.Context, w extract.Window, p extract.Position) (extract.Page, error) {
	before := s.looks.Load()
	time.Sleep(10 * time.Millisecond) // whoever reads the page before has the time to
	s.beside.Add(s.looks.Load() - before)
	return s.Source.Fetch(ctx, w, p)
}

// The provider must not wait for us: while a page is read, the next one is asked for.
func TestTheNextPageIsAskedForWhileOneIsRead(t *testing.T) {
	s := provider(t, fakeapi.Voicy, 2000, func(_ *fakeapi.Options, a *extract.Account, _ *transform.Options) { a.PageSize = 1 })
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	var looks atomic.Int64
	asked := &slow{Source: s.source.Extract, looks: &looks}
	s.source.Extract = asked
	p := newPipeline(w)
	p.Now = func() time.Time {
		time.Sleep(time.Millisecond) // reading a page takes some time
		looks.Add(1)
		return present
	}
	day := checkpoint.Span{Since: present.AddDate(0, 0, -3), Until: present.AddDate(0, 0, -2)}
	run, err := p.Sync(t.Context(), s.source, pipeline.Options{Kind: "backfill", Range: day})
	if err != nil || run.Pages < 10 {
		t.Fatalf("%d pages, %v", run.Pages, err)
	}
	if asked.beside.Load() == 0 {
		t.Errorf("of %d pages, none was read while the next one was asked for", run.Pages)
	}
}
