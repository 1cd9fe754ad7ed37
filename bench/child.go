package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"syncd/bench/growth"
)

// The first arguments of this binary's child processes.
const (
	experimentArgument = "experiment-child"
	serveArgument      = "serve-child"
)

// child is what this binary does as a child process of itself. A child ends when its standard input does: it never outlives whoever started it.
func child(ctx context.Context, args []string, in io.Reader, out io.Writer) (isChild bool, err error) {
	if isChild, err := growth.Child(ctx, args); isChild {
		return true, err
	}
	if len(args) == 0 || args[0] != experimentArgument && args[0] != serveArgument {
		return false, nil
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer stop()
		_, _ = io.Copy(io.Discard, in) // however it ends, nobody is there any more
	}()
	switch {
	case args[0] == experimentArgument && len(args) == 3:
		return true, runExperiment(ctx, args[1], args[2], out, os.Stderr)
	case args[0] == serveArgument && len(args) == 2:
		return true, runServer(ctx, args[1], out)
	}
	return true, fmt.Errorf("%s: want other arguments than %q", args[0], args[1:])
}

// spawned is a child process that runs.
type spawned struct {
	cmd *exec.Cmd
	in  io.Closer
	out io.Reader // what it prints
}

// start starts this binary as a child, with its temporary files in the folder.
func start(ctx context.Context, says io.Writer, dir string, args ...string) (*spawned, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, binary, args...) //nolint:gosec // this very binary
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.Stderr = says
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	// It has children of its own to stop, and is given the time for that. A signal would be its second one where a terminal has sent the first.
	cmd.Cancel, cmd.WaitDelay = in.Close, 90*time.Second
	return &spawned{cmd, in, out}, cmd.Start()
}

// end tells the child to end, and waits until it has.
func (s *spawned) end() error {
	_ = s.in.Close() // one that has ended needs not be told
	return s.cmd.Wait()
}
