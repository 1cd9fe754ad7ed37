package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"syncd/internal/config"
	"syncd/internal/export"
	"syncd/internal/load"
	"syncd/internal/transform"
)

// eraseLeftovers erases what is left of rows that went from the tables. If the process dies within it, the same command does what is left.
func eraseLeftovers(ctx context.Context, h *holder, n transform.Number, r *forgetReport) (err error) {
	if _, err := h.pipeline.Warehouse.Compact(ctx, load.Compaction{}); err != nil {
		return err
	}
	if h.copies != nil {
		if err := h.copies.publish(ctx); err != nil {
			return err
		}
		r.Copy = h.config.Warehouse.Publish
	}
	for _, log := range r.Logs {
		if err := os.Remove(log); err != nil {
			return fmt.Errorf("remove a damaged log that was put aside: %w", err)
		}
	}
	var tokens []string
	for _, s := range h.sources {
		tokens = append(tokens, s.Transform.Tokens(n)...)
	}
	r.Kept, err = eraseKept(h.config.Warehouse.Path, transform.NewNumberFinder(n, tokens).Holds)
	return err
}

// eraseKept erases from the files of rows that 'doctor --fix' has put aside those that hold something, and returns how many they were.
func eraseKept(warehouse string, holds func(string) bool) (erased int64, err error) {
	files, err := filepath.Glob(keptFiles(warehouse))
	if err != nil {
		return 0, err
	}
	for _, path := range files {
		n, err := eraseLines(path, holds)
		if erased += n; err != nil {
			return erased, fmt.Errorf("erase rows that were put aside in %s: %w", filepath.Base(path), err)
		}
	}
	return erased, nil
}

// eraseLines replaces a file by one without the lines that hold something.
func eraseLines(path string, holds func(string) bool) (erased int64, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var left bytes.Buffer
	for line := range bytes.Lines(text) {
		if holds(string(line)) {
			erased++
			continue
		}
		left.Write(line)
	}
	if erased == 0 {
		return 0, nil
	}
	part, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // for its owner alone
	if err != nil {
		return 0, err
	}
	_, err = part.Write(left.Bytes())
	if err = errors.Join(err, part.Sync(), part.Close()); err == nil {
		err = os.Rename(part.Name(), path)
	}
	if err != nil {
		return 0, errors.Join(err, os.Remove(part.Name()))
	}
	return erased, nil
}

// exportAgain brings every export up to date that was made of a warehouse, once its copy for readers is, and returns which those are.
func (a *app) exportAgain(ctx context.Context, c *config.Config) (done []string, err error) {
	folders, err := export.Known(c.Warehouse.Path)
	var all []error
	for _, dir := range folders {
		if _, err := a.export(ctx, c, export.Options{Dir: dir, AsBefore: true}); err != nil {
			all = append(all, fmt.Errorf("the person is erased from the warehouse and its copy, and not yet from the export %s; see to that folder, and give the same command again: %w", dir, err))
			continue
		}
		done = append(done, dir)
	}
	return done, errors.Join(append(all, err)...)
}
