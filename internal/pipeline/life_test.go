package pipeline_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
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

// These helpers let a source live on a clock that costs nothing: in a synctest bubble, over a network in memory, with a real file.

var (
	allProviders = []fakeapi.Provider{fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy}

	withDetails = pipeline.Options{Kind: "sync", Scope: checkpoint.All, Details: true}
	onlyDetails = pipeline.Options{Kind: "details", Details: true}
)

// life is one source while time passes.
type life struct {
	setup
	t        *testing.T
	began    time.Time // whole minutes
	path     string
	means    *transform.Transformer
	account  extract.Account
	commit   func(func() error) error // how the warehouse commits; nil: as it does
	file     *load.Warehouse
	pipeline *pipeline.Pipeline
	inserted int
}

// world is what a test may change of a life before it begins.
type world struct {
	fake    *fakeapi.Options
	account *extract.Account
	source  *pipeline.Source
}

// inBubble runs a test on a clock of its own, with one life of a provider.
func inBubble(t *testing.T, p fakeapi.Provider, calls int, change func(w world), test func(l *life)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, p, calls, change)
		defer l.close()
		test(l)
	})
}

// forEach runs a test for every provider.
func forEach(t *testing.T, providers []fakeapi.Provider, calls int, change func(w world), test func(l *life)) {
	t.Helper()
	t.Parallel()
	for _, p := range providers {
		t.Run(string(p), func(t *testing.T) { inBubble(t, p, calls, change, test) })
	}
}

// newLife begins now, with calls spread over the day before.
func newLife(t *testing.T, p fakeapi.Provider, calls int, change func(w world)) *life {
	t.Helper()
	time.Sleep(time.Until(present)) // a bubble begins in the year 2000, before which no call is believed to have started
	began := present
	o := fakeapi.Options{Provider: p, Seed: 7, Key: key, Calls: calls, Since: began.Add(-24 * time.Hour), Until: began, Now: time.Now, CountServed: true}
	a := extract.Account{Source: string(p), Provider: string(p), Key: key, PageSize: 50, BaseURL: "http://provider.test"}
	s := pipeline.Source{Name: string(p), Provider: string(p), Start: began.AddDate(0, 0, -2), Details: true}
	if change != nil {
		change(world{&o, &a, &s})
	}
	l := &life{t: t, began: began, path: filepath.Join(t.TempDir(), "calls.duckdb"), account: a}
	l.fake = fakeapi.New(o)
	l.account.BaseURL += l.fake.BasePath()
	if l.account.Transport == nil {
		l.account.Transport = &fakeapi.Transport{Handler: l.fake, Latency: 20 * time.Millisecond}
	}
	s.PageSize = a.PageSize
	l.source = s
	l.source.Extract = l.opened(l.account)
	var err error
	l.means, err = transform.New(transform.Options{Source: s.Name, Provider: s.Provider,
		Privacy: transform.Privacy{Numbers: transform.NumbersKeep, Transcripts: transform.TranscriptsKeep}})
	if err != nil {
		t.Fatal(err)
	}
	l.source.Transform = l.means
	l.open()
	return l
}

func (l *life) opened(a extract.Account) extract.Source {
	l.t.Helper()
	from, err := extract.New(a)
	if err != nil {
		l.t.Fatal(err)
	}
	return from
}

func (l *life) open() {
	l.t.Helper()
	file, err := load.Open(l.t.Context(), load.Options{Path: l.path, Threads: 1, Commit: l.commit}) // many lives go on side by side
	if err != nil {
		l.t.Fatal(err)
	}
	l.file = file
	l.pipeline = &pipeline.Pipeline{Warehouse: l.file, Now: time.Now, Log: zap.NewNop()}
}

func (l *life) close() {
	if err := l.file.Close(); err != nil {
		l.t.Error(err)
	}
}

// restart is a new process on the same file.
func (l *life) restart() {
	l.t.Helper()
	l.close()
	l.open()
}

// try syncs once, and checks the run's counts.
func (l *life) try(o pipeline.Options) (load.Run, error) {
	l.t.Helper()
	run, err := l.pipeline.Sync(l.t.Context(), l.source, o)
	if run.Records != run.Inserted+run.Updated+run.Unchanged+run.Rejected {
		l.t.Errorf("the counts do not add up: %+v", run)
	}
	return run, err
}

// sync syncs once, without an error.
func (l *life) sync(o pipeline.Options) load.Run {
	l.t.Helper()
	run, err := l.try(o)
	if err != nil {
		l.t.Fatal(err)
	}
	return run
}

// after is a moment of the life.
func (l *life) after(d time.Duration) time.Time { return l.began.Add(d) }

// sleepUntil lets time pass until so long after the beginning.
func (l *life) sleepUntil(d time.Duration) { time.Sleep(time.Until(l.after(d))) }

// tick syncs at every step until so long after the beginning, the end included.
func (l *life) tick(o pipeline.Options, step, until time.Duration) {
	l.t.Helper()
	for !time.Now().Add(step).After(l.after(until)) {
		time.Sleep(step)
		l.sync(o)
	}
}

func (l *life) expect(query string, want ...string) {
	l.t.Helper()
	if want == nil {
		want = []string{}
	}
	expect(l.t, l.file, query, want...)
}

func (l *life) rows(query string, args ...any) []string {
	l.t.Helper()
	return rows(l.t, l.file, query, args...)
}

// latest fails unless every call that the provider lists is there once, in the state that its list shows now, and no other call is, but for
// those that are marked as deleted. It returns how many those are.
func (l *life) latest() (deleted int) {
	l.t.Helper()
	var want []string
	for _, id := range l.fake.All() {
		r, ok := l.fake.Call(id)
		if !ok {
			l.t.Fatalf("%s is listed and is not there", id)
		}
		c := l.means.Record(extract.Record{Payload: []byte(r.List), ID: id, FetchedAt: time.Now()}).Observation
		cost := ""
		if c.Call.Cost != nil {
			cost = c.Call.Cost.String()
		}
		want = append(want, fmt.Sprintf("%s | %s | %t | %s | %d", c.Call.ID, c.Call.Status, c.Call.Status.Final(), cost, c.ContentHash))
	}
	got := l.rows(`SELECT call_id, status, is_final, cost::VARCHAR, content_hash
		FROM calls JOIN raw_calls USING (source, call_id) WHERE source = ? AND part = 'list' AND deleted_at IS NULL`, l.source.Name)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		l.t.Errorf("%s: calls as the provider lists them and as they are stored (-want +got):\n%s", l.source.Name, diff)
	}
	l.expect(`SELECT source, call_id FROM calls GROUP BY ALL HAVING count(*) > 1`)
	l.expect(`SELECT run_id FROM sync.runs WHERE records <> inserted + updated + unchanged + rejected`)
	return len(l.rows(`SELECT 1 FROM calls WHERE deleted_at IS NOT NULL`))
}

// marked lists the calls that are marked as deleted, in order.
func (l *life) marked() []string {
	l.t.Helper()
	return l.rows(`SELECT call_id FROM calls WHERE deleted_at IS NOT NULL ORDER BY call_id`)
}

// mirrors fails unless the calls that the provider lists, whatever their state, are those that are stored and not marked as deleted; some that
// were made by hand may be set aside.
func (l *life) mirrors(but ...string) {
	l.t.Helper()
	want := slices.DeleteFunc(l.fake.All(), func(id string) bool { return slices.Contains(but, id) })
	got := slices.DeleteFunc(l.rows(`SELECT call_id FROM calls WHERE deleted_at IS NULL`), func(id string) bool { return slices.Contains(but, id) })
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		l.t.Errorf("%s: calls of the provider and of the warehouse (-want +got):\n%s", l.source.Name, diff)
	}
	l.expect(`SELECT run_id FROM sync.runs WHERE records <> inserted + updated + unchanged + rejected`)
}

// insert adds a call that has ended and starts at a time, and returns its id.
func (l *life) insert(at time.Time) string {
	l.t.Helper()
	l.inserted++
	id := strconv.Itoa(7_000_000 + l.inserted)
	list := map[fakeapi.Provider]string{
		fakeapi.Millis: `{"session_id":"` + id + `","ts":` + strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64) + `,"duration":3,"call_status":"user-ended"}`,
		fakeapi.Burki:  `{"id":` + id + `,"status":"completed","duration":3,"started_at":"` + at.UTC().Format(time.RFC3339Nano) + `"}`,
		fakeapi.Voicy:  `{"call_id":"` + id + `","call_type":"web_call","call_status":"ended","agent":null,"start_timestamp":` + strconv.FormatInt(at.UnixMilli(), 10) + `,"duration_ms":3000}`,
	}[l.fake.Provider()]
	if err := l.fake.Insert(fakeapi.Record{At: at, List: list}); err != nil {
		l.t.Fatal(err)
	}
	return id
}

// spanOf reads a row of two times in microseconds.
func (l *life) spanOf(row string) checkpoint.Span {
	l.t.Helper()
	var since, until int64
	if _, err := fmt.Sscanf(row, "%d | %d", &since, &until); err != nil {
		l.t.Fatal(err)
	}
	return checkpoint.Span{Since: time.UnixMicro(since).UTC(), Until: time.UnixMicro(until).UTC()}
}

// lag is how long ago what is proven ends.
func (l *life) lag() time.Duration {
	l.t.Helper()
	until, err := strconv.ParseInt(l.rows(`SELECT epoch_us(max(until)) FROM sync.windows WHERE state = 'closed'`)[0], 10, 64)
	if err != nil {
		l.t.Fatal(err)
	}
	return time.Since(time.UnixMicro(until))
}
