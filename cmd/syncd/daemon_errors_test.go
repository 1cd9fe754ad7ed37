package main

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"syncd/internal/config"
	"syncd/internal/control"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
)

// observed is a daemon on a clock that costs nothing, of whose log every line is kept, and whose providers answer as a test wants.
type observed struct {
	*world
	daemon *daemon
	logs   *observer.ObservedLogs
	spoil  map[string]*atomic.Pointer[http.HandlerFunc] // by source and what its paths have in them; nil: the provider answers itself
}

// lists and single are what the paths of Voicy's answers have in them.
const lists, single = "/call-list", "/call-get/"

// observe runs a test with a daemon that runs, with a source of Voicy's for each name.
func observe(t *testing.T, test func(o *observed), names ...string) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(100 * 24 * time.Hour) // a bubble begins with the year 2000, and what is older is held for no time at all
		w := &world{t: t, path: filepath.Join(t.TempDir(), "calls.duckdb"), began: time.Now().UTC(), fakes: make(map[string]*fakeapi.Server)}
		o := &observed{world: w, spoil: make(map[string]*atomic.Pointer[http.HandlerFunc])}
		for _, name := range names {
			o.spoil[name+lists], o.spoil[name+single] = new(atomic.Pointer[http.HandlerFunc]), new(atomic.Pointer[http.HandlerFunc])
			w.add(name, fakeapi.New(fakeapi.Options{Provider: fakeapi.Voicy, Seed: *simSeed, Key: simKey, Calls: 20, Since: w.began.Add(-20 * time.Hour),
				Until: w.began.Add(-10 * time.Hour), Now: time.Now, Intercept: o.interceptor(name)}))
		}
		o.begin()
		test(o)
		o.end()
	})
}

func (o *observed) interceptor(name string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, what := range []string{lists, single} {
				if spoil := o.spoil[name+what].Load(); spoil != nil && strings.Contains(r.URL.Path, what) {
					(*spoil)(w, r)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// begin starts the daemon.
func (o *observed) begin() {
	file, err := load.Open(o.t.Context(), load.Options{Path: o.path, Threads: 1})
	if err != nil {
		o.t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	o.pipeline, o.logs = &pipeline.Pipeline{Warehouse: file, Now: time.Now, Log: zap.NewNop()}, logs
	c := &config.Config{Sources: make([]config.Source, len(o.sources))}
	for i, s := range o.sources {
		c.Sources[i].Name = s.Name
	}
	o.daemon = newDaemon(&holder{pipeline: o.pipeline, config: c, sources: o.sources, activity: newActivity(func() {}), since: time.Now()}, zap.New(core))
	ctx, stop := context.WithCancel(o.t.Context())
	o.stop, o.stopped = stop, make(chan error, 1)
	go func() { o.stopped <- o.daemon.run(ctx) }()
	time.Sleep(10 * time.Minute) // every source has had its first ticks
}

// answers has a source's answers of one kind be this status and body; 0: what the provider says.
func (o *observed) answers(source, what string, status int, body string) {
	if status == 0 {
		o.spoil[source+what].Store(nil)
		return
	}
	f := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(time.Second) // the run that fails is the last to end, and so the one that status tells of
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
	o.spoil[source+what].Store(&f)
}

// fails has a source's answers of one kind be errors.
func (o *observed) fails(source, what string, status int) {
	o.answers(source, what, status, `{"error":"no"}`)
}

// mended has the provider answer again.
func (o *observed) mended(source, what string) { o.answers(source, what, 0, "") }

// arrives adds a call that has just ended, and returns its id.
func (o *observed) arrives(source string) string {
	o.t.Helper()
	at := time.Now().Add(-10 * time.Second) // what is a minute old may have been read
	id := "fresh-" + strconv.FormatInt(at.Unix(), 36)
	if err := o.fakes[source].Insert(fakeapi.Record{At: at, List: `{"call_id":"` + id + `","call_type":"web_call","call_status":"ended","agent":null,"start_timestamp":` +
		strconv.FormatInt(at.UnixMilli(), 10) + `,"duration_ms":3000}`}); err != nil {
		o.t.Fatal(err)
	}
	return id
}

// logged counts the lines about a source that begin so and, where it is not "", are about this kind of its work.
func (o *observed) logged(source, begins, kind string) (n int) {
	for _, e := range o.logs.All() {
		m := e.ContextMap()
		if m["source"] == source && strings.HasPrefix(e.Message, begins) && (kind == "" || m["kind"] == kind) {
			n++
		}
	}
	return n
}

// recovered counts the lines that say that a kind of a source's work goes well again.
func (o *observed) recovered(source, kind string) (n int) {
	for _, e := range o.logs.FilterMessage("synced").All() {
		if m := e.ContextMap(); m["source"] == source && m["kind"] == kind && m["after trouble"] == true && e.Level == zap.InfoLevel {
			n++
		}
	}
	return n
}

// expectLogged fails unless so many lines of failures of a kind of a source's work have been logged.
func (o *observed) expectLogged(when, source, kind string, want int) {
	o.t.Helper()
	if got := o.logged(source, "source failed", kind); got != want {
		o.t.Errorf("%s: %d failures of %s (%s) are logged, want %d", when, got, source, kind, want)
	}
}

// shown is what status says of a source, and prints.
func (o *observed) shown(source string) (s load.SourceStatus, text string) {
	o.t.Helper()
	body, err := o.daemon.Status(o.t.Context())
	var r statusReport
	if err == nil {
		err = json.Unmarshal(body, &r)
	}
	var out strings.Builder
	if err == nil {
		err = printStatus(&out, r, 200)
	}
	if err != nil {
		o.t.Fatal(err)
	}
	for _, s = range r.Sources {
		if s.Source == source {
			return s, out.String()
		}
	}
	o.t.Fatalf("status does not tell of %s", source)
	return s, ""
}

func TestDetailsThatMayNotBeReadParkNoSource(t *testing.T) {
	observe(t, func(o *observed) {
		o.fails("voicy", single, http.StatusForbidden)
		for _, step := range []struct {
			what string
			do   func()
		}{
			{"of its own", func() {}},
			// A person's sync asks for details too.
			{"handed over", func() {
				if err := o.daemon.Work(o.t.Context(), control.Work{Command: "sync", Args: json.RawMessage(`{"command":"sync"}`)}, func(control.Event) error { return nil }); err != nil {
					o.t.Error(err)
				}
			}},
		} {
			fresh := o.arrives("voicy")
			step.do()
			time.Sleep(30 * time.Minute)
			later := o.arrives("voicy")
			time.Sleep(10 * time.Minute)
			if got := o.ask(`SELECT count(*) FROM calls WHERE call_id IN (?, ?)`, fresh, later); got[0] != "2" {
				t.Errorf("%s: the lists do not go on: %s of 2 calls are there", step.what, got[0])
			}
			s, text := o.shown("voicy")
			if s.State != "active" || s.Reason != "" || stateText(s) != "trouble" || strings.Contains(text, "parked") {
				t.Errorf("%s: state %s (%s), reason %q\n%s", step.what, s.State, stateText(s), s.Reason, text)
			}
			if s.LastRun.Kind != "details" || s.LastRun.Outcome != "failed" || s.Advice == "" ||
				!strings.Contains(text, "GET /call-get/{call_id}: the provider refuses the key (status 403)") {
				t.Errorf("%s: status does not tell why: last run %+v\n%s", step.what, s.LastRun, text)
			}
			if s.FreshUntil == nil || time.Since(*s.FreshUntil) > 10*time.Minute || s.Missing.Seconds >= 60 {
				t.Errorf("%s: fresh until %v, missing %+v", step.what, s.FreshUntil, s.Missing)
			}
		}
		if n := o.logged("voicy", "source parked", ""); n != 0 {
			t.Errorf("it is parked %d times", n)
		}
		o.mended("voicy", single)
		time.Sleep(10 * time.Minute)
		if s, text := o.shown("voicy"); s.Problem != "" || o.recovered("voicy", "details") != 1 {
			t.Errorf("once they may be read: %d recoveries are said\n%s", o.recovered("voicy", "details"), text)
		}
		if got := o.ask(`SELECT count(*) FROM calls WHERE call_id NOT IN (SELECT call_id FROM raw_calls WHERE part = 'detail')`); got[0] != "0" {
			t.Errorf("%s calls have no details", got[0])
		}
	}, "voicy")
}
