package httpapi

import (
	"fmt"
	"strings"
	"time"
)

// Kind says why a request came to nothing.
type Kind int

// The kinds.
const (
	// Unavailable: the provider, or the way to it, is in trouble, and was at every attempt; or it asks for a wait that is too long to be slept.
	Unavailable Kind = iota
	// Redirected: the provider sends the request where it must not go.
	Redirected
	// Unusable: the answer is larger than an answer may be, or the request cannot be made.
	Unusable
)

// Error is a request that brought no answer to work with. It holds nothing that must not be shown.
type Error struct {
	Kind     Kind
	Status   int       // of the last answer; 0 where none came
	Excerpt  string    // the first bytes of the last answer, redacted; "" where none
	Reason   string    // what happened, in a person's words
	Attempts int       // how often it was tried
	Until    time.Time // when the provider wants to be asked again, UTC, a day from now at most; zero where it did not say, or the wait was slept
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Reason)
	if e.Status != 0 {
		fmt.Fprintf(&b, " (status %d)", e.Status)
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, ", tried %d times", e.Attempts)
	}
	if !e.Until.IsZero() {
		fmt.Fprintf(&b, ", asks to be left alone until %s", e.Until.Format(time.RFC3339))
	}
	if e.Excerpt != "" {
		fmt.Fprintf(&b, ": answer begins %q", e.Excerpt)
	}
	return b.String()
}

// giveUp turns the fault of the last attempt into the error of the request.
func (f *fault) giveUp(attempts int) *Error {
	e := &Error{Kind: f.kind, Status: f.status, Excerpt: f.excerpt, Reason: f.reason, Attempts: attempts}
	if f.asked > 0 {
		e.Until = time.Now().Add(min(f.asked, longestTold)).UTC().Truncate(time.Second)
	}
	return e
}
