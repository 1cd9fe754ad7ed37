package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/query"
)

// answers returns the NDJSON answer of each query.
func answers(t *testing.T, path string, queries ...string) []string {
	t.Helper()
	r, err := query.Open(t.Context(), query.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []string
	for _, sql := range queries {
		var out bytes.Buffer
		if _, err := r.Run(t.Context(), sql, query.NDJSON, &out); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		all = append(all, out.String())
	}
	return all
}

// slowly makes a provider take a moment for every answer, so that a sync lasts long enough to be killed in.
func slowly(t *testing.T, answer time.Duration, next http.Handler) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(answer)
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

var (
	kills    = flag.Int("kills", 6, "how many processes the crash loop kills; make proof kills 40")
	killSeed = flag.Uint64("kill-seed", uint64(time.Now().UnixNano()), "the seed of their moments")
)

const killsInLane = 20

// TestKilledAtAnyMoment kills real syncs over real HTTP (SIGKILL) at random moments, some of them in a power loss that cuts the write-ahead log off
// at a random byte. After each the file keeps every promise; a last sync runs to its end, and the warehouse is that of a sync that nobody disturbed.
//
// Several warehouses are filled side by side, as a process that waits for its provider costs nothing.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	t.Logf("replay: -kills %d -kill-seed %d", *kills, *killSeed)
	room := make(chan struct{}, 4)
	var lanes sync.WaitGroup
	for lane := range (*kills + killsInLane - 1) / killsInLane {
		room <- struct{}{}
		lanes.Go(func() {
			defer func() { <-room }()
			t.Run(fmt.Sprintf("lane %d", lane), func(t *testing.T) { killLane(t, rand.New(rand.NewPCG(*killSeed, uint64(lane)))) })
		})
	}
	lanes.Wait()
}

// killLane fills one warehouse by processes that are killed, but for the last.
func killLane(t *testing.T, rng *rand.Rand) {
	const calls = 400
	few := min(*kills, killsInLane)
	const payloads = calls * (1 + 3 + 2) // Millis lists all there is to know; Burki has two more parts of a call, Voicy one
	urls := make(map[fakeapi.Provider]string)
	quick := make(map[fakeapi.Provider]string)
	for _, p := range providers {
		fake, url := startFake(t, p, calls)
		quick[p] = url
		urls[p] = slowly(t, 75*time.Millisecond, fake) + fake.BasePath()
	}
	whole, disturbed := t.TempDir(), t.TempDir()
	if out, err := syncd("sync", "-c", configure(t, whole, quick, "")).CombinedOutput(); err != nil {
		t.Fatalf("the uninterrupted sync: %v\n%s", err, out)
	}

	file := configure(t, disturbed, urls, "")
	warehouse := filepath.Join(disturbed, "calls.duckdb")
	var stored []int64
	lossesOfPower := 0
	for killed := 0; killed < few || between(stored, payloads) < few/2 && killed < 3*few; killed++ {
		// A slow machine is given more time with each kill: a process that never gets to a commit shows nothing.
		// And details are committed two hundred at a time: once all lists are read, each process lives long enough for that.
		longest := 1500 + 50*killed
		if len(stored) > 0 && stored[len(stored)-1] >= int64(calls*len(providers)) {
			longest += 1500
		}
		killAfter(t, file, time.Duration(rng.IntN(longest))*time.Millisecond)
		if log := sizeOf(warehouse + ".wal"); log > 0 && rng.IntN(3) == 0 {
			// The last tenth, as what was synced before is on the disk.
			must(t, os.Truncate(warehouse+".wal", log-rng.Int64N(log/10+1)))
			lossesOfPower++
		}
		if _, err := os.Stat(warehouse); err == nil {
			stored = append(stored, countPayloads(t, warehouse))
			checkWarehouse(t, warehouse)
		}
	}
	out, err := syncd("sync", "-c", configure(t, disturbed, quick, "")).CombinedOutput() // the same provider, in a hurry
	if err != nil {
		t.Fatalf("the last sync: %v\n%s", err, out)
	}
	noKeys(t, string(out))
	t.Logf("%d losses of power; payloads stored after each kill: %v", lossesOfPower, stored)
	if partly := between(stored, countPayloads(t, warehouse)); partly < few/2 {
		t.Errorf("only %d of the kills hit a warehouse that was partly filled: this shows too little", partly)
	}
	sameWarehouse(t, warehouse, filepath.Join(whole, "calls.duckdb"))
	for _, sql := range []string{
		`SELECT * FROM sync.windows WHERE state = 'open'`,
		`SELECT * FROM sync.window_ids`,
	} {
		if found := answers(t, warehouse, sql)[0]; found != "" {
			t.Errorf("%s:\n%s", sql, found)
		}
	}
	if inserted := answers(t, warehouse, `SELECT sum(inserted) = (SELECT count(*) FROM calls) AS adds_up FROM sync.runs`)[0]; !strings.Contains(inserted, "true") {
		t.Errorf("the calls inserted by all runs together are not the calls there are: %s", inserted)
	}
}

// killAfter starts a sync and kills it.
func killAfter(t *testing.T, config string, after time.Duration) {
	t.Helper()
	cmd := syncd("sync", "-c", config, "--no-progress")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	time.Sleep(after)
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed: its state says nothing
	if out.Len() > 0 && !strings.Contains(out.String(), "SOURCE") {
		t.Errorf("a killed sync had said: %s", out.String())
	}
}

// countPayloads counts what a file holds that a killed process has left, its log included: lists come first, then the details of their calls.
func countPayloads(t *testing.T, path string) int64 {
	t.Helper()
	if answers(t, path, `SELECT 1 FROM duckdb_tables() WHERE table_name = 'raw_calls'`)[0] == "" {
		return 0 // it was killed before it had made its tables
	}
	var row struct{ N int64 }
	if err := json.Unmarshal([]byte(answers(t, path, `SELECT count(*) AS n FROM raw_calls`)[0]), &row); err != nil {
		t.Fatal(err)
	}
	return row.N
}

// between counts the moments at which some but not all was stored.
func between(stored []int64, all int64) (n int) {
	for _, s := range stored {
		if s > 0 && s < all {
			n++
		}
	}
	return n
}

// TestSignals sends real signals to a real sync: the first finishes or rolls back the page at hand, the second exits at once.
func TestSignals(t *testing.T) {
	t.Parallel()
	file, answered := slowBurki(t)
	cmd, out := start(t, "sync", "-c", file)
	for range 4 {
		<-answered
	}
	send(t, cmd, os.Interrupt)
	if code := exitCode(cmd.Wait()); code != exitFailed || !strings.Contains(out.String(), "the same command goes on from there") {
		t.Errorf("after the first signal: exit code %d\n%s", code, out)
	}
	run := answers(t, filepath.Join(filepath.Dir(file), "calls.duckdb"), `SELECT outcome, records > 0 AS kept FROM sync.runs`)[0]
	if !strings.Contains(run, `"stopped"`) || !strings.Contains(run, "true") {
		t.Errorf("the run was recorded as %s", run)
	}
}

// TestTheSecondSignalExitsAtOnce has two signals arrive together, by stopping the process while they are sent: it must not finish
// anything then.
func TestTheSecondSignalExitsAtOnce(t *testing.T) {
	t.Parallel()
	file, answered := slowBurki(t)
	cmd, out := start(t, "sync", "-c", file)
	<-answered
	for _, s := range []os.Signal{syscall.SIGSTOP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCONT} {
		send(t, cmd, s)
	}
	// Both wait when it goes on, and which of them reaches it second is the system's choice.
	if code := exitCode(cmd.Wait()); code != 143 && code != 130 {
		t.Errorf("exit code %d, want 143 or 130\n%s", code, out)
	}
}

// slowBurki configures a provider that takes its time, and tells each time that it has answered.
func slowBurki(t *testing.T) (file string, answered chan struct{}) {
	t.Helper()
	fake, _ := startFake(t, fakeapi.Burki, 500)
	answered = make(chan struct{}, 1000)
	url := slowly(t, 150*time.Millisecond, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fake.ServeHTTP(w, r)
		answered <- struct{}{}
	}))
	return configure(t, t.TempDir(), map[fakeapi.Provider]string{fakeapi.Burki: url}, ""), answered
}

func start(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd, out := syncd(args...), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

func send(t *testing.T, cmd *exec.Cmd, s os.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	panic(fmt.Sprintf("the command did not run: %v", err))
}
