package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/control"
)

// holder is a process that holds a warehouse.
type holder struct {
	work   func(ctx context.Context, w control.Work, emit func(control.Event) error) error
	status func(ctx context.Context) (json.RawMessage, error)
}

func (h holder) Work(ctx context.Context, w control.Work, emit func(control.Event) error) error {
	return h.work(ctx, w, emit)
}

func (h holder) Status(ctx context.Context) (json.RawMessage, error) {
	if h.status == nil {
		return json.RawMessage(`{"ok":true}`), nil
	}
	return h.status(ctx)
}

// socketPath is a place for a socket whose name is short enough, as those of t.TempDir are not.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return control.Path(filepath.Join(dir, "calls.duckdb"))
}

func listen(t *testing.T, path string) *control.Listener {
	t.Helper()
	l, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// serve serves h until the test ends, or stop is called, which waits until Serve has returned.
func serve(t *testing.T, l *control.Listener, h control.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx, h) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Serve did not return")
		}
	})
	t.Cleanup(stop)
	return stop
}

// start serves h at a new socket.
func start(t *testing.T, h control.Handler) (control.Client, func()) {
	t.Helper()
	path := socketPath(t)
	return control.Client{Path: path}, serve(t, listen(t, path), h)
}

func ignore(control.Event) error { return nil }

func number(i int) control.Event {
	return control.Event{Kind: "progress", Data: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i))}
}

func TestWorkGoesOverAndItsEventsComeBackInOrder(t *testing.T) {
	asked := control.Work{Command: "backfill", Args: json.RawMessage(`{"sources":["burki"],"sql":"a<b&c"}`)}
	var arrived control.Work
	c, _ := start(t, holder{work: func(_ context.Context, w control.Work, emit func(control.Event) error) error {
		arrived = w
		for i := range 1000 {
			if err := emit(number(i)); err != nil {
				return err
			}
		}
		return nil
	}})
	n := 0
	err := c.Do(t.Context(), asked, func(e control.Event) error {
		if diff := cmp.Diff(number(n), e); diff != "" {
			t.Fatalf("event %d (-want +got):\n%s", n, diff)
		}
		n++
		return nil
	})
	if err != nil || n != 1000 {
		t.Errorf("%d events of 1000, error %v", n, err)
	}
	if diff := cmp.Diff(asked, arrived); diff != "" {
		t.Errorf("the work that arrived (-want +got):\n%s", diff)
	}
}

func TestAnEventOfMegabytesArrivesWhole(t *testing.T) {
	big := json.RawMessage(`"` + strings.Repeat("<é\\n\\u0000>", 300_000) + `"`)
	c, _ := start(t, holder{work: func(_ context.Context, w control.Work, emit func(control.Event) error) error {
		return emit(control.Event{Kind: "echo", Data: w.Args})
	}})
	got := 0
	err := c.Do(t.Context(), control.Work{Command: "x", Args: big}, func(e control.Event) error {
		var want, have string
		if err := errors.Join(json.Unmarshal(big, &want), json.Unmarshal(e.Data, &have)); err != nil || want != have {
			t.Errorf("%d bytes came back as %d, error %v", len(big), len(e.Data), err)
		}
		got++
		return nil
	})
	if err != nil || got != 1 {
		t.Errorf("%d events, error %v", got, err)
	}
}

func TestTheErrorOfWorkArrivesWithItsCode(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want control.Failure
	}{
		{errors.New("burki: the key was refused"), control.Failure{Message: "burki: the key was refused", Code: 1}},
		{&control.Failure{Message: "one of two sources failed", Code: 3}, control.Failure{Message: "one of two sources failed", Code: 3}},
		{fmt.Errorf("sync: %w", &control.Failure{Message: "bad source", Code: 2}), control.Failure{Message: "sync: bad source", Code: 2}},
	} {
		c, _ := start(t, holder{
			work:   func(context.Context, control.Work, func(control.Event) error) error { return tt.err },
			status: func(context.Context) (json.RawMessage, error) { return nil, tt.err },
		})
		_, statusErr := c.Status(t.Context())
		for _, err := range []error{c.Do(t.Context(), control.Work{Command: "sync"}, ignore), statusErr} {
			var got *control.Failure
			if !errors.As(err, &got) {
				t.Fatalf("%v is no failure", err)
			}
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
	}
}

func TestAHolderMayRefuseWorkAndStillTellItsStatus(t *testing.T) {
	c, _ := start(t, holder{work: func(context.Context, control.Work, func(control.Event) error) error {
		return fmt.Errorf("backfill: %w", control.ErrRefused)
	}})
	if err := c.Do(t.Context(), control.Work{Command: "sync"}, ignore); !errors.Is(err, control.ErrRefused) {
		t.Errorf("error is %v, want ErrRefused", err)
	}
	if state, err := c.Status(t.Context()); err != nil || string(state) != `{"ok":true}` {
		t.Errorf("status %s, error %v", state, err)
	}
}

func TestAPanicIsAFailureThatShowsNoValue(t *testing.T) {
	c, _ := start(t, holder{
		work:   func(context.Context, control.Work, func(control.Event) error) error { panic("sk-live-1234") },
		status: func(context.Context) (json.RawMessage, error) { panic("sk-live-1234") },
	})
	_, statusErr := c.Status(t.Context())
	for _, err := range []error{c.Do(t.Context(), control.Work{Command: "sync"}, ignore), statusErr} {
		var f *control.Failure
		if !errors.As(err, &f) || strings.Contains(err.Error(), "sk-live") || !strings.Contains(err.Error(), "control_test.go:") {
			t.Errorf("error is %v, want where it was and not the value", err)
		}
	}
}

func TestStatusAndWorkOfSeveralClientsGoSideBySide(t *testing.T) {
	var entered sync.WaitGroup
	entered.Add(10)
	release := make(chan struct{})
	c, _ := start(t, holder{work: func(ctx context.Context, w control.Work, emit func(control.Event) error) error {
		entered.Done()
		<-release
		var emitting sync.WaitGroup
		for i := range 20 {
			emitting.Go(func() {
				if err := emit(control.Event{Kind: w.Command, Data: number(i).Data}); err != nil {
					t.Error(err)
				}
			})
		}
		emitting.Wait()
		return nil
	}})
	var clients sync.WaitGroup
	for i := range 10 {
		clients.Go(func() {
			name, n := fmt.Sprintf("work-%d", i), 0
			err := c.Do(t.Context(), control.Work{Command: name}, func(e control.Event) error {
				if e.Kind != name {
					t.Errorf("%s is told of %s", name, e.Kind)
				}
				n++
				return nil
			})
			if err != nil || n != 20 {
				t.Errorf("%s: %d events, error %v", name, n, err)
			}
		})
	}
	entered.Wait()
	for range 5 {
		if _, err := c.Status(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(release)
	clients.Wait()
}

func TestAClientThatLeavesEndsItsWorkAlone(t *testing.T) {
	ended, begun := make(chan string, 2), make(chan string, 2)
	c, _ := start(t, holder{work: func(ctx context.Context, w control.Work, _ func(control.Event) error) error {
		begun <- w.Command
		<-ctx.Done()
		ended <- w.Command
		return ctx.Err()
	}})
	leaving, leave := context.WithCancel(t.Context())
	left, stayed := make(chan error, 1), make(chan error, 1)
	staying, end := context.WithCancel(t.Context())
	go func() { left <- c.Do(leaving, control.Work{Command: "leaves"}, ignore) }()
	go func() { stayed <- c.Do(staying, control.Work{Command: "stays"}, ignore) }()
	<-begun
	<-begun
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) || errors.Is(err, control.ErrGone) {
		t.Errorf("the client that left got %v, want its context's error", err)
	}
	if who := <-ended; who != "leaves" {
		t.Errorf("%s ended", who)
	}
	select {
	case who := <-ended:
		t.Errorf("%s ended too", who)
	case <-time.After(50 * time.Millisecond):
	}
	end()
	<-ended
	<-stayed
}

func TestWhatTellReturnsEndsTheWork(t *testing.T) {
	ended := make(chan error, 1)
	c, _ := start(t, holder{work: func(ctx context.Context, _ control.Work, emit func(control.Event) error) error {
		if err := emit(number(1)); err != nil {
			t.Error(err)
		}
		<-ctx.Done()
		ended <- emit(number(2))
		return nil
	}})
	full := errors.New("stdout is closed")
	if err := c.Do(t.Context(), control.Work{Command: "sync"}, func(control.Event) error { return full }); !errors.Is(err, full) {
		t.Errorf("error is %v", err)
	}
	<-ended // whether a write to a connection that was just closed fails is the kernel's to say
}

func TestAHolderThatStopsEndsItsWorkAndSaysSo(t *testing.T) {
	begun := make(chan struct{})
	var cleaned bool
	c, stop := start(t, holder{work: func(ctx context.Context, _ control.Work, _ func(control.Event) error) error {
		close(begun)
		<-ctx.Done()
		time.Sleep(50 * time.Millisecond) // a batch that is being committed is finished
		cleaned = true
		return fmt.Errorf("read burki: %w", ctx.Err())
	}})
	result := make(chan error, 1)
	go func() { result <- c.Do(t.Context(), control.Work{Command: "sync"}, ignore) }()
	<-begun
	stop()
	if !cleaned {
		t.Error("Serve returned before its work")
	}
	var f *control.Failure
	if err := <-result; !errors.As(err, &f) || !strings.Contains(f.Message, "was stopped") {
		t.Errorf("the client got %v", err)
	}
	if _, err := os.Lstat(c.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if err := c.Do(t.Context(), control.Work{Command: "sync"}, ignore); !errors.Is(err, control.ErrNobody) {
		t.Errorf("then the client got %v, want ErrNobody", err)
	}
}

func TestAClientThatDoesNotReadHoldsWorkUpForItsPatienceAlone(t *testing.T) {
	path := socketPath(t)
	l := listen(t, path)
	l.Hasten(200*time.Millisecond, time.Hour)
	ended := make(chan error, 1)
	serve(t, l, holder{work: func(ctx context.Context, _ control.Work, emit func(control.Event) error) error {
		data, _ := json.Marshal(string(bytes.Repeat([]byte("x"), 1<<20)))
		for {
			if err := emit(control.Event{Kind: "big", Data: data}); err != nil {
				ended <- errors.Join(err, context.Cause(ctx))
				return err
			}
		}
	}})
	reading, release := make(chan struct{}), make(chan struct{})
	result := make(chan error, 1)
	go func() {
		var once sync.Once
		result <- control.Client{Path: path}.Do(t.Context(), control.Work{Command: "sync"}, func(control.Event) error {
			once.Do(func() { close(reading); <-release })
			return nil
		})
	}()
	<-reading
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, context.Canceled) {
			t.Errorf("emit failed with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the work hangs on a client that does not read")
	}
	close(release)
	if err := <-result; !errors.Is(err, control.ErrGone) {
		t.Errorf("the client got %v, want ErrGone", err)
	}
}
