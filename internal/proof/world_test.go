package proof_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"syncd/internal/call"
	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/proof"
	"syncd/internal/transform"
)

// began is when the world of these tests begins; it has lived for three days once its file is made.
var began = time.Date(2026, 3, 18, 15, 30, 0, 0, time.UTC)

const key = "proof-key-77aa01"

// world is three providers, and the real pipeline on a file.
type world struct {
	t       testing.TB
	path    string
	now     time.Time
	fakes   []*fakeapi.Server
	sources []pipeline.Source
	means   map[string]*remembering
}

// remembering derives a call once: the same payloads are asked for again with every check of one file.
type remembering struct {
	*transform.Transformer
	known map[string]transform.Result
}

// Parts implements proof.Deriver.
func (r *remembering) Parts(read call.Part, parts map[call.Part]extract.Record) transform.Result {
	key := fmt.Sprintf("%q", read)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		key += fmt.Sprintf(" %q %q %q %d", name, parts[name].ID, parts[name].Payload, parts[name].FetchedAt.UnixNano())
	}
	result, ok := r.known[key]
	if !ok {
		result = r.Transformer.Parts(read, parts)
		r.known[key] = result
	}
	return result
}

func newWorld(t testing.TB, calls int) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "calls.duckdb"), now: began, means: make(map[string]*remembering)}
	for i, p := range []fakeapi.Provider{fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy} {
		fake := fakeapi.New(fakeapi.Options{Provider: p, Seed: uint64(3 + i), Key: key, Calls: calls, Since: began.Add(-24 * time.Hour), Until: began.Add(12 * time.Hour),
			Now:      func() time.Time { return w.now },
			Settling: fakeapi.Settling{StatusAt: 2 * time.Minute, CostAt: 40 * time.Minute, CorrectionAt: 5 * time.Hour}, Deleted: 0.05, DeletedAfter: 6 * time.Hour})
		from, err := extract.New(extract.Account{Source: string(p), Provider: string(p), Key: key, PageSize: 10, BaseURL: "http://provider.test" + fake.BasePath(),
			Transport: &fakeapi.Transport{Handler: fake}})
		if err != nil {
			t.Fatal(err)
		}
		means, err := transform.New(transform.Options{Source: string(p), Provider: string(p)})
		if err != nil {
			t.Fatal(err)
		}
		w.fakes, w.means[string(p)] = append(w.fakes, fake), &remembering{means, make(map[string]transform.Result)}
		w.sources = append(w.sources, pipeline.Source{Name: string(p), Provider: string(p), Start: began.AddDate(0, 0, -2), Details: true, PageSize: 10,
			Ages: []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour}, Schedule: "@every 5m", Interval: 5 * time.Minute, Fingerprint: "same", Extract: from, Transform: means})
	}
	return w
}

// sync runs every source once, and checks the file as it is then, in the writer's own transaction.
func (w *world) sync(after time.Duration, o proof.Options) {
	w.t.Helper()
	w.now = w.now.Add(after)
	file, err := load.Open(w.t.Context(), load.Options{Path: w.path, Threads: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	p := &pipeline.Pipeline{Warehouse: file, Now: func() time.Time { return w.now }, Log: zap.NewNop()}
	for _, s := range w.sources {
		if _, err := p.Sync(w.t.Context(), s, pipeline.Options{Kind: "sync", Scope: checkpoint.All, Details: true}); err != nil && pipeline.NeedsPerson(err) {
			w.t.Fatal(err)
		}
	}
	if err := file.Write(w.t.Context(), func(tx *load.Tx) error {
		findings, err := proof.Check(w.t.Context(), tx, o)
		for _, f := range findings {
			w.t.Errorf("after %s: %s", w.now.Sub(began), f)
		}
		return err
	}); err != nil {
		w.t.Error(err)
	}
	if err := file.Close(); err != nil {
		w.t.Error(err)
	}
}

// options are all that can be asked of a world's file.
func (w *world) options() proof.Options {
	return proof.Options{Derive: func(source string) proof.Deriver { return w.means[source] }, Secrets: []string{key}, Now: w.now}
}

// live lets the world live for three days, with all that happens in such a time, and checks the file after each step.
func (w *world) live() {
	w.t.Helper()
	w.sync(0, w.options()) // the warehouse is as old as the account
	if err := w.fakes[1].Insert(fakeapi.Record{At: began.Add(time.Minute), List: `{"status":"completed","created_at":"2026-03-18T15:31:00Z"}`}); err != nil {
		w.t.Fatal(err) // a call without an id: a reject
	}
	if err := w.fakes[1].Insert(fakeapi.Record{At: began.Add(2 * time.Minute),
		List: `{"id":"odd","status":"completed","created_at":"2026-03-18T15:32:00Z","new_thing":"a thing of which syncd knows nothing"}`}); err != nil {
		w.t.Fatal(err)
	}
	for _, after := range []time.Duration{5 * time.Minute, 7 * time.Minute, time.Hour, 6 * time.Hour} {
		w.now = w.now.Add(after)
		w.sync(0, w.options())
	}
	// A page that no longer can be read leaves a window open.
	ids := w.fakes[2].IDs(began, w.now)
	if len(ids) > 0 {
		w.fakes[2].Poison(ids[len(ids)/2], fakeapi.InvalidJSON)
	}
	for _, after := range []time.Duration{6 * time.Hour, 12 * time.Hour, 24 * time.Hour, time.Hour} {
		w.now = w.now.Add(after)
		w.sync(0, w.options())
	}
}
