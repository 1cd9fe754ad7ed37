package load_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"syncd/internal/load"
	"syncd/internal/smalldisk"
)

// A full disk fails commits and checkpoints; after a checkpoint that failed DuckDB refuses everything until the file is opened again.
func TestAWriterOutlivesAFullDisk(t *testing.T) {
	smalldisk.Run(t, 32<<20, func(t *testing.T, dir string) {
		path := filepath.Join(dir, "calls.duckdb")
		w := open(t, path)
		defer w.Close()
		upsert(t, w, batch(0, 100)...)
		empty := smalldisk.Fill(t, dir, 256<<10)
		err := w.Write(t.Context(), func(tx *load.Tx) error {
			_, err := tx.Upsert(t.Context(), "s", batch(100, 5000))
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "the disk is full: make room") {
			t.Fatalf("got %v, want a commit that finds the disk full", err)
		}
		upsert(t, w, batch(100, 1)...)
		for n := 101; ; n++ { // until the disk holds not even the log of one call more, and the checkpoint finds no room
			if err = w.Write(t.Context(), func(tx *load.Tx) error {
				_, err := tx.Upsert(t.Context(), "s", batch(n, 1))
				return err
			}); err != nil {
				break
			}
		}
		stored := lines(t, w, `SELECT count(*) FROM calls`)[0]
		if err := w.Checkpoint(t.Context()); err == nil || !strings.Contains(err.Error(), "the disk is full: make room") {
			t.Fatalf("got %v, want a checkpoint that finds the disk full", err)
		}
		epoch := w.Epoch()
		empty()
		expect(t, w, `SELECT count(*) FROM calls`, stored)
		if w.Epoch() == epoch {
			t.Error("the file was opened again and the epoch is the same")
		}
		upsert(t, w, batch(50, 5000)...)
		if err := w.Checkpoint(t.Context()); err != nil {
			t.Error(err)
		}
		expect(t, w, `SELECT count(*), count(DISTINCT call_id) FROM calls`, "5050 5050")
		if left, err := os.ReadDir(dir); err != nil || len(left) > 2 {
			t.Errorf("left in the folder: %v, %v", left, err)
		}
	})
}

// A log that has become long is written into the file after the commit. Where that fails, the commit is told as one that may have happened, and has.
func TestALogThatCannotBeWrittenIntoTheFileIsToldOf(t *testing.T) {
	smalldisk.Run(t, 32<<20, func(t *testing.T, dir string) {
		w, err := load.Open(t.Context(), load.Options{Path: filepath.Join(dir, "calls.duckdb"), LongestLog: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		upsert(t, w, batch(0, 100)...)
		empty := smalldisk.Fill(t, dir, 256<<10)
		epoch := w.Epoch()
		err = w.Write(t.Context(), func(tx *load.Tx) error {
			_, err := tx.Upsert(t.Context(), "s", batch(100, 1))
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "checkpoint: ") || !strings.Contains(err.Error(), "the disk is full: make room") || w.Epoch() == epoch {
			t.Fatalf("got %v at epoch %d, want a checkpoint that finds the disk full, and another epoch than %d", err, w.Epoch(), epoch)
		}
		empty()
		expect(t, w, `SELECT count(*) FROM calls`, "101")
	})
}
