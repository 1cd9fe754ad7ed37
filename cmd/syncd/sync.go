package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func newSync(a *app) *cobra.Command {
	var fresh, account bool
	cmd := &cobra.Command{
		Use:   "sync [SOURCE…]",
		Short: "do all due work of every source (or those), history included, once",
		Example: `  syncd sync                 everything that is due, then exit
  syncd sync millis-us       one source
  syncd sync --fresh         the newest calls alone: no history, no details`,
		RunE: func(cmd *cobra.Command, names []string) error {
			if account && len(names) == 0 {
				return usageError{errors.New("--accept-account: say of which source; see 'syncd sync --help'")}
			}
			return a.sync(cmd.Context(), job{Command: "sync", Sources: names, Fresh: fresh, AcceptAccount: account})
		},
	}
	cmd.Flags().BoolVar(&fresh, "fresh", false, "the newest calls alone: no history, no details")
	cmd.Flags().BoolVar(&account, "accept-account", false, "the key opens the right account, though it knows none of the stored calls")
	return cmd
}

// sync has a job done and prints what became of it. Even where the file could not be closed well, what became of each source is told.
func (a *app) sync(ctx context.Context, j job) error {
	c, err := a.configuration()
	if err != nil {
		return err
	}
	results, err := a.do(ctx, c, j)
	return errors.Join(err, printResults(a.term.out, results), outcome(a.term.err, results))
}

// printResults prints one line a source.
func printResults(to io.Writer, results []result) error {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	if len(results) == 0 {
		return nil
	}
	fmt.Fprintln(t, "SOURCE\tOUTCOME\tINSERTED\tUPDATED\tUNCHANGED\tREJECTED\tREQUESTS\tTIME")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.source, r.run.Outcome, thousands(r.run.Inserted), thousands(r.run.Updated),
			thousands(r.run.Unchanged), thousands(r.run.Rejected), thousands(r.run.Requests), r.took.Round(10*time.Millisecond))
	}
	return t.Flush()
}

// outcome says what went wrong with each source, and returns the error that stands for all of them.
func outcome(to io.Writer, results []result) error {
	failed := 0
	var all []error
	for _, r := range results {
		if r.err == nil {
			continue
		}
		failed++
		all = append(all, r.err)
		if !errors.Is(r.err, context.Canceled) {
			say(to, r.err)
		}
	}
	err := errors.Join(all...)
	switch {
	case failed == 0:
		return nil
	case errors.Is(err, context.Canceled):
		return stopped(to, err)
	case failed < len(results):
		return partlyError{shownError{err}}
	}
	return shownError{err}
}

// stopped says that work was stopped, and returns the error that stands for it.
func stopped(to io.Writer, err error) error {
	fmt.Fprintln(to, "syncd: stopped; what was read is stored, and the same command goes on from there")
	return shownError{err}
}
