package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"syncd/internal/checkpoint"
	"syncd/internal/config"
)

func newBackfill(a *app) *cobra.Command {
	b := backfill{app: a}
	cmd := &cobra.Command{
		Use:   "backfill SOURCE… --from D [--to D]",
		Short: "cover a past range; an interrupted one goes on where it was",
		Long: `backfill reads what is not covered yet of a past range, newest first, and then the
details that are due. --from may lie before the source's start. An interrupted
backfill goes on where it was when the same command is given again.`,
		Example: `  syncd backfill millis-us --from 2024-01-01
  syncd backfill voicy --from 2025-01-01 --to 2025-02-01 --dry-run
  syncd backfill burki --from 2025-06-01 --to 2025-06-02 --force`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			j, err := b.job(names, time.Now())
			if err != nil {
				return err
			}
			if b.dryRun {
				return b.estimate(cmd.Context(), j)
			}
			return a.sync(cmd.Context(), j)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&b.from, "from", "", "the beginning: 2025-01-31 (midnight UTC) or 2025-01-31T09:00:00Z")
	flags.StringVar(&b.to, "to", "", "the end, not included (default: now)")
	flags.BoolVar(&b.force, "force", false, "read again what is covered, details included")
	flags.BoolVar(&b.dryRun, "dry-run", false, "print windows, requests and the time they take, and change nothing")
	flags.IntVar(&b.parallel, "parallel", 1, "how many windows are read at once, under the one rate limit")
	flags.BoolVar(&b.acceptDeletions, "accept-deletions", false, "with --force: calls that are no longer listed were deleted, however many they are")
	return cmd
}

// backfill is the command's flags.
type backfill struct {
	*app
	from, to        string
	force, dryRun   bool
	parallel        int
	acceptDeletions bool
}

// maxParallel bounds --parallel: more windows at once bring nothing under one rate limit but memory.
const maxParallel = 32

// job makes the work of the flags.
func (b *backfill) job(names []string, now time.Time) (job, error) {
	j := job{Command: "backfill", Sources: names, Force: b.force, Parallel: b.parallel, AcceptDeletions: b.acceptDeletions}
	if b.from == "" {
		return j, usageError{errors.New("--from: say from when, such as --from 2025-01-01")}
	}
	var err error
	if j.Range.Since, err = config.ParseDate(b.from); err != nil {
		return j, usageError{fmt.Errorf("--from %q: want %w", b.from, err)}
	}
	j.Range.Until = now.UTC().Truncate(time.Second)
	if b.to != "" {
		if j.Range.Until, err = config.ParseDate(b.to); err != nil {
			return j, usageError{fmt.Errorf("--to %q: want %w", b.to, err)}
		}
	}
	switch {
	case j.Range.Empty():
		return j, usageError{fmt.Errorf("the range %s holds no time: --to must be later than --from, and --from in the past", j.Range)}
	case b.parallel < 1 || b.parallel > maxParallel:
		return j, usageError{fmt.Errorf("--parallel %d: want 1 to %d", b.parallel, maxParallel)}
	case b.acceptDeletions && !b.force:
		return j, usageError{errors.New("--accept-deletions goes with --force: only what is read again shows what is gone")}
	}
	return j, nil
}

// estimate prints what the backfill would cost, and changes nothing: each provider is asked for the first page of what is to be read.
func (b *backfill) estimate(ctx context.Context, j job) error {
	c, err := b.configuration()
	if err != nil {
		return err
	}
	j.DryRun = true
	results, err := b.do(ctx, c, j)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(b.term.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SOURCE\tTO READ\tWINDOWS\tCALLS\tLIST REQUESTS\tDETAIL REQUESTS\tRATE LIMIT\tTIME AT LEAST")
	for _, r := range results {
		if r.err != nil {
			continue
		}
		e, about := r.estimate, ""
		if !e.Exact {
			about = "about "
		}
		at := slices.IndexFunc(c.Sources, func(s config.Source) bool { return s.Name == r.source })
		rate := c.Sources[at].RateLimit
		fmt.Fprintf(t, "%s\t%s\t%s\t%s%s\t%s\t%s\t%d/%s\t%s\n", r.source, days(e.Stretches), thousands(e.Windows), about, thousands(e.Calls),
			thousands(e.Requests), thousands(e.Details), rate.Requests, unit(rate.Per), atRate(e.Requests+e.Details, rate))
	}
	return errors.Join(t.Flush(), outcome(b.term.err, results))
}

func days(spans []checkpoint.Span) string {
	var total time.Duration
	for _, s := range spans {
		total += s.Until.Sub(s.Since)
	}
	switch {
	case total == 0:
		return "nothing"
	case total < 48*time.Hour:
		return total.Round(time.Minute).String()
	}
	return fmt.Sprintf("%s days", thousands(int64(total.Hours()/24+0.5)))
}

func unit(per time.Duration) string {
	switch per {
	case time.Second:
		return "s"
	case time.Minute:
		return "m"
	}
	return "h"
}

// atRate is how long requests take that a rate limit lets through.
func atRate(requests int64, r config.Rate) string {
	spans := requests / int64(r.Requests)
	rest := time.Duration(requests%int64(r.Requests)) * r.Per / time.Duration(r.Requests)
	return (time.Duration(spans)*r.Per + rest).Round(time.Second).String()
}
