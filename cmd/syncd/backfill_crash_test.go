//go:build !race

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/proof/prooftest"
)

const (
	backfillKills    = 5
	backfillParallel = 4
	// readerLoses is the most that a reader has fetched and not committed when it dies: a batch of one row less than is committed at once, and the
	// page that would have filled it.
	readerLoses = 5_000 - 1
)

// It is not built with the race detector: the processes that it kills are not, and a provider with 200,000 calls would take minutes. make proof, which is
// part of make test, runs it.

// TestABackfillKilledFiveTimesAsksForNothingTwice kills a real backfill of 200,000 calls, four windows at once, at five random moments in its
// midst. Run to its end it leaves the tables of one that nobody disturbed; and what was in the file when a process died is not asked for again,
// but for the row on which an open window goes on, and the two seconds on either side of a window.
func TestABackfillKilledFiveTimesAsksForNothingTwice(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 5))
	binary := build(t)
	until := time.Now().UTC().Truncate(24 * time.Hour)
	since := until.AddDate(-1, 0, 0)
	calm, disturbed := newYear(t, since, until), newYear(t, since, until)
	disturbed.slow.Store(true)

	if out, err := calm.backfill(binary).CombinedOutput(); err != nil {
		t.Fatalf("the uninterrupted backfill: %v\n%s", err, out)
	}
	for range backfillKills {
		// Requests, not seconds, tell how far a process has come: on any machine, each dies with windows open and work left. Its first windows are short.
		disturbed.kill(disturbed.backfill(binary), 60+rng.Int64N(30), time.Duration(rng.IntN(200))*time.Millisecond)
		disturbed.remember()
	}
	disturbed.slow.Store(false)
	if out, err := disturbed.backfill(binary).CombinedOutput(); err != nil {
		t.Fatalf("the last backfill: %v\n%s", err, out)
	}
	disturbed.remember()

	prooftest.Same(t, disturbed.warehouse, calm.warehouse, prooftest.Revisions(), prooftest.Rejects(), prooftest.Drift())
	checkWarehouse(t, disturbed.warehouse)
	for _, sql := range []string{
		`SELECT * FROM sync.windows WHERE state = 'open'`,
		`SELECT * FROM sync.window_ids`,
	} {
		if found := answers(t, disturbed.warehouse, sql)[0]; found != "" {
			t.Errorf("%s:\n%s", sql, found)
		}
	}
	disturbed.checkNothingTwice()
	disturbed.checkRows()
}

// build makes the command as it is shipped: without the race detector, which 200,000 calls would wait for.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "syncd")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// year is three providers with 200,000 calls of a year between them, and a warehouse for these.
type year struct {
	t            *testing.T
	since, until time.Time
	fakes        map[fakeapi.Provider]*fakeapi.Server
	config       string
	warehouse    string
	slow         atomic.Bool  // the providers take their time, so that a window lasts longer than a batch, and is open in the file
	answering    atomic.Int64 // requests that are being answered
	moments      []moment
}

// moment is what the file held when a process had died, and how often everything had been listed by then.
type moment struct {
	stored map[fakeapi.Provider]map[string]time.Time // starts, by id
	open   map[fakeapi.Provider]int                  // windows
	served map[fakeapi.Provider]map[string]int
	asked  map[fakeapi.Provider]int64
}

// yearly is how many calls each provider has, and how many it tells at once: few enough that none is done before the last process dies.
var yearly = map[fakeapi.Provider]struct{ calls, page int }{fakeapi.Millis: {20_000, 50}, fakeapi.Burki: {140_000, 250}, fakeapi.Voicy: {40_000, 100}}

func newYear(t *testing.T, since, until time.Time) *year {
	t.Helper()
	y := &year{t: t, since: since, until: until, fakes: make(map[fakeapi.Provider]*fakeapi.Server)}
	dir := t.TempDir()
	text := "warehouse: {path: calls.duckdb}\nsources:\n"
	for _, p := range providers {
		fake := fakeapi.New(fakeapi.Options{Provider: p, Seed: 11, Key: keys[p], Calls: yearly[p].calls, Since: since, Until: until, CountServed: true})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			y.answering.Add(1)
			defer y.answering.Add(-1)
			if y.slow.Load() {
				time.Sleep(200*time.Millisecond + rand.N(400*time.Millisecond))
			}
			fake.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		y.fakes[p] = fake
		text += fmt.Sprintf("  - {name: %[1]s, provider: %[1]s, base_url: %[2]q, api_key_env: %[3]s_KEY, start: %[4]s, page_size: %[5]d, details: false, rate_limit: 1000/s}\n",
			p, server.URL+fake.BasePath(), strings.ToUpper(string(p)), until.Format(time.DateOnly), yearly[p].page)
	}
	y.config, y.warehouse = filepath.Join(dir, "syncd.yaml"), filepath.Join(dir, "calls.duckdb")
	if err := os.WriteFile(y.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return y
}

// backfill is the command that fills the year.
func (y *year) backfill(binary string) *exec.Cmd {
	cmd := syncd("backfill", "millis", "burki", "voicy", "-c", y.config, "--no-progress", "--parallel", strconv.Itoa(backfillParallel),
		"--from", y.since.Format(time.DateOnly), "--to", y.until.Format(time.DateOnly))
	cmd.Path = binary
	return cmd
}

// kill starts a process and kills it a moment after it has asked the greatest provider so often.
func (y *year) kill(cmd *exec.Cmd, requests int64, moment time.Duration) {
	y.t.Helper()
	requests += y.fakes[fakeapi.Burki].RequestCount()
	if err := cmd.Start(); err != nil {
		y.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // it was killed: its state says nothing
	}()
	for y.fakes[fakeapi.Burki].RequestCount() < requests {
		select {
		case <-ended:
			y.t.Fatal("the backfill ended before it could be killed: this shows nothing")
		case <-time.After(time.Millisecond):
		}
	}
	time.Sleep(moment)
	if err := cmd.Process.Kill(); err != nil {
		y.t.Fatal(err)
	}
	<-ended
	// What was under way is answered to nobody, and counted.
	for y.answering.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// remember notes what is stored and what was served.
func (y *year) remember() {
	y.t.Helper()
	m := moment{stored: make(map[fakeapi.Provider]map[string]time.Time), open: make(map[fakeapi.Provider]int),
		served: make(map[fakeapi.Provider]map[string]int), asked: make(map[fakeapi.Provider]int64)}
	for p, fake := range y.fakes {
		m.served[p], m.asked[p], m.stored[p] = fake.Served(), fake.RequestCount(), make(map[string]time.Time)
	}
	both := answers(y.t, y.warehouse, `SELECT source, call_id, epoch_ms(started_at) AS at FROM calls`, `SELECT source FROM sync.windows WHERE state = 'open'`)
	for d := json.NewDecoder(strings.NewReader(both[0])); d.More(); {
		var row struct {
			Source fakeapi.Provider
			CallID string `json:"call_id"`
			At     int64
		}
		if err := d.Decode(&row); err != nil {
			y.t.Fatal(err)
		}
		m.stored[row.Source][row.CallID] = time.UnixMilli(row.At)
	}
	for d := json.NewDecoder(strings.NewReader(both[1])); d.More(); {
		var row struct{ Source fakeapi.Provider }
		if err := d.Decode(&row); err != nil {
			y.t.Fatal(err)
		}
		m.open[row.Source]++
	}
	y.moments = append(y.moments, m)
}

// checkNothingTwice holds what each process asked for against what was in the file when it began.
func (y *year) checkNothingTwice() {
	partly, open := 0, 0
	for i, m := range y.moments[:len(y.moments)-1] {
		next := y.moments[i+1]
		for p := range y.fakes {
			if n := len(m.stored[p]); n > 0 && n < yearly[p].calls*9/10 {
				partly++
			}
			open += m.open[p]
			windows := y.windows(p, m.asked[p], next.asked[p])
			again, margins := 0, 0
			for id, at := range m.stored[p] {
				switch n := next.served[p][id] - m.served[p][id]; {
				case n == 0:
				case windows.margin(at):
					margins += n
				default:
					again += n
				}
			}
			y.t.Logf("kill %d, %s: %d calls stored, %d windows open; of these calls %d were listed again, and %d at the margins of %d windows",
				i+1, p, len(m.stored[p]), m.open[p], again, margins, len(windows))
			// An open window goes on at the row that was its last: that row comes again, and no other.
			if again > m.open[p] {
				y.t.Errorf("%s, after kill %d: %d calls that were in the file were listed again, where %d windows were open", p, i+1, again, m.open[p])
			}
			if margins > len(windows) {
				y.t.Errorf("%s, after kill %d: %d calls at the margins of %d windows were listed again", p, i+1, margins, len(windows))
			}
			if m.open[p] > backfillParallel {
				y.t.Errorf("%s, after kill %d: %d windows are open, where %d are read at once", p, i+1, m.open[p], backfillParallel)
			}
		}
	}
	if all := backfillKills * len(providers); partly < all*2/3 || open < 3 { // how many are open when a process dies is the speed of the machine
		y.t.Errorf("%d of %d times was a source partly stored when its process died, and %d windows were open: this shows too little", partly, all, open)
	}
}

// checkRows bounds all that was served: each call once, each page's first row twice, the margins, and for each kill what every reader had
// fetched and not committed.
func (y *year) checkRows() {
	last := y.moments[len(y.moments)-1]
	for p := range y.fakes {
		served, margins := 0, 0
		for _, n := range last.served[p] {
			served += n
		}
		windows := y.windows(p, 0, last.asked[p])
		for _, at := range last.stored[p] {
			if windows.margin(at) {
				margins++
			}
		}
		lost := backfillKills * backfillParallel * (readerLoses + yearly[p].page)
		// A window that lost all it had read asks for its margins once more with each kill.
		bound := len(last.stored[p]) + int(last.asked[p]) + margins*(1+backfillKills) + lost
		y.t.Logf("%s: %d rows were served for %d calls, at most %d may be", p, served, len(last.stored[p]), bound)
		if served > bound {
			y.t.Errorf("%s: %d rows were served for %d calls, want at most %d", p, served, len(last.stored[p]), bound)
		}
	}
}

// asked are the bounds of the windows that were asked for, as they were asked.
type asked map[[2]int64]bool // Unix milliseconds

// windows returns the bounds in a provider's requests, from the first-th to before the last-th.
func (y *year) windows(p fakeapi.Provider, first, last int64) asked {
	y.t.Helper()
	log := y.fakes[p].Requests()
	if total := y.fakes[p].RequestCount(); total > int64(len(log)) {
		y.t.Fatalf("%s: of %d requests only %d are known", p, total, len(log))
	}
	all := make(asked)
	for _, r := range log[first:last] {
		var from, to int64
		switch p {
		case fakeapi.Millis:
			from, to = 1000*y.number(r.Query.Get("start_time")), 1000*y.number(r.Query.Get("end_time"))
		case fakeapi.Burki:
			from, to = y.instant(r.Query.Get("date_from")), y.instant(r.Query.Get("date_to"))
		case fakeapi.Voicy:
			var body struct {
				Filter struct {
					Start struct {
						Lower int64 `json:"lower_threshold"`
						Upper int64 `json:"upper_threshold"`
					} `json:"start_timestamp"`
				} `json:"filter_criteria"`
			}
			if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
				y.t.Fatal(err)
			}
			from, to = body.Filter.Start.Lower, body.Filter.Start.Upper
		}
		all[[2]int64{from, to}] = true
	}
	return all
}

func (y *year) number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		y.t.Fatal(err)
	}
	return n
}

func (y *year) instant(text string) int64 {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		y.t.Fatal(err)
	}
	return at.UnixMilli()
}

// margin reports whether a start lies in the two seconds, and the unit that they are rounded to, by which some window is asked for too widely.
func (a asked) margin(start time.Time) bool {
	const wide = 3000
	at := start.UnixMilli()
	for w := range a {
		if at >= w[0] && at <= w[0]+wide || at <= w[1] && at >= w[1]-wide {
			return true
		}
	}
	return false
}
