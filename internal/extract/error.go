package extract

import (
	"fmt"
	"strings"
	"time"
)

// Class says what an error means for the work at hand.
type Class int

// The classes.
const (
	// Transient: the provider or the way to it is in trouble, and was after every retry; the same request may work later.
	Transient Class = iota
	// Permanent: the account cannot be read until a person acts (a wrong key, a missing permission). The source stops.
	Permanent
	// Malformed: the answer is not what the provider's contract says. The window stops, its position unmoved.
	Malformed
	// Lost: the provider refuses or has forgotten the position. The window starts over.
	Lost
	// Missing: the provider says, in its own words, that there is no such call, or no such part of it.
	Missing
)

// String names the class in the words of run records.
func (c Class) String() string {
	return [...]string{"transient", "permanent", "malformed", "lost", "missing"}[c]
}

// Error is an answer that could not be had: of which source, where it stood, what came back, and what to do.
type Error struct {
	Source   string
	Op       string // the request: "GET /call-logs"; "GET /call-get/{call_id}", as the id may be a phone number
	Window   Window // zero where none was asked for
	Position Position
	Class    Class
	Status   int       // HTTP status; 0 where no answer came
	Excerpt  string    // the first bytes of the answer, redacted; "" where none
	Reason   string    // what was wrong, in a person's words
	Hint     string    // what to do next; "" where nothing but waiting helps
	Until    time.Time // when the provider wants to be asked again, UTC; zero where it does not say
	Err      error     // the cause; nil where Reason is all there is
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Source, e.Op)
	if e.Window != (Window{}) {
		fmt.Fprintf(&b, " for %s", e.Window)
		if e.Position != "" {
			fmt.Fprintf(&b, " at position %s", e.Position)
		}
	}
	fmt.Fprintf(&b, ": %s", e.Reason)
	if e.Status != 0 {
		fmt.Fprintf(&b, " (status %d)", e.Status)
	}
	if !e.Until.IsZero() {
		fmt.Fprintf(&b, ", asks to be left alone until %s", e.Until.UTC().Format(time.RFC3339))
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Excerpt != "" {
		fmt.Fprintf(&b, ": answer begins %q", e.Excerpt)
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, "; %s", e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
