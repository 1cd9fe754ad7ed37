// Package control is the unix socket beside a warehouse, over which a second syncd hands its work to the process that holds the file.
//
// It owns where the socket is, who may use it, and what goes over it: a request that names a command, and a stream of events that ends by
// saying how the work ended. It refuses to know the commands: their arguments and events pass through as JSON that only the two ends read.
//
// A stream that breaks off without its end is an error at the client, and a client that goes away ends its work: nobody ever has to guess.
// What the work committed until then stays, as after any interruption.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Work is a command and its arguments, as the command itself writes them.
type Work struct {
	Command string          `json:"command"`
	Args    json.RawMessage `json:"args,omitempty"`
}

// Event is something that work has to tell while it goes on. What a kind means is the command's.
type Event struct {
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data,omitempty"`
}

// Handler does the work of the process that holds the warehouse. Both methods are called by several clients at the same time.
type Handler interface {
	// Work does a piece of work and tells of it through emit, which any goroutine may call until Work returns. ctx ends when the client goes
	// away or the holder stops. The error reaches the client as its text, with the code of a [Failure] in it; a holder that takes no work
	// returns [ErrRefused].
	Work(ctx context.Context, w Work, emit func(Event) error) error
	// Status returns the holder's state as JSON.
	Status(ctx context.Context) (json.RawMessage, error)
}

// Failure is how work failed: a message for people, and the exit code of the command that asked for it.
type Failure struct {
	Message string `json:"message"`
	Code    int    `json:"code"`
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }

// ordinaryFailure is the code of an error that says no other.
const ordinaryFailure = 1

var (
	// ErrNobody says that no process listens at the socket: nobody holds the warehouse, or its holder is just ending.
	ErrNobody = errors.New("no syncd listens at the control socket")
	// ErrBusy says that another process listens at the socket already.
	ErrBusy = errors.New("another syncd listens at the control socket")
	// ErrRefused says that the process that holds the warehouse takes no work, as one that runs a single command.
	ErrRefused = errors.New("the syncd that holds the warehouse is at work of its own and takes no other; try again when it has ended")
	// ErrStopped says that the holder was told to stop, and has ended the work. A client sees it as a [Failure].
	ErrStopped = errors.New("the syncd that did the work was stopped; what it committed is stored, and doing it again goes on from there")
	// ErrGone says that the holder went away, or fell silent, before it said how the work ended.
	ErrGone = errors.New("the syncd that did the work went away; what it committed is stored, and doing it again goes on from there")
)

const (
	// patience is how long either end waits for the other to read or write. It is six signs of life, so that a busy machine is not taken for a hung one.
	patience = time.Minute
	// signOfLife is how often work that has nothing to tell says that it goes on.
	signOfLife = 10 * time.Second
	// maxRequest bounds what a client may send.
	maxRequest = 16 << 20
)

// The paths carry the version of what goes over them: an older or newer syncd at the other end is told apart from a broken one.
const (
	workPath   = "/v1/work"
	statusPath = "/v1/status"
)

// frame is one line of the answer to work: an event, the end, or neither, which is a sign of life.
type frame struct {
	Event *Event `json:"event,omitempty"`
	End   *end   `json:"end,omitempty"`
}

// end is the last line. Without it, nothing is known of how the work ended.
type end struct {
	Failure *Failure `json:"failure,omitempty"` // nil: the work was done
	Refused bool     `json:"refused,omitempty"`
}
