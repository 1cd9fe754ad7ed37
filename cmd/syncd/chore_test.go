package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"syncd/internal/control"
)

// following is somebody who handed a chore over.
type following struct {
	told  chan string // the kinds of events
	ended chan error
	leave context.CancelFunc
}

// ends waits for the end of the chore.
func (f following) ends(t *testing.T) error {
	t.Helper()
	select {
	case err := <-f.ended:
		return err
	case <-time.After(patience):
		t.Fatal("it does not end")
		return nil
	}
}

// hears fails where the next that is told is something else.
func (f following) hears(t *testing.T, want string) {
	t.Helper()
	select {
	case kind := <-f.told:
		if kind != want {
			t.Errorf("told %q, want %q", kind, want)
		}
	case <-time.After(patience):
		t.Fatalf("not told %q", want)
	}
}

// held is a chore that tells that it has begun, and goes on until it may end. Its argument says whether it only looks.
func held(mayEnd chan struct{}) chore[bool, string] {
	return chore[bool, string]{command: "hold", looks: func(looks bool) bool { return looks },
		do: func(ctx context.Context, _ *holder, _ bool, tell func(choreProgress)) (string, error) {
			tell(choreProgress{})
			select {
			case <-mayEnd:
				return "done", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}}
}

func follow(t *testing.T, h *holder, k chore[bool, string], args string) following {
	ctx, leave := context.WithCancel(t.Context())
	f := following{told: make(chan string, 9), ended: make(chan error, 1), leave: leave}
	go func() {
		f.ended <- k.serve(ctx, h, control.Work{Args: []byte(args)}, func(e control.Event) error {
			f.told <- e.Kind
			return nil
		})
	}()
	return f
}

func TestAHolderDoesOneChoreAtATime(t *testing.T) {
	t.Parallel()
	h, mayEnd := &holder{turn: newTurn()}, make(chan struct{})
	k := held(mayEnd)
	first := follow(t, h, k, "false")
	first.hears(t, eventChore)
	second, third := follow(t, h, k, "false"), follow(t, h, k, "false")
	second.hears(t, eventWaits)
	third.hears(t, eventWaits)
	looks := follow(t, h, k, "true")
	looks.hears(t, eventChore)
	third.leave()
	if err := third.ends(t); !errors.Is(err, context.Canceled) {
		t.Errorf("who went away while waiting: %v", err)
	}
	select {
	case kind := <-second.told:
		t.Errorf("who waits was told %q", kind)
	default:
	}
	mayEnd <- struct{}{} // one of the two that are at work
	mayEnd <- struct{}{}
	second.hears(t, eventChore)
	close(mayEnd)
	for _, f := range []following{first, looks, second} {
		f.hears(t, eventReport)
		if err := f.ends(t); err != nil {
			t.Error(err)
		}
	}
}

// TestChoresEndWhenTheHolderBeginsToLeave has one at work and one that waits.
func TestChoresEndWhenTheHolderBeginsToLeave(t *testing.T) {
	t.Parallel()
	leaving := make(chan struct{})
	h, k := &holder{turn: newTurn(), leaving: leaving}, held(make(chan struct{}))
	first := follow(t, h, k, "false")
	first.hears(t, eventChore)
	second := follow(t, h, k, "false")
	second.hears(t, eventWaits)
	close(leaving)
	for _, f := range []following{first, second, follow(t, h, k, "true")} {
		if err := f.ends(t); !errors.Is(err, control.ErrStopped) {
			t.Errorf("it ended with %v", err)
		}
	}
}
