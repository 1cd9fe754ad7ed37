package main

import (
	"errors"
	"fmt"
	"path/filepath"
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
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("give one SQL text, in quotes; this is %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			c, err := a.configuration()
			if err != nil {
				return err
			}
			if output == "-" {
				output = ""
			}
			f, err := chooseFormat(format, output)
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
	cmd.Flags().StringVar(&format, "format", "", "table, json, ndjson, csv or parquet (default: as FILE ends, else table)")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE`, which appears only once it is whole")
	return cmd
}

// chooseFormat is the format that is asked for, or the one that the file's name ends with, or a table.
func chooseFormat(format, output string) (query.Format, error) {
	if format != "" {
		return query.ParseFormat(format)
	}
	if f, err := query.ParseFormat(strings.TrimPrefix(strings.ToLower(filepath.Ext(output)), ".")); err == nil {
		return f, nil
	}
	return query.Table, nil
}
