package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"syncd/internal/control"
)

const dyingAt = "SYNCD_TEST_DIES_AT"

// TestMain is also the process that dies in the middle of its work.
func TestMain(m *testing.M) {
	path := os.Getenv(dyingAt)
	if path == "" {
		goleak.VerifyTestMain(m) // which exits
	}
	l, err := control.Listen(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening")
	_ = l.Serve(context.Background(), holder{work: func(_ context.Context, _ control.Work, emit func(control.Event) error) error {
		_ = emit(number(1))
		process, _ := os.FindProcess(os.Getpid())
		_ = process.Kill()
		select {}
	}})
}

func TestAHolderThatIsKilledIsNotTakenForOneThatIsDone(t *testing.T) {
	path := socketPath(t)
	dying := exec.CommandContext(t.Context(), os.Args[0])
	dying.Env = append(os.Environ(), dyingAt+"="+path)
	dying.Stderr = os.Stderr
	out, err := dying.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := dying.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	events := 0
	c := control.Client{Path: path}
	err = c.Do(t.Context(), control.Work{Command: "sync"}, func(control.Event) error { events++; return nil })
	if !errors.Is(err, control.ErrGone) || events != 1 {
		t.Errorf("error is %v after %d events, want ErrGone after one", err, events)
	}
	_ = dying.Wait()
	if err := c.Do(t.Context(), control.Work{Command: "sync"}, ignore); !errors.Is(err, control.ErrNobody) {
		t.Errorf("then %v, want ErrNobody", err)
	}
	serve(t, listen(t, path), holder{})
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("and after the next one listens: %v", err)
	}
}

// odd serves plain HTTP where a holder should be.
func odd(t *testing.T, h http.HandlerFunc) control.Client {
	t.Helper()
	path := socketPath(t)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return control.Client{Path: path}
}

func TestAHolderThatFallsSilentIsGone(t *testing.T) {
	for name, first := range map[string]string{"before a word": "", "after an event": `{"event":{"kind":"progress"}}`} {
		t.Run(name, func(t *testing.T) {
			c := odd(t, func(w http.ResponseWriter, r *http.Request) {
				if first != "" {
					fmt.Fprintln(w, first)
					_ = http.NewResponseController(w).Flush()
				}
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			}).Hasty(150 * time.Millisecond)
			err := c.Do(t.Context(), control.Work{Command: "sync"}, ignore)
			if !errors.Is(err, control.ErrGone) || !strings.Contains(err.Error(), "said nothing for 150ms") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestSignsOfLifeKeepLongWorkAlive(t *testing.T) {
	path := socketPath(t)
	l := listen(t, path)
	l.Hasten(time.Minute, 20*time.Millisecond)
	serve(t, l, holder{work: func(context.Context, control.Work, func(control.Event) error) error {
		time.Sleep(1200 * time.Millisecond)
		return nil
	}})
	c := control.Client{Path: path}.Hasty(600 * time.Millisecond)
	if err := c.Do(t.Context(), control.Work{Command: "sync"}, func(control.Event) error { t.Error("a sign of life is no event"); return nil }); err != nil {
		t.Error(err)
	}
}

func TestOddAnswersAreErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		status     int
		body, want string
		gone       bool
	}{
		"a stream without an end":  {200, `{"event":{"kind":"a"}}` + "\n", "EOF", true},
		"a line that is cut off":   {200, `{"event":{"kind":"a"`, "EOF", true},
		"no JSON":                  {200, "<html>", "invalid character", true},
		"another version":          {404, "404 page not found\n", "another version", false},
		"an error of another kind": {500, "oops", "status 500", true},
	} {
		c := odd(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, tt.body)
		})
		err := c.Do(t.Context(), control.Work{Command: "sync"}, ignore)
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, control.ErrGone) != tt.gone {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestRequestsThatAreNoneAreRefused(t *testing.T) {
	c, _ := start(t, holder{
		work: func(context.Context, control.Work, func(control.Event) error) error {
			t.Error("it was worked on")
			return nil
		},
		status: func(context.Context) (json.RawMessage, error) { return json.RawMessage(`{`), nil },
	})
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "not JSON") {
		t.Errorf("a broken status: %v", err)
	}
	huge := json.RawMessage(`"` + strings.Repeat("x", 17<<20) + `"`)
	if err := c.Do(t.Context(), control.Work{Command: "sync", Args: huge}, ignore); err == nil || !strings.Contains(err.Error(), "are allowed") {
		t.Errorf("17 MiB of arguments: %v", err)
	}
	if err := c.Do(t.Context(), control.Work{Command: "sync", Args: json.RawMessage("{")}, ignore); err == nil {
		t.Error("broken arguments were sent")
	}
	// Whoever writes to the socket by other means is told as well.
	for name, body := range map[string]string{"too much": `{"command":"` + strings.Repeat("x", 17<<20) + `"}`, "no JSON": "sync"} {
		conn, err := net.Dial("unix", c.Path)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = fmt.Fprintf(conn, "POST /v1/work HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}()
		answer := make([]byte, 12)
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 400" {
			t.Errorf("%s: answered %q, %v", name, answer, err)
		}
		conn.Close()
	}
}

// Who asks what runs while that is just ending must not hear of a failure: there is nothing wrong.
func TestAHolderThatEndsWhileItIsAskedForItsStatusHasGoneAway(t *testing.T) {
	asked := make(chan struct{})
	c, stop := start(t, holder{status: func(ctx context.Context) (json.RawMessage, error) {
		close(asked)
		<-ctx.Done()
		return nil, fmt.Errorf("read the status: %w", ctx.Err())
	}})
	go func() {
		<-asked
		stop()
	}()
	if _, err := c.Status(t.Context()); !errors.Is(err, control.ErrGone) {
		t.Errorf("got %v, want %v", err, control.ErrGone)
	}
}
