package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"syncd/internal/config"
	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/schedule"
	"syncd/internal/transform"
)

// The simulation is the daemon itself on a clock that costs nothing: real schedules, real rate limits, a real DuckDB file, and the three
// providers in memory. For a quarter of a year:
//
//	go test ./cmd/syncd -run SimulatedWeek -v -timeout 3h -sim-days 90 -sim-reread 5m,1h,24h,168h
var (
	simDays   = flag.Int("sim-days", 6, "on how many days calls arrive in the simulation; then a day and more for them to settle")
	simReread = flag.String("sim-reread", "5m,1h,24h", "the ages at which the simulation reads calls again")
	simCalls  = flag.Int("sim-calls", 60, "calls a day and source in the simulation")
	simSeed   = flag.Uint64("sim-seed", 1, "the seed of the simulation")
)

// world is a simulated life.
type world struct {
	t       *testing.T
	path    string
	began   time.Time
	ages    []time.Duration
	outages []fakeapi.Outage
	fakes   map[string]*fakeapi.Server
	sources []pipeline.Source

	pipeline *pipeline.Pipeline // of the daemon that runs
	stop     context.CancelFunc
	stopped  chan error
}

const simKey = "sim-key-5d01"

func newWorld(t *testing.T, providers ...fakeapi.Provider) *world {
	w := &world{t: t, path: filepath.Join(t.TempDir(), "calls.duckdb"), began: time.Now().UTC(), fakes: make(map[string]*fakeapi.Server)}
	for text := range strings.SplitSeq(*simReread, ",") {
		age, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		w.ages = append(w.ages, age)
	}
	day := func(n float64) time.Time { return w.began.Add(time.Duration(n * 24 * float64(time.Hour))) }
	w.outages = []fakeapi.Outage{
		{Since: day(0.9), Until: day(0.9).Add(6 * time.Hour), How: fakeapi.Unavailable},
		{Since: day(1.6), Until: day(4.6), How: fakeapi.Cut},
	}
	for i, p := range providers {
		deletedAfter := 18 * time.Hour // before the last reading of a call
		if slices.Max(w.ages) > 24*time.Hour {
			deletedAfter = 0 // at any time within five days
		}
		w.add(string(p), fakeapi.New(fakeapi.Options{
			Provider: p, Seed: *simSeed + uint64(i), Key: simKey, Calls: *simCalls * (*simDays + 3),
			Since: day(-3), Until: day(float64(*simDays)), Now: time.Now, RateLimit: 600, CountServed: true,
			Settling: fakeapi.Settling{ListedAfterEnd: 0.1, StatusAt: 2 * time.Minute, CostAt: 40 * time.Minute, CorrectionAt: 20 * time.Hour},
			Deleted:  0.03, DeletedAfter: deletedAfter, Outages: w.outages,
		}))
	}
	return w
}

// add makes a source of a fake.
func (w *world) add(name string, fake *fakeapi.Server) {
	p := string(fake.Provider())
	from, err := extract.New(extract.Account{Source: name, Provider: p, BaseURL: "http://" + name + ".test" + fake.BasePath(), Key: simKey,
		RateLimit: extract.Rate{Requests: 120, Per: time.Minute}, Transport: &fakeapi.Transport{Handler: fake, Latency: 20 * time.Millisecond}})
	if err != nil {
		w.t.Fatal(err)
	}
	times, err := schedule.Parse("@every 5m")
	if err != nil {
		w.t.Fatal(err)
	}
	w.fakes[name] = fake
	w.sources = append(w.sources, pipeline.Source{
		Name: name, Provider: p, Start: w.began.AddDate(0, 0, -4), Ages: w.ages, Schedule: "@every 5m", Interval: times.Interval(),
		PageSize: 100, Fingerprint: "same", Details: true, Extract: from, Transform: w.means(name, p),
	})
}

func (w *world) means(name, provider string) *transform.Transformer {
	to, err := transform.New(transform.Options{Source: name, Provider: provider,
		Privacy: transform.Privacy{Numbers: transform.NumbersKeep, Transcripts: transform.TranscriptsKeep}})
	if err != nil {
		w.t.Fatal(err)
	}
	return to
}

// start starts a daemon on the file.
func (w *world) start() {
	file, err := load.Open(w.t.Context(), load.Options{Path: w.path, Threads: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.t.Context())
	w.stop, w.stopped = stop, make(chan error, 1)
	w.pipeline = &pipeline.Pipeline{Warehouse: file, Now: time.Now, Log: zap.NewNop()}
	c := &config.Config{Sources: make([]config.Source, len(w.sources))}
	for i, s := range w.sources {
		c.Sources[i].Name = s.Name
	}
	d := newDaemon(&holder{pipeline: w.pipeline, config: c, sources: w.sources, activity: newActivity(func() {}), since: time.Now()}, zap.NewNop())
	go func() { w.stopped <- d.run(ctx) }()
}

// end stops the daemon as a signal would, and closes the file.
func (w *world) end() {
	w.stop()
	if err := <-w.stopped; err != nil {
		w.t.Errorf("the daemon: %v", err)
	}
	if err := w.pipeline.Warehouse.Close(); err != nil {
		w.t.Error(err)
	}
}

// ask returns the answer of a query, a line of text a row.
func (w *world) ask(query string, args ...any) []string {
	w.t.Helper()
	lines := []string{}
	err := w.pipeline.Warehouse.Write(w.t.Context(), func(tx *load.Tx) error {
		rows, err := tx.QueryContext(w.t.Context(), query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		for rows.Next() {
			values := make([]sql.NullString, len(columns))
			to := make([]any, len(columns))
			for i := range values {
				to[i] = &values[i]
			}
			if err := rows.Scan(to...); err != nil {
				return err
			}
			line := make([]string, len(columns))
			for i, v := range values {
				line[i] = v.String
			}
			lines = append(lines, strings.Join(line, " | "))
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return lines
}

// TestASimulatedHourOfManySources is run by hand with -sim-sources 1000.
func TestASimulatedHourOfManySources(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(100 * 24 * time.Hour)
		w := &world{t: t, path: filepath.Join(t.TempDir(), "calls.duckdb"), began: time.Now().UTC(), fakes: make(map[string]*fakeapi.Server),
			ages: []time.Duration{5 * time.Minute, time.Hour}}
		all := []fakeapi.Provider{fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy}
		for i := range *simSources {
			w.add(fmt.Sprintf("source-%04d", i), fakeapi.New(fakeapi.Options{Provider: all[i%len(all)], Seed: uint64(i), Key: simKey, Calls: 100,
				Since: w.began.AddDate(0, 0, -2), Until: w.began.Add(time.Hour), Now: time.Now}))
		}
		w.start()
		most := 0
		for range 60 {
			time.Sleep(time.Minute)
			most = max(most, runtime.NumGoroutine())
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		t.Logf("%d sources, one hour: at most %d goroutines, %d MB of Go memory in use, %d MB from the system", *simSources, most, m.HeapInuse>>20, m.Sys>>20)
		if limit := 8**simSources + 50; most > limit {
			t.Errorf("%d goroutines for %d sources, want at most %d", most, *simSources, limit)
		}
		// A source whose tick is under way is late by the time that asking takes.
		if got := w.ask(`SELECT source, since, until FROM sync.gaps_at(?) WHERE state = 'missing' AND until - since > INTERVAL 10 SECONDS`, time.Now()); len(got) > 0 {
			t.Errorf("missing: %q", got)
		}
		for name, fake := range w.fakes {
			if got, want := len(w.ask(`SELECT 1 FROM calls WHERE source = ?`, name)), len(fake.All()); got < want-2 {
				t.Errorf("%s: %d calls of %d", name, got, want)
			}
		}
		w.end()
	})
}

var simSources = flag.Int("sim-sources", 12, "how many sources TestASimulatedHourOfManySources has")
