package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"syncd/internal/config"
	"syncd/internal/export"
	"syncd/internal/query"
)

func newExport(a *app) *cobra.Command {
	var (
		to  string
		raw bool
	)
	cmd := &cobra.Command{
		Use:   "export [SOURCE…] --to DIR",
		Short: "write the tables as Parquet files by source and month, and only what has changed",
		Long: `export writes the tables of every source (or of those) as Parquet, a file for each
table, source and month (of UTC, by the call's start):

  DIR/calls/source=millis-us/month=2025-01/calls.parquet

When it is given again, only files are written whose rows have changed since, and
files of months that have no rows any more are removed. Each file is replaced whole;
DIR/manifest.json lists them, and is written last. Every reader of Hive partitions
takes source and month from the names of the folders.

It reads what 'syncd query' reads: the copy for readers, whether or not the daemon
runs. Payloads as the providers sent them are many times as large as all the rest,
and hold all that was said: they are exported with --raw alone, and from then on with
every export to DIR, until --raw=false removes them there.`,
		Example: `  syncd export --to /srv/calls
  syncd export millis-us --to /srv/calls      the files of other sources stay as they are
  duckdb -c "FROM read_parquet('/srv/calls/calls/**/*.parquet', hive_partitioning = true)"`,
		RunE: func(cmd *cobra.Command, names []string) error {
			if to == "" {
				return usageError{errors.New("--to: name the folder to export to; see 'syncd export --help'")}
			}
			c, err := a.configuration()
			if err != nil {
				return err
			}
			o := export.Options{Dir: to, Sources: names}
			if cmd.Flags().Changed("raw") {
				o.Raw = &raw
			}
			beModest()
			report, err := a.export(cmd.Context(), c, o)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.term.err, "exported to %s as of %s\n", report.Dir, report.AsOf.Format(time.RFC3339))
			return printExport(a.term.out, report)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the folder `DIR`; it is made where there is none")
	cmd.Flags().BoolVar(&raw, "raw", false, "with the payloads as the providers sent them (default: as DIR was exported before)")
	return cmd
}

// export exports what readers of the warehouse see, and shows its progress.
func (a *app) export(ctx context.Context, c *config.Config, o export.Options) (export.Report, error) {
	bar := a.choreBar()
	defer bar.close()
	o.Warehouse, o.Version = c.Warehouse.Path, version()
	o.Tell = func(p export.Progress) { bar.tell(choreProgress(p)) }
	o.Open = func(ctx context.Context, output, temp string) (*query.Reader, error) {
		q := queryOptions(c)
		q.Output, q.Timeout = output, 0
		if q.TempDirectory == "" {
			q.TempDirectory = temp // the next export removes what one that died has put aside there
		}
		return a.openToRead(ctx, c, q)
	}
	report, err := export.Run(ctx, o)
	if errors.Is(err, export.ErrRefused) {
		err = usageError{err}
	}
	return report, err
}

// printExport prints a line for each table of a source, and one for all of them.
func printExport(to io.Writer, r export.Report) error {
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SOURCE\tTABLE\tWRITTEN\tUNCHANGED\tREMOVED\tROWS\tSIZE")
	line := func(l export.Line) {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%s\t%s\n", l.Source, l.Table, l.Written, l.Unchanged, l.Removed, thousands(l.Rows), bytesText(l.Bytes))
	}
	all := export.Line{Source: "all", Table: "all"}
	for _, l := range r.Lines {
		line(l)
		all.Written, all.Unchanged, all.Removed = all.Written+l.Written, all.Unchanged+l.Unchanged, all.Removed+l.Removed
		all.Rows, all.Bytes = all.Rows+l.Rows, all.Bytes+l.Bytes
	}
	line(all)
	return t.Flush()
}
