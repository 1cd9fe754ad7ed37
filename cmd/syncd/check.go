package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/pipeline"
)

func newCheck(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check [SOURCE…]",
		Short: "check the configuration, the reach of every source, and the warehouse; change nothing",
		RunE: func(cmd *cobra.Command, names []string) error {
			c, all, err := a.configured(names)
			if err != nil {
				return err
			}
			lines := probe(cmd.Context(), all)
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			return a.printChecks(lines, inspect(cmd.Context(), c.Warehouse.Path))
		},
	}
}

// finding is one line of a check.
type finding struct {
	what, state, detail string
	err                 error
}

// probe sends every source its smallest request, side by side.
func probe(ctx context.Context, all []pipeline.Source) []finding {
	lines := make([]finding, len(all))
	var running sync.WaitGroup
	for i, s := range all {
		running.Go(func() {
			began := time.Now()
			if err := s.Extract.Probe(ctx); err != nil {
				lines[i] = finding{s.Name, "failed", s.Provider + ", " + reason(err), err}
				return
			}
			lines[i] = finding{s.Name, "ok", fmt.Sprintf("%s, answered in %s", s.Provider, time.Since(began).Round(time.Millisecond)), nil}
		})
	}
	running.Wait()
	return lines
}

// reason is an error in the few words that a line has room for.
func reason(err error) string {
	var e *extract.Error
	if !errors.As(err, &e) {
		return "no answer"
	}
	if e.Status != 0 {
		return fmt.Sprintf("%s (%d)", e.Reason, e.Status)
	}
	return e.Reason
}

func inspect(ctx context.Context, path string) finding {
	info, err := load.Inspect(ctx, path)
	switch {
	case errors.Is(err, load.ErrBusy):
		return finding{"warehouse", "ok", path + ", in use by another syncd", nil}
	case err != nil:
		return finding{"warehouse", "failed", path, err}
	case !info.Exists:
		return finding{"warehouse", "ok", path + ", not there yet: the first sync makes it", nil}
	}
	return finding{"warehouse", "ok", fmt.Sprintf("%s, %s calls", path, thousands(info.Calls)), nil}
}

// printChecks prints the findings, and below them what to do about those that failed.
func (a *app) printChecks(sources []finding, warehouse finding) error {
	t := tabwriter.NewWriter(a.term.out, 0, 0, 2, ' ', 0)
	failed := 0
	var all []error
	for _, l := range append(sources, warehouse) {
		fmt.Fprintf(t, "%s\t%s\t%s\n", l.what, l.state, l.detail)
		if l.err != nil {
			all = append(all, l.err)
		}
	}
	for _, l := range sources {
		if l.err != nil {
			failed++
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, err := range all {
		say(a.term.err, err)
	}
	switch {
	case len(all) == 0:
		return nil
	case warehouse.err == nil && failed < len(sources):
		return partlyError{shownError{errors.Join(all...)}}
	}
	return shownError{errors.Join(all...)}
}
