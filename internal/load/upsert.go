package load

import (
	"context"
	"fmt"

	"syncd/internal/call"
)

// Counts say what became of the records of a batch. Every record is exactly one of the first three, or a reject.
type Counts struct {
	Inserted  int64
	Updated   int64 // the call changed, or no more than its payload did
	Unchanged int64 // repeats within the batch, and readings older than what is stored, included
	Drift     int64 // oddities in what was inserted or updated
}

// Upsert stores observations of one source, once in a transaction: a call is one row, in the state of its newest reading, and every field that changes leaves
// a revision. Nothing is written for a call whose payload has not changed.
//
// Of several observations of a call in the batch the newest is kept. What the warehouse has of these calls is looked up where it would
// be, by their start; a key that is known but was not there has moved, and is looked for everywhere: no provider promises that a start
// never moves, and trusting the start alone would leave two rows. Calls that changed are deleted with their children and inserted
// anew, in the same transaction: DuckDB's in-place updates rewrite far more than the row.
func (tx *Tx) Upsert(ctx context.Context, source string, obs []call.Observation) (Counts, error) {
	batch := newest(obs)
	counts := Counts{Unchanged: int64(len(obs) - len(batch))}
	if len(batch) == 0 {
		return counts, nil
	}
	found, err := tx.lookup(ctx, source, batch)
	if err != nil {
		return counts, fmt.Errorf("look up calls of %s: %w", source, err)
	}
	var added, changed []*change
	for i, o := range batch {
		c := &change{obs: o, old: found[i]}
		switch {
		case len(c.old.ids) == 0:
			counts.Inserted++
			added = append(added, c)
		case c.old.isStored(o), c.old.reading > o.Reading:
			counts.Unchanged++
			continue
		default:
			counts.Updated++
			changed = append(changed, c)
		}
		counts.Drift += int64(len(o.Drift))
	}
	near, err := tx.compare(ctx, source, changed)
	if err != nil {
		return counts, fmt.Errorf("compare calls of %s with what is stored: %w", source, err)
	}
	if err := tx.clear(ctx, source, near, changed); err != nil {
		return counts, fmt.Errorf("replace calls of %s: %w", source, err)
	}
	written := append(added, changed...)
	if err := tx.insert(written); err != nil {
		return counts, fmt.Errorf("insert calls of %s: %w", source, err)
	}
	if err := tx.addDrift(ctx, source, written); err != nil {
		return counts, fmt.Errorf("record drift of %s: %w", source, err)
	}
	for _, c := range written {
		if c.old.hash != 0 { // 0: it was found under its key, so the key is known
			tx.stored = append(tx.stored, c.old.hash)
		}
	}
	return counts, nil
}

// change is a call about to be written, and what the warehouse has of it.
type change struct {
	obs    call.Observation
	old    known
	before *state  // the stored row and its children; nil for a new call
	fields []field // those that differ from before; none: only the payload is new
}

// rewrites reports whether the call itself is written, not only its payload. It is without any field that differs where a recording's URL
// was signed anew, and where the call still has a second row, under the id it had earlier.
func (c *change) rewrites() bool {
	return c.before == nil || len(c.fields) > 0 || len(c.old.ids) > 1 || c.before.call.RecordingURL != c.obs.Call.RecordingURL
}

// newest keeps, of several observations of one call, the one of the newest reading, and of one reading the last. A call seen both
// under its id and under one it had earlier is one call, and the lasting id is kept.
func newest(obs []call.Observation) []call.Observation {
	at := make(map[string]int, len(obs))
	var kept []call.Observation
	for _, o := range obs {
		i, ok := at[o.Call.ID]
		if !ok {
			at[o.Call.ID] = len(kept)
			kept = append(kept, o)
		} else if o.Reading >= kept[i].Reading {
			kept[i] = o
		}
	}
	earlier := make(map[string]bool)
	for _, o := range kept {
		if o.Alias != "" && o.Alias != o.Call.ID {
			earlier[o.Alias] = true
		}
	}
	lasting := kept[:0]
	for _, o := range kept {
		if !earlier[o.Call.ID] {
			lasting = append(lasting, o)
		}
	}
	return lasting
}
