// Command syncd mirrors the call logs of voice-AI providers into a local DuckDB warehouse and keeps the mirror true.
//
// This package owns flags, signals, wiring and exit codes, one file per command. What the commands do, the packages under internal do.
package main

import (
	"context"
	"os"
)

func main() {
	restrictFileModes()
	term := terminal{out: os.Stdout, err: &screen{to: os.Stderr}}
	ctx, stop := untilSignal(context.Background(), term.err)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], term))
}

// run runs a command line and returns its exit code. What went wrong is said here, once.
func run(ctx context.Context, args []string, term terminal) int {
	root := newRoot(&app{term: term})
	root.SetArgs(args)
	root.SetOut(term.out)
	root.SetErr(term.err)
	return report(term.err, root.ExecuteContext(ctx))
}
