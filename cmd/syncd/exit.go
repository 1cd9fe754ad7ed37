package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"syncd/internal/config"
)

// The exit codes. A second signal exits with 128 and the signal's number, see untilSignal.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // bad usage or configuration
	exitPartly = 3 // some sources done, some failed
)

// usageError is a command line that cannot be meant.
type usageError struct{ error }

// partlyError says that some sources were done and some were not.
type partlyError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func (e partlyError) Unwrap() error { return e.error }

// shownError has been said already, with the results.
type shownError struct{ error }

func (e shownError) Unwrap() error { return e.error }

// say writes an error, each line of it as a message of its own.
func say(to io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(to, "syncd: %s\n", strings.TrimRight(line, "\n"))
	}
}

// report says what went wrong, and returns the exit code.
func report(to io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	if shown := (shownError{}); !errors.As(err, &shown) {
		if errors.Is(err, context.Canceled) {
			fmt.Fprintln(to, "syncd: stopped")
		} else {
			say(to, err)
		}
	}
	var usage usageError
	var mistakes config.Errors
	var partly partlyError
	switch {
	case errors.As(err, &usage), errors.As(err, &mistakes):
		return exitUsage
	case errors.As(err, &partly):
		return exitPartly
	}
	return exitFailed
}
