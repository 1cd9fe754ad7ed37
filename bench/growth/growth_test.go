package growth

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/load"
)

func TestMain(m *testing.M) {
	if isChild, err := Child(context.Background(), os.Args[1:]); isChild {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func build(t *testing.T, rows int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	if err := Build(t.Context(), path, rows); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBuiltRowsAreWhatTheWriterWouldHaveLeft(t *testing.T) {
	const rows = 300
	built, written := build(t, rows), filepath.Join(t.TempDir(), "calls.duckdb")
	if err := prepare(t.Context(), written); err != nil {
		t.Fatal(err)
	}
	var all []call.Observation
	for n := range int64(rows) {
		all = append(all, population{stepOf(rows)}.observation(n, 0, 1))
	}
	upsert(t, written, all)
	for _, table := range []string{"calls", "raw_calls"} {
		if diff := cmp.Diff(read(t, written, table), read(t, built, table)); diff != "" {
			t.Errorf("%s (-written +built):\n%s", table, diff)
		}
	}
	for i := range all {
		all[i].Reading = 2
	}
	if got := upsert(t, built, all); got.Unchanged != rows {
		t.Errorf("the same calls read again: %+v, want all unchanged", got)
	}
}

// upsert stores observations in one transaction.
func upsert(t *testing.T, path string, all []call.Observation) (counts load.Counts) {
	t.Helper()
	w, err := load.Open(t.Context(), load.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), func(tx *load.Tx) (err error) {
		counts, err = tx.Upsert(t.Context(), source, all)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return counts
}

// read returns the rows of a table as text, in the order in which they stand.
func read(t *testing.T, path, table string) []string {
	t.Helper()
	db, err := connect(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return texts(t, db, `SELECT row::VARCHAR FROM `+table+` AS row`)
}

func texts(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCommitsAreTimedAndStored(t *testing.T) {
	paths := []string{build(t, 2_000), build(t, 4_000)}
	all, err := Commits(t.Context(), paths, Batch{Size: 20, Updated: 0.25}, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range all {
		if got.Median <= 0 || got.P90 < got.Median || got.First <= 0 {
			t.Errorf("%s: %+v", paths[i], got)
		}
	}
	// A day of the smaller one has five calls.
	for i, want := range []string{"2225", "4225"} {
		db, err := connect(paths[i])
		if err != nil {
			t.Fatal(err)
		}
		if got := texts(t, db, `SELECT count(*)::VARCHAR FROM calls`); got[0] != want {
			t.Errorf("%s has %s calls, want %s", paths[i], got[0], want)
		}
		if got := texts(t, db, `SELECT DISTINCT field FROM call_revisions ORDER BY ALL`); !cmp.Equal(got, []string{"duration_ms", "ended_at"}) {
			t.Errorf("%s: %v changed", paths[i], got)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestChangedCallsOfAPageFollowEachOther(t *testing.T) {
	s, err := open(t.Context(), build(t, 4_000))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close(t.Context())
	for range 50 {
		for _, together := range []bool{false, true} {
			chosen := s.choose(5, together)
			slices.Sort(chosen)
			if len(slices.Compact(chosen)) != 5 || chosen[0] < s.next-s.day || chosen[4] >= s.next || together && chosen[4] != chosen[0]+4 {
				t.Fatalf("together %v: %v of the %d before %d", together, chosen, s.day, s.next)
			}
		}
	}
}

func TestReopeningAfterAKillIsTimed(t *testing.T) {
	paths := []string{build(t, 2_000)}
	const log = 200_000
	all, err := Reopen(t.Context(), paths, log, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := all[0][0]; got.Log < log || got.Open <= 0 || got.Commit <= 0 {
		t.Errorf("%+v", got)
	}
	if n := len(read(t, paths[0], "calls")); n < 2_000+900+firstCommit {
		t.Errorf("%d calls: what the child committed is not all here", n)
	}
}

func TestFileGrowthTellsWhatTheNewRowsTake(t *testing.T) {
	got, err := FileGrowth(t.Context(), build(t, 3_000), 6, 8, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got.Before <= 0 || got.After < got.Before || got.Log <= 0 || got.Net() > got.Gross() || got.Checkpoint <= 0 {
		t.Errorf("%+v", got)
	}
}

func TestQuantiles(t *testing.T) {
	values := []time.Duration{5, 1, 4, 2, 3, 6, 7, 8, 9, 10}
	for q, want := range map[float64]time.Duration{0.5: 5, 0.9: 9, 1: 10} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile(%v) = %d, want %d", q, got, want)
		}
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
}
