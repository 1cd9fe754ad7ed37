package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
	"syncd/internal/query"
)

// tables is what an interrupted history must have in common with an uninterrupted one: everything but the records of the runs and the
// times of reading. Voicy signs its recordings anew at every request.
var tables = []string{
	`SELECT * EXCLUDE (first_seen_at, changed_at, recording_url) FROM calls ORDER BY ALL`,
	`FROM call_costs ORDER BY ALL`,
	`FROM call_messages ORDER BY ALL`,
	`FROM call_functions ORDER BY ALL`,
	`SELECT * EXCLUDE (changed_at) FROM call_revisions ORDER BY ALL`,
	`SELECT * EXCLUDE (fetched_at, reading) REPLACE (regexp_replace(payload, 'expires=\d+&signature=[0-9a-f]+', 'signed') AS payload) FROM raw_calls ORDER BY ALL`,
	`SELECT * EXCLUDE (run_id, fetched_at) FROM sync.rejects ORDER BY ALL`,
	`SELECT * EXCLUDE (first_seen_at, last_seen_at, sample) FROM sync.drift ORDER BY ALL`,
}

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

// TestKilledAtTwentyMoments kills a real sync over real HTTP (SIGKILL) at random moments, lets a last one run to its end, and compares the
// warehouse with that of a sync that nobody disturbed.
func TestKilledAtTwentyMoments(t *testing.T) {
	t.Parallel()
	const kills, calls = 20, 400
	const payloads = calls * (1 + 3 + 2) // Millis lists all there is to know; Burki has two more parts of a call, Voicy one
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))

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
	for killed := 0; killed < kills || between(stored, payloads) < kills/2 && killed < 3*kills; killed++ {
		cmd := syncd("sync", "-c", file, "--no-progress")
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// A slow machine is given more time with each kill: a process that never gets to a commit shows nothing.
		// And details are committed two hundred at a time: once all lists are read, each process lives long enough for that.
		longest := 1500 + 50*killed
		if len(stored) > 0 && stored[len(stored)-1] >= int64(calls*len(providers)) {
			longest += 1500
		}
		time.Sleep(time.Duration(rng.IntN(longest)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed: its state says nothing
		if out.Len() > 0 && !strings.Contains(out.String(), "SOURCE") {
			t.Errorf("a killed sync had said: %s", out.String())
		}
		if _, err := os.Stat(warehouse); err == nil {
			stored = append(stored, countPayloads(t, warehouse))
		}
	}
	out, err := syncd("sync", "-c", configure(t, disturbed, quick, "")).CombinedOutput() // the same provider, in a hurry
	if err != nil {
		t.Fatalf("the last sync: %v\n%s", err, out)
	}
	noKeys(t, string(out))
	t.Logf("payloads stored after each kill: %v", stored)
	if partly := between(stored, countPayloads(t, warehouse)); partly < kills/2 {
		t.Errorf("only %d of the kills hit a warehouse that was partly filled: this shows too little", partly)
	}

	want, got := answers(t, filepath.Join(whole, "calls.duckdb"), tables...), answers(t, warehouse, tables...)
	for i, sql := range tables {
		if want[i] != got[i] {
			t.Errorf("%s: uninterrupted and killed differ:\n%s", sql, cmp.Diff(strings.Split(want[i], "\n"), strings.Split(got[i], "\n")))
		}
	}
	for _, sql := range []string{
		`SELECT source, call_id, count(*) FROM calls GROUP BY ALL HAVING count(*) > 1`,
		`SELECT source, call_id, part, count(*) FROM raw_calls GROUP BY ALL HAVING count(*) > 1`,
		`SELECT * FROM sync.runs WHERE records <> inserted + updated + unchanged + rejected`,
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
	file, answered := slowBurki(t)
	cmd, out := start(t, "sync", "-c", file)
	<-answered
	for _, s := range []os.Signal{syscall.SIGSTOP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCONT} {
		send(t, cmd, s)
	}
	if code := exitCode(cmd.Wait()); code != 143 {
		t.Errorf("exit code %d, want 143\n%s", code, out)
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
