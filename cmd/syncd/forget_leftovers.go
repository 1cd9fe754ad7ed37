package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"syncd/internal/config"
	"syncd/internal/export"
	"syncd/internal/load"
	"syncd/internal/transform"
)

// eraseLeftovers erases what is left of rows that went from the tables. What cannot be erased keeps nothing else from it. If the process dies within it, the
// same command does what is left.
func eraseLeftovers(ctx context.Context, h *holder, n transform.Number, r *forgetReport) error {
	_, err := h.pipeline.Warehouse.Compact(ctx, load.Compaction{})
	all := []error{err}
	if h.copies != nil {
		if err := h.copies.publish(ctx); err != nil {
			all = append(all, err)
		} else {
			r.Copy = h.config.Warehouse.Publish
		}
	}
	for _, log := range r.Logs {
		if err := os.Remove(log); err != nil {
			all = append(all, fmt.Errorf("remove a damaged log that was put aside: %w", err))
		}
	}
	forgotten, err := h.pipeline.Forgotten(ctx)
	if err != nil {
		return errors.Join(append(all, err)...)
	}
	var tokens []string
	for _, s := range h.sources {
		tokens = append(tokens, s.Transform.Tokens(n)...)
	}
	kept := keptPerson{holds: transform.NewNumberFinder(n, tokens).Holds, forgotten: forgotten}
	r.Kept, err = eraseKept(h.config.Warehouse.Path, kept.in)
	return errors.Join(append(all, err)...)
}

// keptPerson tells the rows of a person among those that were put aside.
type keptPerson struct {
	holds     func(text string) bool
	forgotten *transform.Suppressions
}

// in reports whether a line of a file of rows is to go: it holds the number, or its row is of a call that was erased, now or before, whatever it holds.
func (k keptPerson) in(line []byte) bool {
	if k.holds(string(line)) {
		return true
	}
	var kept struct {
		Row struct {
			Source string `json:"source"`
			CallID string `json:"call_id"`
		} `json:"row"`
	}
	if json.Unmarshal(line, &kept) != nil {
		// Its writing was cut short, so that the repair was never committed: the row is in its table still, or went from there now.
		return !bytes.HasSuffix(line, []byte("\n"))
	}
	return k.forgotten.HasCall(kept.Row.Source, kept.Row.CallID)
}

// eraseKept erases from the files of rows that 'doctor --fix' has put aside those that are to go, and returns how many they were.
func eraseKept(warehouse string, goes func(line []byte) bool) (erased int64, err error) {
	dir, name := filepath.Split(warehouse)
	entries, err := os.ReadDir(filepath.Clean(dir)) // the warehouse's own name may hold what a pattern takes for its own
	if err != nil {
		return 0, fmt.Errorf("look for rows that were put aside: %w", err)
	}
	var all []error
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), name+keptMark) || !strings.HasSuffix(e.Name(), keptEnd) {
			continue
		}
		n, err := eraseLines(filepath.Join(dir, e.Name()), goes)
		if erased += n; err != nil {
			all = append(all, fmt.Errorf("erase rows that were put aside in %s: %w", e.Name(), err))
		}
	}
	return erased, errors.Join(all...)
}

// eraseLines replaces a file by one without the lines that are to go.
func eraseLines(path string, goes func(line []byte) bool) (erased int64, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var left bytes.Buffer
	for line := range bytes.Lines(text) {
		if goes(line) {
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

// exportAgain brings every export up to date that was made of a warehouse, once its copy for readers is, and tells which those are. One that is gone is
// told, and is no matter from then on.
func (a *app) exportAgain(ctx context.Context, c *config.Config, r *forgetReport) error {
	folders, err := export.Known(c.Warehouse.Path)
	all := []error{err}
	for _, dir := range folders {
		_, err := a.export(ctx, c, export.Options{Dir: dir, AsBefore: true})
		if errors.Is(err, export.ErrNone) && isEmpty(dir) {
			if err = export.Unlist(c.Warehouse.Path, dir); err == nil {
				r.Gone = append(r.Gone, dir)
				continue
			}
		}
		if err != nil {
			all = append(all, fmt.Errorf("the person is erased from the warehouse and its copy, and not yet from the export %s; see to that folder, and give the same command again: %w", dir, err))
			continue
		}
		r.Exports = append(r.Exports, dir)
	}
	return errors.Join(all...)
}

// isEmpty reports whether there is nothing in a folder, or no such folder. One that has only lost its manifest holds rows still.
func isEmpty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return len(entries) == 0 && (err == nil || errors.Is(err, fs.ErrNotExist))
}
