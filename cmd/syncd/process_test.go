package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"syncd/internal/control"
	"syncd/internal/fakeapi"
)

// transcript is what a process has printed so far.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// process is a command that runs.
type process struct {
	*exec.Cmd
	t     *testing.T
	out   *transcript
	ended chan error
}

// launch starts a command, and kills it at the test's end if it still runs then.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	return launchCommand(t, syncd(args...))
}

func launchCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: cmd, t: t, out: new(transcript), ended: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended long ago
		if t.Failed() {
			t.Logf("%s printed:\n%s", strings.Join(cmd.Args, " "), p.out)
		}
	})
	return p
}

// prints waits until a text was printed.
func (p *process) prints(text string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%q is printed by %s", text, p.Args[1]), func() bool { return strings.Contains(p.out.String(), text) })
}

// ends waits until the process has ended, and returns its exit code, and -1 where a signal has killed it.
func (p *process) ends(within time.Duration) int {
	p.t.Helper()
	select {
	case err := <-p.ended:
		return exitCode(err)
	case <-time.After(within):
		p.t.Fatalf("%s has not ended within %s; it printed:\n%s", strings.Join(p.Args, " "), within, p.out)
	}
	return 0
}

// eventually waits, as long as a busy machine may take, until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come to pass that %s", what)
		}
	}
}

var ofALock = regexp.MustCompile(`(?i)\block`)

// command runs a command to its end and returns what it printed and its exit code. Nobody is ever shown a lock error.
func command(t *testing.T, cmd *exec.Cmd) (string, int) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if ofALock.Match(out) {
		t.Errorf("%s speaks of a lock:\n%s", strings.Join(cmd.Args, " "), out)
	}
	noKeys(t, string(out))
	return string(out), exitCode(err)
}

// keyless takes the keys out of a command's environment.
func keyless(cmd *exec.Cmd) *exec.Cmd {
	var env []string
	for _, e := range cmd.Env {
		if name, _, _ := strings.Cut(e, "="); !strings.HasSuffix(name, "_KEY") {
			env = append(env, e)
		}
	}
	cmd.Env = env
	return cmd
}

// site is a configuration and its warehouse, in a folder whose name is short enough for a socket to stand in it.
type site struct {
	t         *testing.T
	config    string
	warehouse string
	fakes     map[fakeapi.Provider]*fakeapi.Server
	slow      atomic.Int64 // how long the providers take for an answer, in nanoseconds
	asked     atomic.Int64 // requests

	spoil atomic.Pointer[spoiler] // nil: the providers answer themselves
}

// spoiler answers in a provider's place, which would have answered so.
type spoiler func(w http.ResponseWriter, r *http.Request, status int, body []byte)

// newSite makes providers with so many calls each, and configures them.
func newSite(t *testing.T, calls int, of ...fakeapi.Provider) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "sy")
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir) // as the socket's name is made
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &site{t: t, warehouse: filepath.Join(dir, "calls.duckdb"), fakes: make(map[fakeapi.Provider]*fakeapi.Server)}
	urls := make(map[fakeapi.Provider]string)
	for _, p := range of {
		fake, _ := startFake(t, p, calls)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.asked.Add(1)
			time.Sleep(time.Duration(s.slow.Load()))
			spoil := s.spoil.Load()
			if spoil == nil {
				fake.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			fake.ServeHTTP(rec, r)
			(*spoil)(w, r, rec.Code, rec.Body.Bytes())
		}))
		t.Cleanup(server.Close)
		s.fakes[p], urls[p] = fake, server.URL+fake.BasePath()
	}
	s.config = configure(t, dir, urls, "server: {http: \"\"}\n")
	return s
}

// edit replaces a text throughout the configuration.
func (s *site) edit(old, new string) {
	s.t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(text), old, new)
	if changed == string(text) {
		s.t.Fatalf("the configuration has no %q", old)
	}
	if err := os.WriteFile(s.config, []byte(changed), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// daemon starts a daemon and waits until it takes work.
func (s *site) daemon(args ...string) *process {
	s.t.Helper()
	p := launch(s.t, append([]string{"run", "-c", s.config}, args...)...)
	p.prints("syncd runs")
	return p
}

// run runs a command to its end.
func (s *site) run(args ...string) (string, int) {
	s.t.Helper()
	return command(s.t, syncd(append(args, "-c", s.config)...))
}

// socket is where the control socket is.
func (s *site) socket() string { return control.Path(s.warehouse) }

// status is what status --json prints.
func (s *site) status() (r statusReport) {
	s.t.Helper()
	cmd := syncd("status", "--json", "-c", s.config)
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("status: %v", err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		s.t.Fatalf("status: %v\n%s", err, out)
	}
	return r
}
