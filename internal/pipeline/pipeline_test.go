package pipeline_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/transform"
)

// present is the moment at which the tests' fakes and pipelines are.
var present = time.Date(2026, 3, 18, 15, 30, 0, 0, time.UTC)

const key = "test-key-9d1f0c"

// everything is all that a sync does but for details.
var everything = pipeline.Options{Kind: "sync", Scope: checkpoint.All}

// setup is one provider over real HTTP, and the source that reads it.
type setup struct {
	fake   *fakeapi.Server
	source pipeline.Source
}

type change func(*fakeapi.Options, *extract.Account, *transform.Options)

func provider(t testing.TB, p fakeapi.Provider, calls int, changes ...change) setup {
	t.Helper()
	o := fakeapi.Options{Provider: p, Seed: 7, Key: key, Calls: calls, Since: present.AddDate(0, -3, 0), Until: present, Now: func() time.Time { return present }}
	a := extract.Account{Source: string(p), Provider: string(p), Key: key, PageSize: 50}
	to := transform.Options{Source: string(p), Provider: string(p), Privacy: transform.Privacy{Numbers: transform.NumbersKeep, Transcripts: transform.TranscriptsKeep}}
	for _, c := range changes {
		c(&o, &a, &to)
	}
	fake := fakeapi.New(o)
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	a.BaseURL = server.URL + fake.BasePath()
	from, err := extract.New(a)
	if err != nil {
		t.Fatal(err)
	}
	means, err := transform.New(to)
	if err != nil {
		t.Fatal(err)
	}
	return setup{fake, pipeline.Source{Name: a.Source, Provider: a.Provider, Start: present.AddDate(0, -3, -1), Extract: from, Transform: means}}
}

func warehouse(t testing.TB, path string) *load.Warehouse {
	t.Helper()
	w, err := load.Open(t.Context(), load.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func newPipeline(w *load.Warehouse) *pipeline.Pipeline {
	return &pipeline.Pipeline{Warehouse: w, Now: func() time.Time { return present }, Log: zap.NewNop()}
}

// rows returns the answer of a query, a line of text per row.
func rows(t *testing.T, w *load.Warehouse, query string, args ...any) []string {
	t.Helper()
	out := []string{}
	if err := w.Write(t.Context(), func(tx *load.Tx) error {
		found, err := tx.QueryContext(t.Context(), query, args...)
		if err != nil {
			return err
		}
		defer found.Close()
		columns, err := found.Columns()
		if err != nil {
			return err
		}
		for found.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(sql.NullString)
			}
			if err := found.Scan(values...); err != nil {
				return err
			}
			var line []string
			for _, v := range values {
				line = append(line, v.(*sql.NullString).String)
			}
			out = append(out, strings.Join(line, " | "))
		}
		return found.Err()
	}); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

func expect(t *testing.T, w *load.Warehouse, query string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, rows(t, w, query)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", query, diff)
	}
}

// mirrors fails unless the warehouse has every call that the provider lists exactly once, and no other.
func mirrors(t *testing.T, w *load.Warehouse, s setup) {
	t.Helper()
	want := s.fake.All()
	slices.Sort(want)
	got := rows(t, w, `SELECT call_id FROM calls WHERE source = ? ORDER BY call_id`, s.source.Name)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: calls of the provider and of the warehouse (-want +got):\n%s", s.source.Name, diff)
	}
	expect(t, w, `SELECT source, call_id FROM calls GROUP BY ALL HAVING count(*) > 1`, []string{}...)
	expect(t, w, `SELECT run_id FROM sync.runs WHERE records <> inserted + updated + unchanged + rejected`, []string{}...)
}

func TestSyncMirrorsEveryProviderAndASecondOneWritesNothing(t *testing.T) {
	for _, p := range []fakeapi.Provider{fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
			defer w.Close()
			s := provider(t, p, 700)
			pl := newPipeline(w)
			run, err := pl.Sync(t.Context(), s.source, everything)
			if err != nil {
				t.Fatal(err)
			}
			mirrors(t, w, s)
			if run.Outcome != "done" || run.Inserted != int64(len(s.fake.All())) {
				t.Errorf("run %+v", run)
			}
			// A call of the last minute may still be listed late, so it is nobody's promise; all before it is.
			expect(t, w, `SELECT min(since) <= TIMESTAMPTZ '2025-12-17 15:30:00+00' AND max(until) >= TIMESTAMPTZ '2026-03-18 15:28:55+00' AND bool_and(state = 'closed') FROM sync.windows`, "true")
			expect(t, w, `SELECT count(*) FROM sync.window_ids`, "0")

			before := rows(t, w, `SELECT source, call_id, changed_at, revision FROM calls ORDER BY ALL`)
			again, err := pl.Sync(t.Context(), s.source, everything)
			if err != nil {
				t.Fatal(err)
			}
			if again.Inserted != 0 || again.Updated != 0 || again.Requests > 2 {
				t.Errorf("second run %+v", again)
			}
			if diff := cmp.Diff(before, rows(t, w, `SELECT source, call_id, changed_at, revision FROM calls ORDER BY ALL`)); diff != "" {
				t.Errorf("the second sync wrote (-before +after):\n%s", diff)
			}
		})
	}
}

func TestASyncThatIsStoppedGoesOnAndEndsAlike(t *testing.T) {
	for _, p := range []fakeapi.Provider{fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			whole := warehouse(t, filepath.Join(dir, "whole.duckdb"))
			defer whole.Close()
			if _, err := newPipeline(whole).Sync(t.Context(), provider(t, p, 600).source, everything); err != nil {
				t.Fatal(err)
			}
			var stop atomic.Pointer[context.CancelFunc]
			var pages atomic.Int64
			s := provider(t, p, 600, func(o *fakeapi.Options, _ *extract.Account, _ *transform.Options) {
				o.Intercept = func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						next.ServeHTTP(w, r)
						if pages.Add(1)%3 == 0 {
							(*stop.Load())()
						}
					})
				}
			})
			path := filepath.Join(dir, "stopped.duckdb")
			for tries := 1; ; tries++ {
				ctx, cancel := context.WithCancel(t.Context())
				stop.Store(&cancel)
				w := warehouse(t, path)
				_, err := newPipeline(w).Sync(ctx, s.source, everything)
				cancel()
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				if err == nil {
					if tries < 3 {
						t.Errorf("it was stopped %d times only: this shows nothing", tries-1)
					}
					break
				}
				if !errors.Is(err, context.Canceled) {
					t.Fatal(err)
				}
				if tries > 200 {
					t.Fatal("it makes no progress")
				}
			}
			w := warehouse(t, path)
			defer w.Close()
			mirrors(t, w, s)
			for _, q := range dump {
				if diff := cmp.Diff(rows(t, whole, q), rows(t, w, q)); diff != "" {
					t.Errorf("%s: whole and stopped (-whole +stopped):\n%s", q, diff)
				}
			}
		})
	}
}

// dump is what two warehouses of one provider must agree in: every table but the records of the runs, times of reading aside.
var dump = []string{
	`SELECT COLUMNS(* EXCLUDE (first_seen_at, changed_at, recording_url))::VARCHAR FROM calls ORDER BY ALL`,
	`SELECT COLUMNS(*)::VARCHAR FROM call_costs ORDER BY ALL`, `FROM call_messages ORDER BY ALL`, `FROM call_functions ORDER BY ALL`,
	`SELECT * EXCLUDE (changed_at) FROM call_revisions ORDER BY ALL`,
	`SELECT * EXCLUDE (fetched_at, reading) FROM raw_calls ORDER BY ALL`,
	`SELECT * EXCLUDE (run_id, fetched_at) FROM sync.rejects ORDER BY ALL`,
	`SELECT * EXCLUDE (first_seen_at, last_seen_at, sample) FROM sync.drift ORDER BY ALL`,
}

// rewrite answers with a changed body.
func rewrite(change func(r *http.Request, body []byte) []byte) func(*fakeapi.Options, *extract.Account, *transform.Options) {
	return func(o *fakeapi.Options, _ *extract.Account, _ *transform.Options) {
		o.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked, err := io.ReadAll(r.Body)
				if err != nil {
					panic(err)
				}
				r.Body = io.NopCloser(bytes.NewReader(asked))
				rec := httptest.NewRecorder()
				next.ServeHTTP(rec, r)
				r.Body = io.NopCloser(bytes.NewReader(asked))
				body := change(r, rec.Body.Bytes())
				for k, v := range rec.Header() {
					w.Header()[k] = v
				}
				w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				w.WriteHeader(rec.Code)
				_, _ = w.Write(body)
			})
		}
	}
}

func TestATotalThatDisagreesLeavesTheWindowOpenWithBothNumbers(t *testing.T) {
	var lie atomic.Bool
	lie.Store(true)
	s := provider(t, fakeapi.Burki, 40, rewrite(func(_ *http.Request, body []byte) []byte {
		if lie.Load() {
			return bytes.Replace(body, []byte(`"total":`), []byte(`"total":1`), 1)
		}
		return body
	}))
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	pl := newPipeline(w)
	run, err := pl.Sync(t.Context(), s.source, everything)
	if err == nil || !strings.Contains(err.Error(), "it counts 1") || run.Outcome != "failed" {
		t.Fatalf("%v, outcome %s", err, run.Outcome)
	}
	mirrors(t, w, s) // what it returned is stored all the same
	if open := rows(t, w, `SELECT error FROM sync.windows WHERE state = 'open' AND error LIKE '%it counts 1% calls and returned%'`); len(open) == 0 {
		t.Errorf("no window is open with both numbers: %v", rows(t, w, `SELECT state, error FROM sync.windows`))
	}

	lie.Store(false)
	if _, err := pl.Sync(t.Context(), s.source, everything); err != nil {
		t.Fatal(err)
	}
	expect(t, w, `SELECT count(*) FILTER (state = 'open') FROM sync.windows`, "0")
}

func TestAMalformedPageStopsItsWindowAndNoOther(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	s := provider(t, fakeapi.Voicy, 600, rewrite(func(r *http.Request, body []byte) []byte {
		asked, _ := io.ReadAll(r.Body)
		if broken.Load() && bytes.Contains(asked, []byte("pagination_key")) {
			return []byte(`{"data": []}`)
		}
		return body
	}))
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	pl := newPipeline(w)
	_, err := pl.Sync(t.Context(), s.source, everything)
	var e *extract.Error
	if !errors.As(err, &e) || e.Class != extract.Malformed || !strings.Contains(err.Error(), "calls") || !strings.Contains(err.Error(), "200") {
		t.Fatalf("error %v", err)
	}
	stored := rows(t, w, `SELECT count(*) FROM calls`)[0]
	if n, _ := strconv.Atoi(stored); n < 50 {
		t.Errorf("%s calls stored, want the first pages at least", stored)
	}
	if open := rows(t, w, `SELECT failures, position IS NOT NULL FROM sync.windows WHERE state = 'open'`); len(open) == 0 || open[0] != "1 | true" {
		t.Errorf("open windows: %v", open)
	}
	broken.Store(false)
	if _, err := pl.Sync(t.Context(), s.source, everything); err != nil {
		t.Fatal(err)
	}
	mirrors(t, w, s)
}

func TestAForgottenPositionStartsTheWindowOver(t *testing.T) {
	var refused atomic.Bool
	s := provider(t, fakeapi.Voicy, 400, func(o *fakeapi.Options, _ *extract.Account, _ *transform.Options) {
		o.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				r.Body = io.NopCloser(bytes.NewReader(body))
				if bytes.Contains(body, []byte("pagination_key")) && refused.CompareAndSwap(false, true) {
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(http.StatusNotFound)
					fmt.Fprint(w, `{"error":"pagination key not found"}`)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	})
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	if _, err := newPipeline(w).Sync(t.Context(), s.source, everything); err != nil {
		t.Fatal(err)
	}
	if !refused.Load() {
		t.Error("no position was ever refused: this shows nothing")
	}
	mirrors(t, w, s)
}

func TestAWrongKeyEndsTheRunWithItsReason(t *testing.T) {
	s := provider(t, fakeapi.Burki, 10, func(_ *fakeapi.Options, a *extract.Account, _ *transform.Options) { a.Key = "wrong-key-55aa" })
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	_, err := newPipeline(w).Sync(t.Context(), s.source, everything)
	var e *extract.Error
	if !errors.As(err, &e) || e.Class != extract.Permanent || strings.Contains(err.Error(), "wrong-key-55aa") {
		t.Errorf("error %v", err)
	}
	expect(t, w, `SELECT outcome, records FROM sync.runs`, "failed | 0")
	expect(t, w, `SELECT count(*) FROM sync.windows`, "0")
}

func TestALocalClockThatIsWrongProvesNothingWrong(t *testing.T) {
	for _, off := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		t.Run(off.String(), func(t *testing.T) {
			provided := present
			s := provider(t, fakeapi.Burki, 900, func(o *fakeapi.Options, _ *extract.Account, _ *transform.Options) {
				o.Until = present.Add(time.Hour) // calls go on arriving
				o.Now = func() time.Time { return provided }
			})
			w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
			defer w.Close()
			pl := newPipeline(w)
			pl.Now = func() time.Time { return provided.Add(off) }
			for range 4 {
				if _, err := pl.Sync(t.Context(), s.source, everything); err != nil {
					t.Fatal(err)
				}
				mirrors(t, w, s)
				if late := rows(t, w, `SELECT until FROM sync.windows WHERE until > ?`, provided.Add(-time.Minute)); len(late) > 0 {
					t.Errorf("at the provider's %s, covered until %v", provided, late)
				}
				provided = provided.Add(13 * time.Minute)
			}
		})
	}
}

func TestTenIdleSyncsLeaveTheFileSmallAndNoLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "calls.duckdb")
	provided := present
	s := provider(t, fakeapi.Voicy, 3000, func(o *fakeapi.Options, a *extract.Account, _ *transform.Options) {
		o.Now = func() time.Time { return provided }
		a.PageSize = 0
	})
	var first int64
	for i := range 11 {
		w := warehouse(t, path)
		pl := newPipeline(w)
		pl.Now = func() time.Time { return provided }
		if _, err := pl.Sync(t.Context(), s.source, everything); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Checkpoint(t.Context()), w.Close()); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = info.Size()
		} else if grown := info.Size() - first; grown > 2<<20 {
			t.Errorf("after %d idle syncs the file has grown by %d bytes", i, grown)
		}
		provided = provided.Add(5 * time.Minute)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v; want the file alone", entries, err)
	}
}
