package load_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"syncd/internal/call"
	"syncd/internal/load"
)

// noise is a kilobyte that is the same for a number every time, and that nothing compresses.
func noise(n int) []byte {
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	b := make([]byte, 1024)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// batch is so many calls that DuckDB cannot make small.
func batch(from, n int) []call.Observation {
	all := make([]call.Observation, n)
	for i := range all {
		all[i] = observation(fmt.Sprintf("call-%d", from+i), int64(from+i), noon)
		all[i].Payload = fmt.Sprintf(`{"id":%q,"noise":"%x"}`, all[i].Call.ID, noise(from+i))
	}
	return all
}

// A commit can fail in two ways: nothing of it is in the file, or all of it is and its caller is told otherwise. After both the writer must go on
// from what is in the file.
func TestAfterACommitThatFailedTheFileTells(t *testing.T) {
	broken := errors.New("the line was cut")
	for name, durable := range map[string]bool{"before it was durable": false, "after it was durable": true} {
		t.Run(name, func(t *testing.T) {
			fail := false
			path := filepath.Join(t.TempDir(), "calls.duckdb")
			w, err := load.Open(t.Context(), load.Options{Path: path, Commit: func(commit func() error) error {
				if !fail {
					return commit()
				}
				if durable {
					if err := commit(); err != nil {
						return err
					}
				}
				return broken
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			first := observation("first", 1, noon)
			for n := range 12 { // until the set of known keys has been read, and is kept up
				first.Reading, first.ContentHash = int64(n), int64(n)
				moved := noon.AddDate(0, 0, n)
				first.Call.StartedAt = &moved
				upsert(t, w, first)
			}
			epoch := w.Epoch()
			fail = true
			second := observation("second", 1, noon)
			err = w.Write(t.Context(), func(tx *load.Tx) error {
				_, err := tx.Upsert(t.Context(), "s", append(batch(1, 1), second))
				return err
			})
			if !errors.Is(err, broken) || strings.Contains(err.Error(), "roll back") {
				t.Fatalf("got %v, want the commit's error alone", err)
			}
			if w.Epoch() == epoch {
				t.Error("a commit failed and the epoch is the same")
			}
			fail = false
			want := map[bool]string{false: "1", true: "3"}[durable]
			expect(t, w, `SELECT count(*) FROM calls`, want)
			// Read again, with a start that has moved by a year: there may be no second row.
			later := noon.AddDate(1, 0, 0)
			upsert(t, w, observation("second", 2, later))
			expect(t, w, `SELECT count(*), epoch_ms(max(started_at)) FROM calls WHERE call_id = 'second'`, fmt.Sprintf("1 %d", later.UnixMilli()))
		})
	}
}
