package load_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"syncd/internal/load"
)

// A power loss leaves a write-ahead log that ends anywhere, or whose end is not what was written. However it is damaged, the file opens with
// whole commits, the damage is told, and the log as it was is kept.
func TestADamagedLogCostsNoWholeCommitBeforeTheDamage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "calls.duckdb")
	w := open(t, path)
	if err := w.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	const commits, each = 6, 10
	var ends []int64 // of the log after each commit
	for n := range commits {
		upsert(t, w, batch(n*each, each)...)
		info, err := os.Stat(path + ".wal")
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, info.Size())
	}
	file, log := read(t, path), read(t, path+".wal")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(4, 4))
	const seed = 4
	told := 0
	for n := range 60 {
		at := int(rng.Int64N(int64(len(log))))
		if n < 30 {
			at = n * 3 // its head
		}
		damage := []string{"cut", "zeros", "flipped"}[n%3]
		t.Run(fmt.Sprintf("seed %d, %s at byte %d", seed, damage, at), func(t *testing.T) {
			damaged := slices.Clone(log)
			switch damage {
			case "cut":
				damaged = damaged[:at]
			case "zeros":
				clear(damaged[at:])
			case "flipped":
				damaged[at] ^= 0x41
			}
			path := filepath.Join(t.TempDir(), "calls.duckdb")
			put(t, path, file)
			put(t, path+".wal", damaged)
			w, err := load.Open(t.Context(), load.Options{Path: path})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			whole := 0
			for _, end := range ends {
				if int64(at) >= end {
					whole++
				}
			}
			expect(t, w, `SELECT count(*), count(*) FILTER (call_id IN (SELECT call_id FROM raw_calls)) FROM calls`, fmt.Sprintf("%d %[1]d", whole*each))
			kept, err := filepath.Glob(path + ".wal.damaged-*")
			if err != nil {
				t.Fatal(err)
			}
			if damage == "cut" || w.Healed() == "" && len(kept) == 0 {
				return // as after any kill; where it is a length that is damaged, DuckDB takes it for such an end by itself
			}
			told++
			if len(kept) != 1 || !slices.Equal(read(t, kept[0]), damaged) {
				t.Errorf("kept: %q, want the damaged log", kept)
			}
			if !strings.Contains(w.Healed(), "was damaged") || !strings.Contains(w.Healed(), kept[0]) {
				t.Errorf("told: %q", w.Healed())
			}
		})
	}
	if told < 20 {
		t.Errorf("%d of 40 damages were found and told", told)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
