package control_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"syncd/internal/control"
)

// far is longer than any of these tests may take.
const far = time.Hour

// dial connects to a socket and sends a text.
func dial(t *testing.T, path, text string) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprint(conn, text); err != nil {
		t.Fatal(err)
	}
}

func TestAClientIsGivenSecondsToHearTheEnd(t *testing.T) {
	if parting := listen(t, socketPath(t)).Parting(); parting < time.Second || parting > 5*time.Second {
		t.Errorf("it is given %s: a daemon that is told to stop is killed if it takes much longer", parting)
	}
}

// TestAStopWaitsForNoClientThatDoesNotRead stops a holder whose clients neither read nor go away, while its patience with them has no end.
func TestAStopWaitsForNoClientThatDoesNotRead(t *testing.T) {
	const parting = 300 * time.Millisecond
	for name, request := range map[string]string{
		"it reads nothing of its work": "POST /v1/work HTTP/1.1\r\nHost: syncd\r\nContent-Length: 18\r\n\r\n{\"command\":\"sync\"}",
		"it never ends its question":   "POST /v1/work HTTP/1.1\r\nHost: syncd\r\nContent-Length: 19\r\n\r\n{\"command\":",
		"it reads nothing of a status": "GET /v1/status HTTP/1.1\r\nHost: syncd\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := socketPath(t)
			l := listen(t, path)
			l.Hasten(far, far)
			l.PartIn(parting)
			big, _ := json.Marshal(string(bytes.Repeat([]byte("x"), 1<<20)))
			var emitted atomic.Int64
			stop := serve(t, l, holder{
				work: func(_ context.Context, _ control.Work, emit func(control.Event) error) error {
					for {
						if err := emit(control.Event{Kind: "big", Data: big}); err != nil {
							return err
						}
						emitted.Add(1)
					}
				},
				status: func(context.Context) (json.RawMessage, error) { return big, nil },
			})
			dial(t, path, request)
			settled(t, &emitted)
			began := time.Now()
			stop()
			if took := time.Since(began); took < parting || took > parting+5*time.Second {
				t.Errorf("it took %s, want %s and little more", took, parting)
			}
		})
	}
}

// settled waits until a count stays as it is.
func settled(t *testing.T, n *atomic.Int64) {
	t.Helper()
	for before := int64(-1); before != n.Load(); time.Sleep(100 * time.Millisecond) {
		before = n.Load()
	}
}

// TestAStopWaitsForWorkThatIsStillCommittingHoweverLong has work go on for longer than its client is waited for: whoever closes the warehouse
// after Serve must not close it under the work.
func TestAStopWaitsForWorkThatIsStillCommittingHoweverLong(t *testing.T) {
	path := socketPath(t)
	l := listen(t, path)
	l.PartIn(50 * time.Millisecond)
	begun := make(chan struct{})
	var committed atomic.Bool
	stop := serve(t, l, holder{work: func(ctx context.Context, _ control.Work, _ func(control.Event) error) error {
		close(begun)
		<-ctx.Done()
		time.Sleep(500 * time.Millisecond)
		committed.Store(true)
		return ctx.Err()
	}})
	result := make(chan error, 1)
	go func() { result <- control.Client{Path: path}.Do(t.Context(), control.Work{Command: "sync"}, ignore) }()
	<-begun
	stop()
	if !committed.Load() {
		t.Error("Serve returned before its work")
	}
	if err := <-result; err == nil {
		t.Error("the client was told that all is done")
	}
}
