package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"syncd/internal/config"
	"syncd/internal/control"
	"syncd/internal/load"
)

func newDoctor(a *app) *cobra.Command {
	var args doctorArgs
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "hold the warehouse against its promises: uniqueness, orphans, ledger, bloat; --fix heals and compacts",
		Long: `doctor looks whether the warehouse keeps its promises, and says what to do where it
does not. It changes nothing, and works while the daemon runs: it then looks at the
copy for readers (warehouse.publish), or has the daemon look.

--fix puts right what can be without guessing, compacts the file where more than a
tenth of it holds nothing, and looks again. Rows that go are first written to a file
beside the warehouse, calls.duckdb.removed-TIME.ndjson: it holds what the rows held,
so remove it once it is of no more use. What --fix cannot mend is told with the
command that can.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if args.Compact && !args.Fix {
				return usageError{errors.New("--compact goes with --fix")}
			}
			c, err := a.configuration()
			if err != nil {
				return err
			}
			r, err := a.examine(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			return a.printDoctor(r, asJSON)
		},
	}
	cmd.Flags().BoolVar(&args.Fix, "fix", false, "put right what can be without guessing, and compact a bloated file")
	cmd.Flags().BoolVar(&args.Compact, "compact", false, "with --fix: compact the file however little that brings")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print all that was found, as JSON")
	return cmd
}

// doctorReport is what 'syncd doctor --json' prints.
type doctorReport struct {
	At     time.Time     `json:"at"`
	Looked string        `json:"looked_at"`       // the warehouse, or the copy for readers
	AsOf   *time.Time    `json:"as_of,omitempty"` // of the copy: what it shows
	Checks []doctorCheck `json:"checks"`          // after what was put right

	Found     []doctorCheck   `json:"found,omitempty"` // with --fix: what was wrong before
	Repairs   []doctorRepair  `json:"repairs,omitempty"`
	Removed   string          `json:"removed_to,omitempty"` // the file that holds the rows that went
	Compacted *load.Compacted `json:"compacted,omitempty"`
}

// examine looks, or has the process look that holds the warehouse.
func (a *app) examine(ctx context.Context, c *config.Config, args doctorArgs) (doctorReport, error) {
	if args.Fix {
		return doctor().run(ctx, a, c, args)
	}
	wait := a.waiting("to look")
	for {
		if _, err := os.Stat(c.Warehouse.Path); errors.Is(err, fs.ErrNotExist) {
			return doctorReport{}, fmt.Errorf("there is no warehouse %s yet; the first 'syncd sync' makes it", c.Warehouse.Path)
		}
		r, err := a.examineOnce(ctx, c)
		if !errors.Is(err, load.ErrBusy) {
			return r, err
		}
		if err := wait(ctx, err); err != nil {
			return r, err
		}
	}
}

// examineOnce looks at the copy for readers where that shows all there is, or where another process has the warehouse; else at the warehouse.
func (a *app) examineOnce(ctx context.Context, c *config.Config) (doctorReport, error) {
	var copies *copyStatus
	var live *load.Status
	status, err := askStatus(ctx, c)
	held := err == nil
	switch {
	case held:
		copies, live = status.Copy, &status.Status
	case !errors.Is(err, control.ErrNobody):
		return doctorReport{}, err
	default:
		if p := newPublisher(c, time.Now); p != nil {
			copies = &p.status
		}
	}
	r := doctorReport{At: time.Now().UTC(), Looked: c.Warehouse.Path}
	at := r.At
	if copies != nil && copies.PublishedAt != nil && (held || !copies.Behind) {
		r.Looked, r.AsOf, at = copies.Path, copies.PublishedAt, *copies.PublishedAt
	} else if held {
		return doctor().run(ctx, a, c, doctorArgs{})
	}
	w, err := load.OpenReadOnly(ctx, r.Looked)
	if err != nil {
		return r, err
	}
	r.Checks, err = look{config: c, at: at, live: live}.into(ctx, w)
	if err := errors.Join(err, w.Close()); err != nil {
		return r, err
	}
	r.Checks = append(append(r.Checks, diskChecks(c.Warehouse.Path)...), copyCheck(c, copies, held))
	return r, nil
}

// errUnwell says that something is wrong, which has been printed.
var errUnwell = errors.New("something is wrong with the warehouse")

func (a *app) printDoctor(r doctorReport, asJSON bool) error {
	if asJSON {
		to := json.NewEncoder(a.term.out)
		to.SetIndent("", "  ")
		if err := to.Encode(r); err != nil {
			return err
		}
	} else if err := printFindings(a.term.out, r); err != nil {
		return err
	}
	if len(wrongOnes(r.Checks)) > 0 {
		return shownError{errUnwell}
	}
	return nil
}

// printFindings prints a table of what was found, and below it what was done and what is to be done.
func printFindings(out io.Writer, r doctorReport) error {
	fmt.Fprint(out, r.Looked)
	if r.AsOf != nil {
		fmt.Fprint(out, ", the copy for readers, as of ", stamp(*r.AsOf))
	}
	fmt.Fprintln(out)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CHECK\tVERDICT\tFOUND")
	for _, c := range r.Checks {
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.Name, c.Verdict, c.found())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, c := range r.Found {
		fmt.Fprintf(out, "was wrong: %s: %s\n", c.Name, c.found())
	}
	for _, d := range r.Repairs {
		fmt.Fprintf(out, "done: %s: %s (%s)\n", d.Table, d.Name, thousands(d.Rows))
	}
	if r.Removed != "" {
		fmt.Fprintln(out, "what was removed is kept in", r.Removed)
	}
	if r.Compacted != nil {
		fmt.Fprintf(out, "done: compacted %s to %s in %s\n", megabytes(r.Compacted.Before), megabytes(r.Compacted.After), r.Compacted.Took.Round(time.Millisecond))
	}
	for _, c := range wrongOnes(r.Checks) {
		fmt.Fprintf(out, "to do: %s: %s\n", c.Name, c.Advice)
	}
	return nil
}

// found is what a check found, in a line.
func (c doctorCheck) found() string {
	s := c.Detail
	if c.Count > 0 && c.Examples != nil {
		s += fmt.Sprintf(" (%s:", thousands(c.Count))
		for _, e := range c.Examples {
			s += " " + e
		}
		s += ")"
	}
	return s
}
