package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/load"
)

// TestADaemonThatIsStoppedInHistoryEndsCleanAndARestartGoesOn stops it in the midst of its first reading.
func TestADaemonThatIsStoppedInHistoryEndsCleanAndARestartGoesOn(t *testing.T) {
	t.Parallel()
	const calls = 600
	s := newSite(t, calls, providers...)
	s.slow.Store(int64(100 * time.Millisecond))
	daemon := s.daemon()
	if info, err := os.Lstat(s.socket()); err != nil || info.Mode() != fs.ModeSocket|0o600 || s.socket() != s.warehouse+".sock" {
		t.Errorf("the socket is %v (%v) at %s, want mode 0600 beside %s", info, err, s.socket(), s.warehouse)
	}
	eventually(t, "history is under way", func() bool {
		return slices.ContainsFunc(s.status().Process.Running, func(r runningNow) bool { return r.Kind == "history" && r.Records > 0 })
	})
	send(t, daemon.Cmd, syscall.SIGTERM)
	if code := daemon.ends(10 * time.Second); code != exitDone {
		t.Errorf("exit code %d\n%s", code, daemon.out)
	}
	for _, gone := range []string{s.warehouse + ".wal", s.socket()} {
		if _, err := os.Lstat(gone); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there (%v)", gone, err)
		}
	}
	before := s.status()
	if before.Process != nil || before.Warehouse.Calls == 0 || before.Warehouse.Calls > int64(len(providers)*calls*9/10) {
		t.Fatalf("after the stop: process %+v, %d calls: this shows too little", before.Process, before.Warehouse.Calls)
	}

	s.slow.Store(0)
	again := s.daemon()
	all := int64(0)
	for _, fake := range s.fakes {
		all += int64(len(fake.All()))
	}
	eventually(t, "the restarted daemon has all calls, and no gap", func() bool {
		r := s.status()
		missing := slices.ContainsFunc(r.Sources, func(o load.SourceStatus) bool { return o.Missing.Stretches > 0 || o.OpenWindows > 0 })
		return r.Warehouse.Calls == all && !missing && len(r.Process.Running) == 0
	})
	send(t, again.Cmd, syscall.SIGTERM)
	if code := again.ends(10 * time.Second); code != exitDone {
		t.Errorf("exit code %d\n%s", code, again.out)
	}
	// What the first had stored was not stored again.
	got := answers(t, s.warehouse, `SELECT sum(inserted) - (SELECT count(*) FROM calls) AS twice FROM sync.runs`, `SELECT run_id FROM sync.runs WHERE records <> inserted + updated + unchanged + rejected`)
	if got[0] != "{\"twice\":0}\n" || got[1] != "" {
		t.Errorf("calls inserted twice: %s, runs whose counts do not add up: %s", got[0], got[1])
	}
}

func TestASecondSignalEndsTheDaemonAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, 300, fakeapi.Burki)
	s.slow.Store(int64(100 * time.Millisecond))
	daemon := s.daemon()
	for _, one := range []os.Signal{syscall.SIGSTOP, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCONT} {
		send(t, daemon.Cmd, one)
	}
	// Both wait when it goes on, and which of them reaches it second is the system's choice.
	if code := daemon.ends(5 * time.Second); code != 143 && code != 130 {
		t.Errorf("exit code %d, want 143 or 130", code)
	}
	s.slow.Store(0)
	if out, code := s.run("sync", "--no-progress"); code != exitDone {
		t.Errorf("then a sync: exit code %d\n%s", code, out)
	}
}

func TestHealthAndStatusAreServed(t *testing.T) {
	t.Parallel()
	s := newSite(t, 60, fakeapi.Burki)
	at := freePort(t)
	s.edit(`http: ""`, "http: "+at)
	s.daemon()
	for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ok"} {
		if body, code := get(t, "http://"+at+path); code != http.StatusOK || strings.TrimSpace(body) != want {
			t.Errorf("%s: status %d, %q", path, code, body)
		}
	}
	body, code := get(t, "http://"+at+"/api/status")
	var r statusReport
	if err := json.Unmarshal([]byte(body), &r); err != nil || code != http.StatusOK {
		t.Fatalf("/api/status: status %d, error %v\n%s", code, err, body)
	}
	if r.Process == nil || !r.Process.Daemon || r.Process.HTTP != at || len(r.Sources) != 1 || r.Sources[0].Source != "burki" {
		t.Errorf("/api/status tells of %+v", r)
	}

	// The port is taken: another daemon says so, and leaves no socket.
	other := newSite(t, 60, fakeapi.Burki)
	other.edit(`http: ""`, "http: "+at)
	if out, code := other.run("run"); code != exitFailed || !strings.Contains(out, "the port is in use") {
		t.Errorf("a daemon whose port is taken: exit code %d\n%s", code, out)
	}
	if _, err := os.Lstat(other.socket()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it leaves its socket: %v", err)
	}
}

// freePort finds an address that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func get(t *testing.T, url string) (string, int) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), res.StatusCode
}

// TestAParkedSourceHoldsUpNoOtherAndGoesOnOnceAPersonHasMendedIt has one provider refuse its key, until it no longer does and somebody syncs.
func TestAParkedSourceHoldsUpNoOtherAndGoesOnOnceAPersonHasMendedIt(t *testing.T) {
	t.Parallel()
	s := newSite(t, 120, fakeapi.Burki, fakeapi.Voicy)
	s.fakes[fakeapi.Voicy].SetKey("another")
	daemon := s.daemon()
	parked := func() load.SourceStatus {
		sources := s.status().Sources
		return sources[slices.IndexFunc(sources, func(o load.SourceStatus) bool { return o.Source == "voicy" })]
	}
	eventually(t, "the source is parked", func() bool { return parked().State == "parked" })
	if p := parked(); !strings.Contains(p.Reason, "refuses the key") || p.Problem == "" || p.Advice == "" {
		t.Errorf("the parked source: reason %q, problem %q, advice %q", p.Reason, p.Problem, p.Advice)
	}
	eventually(t, "the other is read", func() bool { return s.status().Warehouse.Calls == int64(len(s.fakes[fakeapi.Burki].All())) })
	if out, code := s.run("status"); code != exitDone || !strings.Contains(out, "parked") || !strings.Contains(out, "refuses the key") {
		t.Errorf("status: exit code %d\n%s", code, out)
	}
	if out, code := s.run("sync", "--no-progress"); code != exitPartly || strings.Count(out, "refuses the key") != 1 || !strings.Contains(out, "burki   done") {
		t.Errorf("a sync of both: exit code %d\n%s", code, out)
	}

	s.fakes[fakeapi.Voicy].SetKey(keys[fakeapi.Voicy])
	if out, code := s.run("sync", "voicy", "--no-progress"); code != exitDone || !strings.Contains(out, "voicy   done") {
		t.Errorf("a sync once the key is right: exit code %d\n%s", code, out)
	}
	if p := parked(); p.State != "active" || p.Reason != "" {
		t.Errorf("after a sync that went well it is %s (%s)", p.State, p.Reason)
	}
	if text := daemon.out.String(); strings.Count(text, "source parked") != 1 {
		t.Errorf("the daemon says how often that a source is parked?\n%s", text)
	}
}

func TestSourcesThatLeaveTheConfigurationKeepTheirRows(t *testing.T) {
	t.Parallel()
	s := newSite(t, 60, providers...)
	daemon := s.daemon()
	all := int64(0)
	for _, fake := range s.fakes {
		all += int64(len(fake.All()))
	}
	eventually(t, "everything is read", func() bool { return s.status().Warehouse.Calls == all })
	send(t, daemon.Cmd, os.Interrupt)
	if code := daemon.ends(10 * time.Second); code != exitDone {
		t.Errorf("exit code %d", code)
	}

	// One is renamed, and one is removed: the second is pointed to nowhere, as a line that is taken out would be.
	s.edit("name: burki,", "name: burki-eu,")
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.SplitAfter(string(text), "\n"), func(l string) bool { return strings.Contains(l, "name: voicy") })
	if err := os.WriteFile(s.config, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	burki, voicy := int64(len(s.fakes[fakeapi.Burki].All())), int64(len(s.fakes[fakeapi.Voicy].All()))
	check := func(renamed int64) {
		t.Helper()
		got := make(map[string]load.SourceStatus)
		for _, o := range s.status().Sources {
			got[o.Source] = o
		}
		for name, want := range map[string]struct {
			configured bool
			calls      int64
		}{"burki": {false, burki}, "voicy": {false, voicy}, "burki-eu": {true, renamed}, "millis": {true, all - burki - voicy}} {
			if o := got[name]; o.Configured != want.configured || o.Calls != want.calls {
				t.Errorf("%s: configured %t with %d calls, want %t with %d", name, o.Configured, o.Calls, want.configured, want.calls)
			}
		}
		out, code := s.run("status")
		if code != exitDone || strings.Count(out, "not in the configuration") != 2 {
			t.Errorf("status: exit code %d\n%s", code, out)
		}
	}
	check(0)
	daemon = s.daemon()
	eventually(t, "the renamed source is read under its new name", func() bool { return s.status().Warehouse.Calls == all+burki })
	check(burki)

	// The daemon has said so of both by name, and does not at its next start.
	if text := daemon.out.String(); strings.Count(text, "not in the configuration (removed, or renamed)") != 2 ||
		!strings.Contains(text, `{"source": "burki"}`) || !strings.Contains(text, `{"source": "voicy"}`) {
		t.Errorf("the daemon says of sources that were removed:\n%s", text)
	}
	send(t, daemon.Cmd, os.Interrupt)
	if code := daemon.ends(10 * time.Second); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	if text := s.daemon().out.String(); strings.Contains(text, "not in the configuration") {
		t.Errorf("the next daemon says it again:\n%s", text)
	}
}
