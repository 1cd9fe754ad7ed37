package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/server"
)

// source tells what a test has it tell.
type source struct {
	ready  func(context.Context) error
	status func(context.Context) (json.RawMessage, error)
	query  func(context.Context, string) (json.RawMessage, error)
}

func (s source) Ready(ctx context.Context) error                     { return s.ready(ctx) }
func (s source) Status(ctx context.Context) (json.RawMessage, error) { return s.status(ctx) }
func (s source) Query(ctx context.Context, sql string) (json.RawMessage, error) {
	return s.query(ctx, sql)
}

// well is a source that has nothing to complain of.
func well() source {
	return source{
		ready:  func(context.Context) error { return nil },
		status: func(context.Context) (json.RawMessage, error) { return json.RawMessage(`{"sources":[]}`), nil },
	}
}

// running is a server on a free port.
type running struct {
	t    *testing.T
	addr string
	stop func() error // waits until Serve has returned

	mu       sync.Mutex
	reported []error
}

func start(t *testing.T, src server.Source) *running {
	t.Helper()
	return startHasty(t, src, 10*time.Second, 5*time.Second)
}

func startHasty(t *testing.T, src server.Source, answer, stop time.Duration) *running {
	t.Helper()
	s, err := server.New("127.0.0.1:0", src, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	s.Hasten(answer, stop)
	r := &running{t: t}
	s.Report = func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reported = append(r.reported, err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.addr = s.Addr()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// ask sends a request, for a host where one is named, and returns the answer with its body.
func (r *running) ask(method, path, host string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.addr+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if host != "" {
		req.Host = host
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res, string(body)
}

func (r *running) reports() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprint(errors.Join(r.reported...))
}

func TestPagesAnswer(t *testing.T) {
	r := start(t, well())
	for _, tt := range []struct {
		method, path string
		status       int
		kind, body   string
	}{
		{"GET", "/healthz", 200, "text/plain; charset=utf-8", "ok"},
		{"GET", "/readyz", 200, "text/plain; charset=utf-8", "ok"},
		{"GET", "/api/status", 200, "application/json", `{"sources":[]}`},
		{"HEAD", "/api/status", 200, "application/json", ""},
		{"GET", "/healthz?x=1", 200, "text/plain; charset=utf-8", "ok"},
		{"GET", "/", 404, "application/json", `{"error":"there is no such page"}` + "\n"},
		{"GET", "/healthz/", 404, "application/json", `{"error":"there is no such page"}` + "\n"},
		{"GET", "//healthz", 404, "application/json", `{"error":"there is no such page"}` + "\n"},
		{"POST", "/api/status", 405, "application/json", `{"error":"this page is for GET, HEAD alone"}` + "\n"},
		{"OPTIONS", "/api/status", 405, "application/json", `{"error":"this page is for GET, HEAD alone"}` + "\n"},
	} {
		res, body := r.ask(tt.method, tt.path, "")
		if res.StatusCode != tt.status || res.Header.Get("Content-Type") != tt.kind || body != tt.body {
			t.Errorf("%s %s: %d %s %q", tt.method, tt.path, res.StatusCode, res.Header.Get("Content-Type"), body)
		}
		if allow := res.Header.Get("Allow"); (tt.status == 405) != (allow == "GET, HEAD") {
			t.Errorf("%s %s: Allow is %q", tt.method, tt.path, allow)
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: headers %v", tt.method, tt.path, res.Header)
		}
		for name := range res.Header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s %s: another origin may read it: %s", tt.method, tt.path, name)
			}
		}
	}
}

func TestAnotherHostsNameIsRefused(t *testing.T) {
	r := start(t, well())
	for host, want := range map[string]int{
		"":                        200,
		"localhost":               200,
		"LocalHost:9000":          200, // another port: a tunnel
		"127.0.0.1":               200,
		"127.8.9.1:80":            200,
		"[::1]:8080":              200,
		"[::1]":                   200,
		"evil.example":            403,
		"evil.example:8080":       403,
		"localhost.evil.example":  403,
		"127.0.0.1.evil.example":  403,
		"192.168.1.5:8080":        403,
		"0.0.0.0:8080":            403,
		"localhost:8080:evil.com": 403,
	} {
		for _, path := range []string{"/healthz", "/readyz", "/api/status"} {
			if res, body := r.ask("GET", path, host); res.StatusCode != want {
				t.Errorf("%s of %q: %d %s, want %d", path, host, res.StatusCode, body, want)
			}
		}
	}
}

func TestARequestWithoutAHostIsRefused(t *testing.T) {
	r := start(t, well())
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /api/status HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.0 403") {
		t.Errorf("answered %q", answer)
	}
}

func TestNotReadySaysWhy(t *testing.T) {
	src := well()
	src.ready = func(context.Context) error { return errors.New("the warehouse is being compacted") }
	res, body := start(t, src).ask("GET", "/readyz", "")
	if res.StatusCode != 503 || body != `{"error":"the warehouse is being compacted"}`+"\n" {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestWhatGoesWrongIsReportedAndNotShown(t *testing.T) {
	const secret = "sk-live-1234"
	for name, tt := range map[string]struct {
		status   func(context.Context) (json.RawMessage, error)
		code     int
		reported string
	}{
		"an error": {func(context.Context) (json.RawMessage, error) { return nil, errors.New("disk I/O error") }, 503, "disk I/O error"},
		"no JSON":  {func(context.Context) (json.RawMessage, error) { return json.RawMessage(secret), nil }, 503, "not JSON"},
		"a panic":  {func(context.Context) (json.RawMessage, error) { panic(secret) }, 500, "panic: a value of type string in syncd/internal/server_test.TestWhat"},
	} {
		src := well()
		src.status = tt.status
		r := start(t, src)
		res, body := r.ask("GET", "/api/status", "")
		var shown map[string]string
		if err := json.Unmarshal([]byte(body), &shown); err != nil || res.StatusCode != tt.code || !strings.Contains(shown["error"], "the log says") {
			t.Errorf("%s: %d %q", name, res.StatusCode, body)
		}
		if got := r.reports(); !strings.Contains(got, tt.reported) || strings.Contains(got+body, secret) {
			t.Errorf("%s: reported %s, shown %s", name, got, body)
		}
		if res, _ := r.ask("GET", "/healthz", ""); res.StatusCode != 200 {
			t.Errorf("%s: then not alive: %d", name, res.StatusCode)
		}
	}
}

func TestWhoLeavesIsNoError(t *testing.T) {
	src := well()
	begun, over := make(chan struct{}), make(chan struct{})
	src.status = func(ctx context.Context) (json.RawMessage, error) {
		close(begun)
		<-ctx.Done()
		defer close(over)
		return nil, ctx.Err()
	}
	r := start(t, src)
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-begun
	conn.Close()
	<-over
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if got := r.reports(); got != "<nil>" {
		t.Errorf("reported %s", got)
	}
}

func TestASourceThatHangsIsGivenUp(t *testing.T) {
	src := well()
	src.status = func(ctx context.Context) (json.RawMessage, error) { <-ctx.Done(); return nil, ctx.Err() }
	src.ready = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	r := startHasty(t, src, 50*time.Millisecond, time.Second)
	for _, path := range []string{"/api/status", "/readyz"} {
		if res, body := r.ask("GET", path, ""); res.StatusCode != 503 {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
	if got := r.reports(); !strings.Contains(got, "deadline exceeded") {
		t.Errorf("reported %s", got)
	}
}

func TestAStopLetsAnAnswerBeFinished(t *testing.T) {
	src := well()
	begun := make(chan struct{})
	src.status = func(ctx context.Context) (json.RawMessage, error) {
		close(begun)
		time.Sleep(200 * time.Millisecond)
		return json.RawMessage(`{}`), ctx.Err()
	}
	r := start(t, src)
	done := make(chan error, 1)
	go func() { <-begun; done <- r.stop() }()
	if res, body := r.ask("GET", "/api/status", ""); res.StatusCode != 200 || body != "{}" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", r.addr); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
}

func TestAStopCutsOffWhatTakesTooLong(t *testing.T) {
	src := well()
	begun := make(chan struct{})
	src.status = func(ctx context.Context) (json.RawMessage, error) { close(begun); <-ctx.Done(); return nil, ctx.Err() }
	r := startHasty(t, src, time.Minute, 200*time.Millisecond)
	go func() {
		if res, err := http.Get("http://" + r.addr + "/api/status"); err == nil {
			res.Body.Close()
			t.Errorf("answered %d", res.StatusCode)
		}
	}()
	<-begun
	since := time.Now()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(since); took < 200*time.Millisecond || took > 2*time.Second {
		t.Errorf("the stop took %s", took)
	}
	if got := r.reports(); !strings.Contains(got, "were cut off") {
		t.Errorf("reported %s", got)
	}
}

func TestOnlyThisMachineCanBeServed(t *testing.T) {
	got := make(map[string]bool)
	want := map[string]bool{
		"127.0.0.1:0": true, "localhost:8080": true, "[::1]:0": true, "127.1.2.3:80": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:8080": false, "192.168.1.5:8080": false, "example.com:80": false, "127.0.0.1": false, "": false,
		"localhost.evil.example:80": false,
	}
	for addr := range want {
		_, err := server.New(addr, well(), time.Second)
		got[addr] = err == nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
}

func TestAPortInUseSaysWhatToDo(t *testing.T) {
	r := start(t, well())
	s, err := server.New(r.addr, well(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), "another syncd") || !strings.Contains(err.Error(), "server.http") {
		t.Errorf("error is %v", err)
	}
	if err := s.Serve(t.Context()); err == nil {
		t.Error("it served without a port")
	}
}
