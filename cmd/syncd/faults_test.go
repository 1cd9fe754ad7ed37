package main

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/proof/prooftest"
)

// faultCase is a fault as a person meets it: what 'syncd sync' says of it, and what makes the warehouse whole once it is over.
type faultCase struct {
	kind    fakeapi.Kind
	how     string           // tells it from the other cases of its kind
	at      fakeapi.Provider // where it hurts most
	fault   fakeapi.Fault    // but for its kind
	timeout string           // of the source; "": the default

	code    int
	row     string   // what the table says after the source's name, as a regular expression; one blank stands between two columns
	says    []string // on stderr, in this order; {where} is the source, the request and the window, as every error of a page begins
	quiet   bool     // stderr tells nobody of any trouble
	retried bool     // sync.runs tells of retries
	most    int64    // MiB of memory that the process may hold at its peak; 0: not measured

	// again says why it is not enough to read what is due once the fault is over, and all is read again; "": it is enough.
	again string
	// also holds what the sync has left against what it should be, before the fault is over.
	also func(t *testing.T, path string)
}

// What is said of many faults.
const (
	lied    = "the provider told it so, in pages that could be read: nothing says that they should be read again"
	crowded = "the provider cannot answer now, tried 6 times (status "
	stays   = "the window stays open and is tried again; if this lasts, the provider has changed its API"
	asksOn  = "5 windows in a row brought answers that cannot be read, so this run asks no more: check base_url, and whether the provider has trouble or a new API"
	network = "tried 6 times; check base_url and the network, and run it again"
	badKey  = "check the key of this source, where api_key_env or api_key_file says; `syncd check` tells when it works"
	noID    = "no call on the page has an id to go on from (status 200): answer begins"

	whole   = `done 60 \d+ \d+ 0 \d+`
	nothing = `failed 0 0 0 0 7`
)

// pagesOnly picks the requests for pages of calls, and not for single ones.
func pagesOnly(r fakeapi.Request) bool { return !singleCall.MatchString(r.Path) }

var singleCall = regexp.MustCompile(`/(call-get|call-logs|calls)/.`)

const faultCalls = 60

// undisturbed is a quarter of calls at each provider, and the warehouses of syncs that met no fault.
type undisturbed struct {
	until   time.Time
	paths   map[fakeapi.Provider]string
	private map[fakeapi.Provider]*private
	cpu     atomic.Int64 // of all processes, in nanoseconds
}

func newUndisturbed(t *testing.T) *undisturbed {
	t.Helper()
	u := &undisturbed{until: time.Now().UTC().Truncate(time.Second).Add(-time.Hour), paths: make(map[fakeapi.Provider]string), private: make(map[fakeapi.Provider]*private)}
	for _, p := range providers {
		dir := t.TempDir()
		fake := u.fake(p)
		server := httptest.NewServer(fake)
		t.Cleanup(server.Close)
		if out, code := command(t, syncd("sync", "-c", configure(t, dir, map[fakeapi.Provider]string{p: server.URL + fake.BasePath()}, ""))); code != exitDone {
			t.Fatalf("exit code %d:\n%s", code, out)
		}
		u.paths[p] = filepath.Join(dir, "calls.duckdb")
		checkWarehouse(t, u.paths[p])
		u.private[p] = privateOf(t, u.paths[p])
	}
	return u
}

// fake is a provider with the calls that were read undisturbed.
func (u *undisturbed) fake(p fakeapi.Provider) *fakeapi.Server {
	return fakeapi.New(fakeapi.Options{Provider: p, Seed: 5, Key: keys[p], Calls: faultCalls, Since: u.until.AddDate(0, -3, 0), Until: u.until})
}

// same holds a warehouse that met a fault against the one that met none. Where all was read again, it has more to tell of its history.
func (u *undisturbed) same(t *testing.T, path string, p fakeapi.Provider, again bool) {
	t.Helper()
	checkWarehouse(t, path)
	var more []prooftest.Table
	if !again {
		more = []prooftest.Table{prooftest.Revisions(), prooftest.Rejects()}
	}
	prooftest.Same(t, path, u.paths[p], more...)
}

// told is what a process printed, and what it took.
type told struct {
	out, err string
	code     int
	peak     int64 // MiB
}

// run runs a command to its end. What it printed must hold nothing private of the provider.
func (u *undisturbed) run(t *testing.T, p fakeapi.Provider, args ...string) told {
	t.Helper()
	cmd := syncd(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	peak, ended := make(chan int64), make(chan struct{})
	go func() { peak <- peakOf(cmd, ended) }()
	err := cmd.Wait()
	close(ended)
	r := told{out.String(), errs.String(), exitCode(err), <-peak >> 20}
	u.cpu.Add(int64(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()))
	noKeys(t, r.out+r.err)
	u.private[p].notIn(t, strings.Join(args[:1], " "), r.out+r.err)
	return r
}

// peakOf looks again and again how much memory a process held at most, until it has ended; 0 where the system does not tell. What the system
// tells of an ended process will not do: it counts the memory of the one that started it.
func peakOf(cmd *exec.Cmd, ended <-chan struct{}) (most int64) {
	for {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/status")
		if m := highest.FindSubmatch(text); err == nil && m != nil {
			if kib, err := strconv.ParseInt(string(m[1]), 10, 64); err == nil {
				most = max(most, kib<<10)
			}
		}
		select {
		case <-ended:
			return most
		case <-time.After(10 * time.Millisecond):
		}
	}
}

var highest = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// TestEveryFaultIsToldAndCostsNothing has a provider break its answers in every way that the fakes know, one after the other, while the real command
// syncs as a person would have it: what it says, how it ends, and that the next one ends as if nothing had happened. Most of the cases wait for the
// pauses between attempts, so that many run at once.
func TestEveryFaultIsToldAndCostsNothing(t *testing.T) {
	t.Parallel()
	u := newUndisturbed(t)
	began := time.Now()
	known := make(map[fakeapi.Kind]bool)
	names := make(map[string]bool)
	room := make(chan struct{}, 16)
	var running sync.WaitGroup
	for n, c := range faultCases() {
		known[c.kind] = true
		if raceDetector && n%racedFaults > 0 {
			continue
		}
		name := strings.TrimSpace(c.kind.String() + " " + c.how)
		if names[name] {
			t.Errorf("two cases are called %s", name)
		}
		names[name] = true
		room <- struct{}{}
		running.Go(func() {
			defer func() { <-room }()
			t.Run(name, func(t *testing.T) { u.meet(t, c) })
		})
	}
	running.Wait()
	for _, k := range fakeapi.Kinds() {
		if !known[k] {
			t.Errorf("nothing says what a person sees of the fault %s", k)
		}
	}
	t.Logf("%d cases in %s; the processes took %s of the processor", len(names), time.Since(began).Round(time.Millisecond), time.Duration(u.cpu.Load()).Round(time.Millisecond))
}

// racedFaults is how few of the cases are watched for races, one in so many: each then takes several times as long, and they go through the same
// code. All of them are run without that, by make proof, which is part of make test.
const racedFaults = 10

// meet is one case.
func (u *undisturbed) meet(t *testing.T, c faultCase) {
	fake := u.fake(c.at)
	l, err := fakeapi.Listen(t.Context(), fake)
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	config := configure(t, t.TempDir(), map[fakeapi.Provider]string{c.at: l.BaseURL}, "  threads: 1\n  publish: \"\"\n") // a copy fails for reasons of its own
	if c.timeout != "" {
		text, err := os.ReadFile(config)
		must(t, err)
		must(t, os.WriteFile(config, bytes.ReplaceAll(text, []byte("rate_limit:"), []byte("timeout: "+c.timeout+", rate_limit:")), 0o600))
	}
	path := filepath.Join(filepath.Dir(config), "calls.duckdb")
	closed := c.kind == fakeapi.Refused && c.how == "by a closed port"
	if f := c.fault; closed {
		must(t, l.Shut())
	} else {
		f.Kind = c.kind
		fake.Inject(f)
	}
	got := u.run(t, c.at, "sync", "-c", config, "--log-level", "debug")
	u.holds(t, c, got)
	if n := fake.Injected()[c.kind]; n == 0 && !closed {
		t.Errorf("the fault never happened in %d requests", fake.RequestCount())
	}
	if _, err := os.Stat(path); err == nil {
		u.recordsHold(t, c, path)
	}
	if c.also != nil {
		c.also(t, path)
	}

	fake.Heal()
	must(t, l.Open(t.Context()))
	args := []string{"sync", "-c", config}
	if c.again != "" {
		args = []string{"backfill", string(c.at), "--from", time.Now().UTC().AddDate(0, -4, 0).Format(time.DateOnly), "--force", "-c", config}
	}
	if healed := u.run(t, c.at, args...); healed.code != exitDone {
		t.Errorf("once it is over, %s ends with %d:\n%s%s", args[0], healed.code, healed.out, healed.err)
	}
	u.same(t, path, c.at, c.again != "")
	if t.Failed() {
		t.Logf("exit code %d:\n%s%s", got.code, got.out, got.err)
	}
}

// holds compares what a sync said with what it should say.
func (u *undisturbed) holds(t *testing.T, c faultCase, got told) {
	t.Helper()
	if got.code != c.code {
		t.Errorf("exit code %d, want %d", got.code, c.code)
	}
	printed := strings.Join(strings.Fields(got.out), " ")
	if row := regexp.MustCompile(`^SOURCE .* TIME ` + string(c.at) + " " + cmp.Or(c.row, whole) + ` [0-9.]+m?s$`); !row.MatchString(printed) {
		t.Errorf("the table is %q, want %s", printed, row)
	}
	rest := got.err
	for _, words := range c.says {
		words = strings.ReplaceAll(words, "{where}", "syncd: "+string(c.at)+": "+map[fakeapi.Provider]string{
			fakeapi.Millis: "GET /call-logs", fakeapi.Burki: "GET /api/v1/calls/", fakeapi.Voicy: "POST /call-list"}[c.at]+" for [20")
		_, after, ok := strings.Cut(rest, words)
		if !ok {
			t.Errorf("stderr does not say, in its place, %q", words)
		}
		rest = after
	}
	if quiet := !regexp.MustCompile(`(?m)^syncd: |\b(warn|error)\b`).MatchString(got.err); quiet != c.quiet {
		t.Errorf("that nothing is told of any trouble is %t, want %t", quiet, c.quiet)
	}
	if c.most > 0 && !raceDetector {
		t.Logf("the process held %d MiB at most", got.peak)
		if got.peak > c.most {
			t.Errorf("the process held %d MiB, want %d at most", got.peak, c.most)
		}
	}
}

// recordsHold compares what a sync recorded with what it said: nothing private, and as many retries as there should be.
func (u *undisturbed) recordsHold(t *testing.T, c faultCase, path string) {
	t.Helper()
	recorded := answers(t, path, append([]string{`SELECT sum(retries)::INT > 0 AS v FROM sync.runs`}, toldToPeople...)...)
	if retried := strings.Contains(recorded[0], "true"); retried != c.retried {
		t.Errorf("that sync.runs tells of retries is %t, want %t", retried, c.retried)
	}
	text := strings.Join(recorded, "")
	u.private[c.at].notIn(t, "the schema sync", text)
	noKeys(t, text)
}

// A redirect to another host is not followed: the other host is never asked, with the key or without it.
func TestARedirectElsewhereNeverReachesTheOtherHost(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(other.Close)
	for _, p := range providers {
		fake, url := startFake(t, p, 20)
		fake.Inject(fakeapi.Fault{Kind: fakeapi.RedirectElsewhere, Text: other.URL, Skip: 1})
		out, code := command(t, syncd("sync", "-c", configure(t, t.TempDir(), map[fakeapi.Provider]string{p: url}, ""), "--log-level", "debug"))
		if want := fmt.Sprintf("redirected to another host, %s, where the key is not sent (status 307); set base_url to where the provider's API is now", other.URL); code != exitFailed || !strings.Contains(out, want) {
			t.Errorf("%s: exit code %d, want %d and %q:\n%s", p, code, exitFailed, want, out)
		}
		if fake.Injected()[fakeapi.RedirectElsewhere] == 0 {
			t.Errorf("%s: nothing was redirected", p)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the other host was asked %d times", n)
	}
}

// A source whose provider is down costs the others nothing, whichever of them it is.
func TestASourceThatIsDownCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	until := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	urls := make(map[fakeapi.Provider]string)
	var down *fakeapi.Listening
	for _, p := range providers {
		l, err := fakeapi.Listen(t.Context(), fakeapi.New(fakeapi.Options{Provider: p, Seed: 5, Key: keys[p], Calls: faultCalls, Since: until.AddDate(0, -3, 0), Until: until}))
		must(t, err)
		t.Cleanup(func() { must(t, l.Close()) })
		if urls[p] = l.BaseURL; p == fakeapi.Burki {
			down = l
		}
	}
	whole, partly := t.TempDir(), t.TempDir()
	if out, code := command(t, syncd("sync", "-c", configure(t, whole, urls, ""))); code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	must(t, down.Shut())
	config := configure(t, partly, urls, "")
	path := filepath.Join(partly, "calls.duckdb")
	out, code := command(t, syncd("sync", "-c", config))
	if want := "connection refused, tried 6 times; check base_url and the network, and run it again"; code != exitPartly || !strings.Contains(out, want) {
		t.Errorf("exit code %d, want %d and %q:\n%s", code, exitPartly, want, out)
	}
	if got, want := answers(t, path, countBySource+` ORDER BY source`)[0], answers(t, filepath.Join(whole, "calls.duckdb"), countBySource+` HAVING source <> 'burki' ORDER BY source`)[0]; got != want {
		t.Errorf("the calls are\n%swant\n%s", got, want)
	}
	must(t, down.Open(t.Context()))
	if out, code := command(t, syncd("sync", "-c", config)); code != exitDone {
		t.Errorf("once it is up again, exit code %d:\n%s", code, out)
	}
	sameWarehouse(t, path, filepath.Join(whole, "calls.duckdb"))
}

const countBySource = `SELECT source, count(*) AS n, sum(hash(call_id, status, cost))::VARCHAR AS h FROM calls GROUP BY source`
