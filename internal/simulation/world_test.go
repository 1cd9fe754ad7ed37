package simulation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/transform"
)

const key = "sim-key-7a31"

// world is one seed's: providers, a warehouse, and what has happened.
type world struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	dir     string
	path    string // of the warehouse file; another after every kill
	sources []*source
	history []string

	file     *load.Warehouse
	pipeline *pipeline.Pipeline
	mishap   *mishap // what the coming commits meet; nil: nothing
	counts   counts

	newReread bool      // the ages of re-reading have changed, and no window has closed since
	checked   string    // what the file was when it was checked last
	ending    bool      // it is the last check
	skewed    bool      // the providers' clocks have been other than they are
	housekept time.Time // since when every run's record is there; zero: always
}

// source is one account of a provider, as the world knows it.
type source struct {
	config   pipeline.Source
	account  extract.Account
	fake     *fakeapi.Server
	lateness time.Duration  // how long after its start a call may be listed first
	lies     []fakeapi.Kind // what was injected that may tell what is not so
	at       time.Time      // another present by the provider's clock, for the oracle; zero: the true one
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 4)), dir: t.TempDir()}
	w.path = fresh(t, filepath.Join(w.dir, "calls-0.duckdb"))
	all := []fakeapi.Provider{fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy}
	w.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, p := range all[:1+w.rng.IntN(5)/4] { // one in five worlds has two
		w.sources = append(w.sources, w.newSource(p))
	}
	return w
}

func (w *world) newSource(p fakeapi.Provider) *source {
	s := &source{}
	span := time.Duration(1+w.rng.IntN(10)) * 24 * time.Hour
	o := fakeapi.Options{
		Provider: p, Seed: w.rng.Uint64(), Key: key, Calls: 5 + w.rng.IntN(45), Since: epoch.Add(-span), Until: epoch.Add(48 * time.Hour), Now: s.now,
		Deleted: []float64{0, 0, 0.05}[w.rng.IntN(3)],
	}
	if w.rng.IntN(2) == 0 {
		o.Settling = fakeapi.Settling{StatusAt: 2 * time.Minute, CostAt: 40 * time.Minute, CorrectionAt: 20 * time.Hour}
	}
	if w.rng.IntN(3) == 0 {
		o.Settling.ListedAfterEnd, s.lateness = 0.2, 3*time.Hour
	}
	if w.rng.IntN(4) == 0 {
		o.RateLimit = 30
	}
	if w.rng.IntN(3) == 0 {
		o.OnList = removing(w.rng.Uint64())
	}
	s.fake = fakeapi.New(o)
	s.account = extract.Account{Source: string(p), Provider: string(p), BaseURL: "http://" + string(p) + ".test" + s.fake.BasePath(), Key: key,
		PageSize: 3 + w.rng.IntN(30), Timeout: 10 * time.Second, RateLimit: extract.Rate{Requests: 600, Per: time.Minute},
		Chance:    func() float64 { return float64(time.Now().UnixNano()%1009) / 1009 }, // as even as any, and the same every time
		Transport: network{&fakeapi.Transport{Handler: s.fake}, w.seed}}
	s.config = pipeline.Source{
		Name: string(p), Provider: string(p), Start: epoch.Add(-span).Add(-time.Hour), Ages: w.ages(), Schedule: "@every 5m", Interval: 5 * time.Minute,
		PageSize: s.account.PageSize, Fingerprint: "same", Details: w.rng.IntN(3) > 0,
	}
	w.connect(s)
	return s
}

// now is the provider's clock.
func (s *source) now() time.Time {
	if !s.at.IsZero() {
		return s.at
	}
	return time.Now()
}

// lied reports whether the provider has said what was not so: then only reading all of it again makes that good.
func (s *source) lied() bool {
	broken := s.fake.Injected()
	return slices.ContainsFunc(s.lies, func(k fakeapi.Kind) bool { return broken[k] > 0 })
}

// removing takes a few calls out of a list while it is read.
func removing(seed uint64) func(*fakeapi.Server, int) {
	var mu sync.Mutex // several windows may be read at once
	left := 4
	return func(s *fakeapi.Server, n int) {
		mu.Lock()
		defer mu.Unlock()
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		all := s.All()
		if left == 0 || len(all) == 0 || rng.IntN(8) > 0 {
			return
		}
		id := all[rng.IntN(len(all))]
		// An older one may have been read for the last time.
		if r, ok := s.Call(id); ok && time.Since(r.At) < 4*24*time.Hour {
			left--
			s.Remove(id)
		}
	}
}

// connect makes what speaks to the provider and what reads its records, as a new process does.
func (w *world) connect(s *source) {
	var err error
	if s.config.Extract, err = extract.New(s.account); err != nil {
		w.t.Fatal(err)
	}
	if s.config.Transform, err = transform.New(transform.Options{Source: s.config.Name, Provider: s.config.Provider,
		Privacy: transform.Privacy{Numbers: transform.NumbersKeep, Transcripts: transform.TranscriptsKeep}}); err != nil {
		w.t.Fatal(err)
	}
}

// ages are some to read calls again at.
func (w *world) ages() []time.Duration {
	all := [][]time.Duration{{}, {5 * time.Minute}, {time.Hour}, {5 * time.Minute, time.Hour}, {time.Hour, 24 * time.Hour}, {5 * time.Minute, time.Hour, 24 * time.Hour}}
	return all[w.rng.IntN(len(all))]
}

// network takes its time for every request: another for each, so that what goes on at once always happens in the same order.
type network struct {
	next *fakeapi.Transport
	seed uint64
}

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	h := fnv.New64a()
	fmt.Fprint(h, n.seed, r.Method, r.URL, time.Now().UnixNano())
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		_, _ = h.Write(body) // a hash takes everything
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	timer := time.NewTimer(5*time.Millisecond + time.Duration(h.Sum64()%40_000_000))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return n.next.RoundTrip(r)
}

// empty is a warehouse that was just made: making one takes longer than many a step.
var empty = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "simulation")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "empty.duckdb")
	w, err := load.Open(context.Background(), load.Options{Path: path})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(w.Checkpoint(context.Background()), w.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// fresh puts an empty warehouse at a path.
func fresh(t *testing.T, path string) string {
	t.Helper()
	b, err := empty()
	if err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// open is a new process on the file.
func (w *world) open() {
	w.t.Helper()
	file, err := load.Open(w.t.Context(), load.Options{Path: w.path, Threads: 1, Commit: w.commit})
	if err != nil {
		w.t.Fatalf("open: %v", err)
	}
	w.file = file
	w.pipeline = &pipeline.Pipeline{Warehouse: file, Now: time.Now, Log: zap.NewNop()}
	for _, s := range w.sources {
		w.connect(s)
	}
}

func (w *world) close() {
	w.t.Helper()
	if err := w.file.Close(); err != nil {
		w.t.Errorf("close: %v", err)
	}
}

// mishap is what happens to a commit to come.
type mishap struct {
	in   int // how many commits go well before it
	how  way
	torn float64 // how much of what the commit wrote to the log is kept, where it is a power loss
	stop context.CancelFunc

	happened bool
	left     string // the file as the process that died left it
}

type way int

const (
	failBefore way = iota // the commit fails, and nothing of it is durable
	failAfter             // it is durable, and the caller is told that it failed
	killBefore            // the process dies just before
	killAfter             // the process dies just after, and nobody is told
	powerLoss             // the machine dies while the log is written
)

func (h way) String() string {
	return [...]string{"a commit fails", "a commit is durable and fails", "killed before a commit", "killed after a commit", "power lost in a commit"}[h]
}

func (h way) kills() bool { return h >= killBefore }

var (
	errCommit = errors.New("injected: the commit failed")
	errDead   = errors.New("injected: the process is dead")
)

// commit is every commit of the warehouse.
func (w *world) commit(do func() error) error {
	w.counts.commits++
	m := w.mishap
	switch {
	case m == nil || m.happened && !m.how.kills():
		return do()
	case m.happened:
		return errDead // a dead process commits nothing
	case m.in > 0:
		m.in--
		return do()
	}
	m.happened = true
	before := size(w.path + ".wal")
	if m.how == failAfter || m.how == killAfter || m.how == powerLoss {
		if err := do(); err != nil {
			return err
		}
	}
	if !m.how.kills() {
		return errCommit
	}
	log := size(w.path + ".wal")
	if m.how == powerLoss && log > before {
		log = before + int64(m.torn*float64(log-before))
	}
	m.left = w.autopsy(log)
	m.stop()
	return errDead
}

// autopsy copies the file and so much of its log as they are at this moment: what a process that is killed now leaves behind.
func (w *world) autopsy(log int64) string {
	w.counts.kills++
	to := filepath.Join(w.dir, fmt.Sprintf("calls-%d.duckdb", w.counts.kills))
	for suffix, limit := range map[string]int64{"": -1, ".wal": log} {
		b, err := os.ReadFile(w.path + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil && limit >= 0 {
			b = b[:limit]
		}
		if err == nil {
			err = os.WriteFile(to+suffix, b, 0o600)
		}
		if err != nil {
			w.t.Errorf("autopsy: %v", err)
		}
	}
	return to
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// note writes the history.
func (w *world) note(format string, args ...any) {
	w.history = append(w.history, time.Now().UTC().Format("01-02 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// tell prints the history of a seed that failed.
func (w *world) tell() {
	w.t.Logf("replay: go test ./internal/simulation -run Simulation -seed=%d -v\n%s", w.seed, strings.Join(w.history, "\n"))
}
