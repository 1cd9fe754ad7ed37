// Package panics turns a panic into an error that can be shown: where it happened, and nothing of what was being done.
//
// It owns the words. It refuses the value that the panic was raised with, which may hold a key, a number or a transcript, and the arguments
// that the functions were called with. It imports nothing of ours.
package panics

import (
	"fmt"
	"path"
	"runtime"
	"strings"
)

// Error is a panic.
type Error struct {
	// Reason is the message of an error of the Go runtime, and the type of any other value.
	Reason string
	// Stack names the functions that were running, the innermost first, with file and line.
	Stack []string
}

// Error gives the reason and the stack in one line.
func (e *Error) Error() string {
	return "panic: " + e.Reason + " in " + strings.Join(e.Stack, ", called by ")
}

// Guard calls a function and turns its panic into an *Error, so that one mistake does not end what has nothing to do with it.
func Guard(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &Error{Reason: reason(v), Stack: stack()}
		}
	}()
	return do()
}

func reason(v any) string {
	if e, ok := v.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("a value of type %T", v)
}

// maxFrames bounds the stack of an endless recursion.
const maxFrames = 32

// stack names what was running when the panic came, from the function that caused it to the one that called Guard.
func stack() []string {
	var all []string
	pcs := make([]uintptr, 2*maxFrames)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)]) // not Callers, this function and the deferred one
	for len(all) < maxFrames {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "panics.Guard") {
			break
		}
		// The runtime's own frames say how the panic was raised, not where.
		if f.Function != "" && !strings.HasPrefix(f.Function, "runtime.") {
			all = append(all, fmt.Sprintf("%s (%s:%d)", f.Function, path.Base(f.File), f.Line))
		}
		if !more {
			break
		}
	}
	return all
}
