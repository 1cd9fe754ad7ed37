//go:build !race

package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/load"
)

// This is not built with the race detector: the processes that it kills take several times as long with it. make proof, which is part of make test, runs it.

// TestForgettingThatIsKilledIsCompletedByTheSameCommand kills (SIGKILL) a process that forgets at random moments. After each kill the file keeps every promise
// and tells of the person all that it did or nothing; the same command then leaves what an undisturbed one does.
func TestForgettingThatIsKilledIsCompletedByTheSameCommand(t *testing.T) {
	t.Parallel()
	t.Logf("replay: -kill-seed %d", *killSeed)
	rng := rand.New(rand.NewPCG(*killSeed, 77))
	s, copied := forgettable(t, 40)
	if out, code := s.run("sync"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	before := theRest(t, s.warehouse)
	whole := make(map[string][]byte)
	for _, path := range []string{s.warehouse, copied} {
		content, err := os.ReadFile(path)
		must(t, err)
		whole[path] = content
	}
	began := time.Now()
	if out, code := s.run("forget", "--number", forgotten); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	longest := time.Since(began)
	states := make(map[string]int)
	for range 12 {
		for _, path := range []string{s.warehouse + ".wal", load.ForgetKeyPath(s.warehouse)} {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		for path, content := range whole {
			must(t, os.WriteFile(path, content, 0o600))
		}
		cmd := syncd("forget", "--number", forgotten, "-c", s.config, "--no-progress")
		must(t, cmd.Start())
		time.Sleep(time.Duration(rng.Int64N(int64(longest))))
		must(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed: its state says nothing
		checkWarehouse(t, s.warehouse)
		state := "the whole person"
		if len(traces(t, s.warehouse)) == 0 {
			state = "nothing of the person, the copy not yet"
			if len(traces(t, copied)) == 0 {
				state = "nothing of the person"
			}
		} else if left := answers(t, s.warehouse, `SELECT count(*) AS n FROM calls WHERE call_id LIKE 'person-%' OR call_id = '880002'`, `SELECT count(*) AS n FROM sync.suppressed`); !strings.Contains(left[0], "5") || !strings.Contains(left[1], "0") {
			t.Errorf("half of the person is left: %s", left)
		}
		states[state]++
		if out, code := s.run("forget", "--number", forgotten); code != exitDone {
			t.Errorf("the same command: exit code %d\n%s", code, out)
		}
		noTrace(t, "the same command", s.warehouse, copied)
		if diff := cmp.Diff(before, theRest(t, s.warehouse)); diff != "" {
			t.Errorf("the rows of others differ (-before +after):\n%s", diff)
		}
	}
	t.Logf("what the killed processes left: %v", states)
	if len(states) < 2 {
		t.Errorf("all kills left %v: this shows too little", states)
	}
	if out, code := s.run("backfill", "millis", "burki", "voicy", "--from", time.Now().AddDate(-1, 0, 0).Format(time.DateOnly), "--force"); code != exitDone {
		t.Errorf("a forced backfill: exit code %d\n%s", code, out)
	}
	noTrace(t, "a forced backfill", s.warehouse, copied)
}
