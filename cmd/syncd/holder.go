package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"syncd/internal/config"
	"syncd/internal/control"
	"syncd/internal/load"
	"syncd/internal/pipeline"
)

// holder is the side of the control socket of whoever holds the warehouse: it tells its status, and a daemon takes work.
type holder struct {
	pipeline *pipeline.Pipeline
	config   *config.Config
	sources  []pipeline.Source // that it does work for; none: it takes no work
	activity *activity
	copies   *publisher
	askers   askers
	since    time.Time
	turn     turn            // of the chores that are handed over
	leaving  <-chan struct{} // closed when it begins to leave; nil: it does no chores of others
	stop     context.CancelFunc
	served   chan error

	// done is told what became of a source in work that was handed over; nil: nobody is.
	done func(ctx context.Context, s pipeline.Source, run load.Run, err error)
}

// hold serves the control socket beside the warehouse until Close. A holder that cannot have its socket goes on without: others then wait
// for it, and see no status.
func hold(ctx context.Context, p *pipeline.Pipeline, c *config.Config, copies *publisher, log *zap.Logger) *holder {
	h := &holder{pipeline: p, config: c, copies: copies, activity: newActivity(copies.look), since: p.Now(), served: make(chan error, 1)}
	return h.serve(ctx, log)
}

func (h *holder) serve(ctx context.Context, log *zap.Logger) *holder {
	ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	l, err := control.Listen(control.Path(h.config.Warehouse.Path))
	if err != nil {
		log.Warn("no control socket: other commands wait, and cannot see what runs", zap.Error(err))
		close(h.served)
		return h
	}
	l.Report = func(err error) { log.Warn("control socket", zap.Error(err)) }
	go func() { h.served <- l.Serve(ctx, h) }()
	return h
}

// Close ends what others asked for, and removes the socket.
func (h *holder) Close() error {
	h.stop()
	return <-h.served
}

// Work implements control.Handler.
func (h *holder) Work(ctx context.Context, w control.Work, emit func(control.Event) error) error {
	if h.sources == nil {
		return control.ErrRefused
	}
	switch w.Command {
	case "sync", "backfill":
		return h.workJob(ctx, w, emit)
	case doctor().command:
		return doctor().serve(ctx, h, w, emit)
	case "forget":
		return forgetChore().serve(ctx, h, w, emit)
	case "renormalize":
		return renormalizing().serve(ctx, h, w, emit)
	}
	return unknownWork(w.Command)
}

func unknownWork(command string) error {
	return &control.Failure{Message: fmt.Sprintf("the daemon does not know this %q: is it of another version? restart it", command), Code: exitFailed}
}

// workJob does a job that was handed over.
func (h *holder) workJob(ctx context.Context, w control.Work, emit func(control.Event) error) error {
	var j job
	if err := json.Unmarshal(w.Args, &j); err != nil {
		return unknownWork(w.Command)
	}
	all, err := h.chosen(j.Sources)
	if err != nil {
		return &control.Failure{Message: err.Error(), Code: exitUsage}
	}
	tell := newTeller(emit, h.activity, j.options().Kind)
	results := runJob(ctx, h.pipeline, all, j, tell)
	tell.close()
	reports := []sourceReport{}
	for i, r := range results {
		if h.done != nil && !j.DryRun {
			h.done(ctx, all[i], r.run, r.err)
		}
		reports = append(reports, reportOf(r))
	}
	return sendEvent(emit, eventReports, reports)
}

// chosen finds the sources that a job names.
func (h *holder) chosen(wanted []string) ([]pipeline.Source, error) {
	if len(wanted) == 0 {
		return h.sources, nil
	}
	var all []pipeline.Source
	for _, name := range wanted {
		i := slices.IndexFunc(h.sources, func(s pipeline.Source) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("the running daemon has no source %q; it has %s: restart it if the configuration has changed", name, strings.Join(names(h.sources), ", "))
		}
		all = append(all, h.sources[i])
	}
	return all, nil
}

// activity is what runs now, for status.
type activity struct {
	next      watcher // nil: nobody else watches
	committed func()  // called after each commit

	mu      sync.Mutex
	running map[string]pipeline.Progress // by run
}

func newActivity(committed func()) *activity {
	return &activity{committed: committed, running: make(map[string]pipeline.Progress)}
}

// Committed implements pipeline.Watcher.
func (a *activity) Committed(p pipeline.Progress) {
	a.mu.Lock()
	a.running[p.Run.Source+" "+p.Run.Kind] = p
	a.mu.Unlock()
	a.committed()
	if a.next != nil {
		a.next.Committed(p)
	}
}

// Finished implements watcher.
func (a *activity) Finished(source string, ok bool) {
	a.mu.Lock()
	for key := range a.running {
		if strings.HasPrefix(key, source+" ") {
			delete(a.running, key)
		}
	}
	a.mu.Unlock()
	if a.next != nil {
		a.next.Finished(source, ok)
	}
}

// ended forgets one kind of run of a source.
func (a *activity) ended(source, kind string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.running, source+" "+kind)
}

// runningNow is one run that is under way, as status tells it.
type runningNow struct {
	Source     string    `json:"source"`
	Kind       string    `json:"kind"`
	StartedAt  time.Time `json:"started_at"`
	Requests   int64     `json:"requests"`
	Records    int64     `json:"records"`
	Covered    float64   `json:"covered"` // the share of the wanted time that is proven
	Details    int64     `json:"details"`
	DetailsDue int64     `json:"details_due"`
}

func (a *activity) now() []runningNow {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := []runningNow{}
	for _, p := range a.running {
		all = append(all, runningNow{p.Run.Source, p.Run.Kind, p.Run.StartedAt, p.Run.Requests, p.Run.Records, share(p), p.Details, p.Due})
	}
	slices.SortFunc(all, func(x, y runningNow) int { return strings.Compare(x.Source+" "+x.Kind, y.Source+" "+y.Kind) })
	return all
}

// statusReport is what 'syncd status --json' and /api/status print.
type statusReport struct {
	load.Status
	Copy    *copyStatus    `json:"copy"`    // for readers; null: none is wanted
	Process *processStatus `json:"process"` // null: none holds the warehouse
}

// processStatus tells of the process that holds the warehouse.
type processStatus struct {
	PID       int          `json:"pid"`
	Version   string       `json:"version"`
	Daemon    bool         `json:"daemon"` // false: a single command
	StartedAt time.Time    `json:"started_at"`
	HTTP      string       `json:"http,omitempty"`
	Running   []runningNow `json:"running"`
}

// Status implements control.Handler, and server.Source.
func (h *holder) Status(ctx context.Context) (json.RawMessage, error) {
	s, err := h.pipeline.Warehouse.Status(ctx, h.pipeline.Now())
	if err != nil {
		return nil, err
	}
	r := statusReport{Status: s, Copy: h.copies.tell(), Process: &processStatus{PID: os.Getpid(), Version: version(), Daemon: h.sources != nil, StartedAt: h.since.UTC(), Running: h.activity.now()}}
	if h.sources != nil {
		r.Process.HTTP = h.config.Server.HTTP
	}
	r.compare(h.config)
	return json.Marshal(r)
}

// compare marks sources that the configuration no longer has.
func (r *statusReport) compare(c *config.Config) {
	for i := range r.Sources {
		s := &r.Sources[i]
		s.Configured = slices.ContainsFunc(c.Sources, func(o config.Source) bool { return o.Name == s.Source })
	}
	for _, o := range c.Sources {
		if !slices.ContainsFunc(r.Sources, func(s load.SourceStatus) bool { return s.Source == o.Name }) {
			r.Sources = append(r.Sources, load.SourceStatus{Source: o.Name, Provider: o.Provider, Configured: true, State: "active",
				Problem: "it has not run yet", Advice: "run 'syncd sync " + o.Name + "', or 'syncd run'"})
		}
	}
}

// Ready implements server.Source.
func (h *holder) Ready(ctx context.Context) error {
	if err := h.pipeline.Warehouse.Write(ctx, func(*load.Tx) error { return nil }); err != nil {
		return errors.New("the warehouse does not take a transaction")
	}
	return nil
}
