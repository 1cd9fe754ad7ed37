package load

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"syncd/internal/call"
)

// Stored is a call as the warehouse has it, on its way to be derived again.
type Stored struct {
	// Was is its row and what belongs to it. Whoever takes something out of it that no revision may tell leaves here what is left.
	Was     call.Call
	Parts   []StoredPayload // the newest of each of its parts, the newest reading first
	History []*Revision     // its changes, oldest first, where they were asked for; what is taken out of them is taken out here

	Now *call.Call // what it is, to be written where it differs; nil: what it was

	change *change
}

// StoredPayload is the newest payload of one part of a call.
type StoredPayload struct {
	Part        call.Part
	Payload     string
	Dropped     bool // its text is no longer kept
	FetchedAt   time.Time
	ContentHash int64
	Reading     int64
	Anew        bool // Payload and ContentHash are to take the place of what is stored
}

// Revision is one field that changed.
type Revision struct {
	Field, Before, After string

	number int32
	at     time.Time
	stored [2]string // Before and After as they are stored
}

// Rewritten is what became of stored calls that were derived again.
type Rewritten struct {
	Changed map[*Stored]bool // something of the call was written
	// Merging are calls that turned out to be one with another call of the warehouse: what is stored of them, to be found and stored like any
	// observation, so that the newest payload of each part wins.
	Merging []*call.Observation
}

// Rewrite writes what differs of calls that StoredCalls returned in the same transaction: their rows and what belongs to them, with a revision for each
// field that is another than it was; and payloads that are to be stored anew. Payloads that stay, readings, when a call was seen first and that it was
// deleted are not touched, and of what has not changed nothing is written.
//
// It is durable with the caller's transaction. If the process dies before that commits, the calls are as they were.
func (tx *Tx) Rewrite(ctx context.Context, source string, batch []*Stored, at time.Time) (Rewritten, error) {
	r := Rewritten{Changed: make(map[*Stored]bool)}
	batch, err := tx.withoutMerging(ctx, source, batch, &r)
	if err != nil {
		return r, fmt.Errorf("look up the ids that calls of %s have now: %w", source, err)
	}
	var written []*change
	for _, s := range batch {
		if s.settle(at) {
			written = append(written, s.change)
			r.Changed[s] = true
		}
	}
	if len(written) == 0 {
		return r, nil
	}
	if err := tx.dropHistory(ctx, source, written); err != nil {
		return r, fmt.Errorf("replace revisions of %s: %w", source, err)
	}
	near, err := tx.stageStored(ctx, written)
	if err != nil {
		return r, fmt.Errorf("replace calls of %s: %w", source, err)
	}
	if err := tx.clear(ctx, source, near, written); err != nil {
		return r, fmt.Errorf("replace calls of %s: %w", source, err)
	}
	if err := tx.insertHistory(ctx, written); err != nil {
		return r, fmt.Errorf("replace revisions of %s: %w", source, err)
	}
	if err := tx.insert(ctx, written); err != nil {
		return r, fmt.Errorf("insert calls of %s: %w", source, err)
	}
	var starts []*time.Time
	for _, c := range written {
		if c.obs.Call.StartedAt != nil {
			starts = append(starts, c.obs.Call.StartedAt)
		}
		if tx.w.known.hashes != nil && !c.old.holds(c.old.key) {
			tx.stored = append(tx.stored, keyHash(source, c.old.key))
		}
	}
	tx.extents = tx.extents.with(source, starts)
	tx.changed = true
	return r, nil
}

// settle notes what of a call is to be written, and reports whether anything is.
func (s *Stored) settle(at time.Time) bool {
	c := s.change
	now := s.Was
	if s.Now != nil {
		now = *s.Now
	}
	scrubbed := s.History != nil && (len(differences(&state{call: c.before.call}, s.Was)) > 0 || c.before.call.RecordingURL != s.Was.RecordingURL)
	renamed := now.ID != c.old.ids[0]
	c.before.call = s.Was
	c.obs.Call, c.obs.FetchedAt = now, at
	c.old.key = now.ID
	c.fields = slices.DeleteFunc(differences(c.before, now), func(f field) bool { return f.name == "deleted_at" })
	for i := range s.Parts {
		if p := &s.Parts[i]; p.Anew {
			c.parts = append(c.parts, &call.Observation{Part: p.Part, Payload: p.Payload, ContentHash: p.ContentHash, Reading: p.Reading, FetchedAt: p.FetchedAt})
		}
	}
	rehistoried, renumbered := c.rewriteHistory(s.History)
	c.forced = scrubbed || renamed || renumbered
	return rehistoried || c.rewrites() || len(c.parts) > 0
}

// rewriteHistory notes the revisions of a call where something was taken out of them. A change that is none any more goes, and those that are left are
// numbered anew.
func (c *change) rewriteHistory(history []*Revision) (rewritten, renumbered bool) {
	for _, r := range history {
		rewritten = rewritten || r.stored != [2]string{r.Before, r.After}
	}
	if !rewritten {
		return false, false
	}
	c.history = slices.DeleteFunc(slices.Clone(history), func(r *Revision) bool { return r.stored != [2]string{r.Before, r.After} && r.Before == r.After })
	number, last, changedAt := int32(1), int32(1), c.before.firstSeenAt
	for _, r := range c.history {
		if r.number != last {
			number, last, changedAt = number+1, r.number, r.at
		}
		r.number = number
	}
	renumbered = number != c.before.revision
	c.before.revision, c.before.changedAt = number, changedAt
	c.historyGoes = true
	return true, renumbered
}

// withoutMerging takes calls out of a batch whose id is another now, which a row of its own has already.
func (tx *Tx) withoutMerging(ctx context.Context, source string, batch []*Stored, r *Rewritten) ([]*Stored, error) {
	var renamed []*change
	taken := make(map[string]bool)
	for _, s := range batch {
		if s.Now == nil || s.Now.ID == s.change.old.ids[0] {
			taken[s.Was.ID] = true
			continue
		}
		renamed = append(renamed, &change{old: known{key: s.Now.ID}})
	}
	if len(renamed) == 0 {
		return batch, nil
	}
	if err := tx.find(ctx, source, "true", keysOf(renamed), renamed); err != nil {
		return nil, err
	}
	others := make(map[string]*known)
	var refs []Ref
	for _, c := range renamed {
		if len(c.old.ids) > 0 {
			taken[c.old.key], others[c.old.key] = true, &c.old
			refs = append(refs, Ref{ID: c.old.key, StartedAt: c.old.startedAt[0]})
		}
	}
	payloads, err := tx.StoredParts(ctx, source, refs)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(batch), func(s *Stored) bool {
		if s.Now == nil || s.Now.ID == s.change.old.ids[0] {
			return false
		}
		if !taken[s.Now.ID] {
			taken[s.Now.ID] = true // another one that becomes the same merges with it
			return false
		}
		r.Merging = append(r.Merging, s.merging(others[s.Now.ID], payloads[s.Now.ID])...)
		r.Changed[s] = true
		return true
	}), nil
}

// merging are the observations that make a call one with another row: of each part the payload of the newer reading of the two.
func (s *Stored) merging(other *known, payloads map[call.Part]StoredPart) (all []*call.Observation) {
	add := func(part call.Part, p StoredPart, hash, reading int64) {
		if !p.Dropped {
			all = append(all, &call.Observation{Call: *s.Now, Alias: s.change.old.ids[0], Part: part, Payload: p.Payload, ContentHash: hash,
				Reading: reading, FetchedAt: p.FetchedAt})
		}
	}
	if other == nil {
		other = new(known)
	}
	for _, p := range s.Parts {
		if o := other.find(p.Part); o == nil || o.reading <= p.Reading {
			add(p.Part, StoredPart{Payload: p.Payload, FetchedAt: p.FetchedAt, Dropped: p.Dropped}, p.ContentHash, p.Reading)
		}
	}
	for _, o := range other.parts {
		if mine := s.change.old.find(o.part); mine == nil || mine.reading < o.reading {
			add(o.part, payloads[o.part], o.contentHash, o.reading)
		}
	}
	return all
}

// dropHistory deletes the revisions that insertHistory writes anew.
func (tx *Tx) dropHistory(ctx context.Context, source string, written []*change) error {
	var keys []stagedKey
	for n, c := range written {
		if c.historyGoes {
			keys = append(keys, stagedKey{id: c.old.ids[0], n: n})
		}
	}
	if len(keys) == 0 {
		return nil
	}
	if err := tx.stage(ctx, keys); err != nil {
		return err
	}
	return tx.deleteStaged(ctx, source, "true", "call_revisions", "")
}

func (tx *Tx) insertHistory(ctx context.Context, written []*change) error {
	var list []childOf[*Revision]
	for _, c := range written {
		list = children(list, c, c.history)
	}
	return tx.insertRows(ctx, rows{"main.call_revisions", len(list), []column{
		full("source", func(i int) string { return list[i].of.Source }),
		full("call_id", func(i int) string { return list[i].of.ID }),
		value("revision", duckdb.TYPE_INTEGER, func(i int) int32 { return list[i].value.number }),
		value("changed_at", duckdb.TYPE_TIMESTAMP_TZ, func(i int) time.Time { return list[i].value.at }),
		full("field", func(i int) string { return list[i].value.Field }),
		optional("old_value", func(i int) string { return list[i].value.Before }),
		optional("new_value", func(i int) string { return list[i].value.After }),
	}})
}

// readHistory reads the revisions of the staged calls.
func (tx *Tx) readHistory(ctx context.Context, source string, batch []*Stored) error {
	for _, s := range batch {
		s.History = []*Revision{}
	}
	return tx.each(ctx, `SELECT s.n, c.revision, c.changed_at, c.field, c.old_value, c.new_value`+stagedRows("call_revisions", "true")+
		`ORDER BY s.n, c.revision, c.field`, []any{source}, func(rows *sql.Rows) error {
		var n int
		var r Revision
		if err := rows.Scan(&n, &r.number, &r.at, &r.Field, text{&r.Before}, text{&r.After}); err != nil {
			return err
		}
		r.at, r.stored = r.at.UTC(), [2]string{r.Before, r.After}
		batch[n].History = append(batch[n].History, &r)
		return nil
	})
}
