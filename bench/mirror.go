package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/transform"
)

// mirror reads the whole quarter of a provider into a warehouse, from memory, and writes it into the file. It returns how long that took, the
// opening and closing of the file left out as they are for the reference, and the run's record.
func mirror(ctx context.Context, a *answers, database string, force bool) (took time.Duration, record load.Run, err error) {
	name := string(a.provider)
	from, err := extract.New(a.account())
	if err != nil {
		return 0, load.Run{}, err
	}
	to, err := transform.New(transform.Options{Source: name, Provider: name})
	if err != nil {
		return 0, load.Run{}, err
	}
	warehouse, err := load.Open(ctx, load.Options{Path: database})
	if err != nil {
		return 0, load.Run{}, err
	}
	defer func() { err = errors.Join(err, warehouse.Close()) }()
	since, until := quarter()
	lines := &pipeline.Pipeline{Warehouse: warehouse, Now: time.Now, Log: zap.NewNop()}
	source := pipeline.Source{Name: name, Provider: name, Start: since, Extract: from, Transform: to}
	began := time.Now()
	record, err = lines.Sync(ctx, source, pipeline.Options{Kind: "backfill", Range: checkpoint.Span{Since: since, Until: until}, Force: force})
	if err != nil {
		return 0, record, err
	}
	if err := warehouse.Checkpoint(ctx); err != nil {
		return 0, record, err
	}
	took = time.Since(began)
	if record.Rejected+record.Drift > 0 {
		return 0, record, fmt.Errorf("%s: %d rejects and %d oddities, where the fake's records have none", name, record.Rejected, record.Drift)
	}
	return took, record, nil
}
