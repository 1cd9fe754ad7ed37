package load_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/load"
)

// due returns what is due, each as its id and part.
func due(t *testing.T, w *load.Warehouse, q load.DetailsQuery) []string {
	t.Helper()
	var got []string
	for _, d := range dueDetails(t, w, q) {
		got = append(got, d.ID+" "+string(d.Part))
	}
	var n int64
	if err := w.Write(t.Context(), func(tx *load.Tx) (err error) { n, err = tx.CountDueDetails(t.Context(), q); return err }); err != nil {
		t.Fatal(err)
	}
	if q.Before == nil && len(got) < q.Limit && int(n) != len(got) {
		t.Errorf("%d are due and %d are counted", len(got), n)
	}
	return got
}

func dueDetails(t *testing.T, w *load.Warehouse, q load.DetailsQuery) []load.DueDetail {
	t.Helper()
	var got []load.DueDetail
	if err := w.Write(t.Context(), func(tx *load.Tx) (err error) { got, err = tx.DueDetails(t.Context(), q); return err }); err != nil {
		t.Fatal(err)
	}
	return got
}

func try(t *testing.T, w *load.Warehouse, tries ...load.DetailTry) {
	t.Helper()
	if err := w.Write(t.Context(), func(tx *load.Tx) error { return tx.SaveDetailTry(t.Context(), tries...) }); err != nil {
		t.Fatal(err)
	}
}

func final(id string, startedAt *time.Time) call.Observation {
	o := observation(id, 1, noon)
	o.Call.StartedAt, o.Call.Status, o.Reading = startedAt, call.Completed, 10
	return o
}

func TestADetailIsDueOrNot(t *testing.T) {
	const detail = call.PartDetail
	later, earlier := noon.Add(time.Hour), noon.Add(-time.Hour)
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	type step func(o call.Observation)
	tried := func(reading int64, retryAt *time.Time) step {
		return func(o call.Observation) {
			try(t, w, load.DetailTry{Source: "s", ID: o.Call.ID, Part: detail, State: "failed", Attempts: 3, ListReading: reading, At: earlier, RetryAt: retryAt})
		}
	}
	came := func(reading int64) step {
		return func(o call.Observation) { upsert(t, w, part(o, detail, 7, reading)) }
	}
	deleted := func(o call.Observation) { markDeleted(t, w, 20, load.Ref{ID: o.Call.ID, StartedAt: &earlier}) }
	var want []load.DueDetail
	for id, c := range map[string]struct {
		status   call.Status // of a call that started an hour ago, and was listed by reading 10
		steps    []step
		due      bool
		attempts int
	}{
		"final, never asked":                             {status: call.Completed, due: true},
		"final, had":                                     {status: call.Completed, steps: []step{came(11)}},
		"final, had before the list changed":             {status: call.Completed, steps: []step{came(9)}, due: true},
		"final, tried, to be tried again":                {status: call.Completed, steps: []step{tried(10, &noon)}, due: true, attempts: 3},
		"final, tried, to be tried later":                {status: call.Completed, steps: []step{tried(10, &later)}},
		"final, given up":                                {status: call.Completed, steps: []step{tried(10, nil)}},
		"final, given up before the list changed":        {status: call.Completed, steps: []step{tried(9, nil)}, due: true},
		"final, to be tried later, and the list changed": {status: call.Completed, steps: []step{tried(9, &later)}, due: true},
		"final, to be tried again, and the list changed": {status: call.Completed, steps: []step{tried(9, &earlier)}, due: true},
		"final, incomplete, to be tried again":           {status: call.Completed, steps: []step{came(11), tried(10, &earlier)}, due: true, attempts: 3},
		"final, incomplete, to be tried later":           {status: call.Completed, steps: []step{came(11), tried(10, &later)}},
		"final, incomplete and given up":                 {status: call.Completed, steps: []step{came(11), tried(10, nil)}},
		"final, deleted":                                 {status: call.Completed, steps: []step{deleted}},
		"final, to be tried again, deleted":              {status: call.Completed, steps: []step{tried(10, &earlier), deleted}},
		"unsettled, never asked":                         {status: call.InProgress, due: true},
		"unsettled, had":                                 {status: call.InProgress, steps: []step{came(11)}},
		"unsettled, had before the list changed":         {status: call.InProgress, steps: []step{came(9)}, due: true},
		"unsettled, to be tried again":                   {status: call.InProgress, steps: []step{tried(10, &earlier)}, due: true, attempts: 3},
		"unsettled, to be tried later, the list changed": {status: call.InProgress, steps: []step{tried(9, &later)}},
		"unsettled, given up":                            {status: call.InProgress, steps: []step{tried(10, nil)}},
		"unsettled, given up before the list changed":    {status: call.InProgress, steps: []step{tried(9, nil)}, due: true},
		"unsettled, deleted":                             {status: call.InProgress, steps: []step{deleted}},
	} {
		o := final(id, &earlier)
		o.Call.Status = c.status
		upsert(t, w, o)
		for _, s := range c.steps {
			s(o)
		}
		if c.due {
			want = append(want, load.DueDetail{ID: id, StartedAt: &earlier, Part: detail, Attempts: c.attempts, ListReading: 10})
		}
	}
	slices.SortFunc(want, func(a, b load.DueDetail) int { return strings.Compare(a.ID, b.ID) })
	q := load.DetailsQuery{Source: "s", Parts: []call.Part{detail}, Single: detail, Now: noon, Unsettled: 30 * time.Minute, Limit: 100}
	for _, q.Touched = range []time.Time{{}, noon} {
		if diff := cmp.Diff(want, dueDetails(t, w, q)); diff != "" {
			t.Errorf("touched %v (-want +got):\n%s", q.Touched, diff)
		}
		due(t, w, q) // counts the same
	}
	if got := due(t, w, load.DetailsQuery{Source: "s", Now: noon, Limit: 100}); len(got) != 0 {
		t.Errorf("nothing is wanted, and due are %v", got)
	}
}

func TestAnUnsettledCallIsAskedAboutOnceItIsOld(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	started, nowhere := observation("1", 1, noon), observation("2", 1, noon)
	nowhere.Call.StartedAt, nowhere.FetchedAt = nil, noon.Add(time.Hour) // first seen an hour later
	upsert(t, w, started, nowhere)
	q := load.DetailsQuery{Source: "s", Single: call.PartDetail, Unsettled: 24 * time.Hour, Touched: noon.AddDate(1, 0, 0), Limit: 10}
	for hours, want := range map[int][]string{23: nil, 24: nil, 25: {"1 detail"}, 26: {"1 detail", "2 detail"}} {
		q.Now = noon.Add(time.Duration(hours) * time.Hour)
		if diff := cmp.Diff(want, due(t, w, q)); diff != "" {
			t.Errorf("after %d hours (-want +got):\n%s", hours, diff)
		}
	}
}

func TestADroppedDetailWasHad(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	upsert(t, w, final("1", &noon))
	upsert(t, w, part(final("1", &noon), call.PartDetail, 2, 11))
	execute(t, w, `UPDATE raw_calls SET payload = NULL`)
	if got := due(t, w, load.DetailsQuery{Source: "s", Parts: []call.Part{call.PartDetail}, Now: noon, Limit: 10}); len(got) != 0 {
		t.Errorf("due: %v", got)
	}
}

func TestALookAtWhatWasTouchedLeavesOutTheRest(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	old, young, settled := final("old", &noon), final("young", &noon), final("settled by its detail", &noon)
	young.FetchedAt = noon.Add(time.Hour)
	settled.Call.Status = call.InProgress
	upsert(t, w, old, young, settled)
	settled = part(final("settled by its detail", &noon), call.PartDetail, 5, 11)
	settled.FetchedAt = noon.Add(time.Hour)
	upsert(t, w, settled)
	q := load.DetailsQuery{Source: "s", Parts: []call.Part{call.PartCosts}, Now: noon, Limit: 10, Touched: noon.Add(time.Minute)}
	if diff := cmp.Diff([]string{"settled by its detail costs", "young costs"}, due(t, w, q)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	q.Touched = noon.Add(2 * time.Hour)
	if got := due(t, w, q); len(got) != 0 {
		t.Errorf("nothing was touched: %v", got)
	}
}

func TestABacklogIsWalkedInPagesNewestFirst(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	var batch []call.Observation
	for i := range 30 {
		startedAt := ptr(noon.Add(time.Duration(i/3) * time.Minute)) // three at a time
		if i >= 24 {
			startedAt = nil
		}
		o := final(fmt.Sprintf("%02d", i), startedAt)
		if i%5 == 0 {
			o.Call.Status = call.InProgress
		}
		batch = append(batch, o)
	}
	upsert(t, w, batch...)
	q := load.DetailsQuery{Source: "s", Parts: []call.Part{call.PartTranscripts, call.PartCosts}, Single: call.PartDetail,
		Now: noon.AddDate(0, 0, 1), Unsettled: time.Hour, Limit: 1000}
	all := due(t, w, q)
	if want := 24*2 + 6; len(all) != want {
		t.Fatalf("%d are due, want %d: %v", len(all), want, all)
	}
	if diff := cmp.Diff([]string{"21 costs", "21 transcripts", "22 costs"}, all[:3]); diff != "" {
		t.Errorf("the newest first (-want +got):\n%s", diff)
	}
	if got := all[len(all)-1]; got != "29 transcripts" {
		t.Errorf("the last is %s", got)
	}
	for _, q.Touched = range []time.Time{{}, noon} {
		for _, q.Limit = range []int{3, 7} {
			var walked []string
			for q.Before = nil; ; {
				page := dueDetails(t, w, q)
				for _, d := range page {
					walked = append(walked, d.ID+" "+string(d.Part))
				}
				if len(page) < q.Limit {
					break
				}
				q.Before = &page[len(page)-1]
			}
			if diff := cmp.Diff(all, walked); diff != "" {
				t.Errorf("in pages of %d, touched %v (-want +got):\n%s", q.Limit, q.Touched, diff)
			}
		}
	}
}

func TestALargeBacklogIsWalkedInSlices(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	fill(t, w, 120_000, 1, 0)
	// All have their detail but the three oldest, which lie below the first slice. Of these, one has no start.
	execute(t, w, `INSERT INTO raw_calls SELECT * REPLACE ('detail' AS part) FROM raw_calls WHERE call_id NOT IN ('call-0', 'call-1', 'call-2')`)
	execute(t, w, `UPDATE calls SET started_at = NULL WHERE call_id = 'call-1'`)
	execute(t, w, `UPDATE raw_calls SET started_at = NULL WHERE call_id = 'call-1'`)
	newest := time.Date(2025, 1, 1, 0, 120_000, 0, 0, time.UTC)
	q := load.DetailsQuery{Source: "s0", Parts: []call.Part{call.PartDetail}, Now: newest, Limit: 10}
	if diff := cmp.Diff([]string{"call-2 detail", "call-0 detail", "call-1 detail"}, due(t, w, q)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTriesAreKeptOncePerAnswerAndForgottenOnceItComes(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	first := load.DetailTry{Source: "s", ID: "1", Part: call.PartCosts, State: "failed", Attempts: 1, ListReading: 4,
		At: noon, RetryAt: ptr(noon.Add(time.Hour)), Error: "503"}
	second, third, another := first, first, first
	second.Attempts, third.Attempts, third.State, third.RetryAt, third.Error = 2, 3, "missing", nil, ""
	another.Part = call.PartTranscripts
	elsewhere := first
	elsewhere.Source = "t"
	try(t, w, first, another, elsewhere)
	try(t, w, second, third)
	expect(t, w, `FROM sync.details ORDER BY source, part`,
		"s 1 costs missing 3 4 2026-03-01T12:00:00Z NULL NULL",
		"s 1 transcripts failed 1 4 2026-03-01T12:00:00Z 2026-03-01T13:00:00Z 503",
		"t 1 costs failed 1 4 2026-03-01T12:00:00Z 2026-03-01T13:00:00Z 503")
	if err := w.Write(t.Context(), func(tx *load.Tx) error {
		return tx.EndDetailTry(t.Context(), "s", load.DetailKey{ID: "1", Part: call.PartCosts}, load.DetailKey{ID: "2", Part: call.PartCosts})
	}); err != nil {
		t.Fatal(err)
	}
	if got := lines(t, w, `SELECT source, part FROM sync.details ORDER BY source`); !slices.Equal(got, []string{"s transcripts", "t costs"}) {
		t.Errorf("left: %v", got)
	}
}

// fill makes final calls of some sources, a minute apart, each with its list payload, and the oldest with their details.
func fill(tb testing.TB, w *load.Warehouse, calls, sources, details int) {
	tb.Helper()
	if err := w.Write(tb.Context(), func(tx *load.Tx) error {
		const (
			key   = `'s' || (i %% %d), 'call-' || i`
			start = `TIMESTAMPTZ '2025-01-01 00:00:00Z' + i * INTERVAL 1 MINUTE`
		)
		for _, insert := range []string{
			fmt.Sprintf(`INSERT INTO calls (source, call_id, provider, channel, direction, status, is_final, started_at, revision, first_seen_at, changed_at)
				SELECT `+key+`, 'voicy', 'phone', 'inbound', 'completed', true, `+start+`, 1, `+start+`, `+start+` FROM range(%d) r(i)`, sources, calls),
			fmt.Sprintf(`INSERT INTO raw_calls SELECT `+key+`, 'list', '{"v":' || i || '}', `+start+`, i, i + 1, `+start+` FROM range(%d) r(i)`, sources, calls),
			fmt.Sprintf(`INSERT INTO raw_calls SELECT `+key+`, 'detail', '{"d":' || i || '}', `+start+`, i, i + 2, `+start+` FROM range(%d) r(i)`, sources, details),
		} {
			if _, err := tx.ExecContext(tb.Context(), insert); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
}

func BenchmarkDueDetails(b *testing.B) {
	const calls = 1_000_000
	for _, sources := range []int{1, 10} {
		w, err := load.Open(b.Context(), load.Options{Path: filepath.Join(b.TempDir(), "calls.duckdb")})
		if err != nil {
			b.Fatal(err)
		}
		defer w.Close()
		fill(b, w, calls, sources, calls*9/10)
		if err := w.Checkpoint(b.Context()); err != nil {
			b.Fatal(err)
		}
		now := time.Date(2025, 1, 1, 0, calls, 0, 0, time.UTC)
		below := &load.DueDetail{StartedAt: ptr(now.Add(-calls / 10 * time.Minute)), Part: call.PartDetail}
		for _, look := range []struct {
			name    string
			touched time.Time
			before  *load.DueDetail
		}{
			{"first page", time.Time{}, nil},
			{"nothing due below", time.Time{}, below},
			{"touched in a day", now.AddDate(0, 0, -1), nil},
			{"nothing touched", now, nil},
		} {
			b.Run(fmt.Sprintf("%s of %d sources", look.name, sources), func(b *testing.B) {
				for b.Loop() {
					if err := w.Write(b.Context(), func(tx *load.Tx) error {
						_, err := tx.DueDetails(b.Context(), load.DetailsQuery{Source: "s0", Parts: []call.Part{call.PartDetail}, Single: call.PartDetail,
							Now: now, Unsettled: 24 * time.Hour, Touched: look.touched, Before: look.before, Limit: 500})
						return err
					}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
