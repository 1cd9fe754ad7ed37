package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/pipeline"
)

// TestEveryCommandWorksWhileTheDaemonRuns gives each command without the keys, which the daemon has, but for check, which asks the providers
// itself.
func TestEveryCommandWorksWhileTheDaemonRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t, 120, providers...)
	daemon := s.daemon()
	long := time.Now().AddDate(-1, 0, 0).Format(time.DateOnly)
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"sync"}, []string{"millis  done", "burki   done", "voicy   done"}},
		{[]string{"sync", "burki", "--fresh"}, []string{"burki   done"}},
		{[]string{"backfill", "burki", "voicy", "--from", long, "--dry-run"}, []string{"LIST REQUESTS", "1000/s"}},
		{[]string{"backfill", "burki", "voicy", "--from", long, "--parallel", "3"}, []string{"burki   done", "voicy   done"}},
		{[]string{"backfill", "millis", "--from", long, "--force"}, []string{"millis  done"}},
		{[]string{"doctor"}, []string{"one row for one call", "ledger of millis"}},
		{[]string{"doctor", "--fix", "--compact"}, []string{"done: compacted"}},
		{[]string{"renormalize", "burki"}, []string{"burki   done"}},
		{[]string{"status"}, []string{"the daemon runs since", "millis"}},
		{[]string{"status", "--json"}, []string{`"daemon": true`}},
	} {
		out, code := command(t, keyless(syncd(append(tt.args, "-c", s.config)...)))
		for _, want := range tt.want {
			if !strings.Contains(out, want) || code != exitDone {
				t.Errorf("%s: exit code %d, want %q in\n%s", strings.Join(tt.args, " "), code, want, out)
			}
		}
	}
	if out, code := s.run("check"); code != exitDone || !strings.Contains(out, "in use by another syncd") {
		t.Errorf("check: exit code %d\n%s", code, out)
	}
	if out, code := s.run("sync", "bruki"); code != exitUsage || !strings.Contains(out, "burki") {
		t.Errorf("a source that is not in the configuration: exit code %d\n%s", code, out)
	}
	s.edit("name: voicy,", "name: voicy-eu,")
	if out, code := s.run("sync", "voicy-eu"); code != exitUsage || !strings.Contains(out, "restart it if the configuration has changed") {
		t.Errorf("a source that the daemon does not have: exit code %d\n%s", code, out)
	}
	send(t, daemon.Cmd, os.Interrupt)
	if code := daemon.ends(10 * time.Second); code != exitDone {
		t.Errorf("the daemon: exit code %d", code)
	}
}

// What is rebuilt is what the command's configuration says, or nothing is: a daemon that has read another says so.
func TestADaemonOfAnotherConfigurationDoesNotRenormalize(t *testing.T) {
	t.Parallel()
	s := newSite(t, 20, fakeapi.Burki, fakeapi.Voicy)
	s.edit("sources:\n", "privacy: {phone_numbers: hash, hash_key_env: PRIVACY_KEY}\nsources:\n")
	private := func(cmd *exec.Cmd, key string) *exec.Cmd {
		cmd.Env = append(cmd.Env, "PRIVACY_KEY="+strings.Repeat(key, 16))
		return cmd
	}
	daemon := launchCommand(t, private(syncd("run", "-c", s.config), "ab"))
	daemon.prints("syncd runs")
	eventually(t, "all calls are there", func() bool { return s.status().Warehouse.Calls == 40 })
	renormalize := func(args ...string) *exec.Cmd {
		return syncd(append([]string{"renormalize", "-c", s.config}, args...)...)
	}
	for name, cmd := range map[string]*exec.Cmd{"with the daemon's keys": private(renormalize(), "ab"), "without any key": keyless(renormalize("burki"))} {
		if out, code := command(t, cmd); code != exitDone || !strings.Contains(out, "burki   done") {
			t.Errorf("%s: exit code %d\n%s", name, code, out)
		}
	}
	const refused = "the running daemon has another configuration (or version); restart it"
	if out, code := command(t, private(renormalize(), "cd")); code != exitUsage || !strings.Contains(out, refused) {
		t.Errorf("with another key: exit code %d\n%s", code, out)
	}
	s.edit("phone_numbers: hash, hash_key_env: PRIVACY_KEY", "phone_numbers: drop")
	runs := `SELECT count(*) FROM sync.runs WHERE kind = 'renormalize'`
	before, _ := s.run("query", runs)
	for _, args := range [][]string{nil, {"voicy"}} {
		if out, code := command(t, keyless(renormalize(args...))); code != exitUsage || !strings.Contains(out, refused) {
			t.Errorf("by other rules, %v: exit code %d\n%s", args, code, out)
		}
	}
	if after, _ := s.run("query", runs); after != before {
		t.Errorf("runs: %s, and before %s", after, before)
	}
	send(t, daemon.Cmd, os.Interrupt)
	if code := daemon.ends(10 * time.Second); code != exitDone {
		t.Errorf("the daemon: exit code %d", code)
	}
}

// A daemon of another version makes other tables of the same payloads.
func TestWhatIsAskedOfAnotherVersionOrOfOtherSourcesIsRefused(t *testing.T) {
	has := []pipeline.Source{{Name: "a", Rules: "phone_numbers hash, transcripts keep with key 12ab, credit 1 USD"}}
	asked := func(v string, rules map[string]string) bool {
		return renormalizeArgs{Version: v, Rules: rules}.means(has)
	}
	keyless := "phone_numbers hash, transcripts keep, credit 1 USD"
	if !asked(version(), map[string]string{"a": has[0].Rules}) || !asked(version(), map[string]string{"a": keyless}) {
		t.Error("the same is refused")
	}
	if asked("", nil) || asked("another", map[string]string{"a": has[0].Rules}) || asked(version(), map[string]string{"b": keyless}) ||
		asked(version(), map[string]string{"a": keyless, "b": keyless}) || asked(version(), map[string]string{"a": "phone_numbers keep, transcripts keep"}) {
		t.Error("another is not refused")
	}
}

func TestAFollowerShowsProgressAndItsCtrlCEndsItsWorkAlone(t *testing.T) {
	t.Parallel()
	s, daemon := busyWithNothing(t)
	follower := launch(t, "backfill", "burki", "-c", s.config, "--from", time.Now().AddDate(0, -4, 0).Format(time.DateOnly))
	follower.prints("burki:")
	if text := follower.out.String(); !strings.Contains(text, " records  ") || !strings.Contains(text, " %") {
		t.Errorf("the progress is %q", text)
	}
	running := s.status().Process.Running
	if len(running) != 1 || running[0].Kind != "backfill" || running[0].Records == 0 {
		t.Errorf("status shows as running: %+v", running)
	}
	send(t, follower.Cmd, os.Interrupt)
	if code := follower.ends(10 * time.Second); code != exitFailed || !strings.Contains(follower.out.String(), "the same command goes on from there") {
		t.Errorf("the follower: exit code %d\n%s", code, follower.out)
	}
	eventually(t, "the work in the daemon ends", func() bool { return len(s.status().Process.Running) == 0 })
	asked := s.asked.Load()
	time.Sleep(time.Second)
	if more := s.asked.Load(); more != asked {
		t.Errorf("%d requests were sent after the follower had gone", more-asked)
	}

	// What was read is stored, the same command goes on from there, and the daemon has lived on.
	s.slow.Store(0)
	stored := s.status().Warehouse.Calls
	out, code := s.run("backfill", "burki", "--from", time.Now().AddDate(0, -4, 0).Format(time.DateOnly), "--no-progress")
	if code != exitDone || stored == 0 || s.status().Process.PID != daemon.Process.Pid {
		t.Errorf("the same command: exit code %d, %d calls were stored\n%s", code, stored, out)
	}
	if calls := s.status().Warehouse.Calls; calls != int64(len(s.fakes[fakeapi.Burki].All())) {
		t.Errorf("%d calls of %d", calls, len(s.fakes[fakeapi.Burki].All()))
	}
}

func TestAFollowerSaysThatItsDaemonWasKilled(t *testing.T) {
	t.Parallel()
	s, daemon := busyWithNothing(t)
	follower := launch(t, "backfill", "burki", "-c", s.config, "--from", time.Now().AddDate(0, -4, 0).Format(time.DateOnly))
	eventually(t, "the work is under way, and some of it stored", func() bool { // soon after midnight the daemon's own work has found no call
		running := s.status().Process.Running
		return len(running) > 0 && running[0].Records > 0
	})
	if err := daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if code := follower.ends(10 * time.Second); code != exitFailed || !strings.Contains(follower.out.String(), "went away") {
		t.Errorf("the follower: exit code %d\n%s", code, follower.out)
	}
	// The socket that a dead process left keeps nobody from anything.
	if _, err := os.Lstat(s.socket()); err != nil {
		t.Errorf("this shows too little: %v", err)
	}
	if r := s.status(); r.Process != nil || r.Warehouse.Calls == 0 {
		t.Errorf("status tells of process %+v and %d calls", r.Process, r.Warehouse.Calls)
	}
	s.slow.Store(0)
	if out, code := s.run("sync", "--no-progress"); code != exitDone {
		t.Errorf("sync: exit code %d\n%s", code, out)
	}
}

func TestADaemonThatIsToldToStopTellsItsFollower(t *testing.T) {
	t.Parallel()
	s, daemon := busyWithNothing(t)
	follower := launch(t, "backfill", "burki", "-c", s.config, "--from", time.Now().AddDate(0, -4, 0).Format(time.DateOnly))
	eventually(t, "the work is under way", func() bool { return len(s.status().Process.Running) > 0 })
	send(t, daemon.Cmd, os.Interrupt)
	if code := daemon.ends(10 * time.Second); code != exitDone {
		t.Errorf("the daemon: exit code %d\n%s", code, daemon.out)
	}
	if code := follower.ends(10 * time.Second); code != exitFailed || !strings.Contains(follower.out.String(), "goes on from there") {
		t.Errorf("the follower: exit code %d\n%s", code, follower.out)
	}
}

// busyWithNothing starts a daemon that has nothing to do of its own, on a provider that takes its time: what is asked of it was handed over.
func busyWithNothing(t *testing.T) (*site, *process) {
	t.Helper()
	s := newSite(t, 1500, fakeapi.Burki)
	s.edit("page_size: 25", "page_size: 10, details: false")
	today := time.Now().UTC().Format(time.DateOnly)
	s.edit("start: "+time.Now().UTC().AddDate(0, -4, 0).Format(time.DateOnly), "start: "+today)
	daemon := s.daemon()
	eventually(t, "the daemon has done its own work", func() bool {
		r := s.status()
		return len(r.Process.Running) == 0 && len(r.Sources) == 1 && r.Sources[0].LastRun != nil && r.Sources[0].LastRun.FinishedAt != nil
	})
	s.slow.Store(int64(200 * time.Millisecond))
	return s, daemon
}

func TestTwoSyncsAtOnceWaitForEachOther(t *testing.T) {
	t.Parallel()
	s := newSite(t, 120, fakeapi.Burki)
	s.edit("page_size: 25", "page_size: 10, details: false")
	s.slow.Store(int64(300 * time.Millisecond))
	first := launch(t, "sync", "-c", s.config)
	eventually(t, "the first is at work", func() bool { r := s.status(); return r.Process != nil && !r.Process.Daemon })
	if out, code := s.run("status"); code != exitDone || !strings.Contains(out, "a command is at work since") {
		t.Errorf("status while a sync runs: exit code %d\n%s", code, out)
	}
	second := launch(t, "sync", "-c", s.config)
	second.prints("waiting to read: ")
	daemon := launch(t, "run", "-c", s.config)
	daemon.prints("waiting to run: ")
	select {
	case err := <-first.ended:
		t.Fatalf("the first had ended already, with %v: this shows nothing", err)
	default:
	}
	s.slow.Store(0)
	for _, p := range []*process{first, second} {
		if code := p.ends(30 * time.Second); code != exitDone || !strings.Contains(p.out.String(), "burki   done") {
			t.Errorf("exit code %d\n%s", code, p.out)
		}
	}
	if n := strings.Count(second.out.String(), "waiting"); n != 1 {
		t.Errorf("the second said %d times that it waits, want once:\n%s", n, second.out)
	}
	daemon.prints("syncd runs")
	out, code := s.run("run")
	if code != exitFailed || !strings.Contains(out, "syncd runs on this warehouse already, as process ") {
		t.Errorf("a second daemon: exit code %d\n%s", code, out)
	}
	send(t, daemon.Cmd, os.Interrupt)
	if code := daemon.ends(10 * time.Second); code != exitDone {
		t.Errorf("the daemon: exit code %d\n%s", code, daemon.out)
	}
	if out, code := s.run("status"); code != exitDone || !strings.Contains(out, "no daemon runs") {
		t.Errorf("status while nothing runs: exit code %d\n%s", code, out)
	}
}
