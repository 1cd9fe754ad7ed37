package simulation_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/pipeline"
)

// check holds the file against its promises, and what the ledger claims against the providers.
func (w *world) check() {
	w.t.Helper()
	// Whatever is written makes the log longer. What was checked as it is need not be checked again.
	state := fmt.Sprint(w.path, size(w.path), size(w.path+".wal"))
	if state == w.checked && !w.ending {
		return
	}
	w.checked = state
	w.promises()
	for _, s := range w.sources {
		w.claims(s)
		w.marked(s)
	}
}

// marked fails where a call is marked as deleted and the provider, whatever its lists said, has it.
func (w *world) marked(s *source) {
	w.t.Helper()
	gone := s.fake.Deleted()
	for _, id := range w.ask(`SELECT call_id FROM calls WHERE source = ? AND deleted_at IS NOT NULL`, s.config.Name) {
		if !slices.Contains(gone, id) {
			w.t.Errorf("%s: %s is marked as deleted and is not", s.config.Name, id)
		}
	}
}

// claims fails where the ledger says that a stretch was read, and a call that the provider listed then is not here, or is here as it was before
// that reading.
func (w *world) claims(s *source) {
	w.t.Helper()
	if s.lied() {
		return
	}
	stored := make(map[string]string)
	for _, row := range w.ask(`SELECT call_id, content_hash FROM raw_calls WHERE source = ? AND part = 'list'`, s.config.Name) {
		id, hash, _ := strings.Cut(row, " | ")
		stored[id] = hash
	}
	facts := w.facts(s)
	for _, id := range s.fake.All() {
		now, ok := s.listed(id, time.Time{})
		if !ok || now.Call.StartedAt == nil {
			continue
		}
		read, claimed := facts.readAt(*now.Call.StartedAt)
		if !claimed {
			continue
		}
		hash, here := stored[now.Call.ID]
		if !here {
			w.t.Errorf("%s: the ledger claims what %s, which started at %s, belongs to, read at %s, and it is not here", s.config.Name, id, now.Call.StartedAt, read)
			continue
		}
		// What has not changed since that reading must be here as it is.
		if hash == fmt.Sprint(now.ContentHash) {
			continue
		}
		if then, ok := s.listed(id, read); ok && then.ContentHash == now.ContentHash {
			w.t.Errorf("%s: the ledger says that %s was read at %s, and it is here as it was before", s.config.Name, id, read)
		}
	}
}

// listed is a call as the provider lists it at a time; zero: now.
func (s *source) listed(id string, at time.Time) (call.Observation, bool) {
	s.at = at
	defer func() { s.at = time.Time{} }()
	r, ok := s.fake.Call(id)
	if !ok {
		return call.Observation{}, false
	}
	result := s.config.Transform.Record(extract.Record{Payload: []byte(r.List), ID: id, FetchedAt: time.Now()})
	if result.Reject != nil {
		return call.Observation{}, false
	}
	return result.Observation, true
}

// fact is a row of the ledger.
type fact struct {
	since, until, read time.Time
	age, late          time.Duration
}

type facts []fact

func (w *world) facts(s *source) (all facts) {
	w.t.Helper()
	for _, row := range w.ask(`SELECT epoch_us(since), epoch_us(until), epoch_us(read_at), age_ms FROM sync.windows WHERE state = 'closed' AND source = ?`, s.config.Name) {
		var since, until, read, age int64
		if _, err := fmt.Sscanf(row, "%d | %d | %d | %d", &since, &until, &read, &age); err != nil {
			w.t.Fatal(err)
		}
		all = append(all, fact{time.UnixMicro(since), time.UnixMicro(until), time.UnixMicro(read), time.Duration(age) * time.Millisecond, max(time.Minute, s.lateness)})
	}
	return all
}

// readAt is when a call of a start must have been read at the earliest, as the facts have it. What is listed late is not claimed before it may be.
func (all facts) readAt(start time.Time) (read time.Time, claimed bool) {
	for _, f := range all {
		if start.Before(f.since) || !start.Before(f.until) {
			continue
		}
		// Facts that merged keep the earliest reading and the smallest age.
		at := f.read
		if aged := start.Add(f.age); aged.After(at) {
			at = aged
		}
		if at.Sub(start) >= f.late && at.After(read) {
			read, claimed = at, true
		}
	}
	return read, claimed
}

// converge lets everything heal, and time pass until nothing changes any more; then the tables are those of an undisturbed warehouse.
func (w *world) converge() {
	for _, s := range w.sources {
		s.fake.Heal()
		s.config.Ages, s.config.Details = []time.Duration{5 * time.Minute, 6 * 24 * time.Hour}, true
	}
	w.newReread = true
	w.note("everything heals")
	w.close()
	w.open()
	time.Sleep(time.Until(epoch.Add(10 * 24 * time.Hour)))
	w.untilDone()
	if len(w.ask(`SELECT 1 FROM sync.details`)) > 0 {
		time.Sleep(25 * time.Hour) // details that came incomplete are asked for once more
		w.untilDone()
	}
	for _, s := range w.sources {
		if s.lied() {
			w.must(s, pipeline.Options{Kind: "backfill", Force: true, AcceptDeletions: true, Range: checkpoint.Span{Since: s.config.Start, Until: epoch.Add(72 * time.Hour)}})
		}
	}
	w.untilDone() // a call that was listed without its id is first read by the backfill, and its details are due then
	w.newReread, w.ending = false, true
	w.check()
	if missing := w.ask(`SELECT source, since, until, error FROM sync.gaps_at(?) WHERE state = 'missing'`, time.Now()); len(missing) > 0 {
		w.t.Errorf("missing in the end: %q", missing)
	}
	w.compare()
	w.pragma("disable_checkpoint_on_shutdown") // its life is over
}

// untilDone syncs until every source says that all is done.
func (w *world) untilDone() {
	for _, s := range w.sources {
		var err error
		for range 8 {
			if _, err = w.pipeline.Sync(w.t.Context(), s.config, pipeline.Options{Kind: "sync", Scope: checkpoint.All, Details: true, Parallel: 2}); err == nil {
				break
			}
			w.note("  %s: %v", s.config.Name, err)
			time.Sleep(time.Hour)
		}
		if err != nil {
			w.t.Errorf("%s heals and still fails: %v", s.config.Name, err)
		}
	}
}

func (w *world) must(s *source, o pipeline.Options) {
	w.t.Helper()
	if _, err := w.pipeline.Sync(w.t.Context(), s.config, o); err != nil {
		w.t.Errorf("%s %s: %v", s.config.Name, o.Kind, err)
	}
}

// stable are the columns of calls that say what the provider says: not when we saw it, nor how often it changed, nor a signed address.
const stable = `* EXCLUDE (revision, first_seen_at, changed_at, recording_url)`

// compare holds the warehouse against one that nothing ever happened to.
func (w *world) compare() {
	w.t.Helper()
	path := fresh(w.t, filepath.Join(w.dir, "undisturbed.duckdb"))
	file, err := load.Open(w.t.Context(), load.Options{Path: path, Threads: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	undisturbed := &world{t: w.t, file: file, pipeline: &pipeline.Pipeline{Warehouse: file, Now: time.Now, Log: w.pipeline.Log}}
	undisturbed.pragma("disable_checkpoint_on_shutdown") // nobody opens it again
	for _, s := range w.sources {
		undisturbed.must(s, pipeline.Options{Kind: "sync", Scope: checkpoint.All, Details: true})
	}
	for _, s := range w.sources {
		parts := `true`
		if s.lied() {
			parts = `part = 'list'` // a call that was made to look unfinished has had its detail asked for
		}
		for _, query := range []string{
			`SELECT ` + stable + ` FROM calls WHERE deleted_at IS NULL AND source = $1 AND started_at >= $2`,
			`SELECT t.* FROM call_costs AS t JOIN calls USING (source, call_id) WHERE deleted_at IS NULL AND source = $1 AND calls.started_at >= $2`,
			`SELECT t.* FROM call_messages AS t JOIN calls USING (source, call_id) WHERE deleted_at IS NULL AND source = $1 AND calls.started_at >= $2`,
			`SELECT t.* FROM call_functions AS t JOIN calls USING (source, call_id) WHERE deleted_at IS NULL AND source = $1 AND calls.started_at >= $2`,
			`SELECT t.source, t.call_id, part, content_hash FROM raw_calls AS t JOIN calls USING (source, call_id) WHERE deleted_at IS NULL AND source = $1 AND calls.started_at >= $2 AND ` + parts,
		} {
			got, want := w.ask(query, s.config.Name, s.config.Start), undisturbed.ask(query, s.config.Name, s.config.Start)
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				w.t.Errorf("%s\nundisturbed (-) and after all that happened (+):\n%s", query, diff)
			}
		}
		w.deletions(s)
	}
}

// deletions fails where a call that the provider has deleted is not marked, or one that it has is.
func (w *world) deletions(s *source) {
	w.t.Helper()
	gone := make(map[string]bool)
	for _, id := range s.fake.Deleted() {
		gone[id] = true
	}
	for _, row := range w.ask(`SELECT call_id, deleted_at IS NOT NULL FROM calls WHERE source = ? AND started_at >= ?`, s.config.Name, s.config.Start) {
		id, marked, _ := strings.Cut(row, " | ")
		if gone[id] != (marked == "true") {
			w.t.Errorf("%s: %s is deleted at the provider: %t, marked so: %s", s.config.Name, id, gone[id], marked)
		}
	}
}

// ask returns the answer of a query, a line of text a row.
func (w *world) ask(query string, args ...any) []string {
	w.t.Helper()
	lines := []string{}
	err := w.file.Write(context.WithoutCancel(w.t.Context()), func(tx *load.Tx) error {
		rows, err := tx.QueryContext(w.t.Context(), `SELECT COLUMNS(*)::VARCHAR FROM (`+query+`)`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		columns, err := rows.Columns()
		if err != nil {
			return err
		}
		for rows.Next() {
			values := make([]sql.NullString, len(columns))
			to := make([]any, len(columns))
			for i := range values {
				to[i] = &values[i]
			}
			if err := rows.Scan(to...); err != nil {
				return err
			}
			line := make([]string, len(columns))
			for i, v := range values {
				line[i] = v.String
			}
			lines = append(lines, strings.Join(line, " | "))
		}
		return rows.Err()
	})
	if err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return lines
}
