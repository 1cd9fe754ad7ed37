package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/transform"
)

func newForget(a *app) *cobra.Command {
	var number string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "forget --number N",
		Short: "erase one person from everything, and keep them out from then on",
		Long: `forget erases every call that has anything to do with a phone number: calls in
which it takes part, and calls in whose transcript, summary or payload it stands,
with or without its country code and however it is written. They go from every
table, with their payloads; then the file is compacted, and the copy for readers is
made anew. From then on no record of that person is kept, whatever is read again.

The number is given with its country code. On the command line it stays in the
shell's history, and others on this machine may see it while the command runs:
'--number -' reads it from the standard input instead.

That person is kept out by a list of digests, made with a key in a file beside the
warehouse that ends in .forget.key. Keep that file with the warehouse: without it
nothing is read.

A number that is spelled out in words is not found. Nor is one that was stored masked
or dropped (privacy.phone_numbers): nobody can tell whose it was. Such calls go when
they are read again, with 'syncd backfill SOURCE --from D --force', as the provider
tells the number.`,
		Example: `  syncd forget --number +14155550100 --dry-run
  syncd forget --number '+1 415 555 0100'
  echo +14155550100 | syncd forget --number -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 { // they may be the rest of a number, and are not repeated
				return errors.New("the number is given with --number, in quotes where it has spaces, and nothing else is")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			given, err := numberGiven(number, cmd.InOrStdin())
			if err != nil {
				return usageError{err}
			}
			c, err := a.configuration()
			if err != nil {
				return err
			}
			if _, err := os.Stat(c.Warehouse.Path); err != nil {
				return fmt.Errorf("warehouse %s: %w", c.Warehouse.Path, bareError(err))
			}
			report, err := forgetChore().run(cmd.Context(), a, c, forgetArgs{given, dryRun})
			if err != nil {
				return err
			}
			if !dryRun {
				err = a.exportAgain(cmd.Context(), c, &report)
			}
			return errors.Join(report.print(a.term.out), err)
		},
	}
	cmd.Flags().StringVar(&number, "number", "", "the phone `NUMBER`, with its country code; -: read it from the standard input")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "tell what would be erased, and change nothing")
	return cmd
}

// bareError is an error of the file system without the path that is told already.
func bareError(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// mostTyped is more than any number takes.
const mostTyped = 256

// numberGiven is the number of the command line, or of the first line of the standard input. Its errors never repeat it.
func numberGiven(flag string, in io.Reader) (string, error) {
	if flag == "-" {
		line, err := bufio.NewReader(io.LimitReader(in, mostTyped)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("--number: read it from the standard input: %w", err)
		}
		flag = strings.TrimSpace(line)
	}
	if flag == "" {
		return "", errors.New("--number: say whose, such as --number +14155550100")
	}
	if _, err := transform.ParseNumber(flag); err != nil {
		return "", fmt.Errorf("--number: %w", err)
	}
	return flag, nil
}

// forgetArgs are what a chore of forgetting is given. They go over the socket, which is for the user alone, and nowhere else.
type forgetArgs struct {
	Number string `json:"number"`
	DryRun bool   `json:"dry_run,omitempty"`
}

// forgetReport is what was erased.
type forgetReport struct {
	pipeline.Forgetting
	DryRun bool     `json:"dry_run"`
	Copy   string   `json:"copy"`   // that was made anew; "": none is kept
	Logs   []string `json:"logs"`   // damaged ones that had been put aside
	Kept   int64    `json:"kept"`   // rows that 'doctor --fix' had put aside
	Policy string   `json:"policy"` // for phone numbers

	Exports []string `json:"exports"` // that were brought up to date
	Gone    []string `json:"gone"`    // exports that are not there any more
}

func forgetChore() chore[forgetArgs, forgetReport] {
	return chore[forgetArgs, forgetReport]{command: "forget", looks: func(args forgetArgs) bool { return args.DryRun }, do: forget}
}

// forget erases a person, first from the tables and then from all that was made of them.
//
// If the process dies before the first is durable, nothing has happened. If it dies after, the person is kept out and is in no table any more, but may
// still be in free blocks of the file, in the copy for readers, or in a log that was put aside: the same command does what is left.
func forget(ctx context.Context, h *holder, args forgetArgs, tell func(choreProgress)) (r forgetReport, err error) {
	n, err := transform.ParseNumber(args.Number)
	if err != nil {
		return r, usageError{fmt.Errorf("--number: %w", err)}
	}
	r.DryRun, r.Policy = args.DryRun, string(h.config.Privacy.PhoneNumbers)
	r.Forgetting, err = h.pipeline.Forget(ctx, n, h.sources, args.DryRun, func(done, total int64) {
		tell(choreProgress{What: "rows looked through", Done: done, Total: total})
	})
	if err != nil {
		return r, err
	}
	if r.Logs, err = load.DamagedLogs(h.config.Warehouse.Path); err != nil || args.DryRun {
		return r, err
	}
	if err := eraseLeftovers(ctx, h, n, &r); err != nil {
		return r, fmt.Errorf("the person is erased from the tables and kept out, and not yet from all that was made of them; give the same command again: %w", err)
	}
	return r, nil
}

// print writes what was erased, table by table.
func (r forgetReport) print(to io.Writer) error {
	done := "erased"
	if r.DryRun {
		done = "would be erased"
	}
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "TABLE\tROWS THAT %s\n", map[bool]string{false: "WERE ERASED", true: "WOULD BE ERASED"}[r.DryRun])
	total := int64(0)
	for _, table := range slices.SortedFunc(maps.Keys(r.Rows), byTable) {
		if n := r.Rows[table]; n > 0 {
			fmt.Fprintf(t, "%s\t%s\n", table, thousands(n))
			total += n
		}
	}
	if total == 0 {
		fmt.Fprintln(t, "(none)\t0")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, line := range r.lines(done) {
		if _, err := fmt.Fprintln(to, line); err != nil {
			return err
		}
	}
	return nil
}

// byTable has calls come first, then what belongs to them, then the tables of syncd's own.
func byTable(a, b string) int {
	rank := func(t string) int { return strings.Count(t, ".") }
	if rank(a) != rank(b) {
		return rank(a) - rank(b)
	}
	return strings.Compare(a, b)
}

// lines tell what else there is to know.
func (r forgetReport) lines(done string) (lines []string) {
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	switch {
	case r.DryRun:
		add("nothing was changed")
	case r.Before:
		add("that number is kept out, as it was before")
	default:
		add("that number is kept out from now on")
	}
	if r.Copy != "" {
		add("the copy for readers %s was made anew; who has the old one open keeps it until they close it", filepath.Base(r.Copy))
	}
	for _, log := range r.Logs {
		add("%s %s: a damaged log that had been put aside, in which nobody can look for a number", filepath.Base(log), done)
	}
	if r.Kept > 0 {
		add("%s rows %s that 'syncd doctor --fix' had put aside", thousands(r.Kept), done)
	}
	for _, dir := range r.Exports {
		add("the export %s was brought up to date", dir)
	}
	for _, dir := range r.Gone {
		add("the export %s is gone, and is off the list; if its disk is only not there now, give 'syncd export --to' with that folder once it is, which takes that person out", dir)
	}
	const again = "; those of that person go when they are read again: 'syncd backfill SOURCE --from D --force'"
	if r.Masked > 0 {
		add("%s calls were stored with masked numbers, of which nobody can tell whose they are%s", thousands(r.Masked), again)
	}
	if r.Hashed > 0 {
		add("%s calls were stored with hashed numbers, by a key that is not configured now%s", thousands(r.Hashed), again)
	}
	if r.Policy == string(transform.NumbersDrop) {
		add("calls that were stored without their numbers (privacy.phone_numbers: drop) could not be looked at%s", again)
	}
	return lines
}
