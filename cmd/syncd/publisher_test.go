package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"syncd/internal/call"
	"syncd/internal/config"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
)

// A copy is made where there is something new, as soon as one may be made again, and no sooner.
func TestWhenACopyIsMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &config.Config{Warehouse: config.Warehouse{Path: filepath.Join(dir, "calls.duckdb"), Publish: filepath.Join(dir, "calls.read.duckdb"), PublishEvery: time.Minute}}
	opened := func() (*publisher, *load.Warehouse) {
		t.Helper()
		p := newPublisher(c, time.Now)
		w, err := load.Open(t.Context(), warehouseOptions(c.Warehouse))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Close() })
		return p.of(w), w
	}
	due := func(p *publisher, why string, want time.Duration, wanted bool) {
		t.Helper()
		if got, is := p.due(); is != wanted || is && (got-want).Abs() > time.Second {
			t.Errorf("%s: a copy is wanted: %t, in %s; want %t, in %s", why, is, got, wanted, want)
		}
	}
	drift := func(w *load.Warehouse) {
		t.Helper()
		if err := w.Write(t.Context(), func(tx *load.Tx) error { return addOddity(t.Context(), tx, time.Now()) }); err != nil {
			t.Fatal(err)
		}
	}
	p, w := opened()
	if wait, wanted := p.due(); !wanted || wait > 0 {
		t.Errorf("there is none: a copy is wanted: %t, in %s", wanted, wait)
	}
	if err := p.publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	due(p, "nothing is new", 0, false)
	if err := w.Write(t.Context(), func(tx *load.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO sync.forced SELECT 'x', now(), now(), now(), now(), now()`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	due(p, "the ledger alone has moved", time.Hour, true)
	drift(w)
	due(p, "something is new", time.Minute, true)
	p.earliest = time.Now().Add(500 * time.Second)
	due(p, "copying takes long", 500*time.Second, true)
	if err := p.publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	due(p, "nothing is new again", 0, false)
	drift(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p, w = opened()
	if wait, wanted := p.due(); !wanted || wait > time.Minute {
		t.Errorf("the copy was left behind: another is wanted: %t, in %s", wanted, wait)
	}
	if err := errors.Join(p.publish(t.Context()), w.Checkpoint(t.Context()), w.Close()); err != nil {
		t.Fatal(err)
	}
	p, _ = opened()
	due(p, "all is in the copy since the last time", 0, false)
	if err := os.Remove(c.Warehouse.Publish); err != nil {
		t.Fatal(err)
	}
	if wait, wanted := p.due(); !wanted || wait > time.Minute {
		t.Errorf("somebody has removed the copy: another is wanted: %t, in %s", wanted, wait)
	}
}

// addOddity commits something that readers look for.
func addOddity(ctx context.Context, tx *load.Tx, at time.Time) error {
	return tx.AddDrift(ctx, "x", call.Drift{Path: "status: odd", Sample: "odd"}, at, 1)
}

// A copy that cannot be made is told by status, in the log once, and by the command that was to make it; readers have the one before. Once it can be
// made again, it is.
func TestACopyThatCannotBeMadeIsTold(t *testing.T) {
	t.Parallel()
	s := newSite(t, 60, fakeapi.Burki)
	s.edit("warehouse:\n", "warehouse:\n  publish: copies/calls.read.duckdb\n  publish_every: 1s\n")
	folder := filepath.Join(filepath.Dir(s.warehouse), "copies")
	out, code := s.run("sync")
	if code != exitFailed || !strings.Contains(out, "publish "+folder) || !strings.Contains(out, "no such folder; make it first") || !strings.Contains(out, "done     60") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	daemon := s.daemon()
	eventually(t, "status tells of it", func() bool { r := s.status(); return r.Copy.Error != "" && r.Copy.FailedAt != nil && r.Copy.Behind })
	if out, code := s.run("query", "SELECT 1"); code != exitFailed || !strings.Contains(out, "there is no copy for readers yet: publish") {
		t.Errorf("query: exit code %d\n%s", code, out)
	}
	if out, code := s.run("status"); code != exitDone || !strings.Contains(out, "the last copy could not be made") {
		t.Errorf("status: exit code %d\n%s", code, out)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	send(t, daemon.Cmd, syscall.SIGTERM)
	if code := daemon.ends(20 * time.Second); code != exitDone || strings.Count(daemon.out.String(), "no copy for readers could be made") != 1 {
		t.Errorf("exit code %d, it said:\n%s", code, daemon.out)
	}
	if out, code := s.run("query", "SELECT count(*) AS n FROM calls", "--format", "csv"); code != exitDone || out != "n\n60\n" {
		t.Errorf("query of the copy that was made at the end: exit code %d\n%s", code, out)
	}
}

// Without a copy, questions are answered from the warehouse itself, and refused with the setting to change while a daemon has it.
func TestQueriesWithoutACopy(t *testing.T) {
	t.Parallel()
	s := newSite(t, 60, fakeapi.Burki)
	s.edit("warehouse:\n", "warehouse:\n  publish: \"\"\n")
	if out, code := s.run("sync"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if _, err := os.Stat(s.copy()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a copy was made: %v", err)
	}
	if out, code := s.run("query", "SELECT count(*) AS n FROM calls", "--format", "csv"); code != exitDone || out != "n\n60\n" {
		t.Errorf("exit code %d\n%s", code, out)
	}
	s.daemon()
	if out, code := s.run("query", "SELECT 1"); code != exitUsage || !strings.Contains(out, "set warehouse.publish in "+s.config) {
		t.Errorf("while the daemon runs: exit code %d\n%s", code, out)
	}
}

// A copy that is being made when the daemon is killed leaves nothing that anybody could take for one, and the next daemon clears it away.
func TestADaemonThatIsKilledWhileItCopiesLeavesNoHalfCopy(t *testing.T) {
	t.Parallel()
	s := newSite(t, 400, fakeapi.Burki, fakeapi.Voicy)
	s.edit("warehouse:\n", "warehouse:\n  publish_every: 1s\n")
	for n := range 6 {
		if err := os.Remove(s.copy()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		daemon := s.daemon()
		time.Sleep(time.Duration(n*n) * 4 * time.Millisecond)
		if err := daemon.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		daemon.ends(10 * time.Second)
		if _, err := os.Stat(s.copy()); err == nil {
			checkWarehouse(t, s.copy())
		}
	}
	if out, code := s.run("sync"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	checkWarehouse(t, s.copy())
	sameWarehouse(t, s.warehouse, s.copy())
	onlyFilesBeside(t, s.warehouse, "calls.duckdb", "calls.read.duckdb", "syncd.yaml")
}
