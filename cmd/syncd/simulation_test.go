package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
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
	d := newDaemon(&holder{pipeline: w.pipeline, config: c, sources: w.sources, activity: newActivity(), since: time.Now()}, zap.NewNop())
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

// live lets the daemon run until a time, with a restart a day at an hour of chance.
func (w *world) live(until time.Time, rng *rand.Rand) {
	for time.Now().Before(until) {
		next := time.Now().Add(24*time.Hour - time.Duration(rng.IntN(4))*time.Hour + time.Duration(rng.IntN(3600))*time.Second)
		if next.After(until) {
			time.Sleep(time.Until(until))
			return
		}
		time.Sleep(time.Until(next))
		w.end()
		w.start()
		w.t.Logf("day %.1f: restarted", time.Since(w.began).Hours()/24)
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

func TestASimulatedWeek(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(100 * 24 * time.Hour) // a bubble begins with the year 2000, and what is older is held for no time at all
		w := newWorld(t, fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy)
		rng := rand.New(rand.NewPCG(*simSeed, 3))
		w.start()
		for _, o := range w.outages {
			w.live(o.Since.Add(o.Until.Sub(o.Since)/2), rng)
			w.namesTheOutage(o)
			w.live(o.Until.Add(-time.Second), rng)
			w.namesTheOutage(o)
			w.live(o.Until.Add(time.Hour), rng)
			if missing := w.ask(`SELECT source, since, until FROM sync.gaps_at(?) WHERE state = 'missing'`, time.Now()); len(missing) > 0 {
				t.Errorf("an hour after an outage there are gaps: %q", missing)
			}
		}
		w.live(w.began.AddDate(0, 0, *simDays), rng)
		// Calls no longer arrive. Those that did settle: at the largest age, and a tenth of it.
		last := slices.Max(w.ages)
		w.live(time.Now().Add(last+last/10+time.Hour), rng)
		w.checks()
		w.end()
	})
}

// namesTheOutage checks that the warehouse says of every source that it misses just the hours since the outage began.
func (w *world) namesTheOutage(o fakeapi.Outage) {
	w.t.Helper()
	now := time.Now()
	for _, s := range w.sources {
		gaps := w.ask(`SELECT epoch_ms(since), epoch_ms(until) FROM sync.gaps_at(?) WHERE state = 'missing' AND source = ? ORDER BY since`, now, s.Name)
		if len(gaps) != 1 {
			w.t.Errorf("%s, in the outage of %s: missing are %q, want one stretch", s.Name, o.Since, gaps)
			continue
		}
		var since, until int64
		if _, err := fmt.Sscanf(gaps[0], "%d | %d", &since, &until); err != nil {
			w.t.Fatal(err)
		}
		// The last tick before the outage may have been five minutes earlier, and proves nothing of its own last minute. A tick may be as late as
		// its interval before anything is called missing.
		if from := time.UnixMilli(since); from.After(o.Since) || from.Before(o.Since.Add(-7*time.Minute)) {
			w.t.Errorf("%s: the gap begins at %s, the outage at %s", s.Name, from.UTC(), o.Since)
		}
		if to := time.UnixMilli(until); !to.Equal(now.Add(-time.Minute - 5*time.Minute).Truncate(time.Millisecond)) {
			w.t.Errorf("%s: the gap ends at %s, now is %s", s.Name, to.UTC(), now.UTC())
		}
	}
}

// checks holds the warehouse against the providers.
func (w *world) checks() {
	w.t.Helper()
	now := time.Now()
	days := now.Sub(w.began).Hours() / 24
	ticks := int(days * 24 * 12)
	if got := w.ask(`SELECT source, since, until, state FROM sync.gaps_at(?) WHERE state = 'missing'`, now); len(got) > 0 {
		w.t.Errorf("missing: %q", got)
	}
	if got := w.ask(`SELECT source, call_id FROM calls GROUP BY ALL HAVING count(*) > 1`); len(got) > 0 {
		w.t.Errorf("calls with two rows: %q", got)
	}
	if got := w.ask(`SELECT run_id FROM sync.runs WHERE records <> inserted + updated + unchanged + rejected`); len(got) > 0 {
		w.t.Errorf("runs whose counts do not add up: %q", got)
	}
	for _, s := range w.sources {
		fake := w.fakes[s.Name]
		w.latest(s, fake)
		if rows := len(w.ask(`SELECT 1 FROM sync.windows WHERE source = ?`, s.Name)); rows > 15 {
			w.t.Errorf("%s: %d rows in the ledger, want a handful", s.Name, rows)
		}
		w.frugal(s, fake, ticks, days)
	}
}

// latest checks that every call that the provider lists is there in its latest state, and that the deleted ones, and no other, are marked.
func (w *world) latest(s pipeline.Source, fake *fakeapi.Server) {
	w.t.Helper()
	to := w.means(s.Name, s.Provider)
	var want []string
	for _, id := range fake.All() {
		r, _ := fake.Call(id)
		o := to.Record(extract.Record{Payload: []byte(r.List), ID: id, FetchedAt: time.Now()}).Observation
		want = append(want, fmt.Sprintf("%s | %d", o.Call.ID, o.ContentHash))
	}
	slices.Sort(want)
	got := w.ask(`SELECT call_id, content_hash FROM calls JOIN raw_calls USING (source, call_id) WHERE source = ? AND part = 'list' AND deleted_at IS NULL ORDER BY call_id`, s.Name)
	slices.Sort(got)
	for _, extra := range got {
		if _, found := slices.BinarySearch(want, extra); !found {
			id, _, _ := strings.Cut(extra, " | ")
			w.t.Logf("extra: %q", w.ask(`SELECT epoch_ms(started_at), typeof(started_at), deleted_at, first_seen_at, changed_at, is_final, (SELECT max(reading) FROM raw_calls r WHERE r.call_id = c.call_id) FROM calls c WHERE call_id = ?`, id))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Errorf("%s: calls and their state at the provider and in the warehouse (-want +got):\n%s", s.Name, diff)
	}
	deleted := make(map[string]bool)
	for _, id := range fake.Deleted() {
		deleted[id] = true
	}
	marked := w.ask(`SELECT call_id FROM calls WHERE source = ? AND deleted_at IS NOT NULL`, s.Name)
	for _, id := range marked {
		if !deleted[id] {
			w.t.Errorf("%s: %s is marked as deleted and is not", s.Name, id)
		}
	}
	if len(marked) < len(deleted)/4 {
		w.t.Errorf("%s: %d calls are marked of %d that were deleted, most of which had been seen", s.Name, len(marked), len(deleted))
	}
}

// frugal checks how many list requests it took.
func (w *world) frugal(s pipeline.Source, fake *fakeapi.Server, ticks int, days float64) {
	w.t.Helper()
	sent, calls := fake.Traffic().Lists, len(fake.All())+len(fake.Deleted())
	page := map[string]int{"millis": 100, "burki": 1000, "voicy": 1000}[s.Provider]
	bound := 1.3 * (float64(calls)/float64(page) + float64(ticks)) * float64(1+len(w.ages))
	perDay := float64(calls) / days
	blanket := float64(ticks) * max(1, perDay/float64(page))
	listed := 0
	for _, n := range fake.Served() {
		listed += n
	}
	w.t.Logf("%-7s %6d calls in %.1f days: %6d list requests, at most %.0f allowed; a call was listed %.1f times. A blanket look back of 24 hours at every tick: %.0f requests, each call listed %d times. Single calls asked for: %d",
		s.Name, calls, days, sent, bound, float64(listed)/float64(calls), blanket, 24*12, fake.Traffic().Calls)
	if float64(sent) > bound {
		w.t.Errorf("%s: %d list requests, want at most %.0f", s.Name, sent, bound)
	}
	if busiest := fake.Busiest(time.Minute); busiest > 120 {
		w.t.Errorf("%s: %d requests in one minute, where 120 are allowed", s.Name, busiest)
	}
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
