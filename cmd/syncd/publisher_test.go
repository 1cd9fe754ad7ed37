package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	c := &config.Config{Warehouse: config.Warehouse{Path: filepath.Join(dir, "calls.duckdb"), Publish: filepath.Join(dir, "calls.read.duckdb"), PublishEvery: 10 * time.Minute}}
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
	due(p, "there is nothing in the warehouse yet", 0, false)
	drift(w)
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
	due(p, "something is new", 10*time.Minute, true)
	p.earliest = time.Now().Add(900 * time.Second)
	due(p, "copying takes long", 900*time.Second, true)
	if err := p.publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	due(p, "nothing is new again", 0, false)
	drift(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p, w = opened()
	if wait, wanted := p.due(); !wanted || wait > 10*time.Minute {
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
	if wait, wanted := p.due(); !wanted || wait > 10*time.Minute {
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

// copy is where the copy for readers is.
func (s *site) copy() string { return filepath.Join(filepath.Dir(s.warehouse), "calls.read.duckdb") }

// onlyFilesBeside checks what a warehouse's folder holds.
func onlyFilesBeside(t *testing.T, warehouse string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(warehouse))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(want, e.Name()) {
			t.Errorf("%s was left beside the warehouse", e.Name())
		}
	}
}

// ask asks the daemon a question.
func ask(t *testing.T, address, sql string) (int, string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"sql": sql})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post("http://"+address+"/api/query", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	told, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var failed struct{ Error string }
	if json.Unmarshal(told, &failed) == nil && failed.Error != "" {
		return res.StatusCode, failed.Error
	}
	return res.StatusCode, string(told)
}

// A daemon answers questions from the copy, side by side, and says what is wrong with one.
func TestADaemonAnswersQuestions(t *testing.T) {
	t.Parallel()
	s := newSite(t, 60, fakeapi.Burki)
	address := freePort(t)
	s.edit("server: {http: \"\"}\n", "server: {http: \""+address+"\"}\nquery: {timeout: 2s, max_rows: 3}\n")
	if out, code := s.run("sync"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	s.daemon()
	var asking sync.WaitGroup
	for sql, want := range map[string]struct {
		code int
		body string
	}{
		"SELECT count(*) AS n FROM calls": {http.StatusOK, "{\"rows\":[\n{\"n\":60}\n]}\n"},
		"SELECT 'x' AS x WHERE false":     {http.StatusOK, "{\"rows\":[]}\n"},
		"DELETE FROM calls":               {http.StatusUnprocessableEntity, "DELETE is not answered here"},
		"SELECT agent FROM calls":         {http.StatusUnprocessableEntity, "binder error"},
		"FROM calls":                      {http.StatusUnprocessableEntity, "more than 3 rows"},
		"SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range % 7 <> b.range % 11": {http.StatusUnprocessableEntity, "stopped after 2s"},
	} {
		asking.Go(func() {
			if code, body := ask(t, address, sql); code != want.code || !strings.Contains(body, want.body) {
				t.Errorf("%s: %d %s, want %d %s", sql, code, body, want.code, want.body)
			}
		})
	}
	asking.Wait()
}

// No answer is ever written to a file that is syncd's own, and no copy takes such a file's name, however it is spelt.
func TestNothingTakesThePlaceOfTheWarehouse(t *testing.T) {
	t.Parallel()
	s := newSite(t, 60, fakeapi.Burki)
	dir := filepath.Dir(s.warehouse)
	must(t, os.Symlink(".", filepath.Join(dir, "sub")))
	if out, code := s.run("sync"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	for _, name := range []string{"calls.duckdb", "calls.duckdb.wal", "calls.read.duckdb", "sub/calls.duckdb", "calls.duckdb.forget.key"} {
		if out, code := s.run("query", "SELECT 1", "--format", "csv", "-o", filepath.Join(dir, name)); code != exitFailed || !strings.Contains(out, "that is the warehouse itself") {
			t.Errorf("an answer to %s: exit code %d\n%s", name, code, out)
		}
	}
	before, err := os.ReadFile(s.config)
	must(t, err)
	for _, name := range []string{"sub/calls.duckdb", "sub/calls.duckdb.wal", "calls.duckdb.sock"} {
		must(t, os.WriteFile(s.config, bytes.Replace(before, []byte("warehouse:\n"), []byte("warehouse:\n  publish: "+name+"\n"), 1), 0o600))
		if out, code := s.run("sync"); code != exitFailed || !strings.Contains(out, "that is the warehouse's own") {
			t.Errorf("a copy at %s: exit code %d\n%s", name, code, out)
		}
	}
	must(t, os.WriteFile(s.config, before, 0o600))
	if out, code := s.run("sync"); code != exitDone {
		t.Errorf("exit code %d\n%s", code, out)
	}
	checkWarehouse(t, s.warehouse)
	sameWarehouse(t, s.copy(), s.warehouse)
}

// A copy of the future was made by a clock that was wrong: it is replaced at once.
func TestACopyOfTheFutureIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSite(t, 60, fakeapi.Burki)
	if out, code := s.run("sync"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	must(t, os.Chtimes(s.copy(), time.Now(), time.Now().AddDate(1, 0, 0)))
	if r := s.status(); !r.Copy.Behind {
		t.Errorf("status says %+v", r.Copy)
	}
	s.daemon()
	eventually(t, "the copy is of now", func() bool { r := s.status(); return !r.Copy.Behind && r.Copy.PublishedAt.Before(time.Now()) })
}

// A link to the warehouse has its log beside the file that it leads to: what is in that is known to be missing from the copy.
func TestACopyOfALinkedWarehouseIsKnownToBeBehind(t *testing.T) {
	t.Parallel()
	s := newSite(t, 400, fakeapi.Burki)
	real := filepath.Join(t.TempDir(), "real.duckdb")
	must(t, os.Symlink(real, s.warehouse))
	if out, code := s.run("sync", "--fresh"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if r := s.status(); r.Copy.Behind {
		t.Errorf("status says %+v", r.Copy)
	}
	later := time.Now().Add(time.Second)
	must(t, os.WriteFile(real+".wal", nil, 0o600))
	must(t, os.Chtimes(real+".wal", later, later))
	c := copyStatus{Path: s.copy()}
	if c.look(s.warehouse, later); c.Behind {
		t.Error("an empty log puts the copy behind")
	}
	must(t, os.WriteFile(real+".wal", []byte("x"), 0o600))
	if c.look(s.warehouse, later); !c.Behind {
		t.Error("a log with something in it does not put the copy behind")
	}
}
