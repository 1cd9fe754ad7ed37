// The command bench measures syncd against references of its own: the same records, on the same machine, in the same run, in turns. It prints a
// table of ratios with the bars that they are held against.
//
// It owns the experiments, the sizes of what they read, the bars and the table. It refuses to slow a reference down, to count time that is
// somebody else's (what a fake provider takes to think, the building of a warehouse that is only read), and to print a figure without its
// spread. What a figure means is told in BENCHMARKS.md.
//
// Each experiment runs in a process of its own, so that no memory, thread or cache of one is another's, and one that fails, or is killed
// because memory is short, leaves the others their turns.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	isChild, err := child(ctx, os.Args[1:], os.Stdin, os.Stdout)
	if !isChild {
		context.AfterFunc(ctx, stop) // a second signal ends it at once, and its children see that it is gone
		err = bench(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, new(usageError)):
		return 2
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	if ctx.Err() != nil {
		return 130
	}
	return 1
}

// usageError is a command line that cannot be followed, of which its writer has been told.
type usageError struct{ error }

// options are the flags.
type options struct {
	only     *regexp.Regexp
	rounds   int
	scale    float64
	markdown bool
}

func parse(args []string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(out)
	only := flags.String("only", "", "run the experiments whose names match this regular `expression` (default: all of them)")
	flags.IntVar(&o.rounds, "rounds", 5, "how often everything is measured, in turns with its reference")
	flags.Float64Var(&o.scale, "scale", 1, "multiply every size by this `factor`: a small one tries the experiments quickly, and its figures mean nothing")
	flags.BoolVar(&o.markdown, "markdown", false, "print the table as Markdown")
	flags.Usage = func() {
		fmt.Fprintln(out, "usage: bench [flags]\n\nexperiments:")
		for _, e := range experiments() {
			fmt.Fprintf(out, "  %-14s %s\n", e.name, e.about)
		}
		fmt.Fprintln(out, "\nflags:")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, usageError{err}
	}
	o.only, err = regexp.Compile(*only)
	switch {
	case err != nil:
		err = fmt.Errorf("-only: %w", err)
	case flags.NArg() > 0:
		err = fmt.Errorf("%q is no flag: want flags alone", flags.Arg(0))
	case o.rounds < 1:
		err = fmt.Errorf("-rounds %d: want 1 or more", o.rounds)
	case o.scale <= 0:
		err = fmt.Errorf("-scale %v: want more than 0", o.scale)
	case len(selected(o.only)) == 0:
		err = fmt.Errorf("-only %s: no experiment has such a name; -help lists them", o.only)
	}
	if err != nil {
		fmt.Fprintln(out, "bench:", err)
		return o, usageError{err}
	}
	return o, nil
}
