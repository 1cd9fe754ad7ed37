package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"syncd/internal/query"
)

func newQuery(a *app) *cobra.Command {
	var format, output string
	cmd := &cobra.Command{
		Use:   "query 'SQL'",
		Short: "answer read-only SQL from the warehouse",
		Example: `  syncd query 'SELECT source, count(*) FROM calls GROUP BY ALL'
  syncd query 'FROM call_costs' --format csv -o costs.csv
  syncd query 'FROM calls' --format parquet -o calls.parquet`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			c, err := a.configuration()
			if err != nil {
				return err
			}
			f, err := query.ParseFormat(format)
			if err != nil {
				return usageError{fmt.Errorf("--format: %w", err)}
			}
			if f == query.Parquet && output == "" {
				return usageError{errors.New("--format parquet needs -o FILE: it is no text")}
			}
			o := query.Options{Path: c.Warehouse.Path, Output: output, MemoryLimit: c.Warehouse.MemoryLimit, Threads: c.Warehouse.Threads,
				TempDirectory: c.Warehouse.TempDirectory, Width: width(a.term.out)}
			r, err := query.Open(cmd.Context(), o)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, r.Close()) }()
			sql := strings.TrimSpace(args[0])
			if output == "" {
				_, err = r.Run(cmd.Context(), sql, f, a.term.out)
				return err
			}
			n, err := r.WriteFile(cmd.Context(), sql, f)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.term.err, "%s rows written to %s\n", thousands(n), output)
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table, json, ndjson, csv or parquet")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE`, which appears only once it is whole")
	return cmd
}
