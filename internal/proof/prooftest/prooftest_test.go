package prooftest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"syncd/internal/call"
	"syncd/internal/load"
	"syncd/internal/proof"
	"syncd/internal/proof/prooftest"
)

// told keeps what a test would have failed with.
type told struct {
	testing.TB
	errors []string
}

func (t *told) Helper()           {}
func (t *told) Error(args ...any) { t.errors = append(t.errors, fmt.Sprint(args...)) }
func (t *told) Errorf(format string, args ...any) {
	t.errors = append(t.errors, fmt.Sprintf(format, args...))
}

// warehouse makes a file of a few calls, as some run wrote them.
func warehouse(t *testing.T, run string, at time.Time, calls int) (string, *load.Warehouse) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w, err := load.Open(t.Context(), load.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	n := w.NextReading()
	var obs []call.Observation
	for i := range calls {
		start := time.Date(2026, 3, 18, 12, i, 0, 0, time.UTC)
		obs = append(obs, call.Observation{Call: call.Call{Key: call.Key{Source: "made", ID: fmt.Sprint("c", i)}, Provider: "voicy", Channel: call.ChannelWeb,
			Direction: call.Inbound, Status: call.Completed, StartedAt: &start, Messages: []call.Message{{Role: call.RoleAgent, Content: "hello"}}},
			Part: call.PartList, Payload: fmt.Sprintf(`{"id":"c%d"}`, i), ContentHash: int64(i + 1), Reading: n, FetchedAt: at})
	}
	if err := w.Write(t.Context(), func(tx *load.Tx) error {
		if _, err := tx.SaveSource(t.Context(), load.Source{Name: "made", Provider: "voicy", Start: at}); err != nil {
			return err
		}
		counts, err := tx.Upsert(t.Context(), "made", obs)
		if err != nil {
			return err
		}
		return tx.SaveRun(t.Context(), load.Run{ID: run, Source: "made", Kind: "sync", StartedAt: at, FinishedAt: at, Outcome: "done", Records: counts.Inserted, Inserted: counts.Inserted})
	}); err != nil {
		t.Fatal(err)
	}
	return path, w
}

func spoil(t *testing.T, w *load.Warehouse, sql string) {
	t.Helper()
	if err := w.Write(t.Context(), func(tx *load.Tx) error {
		_, err := tx.ExecContext(t.Context(), sql)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func end(t *testing.T, w *load.Warehouse) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

var march = time.Date(2026, 3, 18, 15, 30, 0, 0, time.UTC)

func TestAWarehouseThatIsSpoiledFailsItsTest(t *testing.T) {
	_, w := warehouse(t, "r1", march, 3)
	defer end(t, w)
	prooftest.Warehouse(t, w, proof.Options{})
	spoil(t, w, `DELETE FROM calls WHERE call_id = 'c1'`)
	failed := &told{TB: t}
	prooftest.Warehouse(failed, w, proof.Options{})
	if len(failed.errors) != 3 || !slices.ContainsFunc(failed.errors, func(e string) bool { return strings.Contains(e, "made/c1") }) {
		t.Errorf("a call was deleted beneath its turns, its payload and its run, and the test was told:\n%s", strings.Join(failed.errors, "\n"))
	}
}

// TestAFileWithTheLogOfAKilledProcessIsReadAndNotChanged checks a copy that was taken while its writer was alive: just what a kill leaves.
func TestAFileWithTheLogOfAKilledProcessIsReadAndNotChanged(t *testing.T) {
	path, w := warehouse(t, "r1", march, 3)
	defer end(t, w)
	spoil(t, w, `UPDATE calls SET is_final = false WHERE call_id = 'c2'`)
	killed := filepath.Join(t.TempDir(), "killed.duckdb")
	before := make(map[string]string)
	for _, suffix := range []string{"", ".wal"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil || len(b) == 0 {
			t.Fatalf("the writer has left no log: this shows nothing (%v)", err)
		}
		before[suffix] = string(b)
		if err := os.WriteFile(killed+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	failed := &told{TB: t}
	prooftest.File(failed, killed, proof.Options{})
	if len(failed.errors) != 1 || !strings.Contains(failed.errors[0], "made/c2") {
		t.Errorf("what stands in the log alone was spoiled, and the test was told %q", failed.errors)
	}
	for suffix, was := range before {
		if is, err := os.ReadFile(killed + suffix); err != nil || string(is) != was {
			t.Errorf("the file with the ending %q was changed (%v)", suffix, err)
		}
	}
	all, err := os.ReadDir(filepath.Dir(killed))
	if err != nil || len(all) != 2 {
		t.Errorf("there are now %d files, want 2 (%v)", len(all), err)
	}
}

func TestAFileThatIsNotThereFailsItsTest(t *testing.T) {
	failed := &told{TB: t}
	prooftest.File(failed, filepath.Join(t.TempDir(), "none.duckdb"), proof.Options{})
	if len(failed.errors) != 1 {
		t.Errorf("no file, and the test was told %q", failed.errors)
	}
}

func TestFilesThatSayTheSameAreTheSameWhenEverTheyWereRead(t *testing.T) {
	one, w := warehouse(t, "r1", march, 3)
	end(t, w)
	other, w := warehouse(t, "r2", march.Add(time.Hour), 3)
	end(t, w)
	prooftest.Same(t, one, other, prooftest.Revisions(), prooftest.Rejects(), prooftest.Drift())
}

func TestFilesThatDifferShowTheirFirstDifferences(t *testing.T) {
	whole, w := warehouse(t, "r1", march, 4)
	end(t, w)
	for sql, want := range map[string]string{
		`UPDATE calls SET summary = 'another' WHERE call_id = 'c1'`:         "another",
		`DELETE FROM call_messages WHERE call_id = 'c3'`:                    "- {'source': made, 'call_id': c3",
		`INSERT INTO call_messages FROM call_messages`:                      "+ {'source': made, 'call_id': c0",
		`UPDATE raw_calls SET payload = '{"id":2}' WHERE call_id = 'c2'`:    `{"id":2}`,
		`INSERT INTO sync.drift VALUES ('made', 'x', 'y', now(), now(), 3)`: "sync.drift",
	} {
		path, w := warehouse(t, "r1", march, 4)
		spoil(t, w, sql)
		end(t, w)
		failed := &told{TB: t}
		prooftest.Same(failed, path, whole, prooftest.Drift())
		if len(failed.errors) != 1 || !strings.Contains(failed.errors[0], want) {
			t.Errorf("%s: the test was told %q", sql, failed.errors)
		}
	}
}

// Context lets a failed test go on: what it asks must be answered.
func (t *told) Context() context.Context { return t.TB.Context() }
