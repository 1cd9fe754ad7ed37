package load_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/checkpoint"
	"syncd/internal/load"
)

// write runs a function in one transaction.
func write(t *testing.T, w *load.Warehouse, fn func(*load.Tx) error) {
	t.Helper()
	if err := w.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func stamp(at time.Time) string {
	return "TIMESTAMPTZ '" + at.UTC().Format("2006-01-02 15:04:05.999999-07") + "'"
}

func saveSources(t *testing.T, w *load.Warehouse, sources ...load.Source) {
	t.Helper()
	write(t, w, func(tx *load.Tx) error {
		for _, s := range sources {
			if _, err := tx.SaveSource(t.Context(), s); err != nil {
				return err
			}
		}
		return nil
	})
}

// closed is a row of sync.windows: what was read of a source, when, and how old its youngest call was then.
func closed(source string, id int, since, until, readAt time.Time, age time.Duration) string {
	return fmt.Sprintf("('%s', %d, 'closed', %s, %s, %s, %d, NULL)", source, id, stamp(since), stamp(until), stamp(readAt), age.Milliseconds())
}

// failed is a row of sync.windows: a window whose reading failed.
func failed(source string, id int, since, until time.Time, reason string) string {
	return fmt.Sprintf("('%s', %d, 'open', %s, %s, NULL, NULL, nullif('%s', ''))", source, id, stamp(since), stamp(until), reason)
}

func saveWindows(t *testing.T, w *load.Warehouse, rows ...string) {
	t.Helper()
	execute(t, w, `INSERT INTO sync.windows (source, window_id, state, since, until, read_at, age_ms, error, attempt, failures)
		SELECT *, 0, 0 FROM (VALUES `+strings.Join(rows, ",")+`)`)
}

// gap is a row of sync.gaps, times in microseconds.
type gap struct {
	Since, Until int64
	State, Error string
}

func gapsAt(t *testing.T, w *load.Warehouse, at time.Time) map[string][]gap {
	t.Helper()
	all := make(map[string][]gap)
	write(t, w, func(tx *load.Tx) error {
		rows, err := tx.QueryContext(t.Context(), `SELECT source, epoch_us(since), epoch_us(until), state, error
			FROM sync.gaps_at(`+stamp(at)+`) ORDER BY source, since, state`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var source string
			var g gap
			var reason sql.NullString
			if err := rows.Scan(&source, &g.Since, &g.Until, &g.State, &reason); err != nil {
				return err
			}
			g.Error = reason.String
			all[source] = append(all[source], g)
		}
		return rows.Err()
	})
	return all
}

// A made-up source: its settings, and the ledger it has.
type ledgerCase struct {
	source load.Source
	facts  []checkpoint.Fact
	open   []checkpoint.Window
}

// makeCase makes up a ledger in which bounds meet, overlap, lie before the start and after the present, and miss each other by microseconds.
func makeCase(rng *rand.Rand, name string, present time.Time) ledgerCase {
	pick := func(of ...time.Duration) time.Duration { return of[rng.IntN(len(of))] }
	unit := pick(time.Microsecond, time.Second, time.Hour, 24*time.Hour)
	instant := func() time.Time {
		return present.Add(-time.Duration(rng.Int64N(40))*unit + pick(0, 0, -time.Minute, -time.Hour, time.Microsecond))
	}
	span := func() checkpoint.Span {
		since := instant()
		return checkpoint.Span{Since: since, Until: since.Add(time.Duration(rng.Int64N(12))*unit + pick(0, time.Second, time.Minute))}
	}
	c := ledgerCase{source: load.Source{
		Name: name, Provider: "burki", Start: present.Add(-time.Duration(rng.Int64N(45)) * unit),
		Interval: pick(0, 0, time.Second, 5*time.Minute, time.Hour), LargestAge: pick(0, 30*time.Second, 5*time.Minute, 24*time.Hour, 7*24*time.Hour),
	}}
	for range rng.IntN(12) {
		s := span()
		if s.Empty() {
			continue
		}
		readAt := s.Until.Add(pick(-time.Hour, 0, 59*time.Second, time.Minute, 90*time.Second, time.Hour, 24*time.Hour, 8*24*time.Hour) + pick(0, time.Microsecond))
		age := readAt.Sub(s.Until) - pick(0, 0, time.Minute) // a merged row keeps the smaller age
		if rng.IntN(4) == 0 {
			age = max(c.source.LargestAge, checkpoint.Settle) // as in a merged row, which is older than its first reading tells
		}
		c.facts = append(c.facts, checkpoint.Fact{Span: s, ReadAt: readAt, Age: age.Truncate(time.Millisecond)})
	}
	for range rng.IntN(5) {
		if s := span(); !s.Empty() {
			reason := ""
			if rng.IntN(3) > 0 {
				reason = fmt.Sprint("malformed ", rng.IntN(2))
			}
			c.open = append(c.open, checkpoint.Window{Span: s, Error: reason})
		}
	}
	return c
}

// gaps is what sync.gaps must say, by the ledger's own words.
func (c ledgerCase) gaps(present time.Time) []gap {
	all := checkpoint.Span{Since: c.source.Start, Until: present}
	late := checkpoint.Span{Since: c.source.Start, Until: present.Add(-checkpoint.Settle - c.source.Interval)}
	var gaps []gap
	for _, m := range checkpoint.Missing(c.facts, 0, late) {
		gaps = append(gaps, c.blame(m)...)
	}
	var unread []checkpoint.Fact // as if what is missing were proven: what then is missing still, for the largest age, is settling
	for _, m := range checkpoint.Missing(c.facts, 0, all) {
		unread = append(unread, checkpoint.Fact{Span: m, Age: 1000 * time.Hour})
	}
	for _, s := range checkpoint.Missing(c.facts, c.source.LargestAge, all) {
		for _, m := range checkpoint.Missing(unread, 0, s) {
			gaps = append(gaps, gap{m.Since.UnixMicro(), m.Until.UnixMicro(), "settling", ""})
		}
	}
	slices.SortFunc(gaps, func(a, b gap) int { return int(a.Since - b.Since) })
	// What is unread may cut one settling stretch only where it is unread, so neighbours never touch; assert that it is so.
	for i := 1; i < len(gaps); i++ {
		if gaps[i-1].State == "settling" && gaps[i].State == "settling" && gaps[i-1].Until == gaps[i].Since {
			panic("two settling neighbours")
		}
	}
	return gaps
}

// blame cuts a missing stretch where failing windows begin and end, and names the one opened last in each piece.
func (c ledgerCase) blame(m checkpoint.Span) []gap {
	bounds := []time.Time{m.Since, m.Until}
	for _, w := range c.open {
		for _, at := range []time.Time{w.Since, w.Until} {
			if w.Error != "" && at.After(m.Since) && at.Before(m.Until) {
				bounds = append(bounds, at)
			}
		}
	}
	slices.SortFunc(bounds, time.Time.Compare)
	bounds = slices.CompactFunc(bounds, time.Time.Equal)
	var pieces []gap
	last := -2
	for i, since := range bounds[:len(bounds)-1] {
		until, by, reason := bounds[i+1], -1, ""
		for id, w := range c.open {
			if w.Error != "" && !w.Since.After(since) && !w.Until.Before(until) {
				by, reason = id, w.Error
			}
		}
		if by == last {
			pieces[len(pieces)-1].Until = until.UnixMicro()
			continue
		}
		pieces = append(pieces, gap{since.UnixMicro(), until.UnixMicro(), "missing", reason})
		last = by
	}
	return pieces
}

// TestGapsSayWhatTheLedgerDoesNotProve holds the SQL against the ledger's own rule, to the microsecond, for many made-up ledgers.
func TestGapsSayWhatTheLedgerDoesNotProve(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	present := time.Date(2026, 3, 1, 12, 0, 0, 123457000, time.UTC)
	cases := make([]ledgerCase, 400)
	var rows []string
	var sources []load.Source
	missing, settling, blamed := 0, 0, 0
	for i := range cases {
		c := makeCase(rand.New(rand.NewPCG(uint64(i), 7)), fmt.Sprintf("s%03d", i), present)
		cases[i], sources = c, append(sources, c.source)
		for _, f := range c.facts {
			rows = append(rows, closed(c.source.Name, len(rows), f.Since, f.Until, f.ReadAt, f.Age))
		}
		for _, o := range c.open {
			rows = append(rows, failed(c.source.Name, len(rows), o.Since, o.Until, o.Error))
		}
	}
	saveSources(t, w, sources...)
	saveWindows(t, w, rows...)
	got := gapsAt(t, w, present)
	for i, c := range cases {
		want := c.gaps(present)
		for _, g := range want {
			if g.Since >= g.Until {
				t.Fatalf("seed %d: the test itself expects an empty stretch", i)
			}
			switch {
			case g.State == "settling":
				settling++
			case g.Error != "":
				blamed++
			default:
				missing++
			}
		}
		if diff := cmp.Diff(want, got[c.source.Name]); diff != "" {
			t.Fatalf("seed %d (-ledger +sync.gaps):\n%s", i, diff)
		}
	}
	if missing < 100 || settling < 100 || blamed < 100 {
		t.Errorf("%d missing, %d settling, %d with an error: this shows little", missing, settling, blamed)
	}
}

func TestAFailingWindowIsNamedByItself(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	day := func(n int) time.Time { return noon.AddDate(0, 0, n) }
	saveSources(t, w, load.Source{Name: "s", Provider: "burki", Start: day(-10)})
	saveWindows(t, w,
		closed("s", 1, day(-2), noon.Add(-time.Minute), noon, time.Minute),
		failed("s", 2, day(-6), day(-5), "malformed"),
		failed("s", 3, day(-4), day(-3), "")) // open and well: it cuts nothing
	expect(t, w, `SELECT since::DATE::VARCHAR, until::DATE::VARCHAR, state, error FROM sync.gaps_at(`+stamp(noon)+`)`,
		"2026-02-19 2026-02-23 missing NULL", "2026-02-23 2026-02-24 missing malformed", "2026-02-24 2026-02-27 missing NULL")
	execute(t, w, `UPDATE sync.sources SET state = 'parked'`)
	expect(t, w, `SELECT count(*)::VARCHAR FROM sync.gaps_at(`+stamp(noon)+`)`, "3")
	write(t, w, func(tx *load.Tx) error { _, err := tx.KeepConfigured(t.Context(), nil); return err })
	expect(t, w, `SELECT count(*)::VARCHAR FROM sync.gaps_at(`+stamp(noon)+`)`, "0")
	expect(t, w, `SELECT gaps::VARCHAR, configured::VARCHAR, covered_since::DATE::VARCHAR FROM sync.freshness_at(`+stamp(noon)+`)`, "0 false 2026-02-27")
}

func TestTheViewsAreDocumentedAndOfThePresent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w := open(t, path)
	saveSources(t, w, load.Source{Name: "s", Provider: "burki", Start: noon})
	expect(t, w, `SELECT source, state, (until > now() - INTERVAL 2 minutes AND until <= now() - INTERVAL 1 minute)::VARCHAR FROM sync.gaps`, "s missing true")
	expect(t, w, `SELECT source, gaps::VARCHAR FROM sync.freshness`, "s 1")
	expect(t, w, `SELECT table_name || '.' || column_name FROM duckdb_columns() WHERE schema_name = 'sync' AND table_name IN ('gaps', 'freshness') AND comment IS NULL`)
	expect(t, w, `SELECT view_name FROM duckdb_views() WHERE schema_name = 'sync' AND comment IS NOT NULL ORDER BY 1`, "freshness", "gaps")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// Under another name, beside other databases, the views still find their own tables.
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var source string
	var calls int
	for _, q := range []string{`CREATE TABLE calls (mine INTEGER)`, `CREATE SCHEMA sync`, `ATTACH '` + path + `' AS other (READ_ONLY)`} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	err = db.QueryRow(`SELECT source, calls FROM other.sync.freshness JOIN other.sync.gaps USING (source)`).Scan(&source, &calls)
	if err != nil || source != "s" {
		t.Errorf("attached: %q, %v", source, err)
	}
}

func TestAThousandSourcesAreJudgedQuickly(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	execute(t, w, `INSERT INTO sync.sources (source, provider, start, state, configured, interval_ms, largest_age_ms)
		SELECT 's' || i, 'burki', `+stamp(noon.AddDate(-10, 0, 0))+`, 'active', true, 300000, 604800000 FROM range(1000) AS t(i)`)
	execute(t, w, `INSERT INTO sync.windows (source, window_id, state, since, until, read_at, age_ms, attempt, failures)
		SELECT 's' || i, 10 * i + j, 'closed', since, since + INTERVAL 300 days, since + INTERVAL 301 days, 86400000, 0, 0
		FROM (SELECT i, j, `+stamp(noon.AddDate(-10, 0, 0))+` + to_hours(8760 * j) AS since FROM range(1000) AS t(i), range(10) AS u(j))`)
	begin := time.Now()
	expect(t, w, `SELECT count(*)::VARCHAR, count(*) FILTER (state = 'missing')::VARCHAR FROM sync.gaps_at(`+stamp(noon)+`)`, "20000 10000")
	expect(t, w, `SELECT count(*)::VARCHAR, min(gaps)::VARCHAR FROM sync.freshness_at(`+stamp(noon)+`)`, "1000 10")
	took := time.Since(begin)
	t.Logf("%v", took)
	if took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}
