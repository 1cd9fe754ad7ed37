//go:build !race

package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"syncd/internal/query/querytest"
)

// These are not built with the race detector: each question is a process, which takes several times as long with it. make proof, which is part of make
// test, runs them.

// busySite is a site whose daemon has hours of history to read, and commits it without end.
func busySite(t *testing.T, more string) *site {
	t.Helper()
	s := newSite(t, 20_000, providers...)
	s.slow.Store(int64(100 * time.Millisecond))
	s.edit("warehouse:\n", "warehouse:\n  publish_every: 1s\n"+more)
	return s
}

// While the daemon commits without end, readers open the copy two hundred times, through a client that is not ours and through the command. Each
// finds it, whole, and in a state that there was.
func TestReadersOpenTheCopyWhileTheDaemonCommits(t *testing.T) {
	t.Parallel()
	const foreign, own = 140, 60
	s := busySite(t, "")
	daemon := s.daemon()
	eventually(t, "there is a copy", func() bool { return s.status().Copy.PublishedAt != nil })
	if out, code := s.run("query", "SELECT count(*) > 0 AS some FROM calls", "--format", "csv"); code != exitDone || out != "some\ntrue\n" {
		t.Errorf("the first copy: exit code %d\n%s", code, out)
	}
	before := s.status().Warehouse.Calls
	// Each call belongs to a payload, and each is there once: nothing of that is so in the midst of a transaction.
	const state = `SELECT (SELECT published_at FROM sync.published)::VARCHAR AS published, count(*)::VARCHAR AS calls, (count(*) = count(DISTINCT (source, call_id))
		AND NOT EXISTS (FROM calls ANTI JOIN raw_calls USING (source, call_id)))::VARCHAR AS whole FROM calls`
	var reading sync.WaitGroup
	var mu sync.Mutex
	var states [][]string
	reading.Go(func() {
		out, err := exec.CommandContext(t.Context(), "node", filepath.Join("testdata", "foreign", "opens.mjs"), s.copy(), fmt.Sprint(foreign), "50", state).Output()
		if err != nil {
			t.Errorf("the foreign client: %v (install it with 'make tools')", err)
			return
		}
		for line := range strings.Lines(string(out)) {
			var rows [][]string
			if err := json.Unmarshal([]byte(line), &rows); err != nil {
				t.Errorf("the foreign client read %s", line)
				continue
			}
			mu.Lock()
			states = append(states, rows...)
			mu.Unlock()
		}
	})
	seen := make(map[string]bool)
	opened, deadline := 0, time.Now().Add(3*time.Minute)
	for ; opened < own || len(seen) < 2 && time.Now().Before(deadline); opened++ {
		if opened == own/2 { // a daemon that ends makes a copy: there is another one however long copies take here
			send(t, daemon.Cmd, syscall.SIGTERM)
			if code := daemon.ends(time.Minute); code != exitDone {
				t.Errorf("exit code %d", code)
			}
			daemon = s.daemon()
		}
		out, code := s.run("query", state, "--format", "json")
		var rows []struct{ Published, Calls, Whole string }
		if err := json.Unmarshal([]byte(out), &rows); err != nil || code != exitDone || len(rows) != 1 {
			t.Errorf("syncd query: exit code %d: %s", code, out)
			continue
		}
		mu.Lock()
		states = append(states, []string{rows[0].Published, rows[0].Calls, rows[0].Whole})
		mu.Unlock()
		if !seen[rows[0].Published] { // each copy is held against all that is promised of a warehouse
			seen[rows[0].Published] = true
			own := filepath.Join(t.TempDir(), "calls.read.duckdb") // another one may take its place meanwhile
			if err := os.Link(s.copy(), own); err != nil {
				t.Fatal(err)
			}
			checkWarehouse(t, own)
		}
	}
	reading.Wait()
	calls := make(map[string]string) // of each copy
	for _, one := range states {
		if known, ok := calls[one[0]]; one[2] != "true" || ok && known != one[1] {
			t.Errorf("the copy of %s is read as %v, and was read with %s calls before", one[0], one, known)
		}
		calls[one[0]] = one[1]
	}
	copied := s.status().Copy
	if len(states) != foreign+opened || len(calls) < 2 || len(seen) < 2 || copied.Error != "" {
		t.Errorf("%d of %d opens were answered, from %d copies, %d of them seen by the command; status says %+v", len(states), foreign+opened, len(calls), len(seen), copied)
	}
	if during := s.status().Warehouse.Calls - before; during < 500 {
		t.Errorf("the daemon committed %d calls meanwhile: this shows too little", during)
	}
	t.Logf("%d copies; the last took %.3f s and held commits for %.3f s, with %s between two", len(calls), copied.TookSeconds, copied.HeldSeconds,
		time.Duration(copied.IntervalSeconds*float64(time.Second)))
	send(t, daemon.Cmd, syscall.SIGTERM)
	if code := daemon.ends(20 * time.Second); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(daemon.out.String(), "ERROR") {
		t.Errorf("the daemon complains:\n%s", daemon.out)
	}
	if r := s.status(); r.Copy.Behind || r.Warehouse.Calls == 0 {
		t.Errorf("after its end the copy is behind: %+v", r.Copy)
	}
	onlyFilesBeside(t, s.warehouse, "calls.duckdb", "calls.read.duckdb", "syncd.yaml")
}

// Statements that must not be answered, and such as would take everything, are asked of the daemon and of the command while the daemon commits. Each
// is refused or bounded, in words, and the commits go on.
func TestNoQuestionHarmsTheDaemon(t *testing.T) {
	t.Parallel()
	s := busySite(t, "")
	address := freePort(t)
	s.edit("server: {http: \"\"}\n", "server: {http: \""+address+"\"}\nquery: {timeout: 1s, memory_limit: 64MB, max_rows: 100}\n")
	daemon := s.daemon("--log-format", "json")
	eventually(t, "there is a copy with calls in it", func() bool {
		code, body := ask(t, address, "SELECT 1 FROM calls LIMIT 1")
		return code == http.StatusOK && strings.Contains(body, "1")
	})
	dir := t.TempDir()
	began, before, slowest := time.Now(), s.status().Warehouse.Calls, time.Duration(0)
	attacks := querytest.Attacks()
	if n := len(attacks) + len(querytest.Hogs()); n < 60 {
		t.Errorf("there are %d statements", n)
	}
	for i, a := range attacks {
		sql := strings.ReplaceAll(a.SQL, "{dir}", dir)
		if len(sql) > 1<<20 || !utf8.ValidString(sql) || strings.ContainsRune(sql, 0) {
			continue // no argument of a command, and no JSON; the reader itself was asked
		}
		code, body := ask(t, address, sql)
		for again := 0; again < 20 && strings.Contains(body, "was stopped after") && !strings.Contains(a.Says, "stopped"); again++ {
			code, body = ask(t, address, sql) // on a busy machine a second may be over before a statement is judged
		}
		if code != http.StatusUnprocessableEntity && !(sql == "" && code == http.StatusBadRequest) || !strings.Contains(body, a.Says) && sql != "" {
			t.Errorf("%.100q over HTTP: %d %s, want 422 and %q", sql, code, body, a.Says)
		}
		if i%4 != 0 {
			continue // a process each
		}
		if out, code := s.run("query", sql, "--timeout", "1m"); code != exitFailed || !strings.Contains(out, a.Says) {
			t.Errorf("%.100q by the command: exit code %d, %s, want %q", sql, code, out, a.Says)
		}
	}
	for _, a := range querytest.Hogs() {
		asked := time.Now()
		code, body := ask(t, address, a.SQL)
		slowest = max(slowest, time.Since(asked))
		if code != http.StatusUnprocessableEntity || !slices.ContainsFunc([]string{"stopped after 1s", "more memory than its limit", "more than 100 rows", "longer than 32 MB", "temporary data"},
			func(says string) bool { return strings.Contains(body, says) }) {
			t.Errorf("%s: %d %.300s", a.SQL, code, body)
		}
	}
	during := s.status().Warehouse.Calls - before
	t.Logf("%d calls were committed in %s; the slowest question was ended after %s", during, time.Since(began).Round(time.Millisecond), slowest.Round(time.Millisecond))
	if during < 1000 || slowest > 20*time.Second {
		t.Errorf("%d calls were committed meanwhile, and a question took %s", during, slowest)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("files were written: %v, %v", entries, err)
	}
	if code, body := ask(t, address, "SELECT count(*) > 0 AS some FROM calls"); code != http.StatusOK || body != `{"rows":[`+"\n"+`{"some":true}`+"\n"+`]}`+"\n" {
		t.Errorf("a question after all that: %d %s", code, body)
	}
	send(t, daemon.Cmd, syscall.SIGTERM)
	if code := daemon.ends(20 * time.Second); code != exitDone || strings.Contains(daemon.out.String(), `"error"`) {
		t.Errorf("exit code %d, it said:\n%s", code, daemon.out)
	}
	checkWarehouse(t, s.warehouse)
}
