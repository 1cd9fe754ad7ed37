package load

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"syncd/internal/call"
)

// Counts say what became of the records of a batch. Every record is exactly one of the first three, or a reject.
type Counts struct {
	Inserted  int64
	Updated   int64 // the call changed, or no more than its payload did
	Unchanged int64 // repeats within the batch, and readings older than what is stored, included
	Drift     int64 // oddities in what was inserted or updated
}

// Found is a batch of observations held against the warehouse: what is new, what changed, what is neither. It is valid in the
// transaction that found it, until that writes anything else.
type Found struct {
	counts    Counts
	added     []*change
	changed   []*change
	partial   []*Partial
	unchanged []unchangedAt
}

// Upsert stores observations of one source as they are: [Tx.Find] and [Tx.Store] with nothing in between. It is for calls that are told
// by one part alone.
func (tx *Tx) Upsert(ctx context.Context, source string, obs []call.Observation) (Counts, error) {
	all := make([]*call.Observation, len(obs))
	for i := range obs {
		all[i] = &obs[i]
	}
	f, err := tx.Find(ctx, source, all)
	if err != nil {
		return Counts{}, err
	}
	return tx.Store(ctx, source, f)
}

// Find looks up what the warehouse has of the calls that a batch of one source observed. It writes nothing, and of the calls it looks only at the
// key and at the start, which is where they are looked for first: whatever else they tell may be filled in after it, before Store.
//
// Of several observations of one part of a call the newest is kept. What the warehouse has of these calls is looked up where it would
// be, by their start; a key that is known but was not there has moved, and is looked for everywhere: no provider promises that a start
// never moves, and trusting the start alone would leave two rows.
func (tx *Tx) Find(ctx context.Context, source string, obs []*call.Observation) (*Found, error) {
	batch, dropped := gather(obs)
	f := &Found{counts: Counts{Unchanged: dropped}}
	if len(batch) == 0 {
		return f, nil
	}
	oldest := tx.w.readings.oldest(obs)
	batch, err := tx.leaveOut(ctx, source, f, batch, oldest)
	if err != nil {
		return nil, fmt.Errorf("look for unchanged calls of %s: %w", source, err)
	}
	if err := tx.lookup(ctx, source, batch); err != nil {
		return nil, fmt.Errorf("look up calls of %s: %w", source, err)
	}
	for _, c := range batch {
		tx.rememberReadings(source, c)
		f.sort(c, source, oldest)
	}
	if err := tx.loadOthers(ctx, source, f); err != nil {
		return nil, fmt.Errorf("read the other parts of calls of %s: %w", source, err)
	}
	return f, nil
}

// rememberReadings raises the readings that the file tells to those that are known in memory alone.
func (tx *Tx) rememberReadings(source string, c *change) {
	for i := range c.old.parts {
		p := &c.old.parts[i]
		for _, id := range c.old.ids {
			p.reading = max(p.reading, tx.newestUnchanged(source, id, p.part))
		}
	}
}

// sort decides what becomes of each part that was observed of a call.
func (f *Found) sort(c *change, source string, oldestUnderWay int64) {
	observed := c.parts
	c.parts = c.parts[:0]
	for _, o := range observed {
		switch {
		case len(c.old.ids) == 0 && c.obs == nil:
			f.counts.Inserted++
		case len(c.old.ids) == 0:
			f.counts.Updated++ // another part of a new call
		case c.old.isNewer(o):
			f.counts.Unchanged++
			continue
		case c.old.isStored(o):
			f.counts.Unchanged++
			if !c.old.lags(o) {
				if o.Reading > oldestUnderWay {
					f.unchanged = append(f.unchanged, unchangedAt{digestOf(source, c.old.key, o.Part), o.Reading})
				}
				continue
			}
		default:
			f.counts.Updated++
		}
		c.parts = append(c.parts, o) // in place: what has been looked at makes room
		if c.obs == nil || o.Reading >= c.obs.Reading {
			c.obs = o
		}
	}
	switch {
	case c.obs == nil:
	case len(c.old.ids) == 0:
		f.added = append(f.added, c)
	default:
		f.changed = append(f.changed, c)
	}
}

// Store writes what Find found to be new or changed, once: a call is one row, in the state of its newest reading, and every field that
// changes leaves a revision. Nothing is written for a call whose payload has not changed. A call that one transaction stores twice is found again
// by its start, so between the two it must not move or change its id: of what is not committed no keys are known.
//
// Calls that changed are deleted with their children and inserted anew, in the same transaction: DuckDB's in-place updates rewrite far
// more than the row.
func (tx *Tx) Store(ctx context.Context, source string, f *Found) (Counts, error) {
	near, err := tx.compare(ctx, source, f.changed)
	if err != nil {
		return f.counts, fmt.Errorf("compare calls of %s with what is stored: %w", source, err)
	}
	if err := tx.clear(ctx, source, near, f.changed); err != nil {
		return f.counts, fmt.Errorf("replace calls of %s: %w", source, err)
	}
	written := append(f.added, f.changed...)
	if err := tx.insert(ctx, written); err != nil {
		return f.counts, fmt.Errorf("insert calls of %s: %w", source, err)
	}
	if err := tx.addDrift(ctx, source, written); err != nil {
		return f.counts, fmt.Errorf("record drift of %s: %w", source, err)
	}
	for _, c := range written {
		f.counts.Drift += int64(len(c.obs.Drift))
		if tx.w.known.hashes != nil && !c.old.holds(c.old.key) {
			tx.stored = append(tx.stored, keyHash(source, c.old.key))
		}
	}
	tx.extents = tx.extents.with(source, startsOf(written))
	tx.noteUnchanged(f.unchanged)
	tx.changed = tx.changed || len(written) > 0
	return f.counts, nil
}

// Written lists the observations that will be written.
func (f *Found) Written() []*call.Observation {
	var all []*call.Observation
	for _, changes := range [][]*change{f.added, f.changed} {
		for _, c := range changes {
			all = append(all, c.parts...)
		}
	}
	return all
}

// change is a call of a batch, and what the warehouse has of it.
type change struct {
	obs    *call.Observation    // the newest of parts: what the call is now; nil: nothing of it is written
	parts  []*call.Observation  // the payloads to be written, each of another part
	first  [1]*call.Observation // room for the one that most calls have
	others map[call.Part]StoredPart
	old    known
	before *state  // the stored row and its children; nil for a new call
	fields []field // those that differ from before; none: only the payload is new

	again       bool        // it is derived again from what is stored: one that was deleted stays so
	forced      bool        // its row is written though no field differs
	history     []*Revision // its revisions until now, where historyGoes
	historyGoes bool        // they take the place of those that are stored
}

// rewrites reports whether the call itself is written, not only its payload. It is without any field that differs where a recording's URL
// was signed anew, and where the call still has a second row, under the id it had earlier.
func (c *change) rewrites() bool {
	return c.before == nil || c.forced || len(c.fields) > 0 || len(c.old.ids) > 1 || c.before.call.RecordingURL != c.obs.Call.RecordingURL
}

// errNoKey says that what was made of a record is no call.
var errNoKey = errors.New("a call is without a source or an id, and is not stored: please report this, it is a defect of syncd")

// lacksKey reports whether the call does not tell its source or its id. Once it were stored nobody could tell whose it is, so it is refused.
func (c *change) lacksKey() bool { return c.obs.Call.Source == "" || c.obs.Call.ID == "" }

// gather makes a batch of observations: its calls, in the order in which they were first seen. Of several observations of one part of a call
// it keeps the one of the newest reading, and of one reading the last. A call seen both under its id and under one it had earlier is one call,
// and the lasting id is kept. dropped is how many observations it left out.
func gather(obs []*call.Observation) (batch []*change, dropped int64) {
	at := make(map[string]*change, len(obs))
	all := make([]change, 0, len(obs))
	batch = make([]*change, 0, len(obs))
	earlier := make(map[string]bool)
	for _, o := range obs {
		if o.Alias != "" && o.Alias != o.Call.ID {
			earlier[o.Alias] = true
		}
		c, ok := at[o.Call.ID]
		if !ok {
			all = append(all, change{old: known{key: o.Call.ID}})
			c = &all[len(all)-1]
			at[o.Call.ID] = c
			batch = append(batch, c)
		}
		if c.observe(o) {
			dropped++
		}
	}
	if len(earlier) == 0 {
		return batch, dropped
	}
	return slices.DeleteFunc(batch, func(c *change) bool {
		if earlier[c.old.key] {
			dropped += int64(len(c.parts))
		}
		return earlier[c.old.key]
	}), dropped
}

// observe adds an observation to a call. It reports whether one of the same part, this or the one before, was left out for the other.
func (c *change) observe(o *call.Observation) bool {
	for i, have := range c.parts {
		if have.Part == o.Part {
			if o.Reading >= have.Reading {
				c.parts[i] = o
			}
			return true
		}
	}
	if c.parts == nil {
		c.parts = c.first[:0]
	}
	c.parts = append(c.parts, o)
	return false
}
