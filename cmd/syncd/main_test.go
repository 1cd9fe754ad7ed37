package main

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"syncd/internal/fakeapi"
)

// TestMain makes this test binary the real command where it is called syncd: scripts run it as users do, and the race detector with it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"syncd": main})
}

// keys are what must appear in no output, whatever is run.
var keys = map[fakeapi.Provider]string{
	fakeapi.Millis: "secret-millis-7c1e55",
	fakeapi.Burki:  "secret-burki-a94d02",
	fakeapi.Voicy:  "secret-voicy-03be9f",
}

var providers = []fakeapi.Provider{fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy}

// startFake serves a provider with a quarter of calls that ended an hour ago.
func startFake(t testing.TB, p fakeapi.Provider, calls int) (*fakeapi.Server, string) {
	t.Helper()
	until := time.Now().UTC().Add(-time.Hour)
	fake := fakeapi.New(fakeapi.Options{Provider: p, Seed: 3, Key: keys[p], Calls: calls, Since: until.AddDate(0, -3, 0), Until: until})
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	return fake, server.URL + fake.BasePath()
}

// TestScripts runs the command as a person would, and holds what it prints and its exit codes against what was written down.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			for _, p := range providers {
				fake, url := startFake(env.T().(testing.TB), p, 240)
				name := strings.ToUpper(string(p))
				env.Values[string(p)] = fake
				env.Setenv(name+"_URL", url)
				env.Setenv(name+"_KEY", keys[p])
				env.Setenv(name+"_CALLS", strconv.Itoa(len(fake.All())))
			}
			env.Setenv("START", time.Now().UTC().AddDate(0, -4, 0).Format(time.DateOnly))
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "xdg"))
			name, value, _ := strings.Cut(watched(), "=")
			env.Setenv(name, value)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":  exits,
			"expand": expand,
			"poison": poison,
			"shows":  shows,
			"fits":   fits,
		},
	})
}

// exits runs a command and fails unless it ends with the code: exits CODE COMMAND ARGS…
// No key may stand in what it printed.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	if code != want {
		ts.Fatalf("exit code %d, want %d\n%s%s", code, want, stdout, stderr)
	}
	for p, key := range keys {
		if strings.Contains(stdout+stderr, key) {
			ts.Fatalf("the key of %s was printed:\n%s%s", p, stdout, stderr)
		}
	}
}

// noKeys fails if a key stands in what was printed.
func noKeys(t *testing.T, printed string) {
	t.Helper()
	for p, key := range keys {
		if strings.Contains(printed, key) {
			t.Errorf("the key of %s was printed:\n%s", p, printed)
		}
	}
}

// expand replaces the script's variables in a file: expand FILE
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// watched tells the race detector how long to go on watching a process that ends. By itself it would for a second, which is most of what a short command
// takes.
func watched() string { return "GORACE=atexit_sleep_ms=20 " + os.Getenv("GORACE") }

// syncd is the command as a process of its own, with the keys in its environment.
func syncd(args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(self)
	cmd.Args = append([]string{"syncd"}, args...)
	cmd.Env = append(os.Environ(), watched())
	for p, key := range keys {
		cmd.Env = append(cmd.Env, strings.ToUpper(string(p))+"_KEY="+key)
	}
	return cmd
}

// configure writes a configuration for sources at the given URLs, and returns its path.
func configure(t testing.TB, dir string, urls map[fakeapi.Provider]string, more string) string {
	t.Helper()
	var y strings.Builder
	y.WriteString("warehouse:\n  path: calls.duckdb\n" + more + "sources:\n")
	for _, p := range providers {
		if urls[p] == "" {
			continue
		}
		fmt.Fprintf(&y, "  - {name: %[1]s, provider: %[1]s, base_url: %[2]q, api_key_env: %[3]s_KEY, start: %[4]s, page_size: 25, rate_limit: 1000/s}\n",
			p, urls[p], strings.ToUpper(string(p)), time.Now().UTC().AddDate(0, -4, 0).Format(time.DateOnly))
	}
	path := filepath.Join(dir, "syncd.yaml")
	if err := os.WriteFile(path, []byte(y.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
