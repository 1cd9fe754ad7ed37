package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"syncd/internal/config"
	"syncd/internal/control"
	"syncd/internal/load"
)

func newStatus(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "per source: freshness, coverage and gaps, last run, errors, what runs now",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.configuration()
			if err != nil {
				return err
			}
			r, err := a.status(cmd.Context(), c)
			if err != nil {
				return err
			}
			if asJSON {
				to := json.NewEncoder(a.term.out)
				to.SetIndent("", "  ")
				return to.Encode(r)
			}
			return printStatus(a.term.out, r, width(a.term.out))
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print all that is known, as JSON")
	return cmd
}

// status asks the process that holds the warehouse, or looks into the file where none does.
func (a *app) status(ctx context.Context, c *config.Config) (statusReport, error) {
	wait := a.waiting("to look")
	for {
		r, err := askStatus(ctx, c)
		if err == nil || !errors.Is(err, control.ErrNobody) {
			return r, err
		}
		s, err := load.ReadStatus(ctx, c.Warehouse.Path, time.Now())
		if err == nil {
			r.Status = s
			if copies := newPublisher(c, time.Now); copies != nil {
				r.Copy = &copies.status
			}
			r.compare(c)
			return r, nil
		}
		if !errors.Is(err, load.ErrBusy) {
			return r, err
		}
		// Its holder is only just beginning, or just ending.
		if err := wait(ctx, err); err != nil {
			return r, err
		}
	}
}

// askStatus asks the process that holds the warehouse. Its error is control.ErrNobody where none does, or no longer.
func askStatus(ctx context.Context, c *config.Config) (statusReport, error) {
	var r statusReport
	body, err := control.Client{Path: control.Path(c.Warehouse.Path)}.Status(ctx)
	if errors.Is(err, control.ErrGone) {
		err = fmt.Errorf("%w: %w", control.ErrNobody, err) // it was just ending
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("the process that holds the warehouse tells a status that cannot be read; is it of another version? %w", err)
	}
	r.compare(c)
	return r, nil
}
