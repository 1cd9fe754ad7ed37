package load

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"syncd/internal/call"
)

// Partial is an observation that will be written, of a call that other payloads tell of too. The observation alone knows only what its
// own part tells; whoever can derive the call from all of them replaces its Call (and Drift) before it is stored, and leaves the rest.
type Partial struct {
	Observation *call.Observation
	Others      map[call.Part]StoredPart // the newest payload of each other part, those of the same batch included
}

// StoredPart is the newest payload of one part of a call.
type StoredPart struct {
	Payload   string
	FetchedAt time.Time
	Dropped   bool // its text is no longer kept, so what it told is only in the call itself
}

// Ref names a call, and where it is to be found.
type Ref struct {
	ID        string
	StartedAt *time.Time
}

// Partial lists the observations that will be written and of whose calls there are other parts. Where a payload of another part has been
// dropped, Store leaves every field as it is that the observation leaves empty: the dropped payload may have told it.
func (f *Found) Partial() []*Partial { return f.partial }

// loadOthers reads the payloads of the other parts of calls that will be written. Which parts a call has was learnt with the call itself,
// so that nothing is read where there is one part only.
func (tx *Tx) loadOthers(ctx context.Context, source string, f *Found) error {
	var wanted []stagedKey
	var starts []*time.Time
	for n, c := range f.changed {
		before := len(wanted)
		for _, p := range c.old.parts {
			if c.writes(p.part) {
				continue
			}
			for _, id := range c.old.ids {
				wanted = append(wanted, stagedKey{id, p.part, n})
			}
		}
		if len(wanted) > before {
			starts = append(starts, c.old.startedAt...)
		}
	}
	if len(wanted) > 0 {
		if err := tx.stage(ctx, wanted); err != nil {
			return err
		}
		if err := tx.readParts(ctx, source, between(starts), "AND c.part = s.part", func(n int, _ string, part call.Part, p StoredPart) {
			c := f.changed[n]
			if c.others == nil {
				c.others = make(map[call.Part]StoredPart)
			}
			c.others[part] = p
		}); err != nil {
			return err
		}
	}
	for _, changes := range [][]*change{f.added, f.changed} {
		for _, c := range changes {
			f.partial = append(f.partial, c.partials()...)
		}
	}
	return nil
}

// readParts reads the payloads of the staged calls, of each part the oldest reading first.
func (tx *Tx) readParts(ctx context.Context, source, near, and string, each func(n int, id string, part call.Part, p StoredPart)) error {
	rows, err := tx.QueryContext(ctx, `SELECT s.n, c.call_id, c.part, c.payload, c.fetched_at`+stagedRows("raw_calls", near)+and+
		` ORDER BY s.n, c.reading`, source)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			n       int
			id      string
			part    call.Part
			payload sql.NullString
			p       StoredPart
		)
		if err := rows.Scan(&n, &id, (*string)(&part), &payload, &p.FetchedAt); err != nil {
			return err
		}
		p.Payload, p.Dropped, p.FetchedAt = payload.String, !payload.Valid, p.FetchedAt.UTC()
		each(n, id, part, p)
	}
	return rows.Err()
}

// partials are the observations of a call that need each other, or what the warehouse has.
func (c *change) partials() []*Partial {
	if len(c.others) == 0 && len(c.parts) < 2 {
		return nil
	}
	var all []*Partial
	for _, o := range c.parts {
		p := &Partial{Observation: o, Others: make(map[call.Part]StoredPart, len(c.others)+len(c.parts)-1)}
		for part, stored := range c.others {
			p.Others[part] = stored
		}
		for _, sibling := range c.parts {
			if sibling != o {
				p.Others[sibling.Part] = StoredPart{Payload: sibling.Payload, FetchedAt: sibling.FetchedAt}
			}
		}
		all = append(all, p)
	}
	return all
}

// writes reports whether the batch brings a payload of a part.
func (c *change) writes(part call.Part) bool {
	for _, o := range c.parts {
		if o.Part == part {
			return true
		}
	}
	return false
}

// StoredParts returns the newest payload of each part of some calls of a source. A call that is not where it was said to be is looked for
// everywhere; one that the warehouse does not have is left out.
func (tx *Tx) StoredParts(ctx context.Context, source string, calls []Ref) (map[string]map[call.Part]StoredPart, error) {
	found := make(map[string]map[call.Part]StoredPart, len(calls))
	add := func(_ int, id string, part call.Part, p StoredPart) {
		if found[id] == nil {
			found[id] = make(map[call.Part]StoredPart)
		}
		found[id][part] = p
	}
	missing := unfound(calls, nil)
	for _, near := range []string{nearRefs(calls), "true"} {
		if len(missing) == 0 {
			break
		}
		if err := tx.stage(ctx, missing); err != nil {
			return nil, fmt.Errorf("read payloads of %s: %w", source, err)
		}
		if err := tx.readParts(ctx, source, near, "", add); err != nil {
			return nil, fmt.Errorf("read payloads of %s: %w", source, err)
		}
		missing = unfound(calls, func(id string) bool { return found[id] != nil })
	}
	return found, nil
}

// unfound lists the calls that were not found yet as keys to be staged, each once.
func unfound(calls []Ref, found func(id string) bool) []stagedKey {
	var keys []stagedKey
	seen := make(map[string]bool, len(calls))
	for n, c := range calls {
		if !seen[c.ID] && (found == nil || !found(c.ID)) {
			keys = append(keys, stagedKey{id: c.ID, n: n})
		}
		seen[c.ID] = true
	}
	return keys
}

// nearRefs is the condition that finds the rows of calls by their start.
func nearRefs(calls []Ref) string {
	starts := make([]*time.Time, len(calls))
	for i, c := range calls {
		starts[i] = c.StartedAt
	}
	return between(starts)
}

// keepUntold fills what an observation leaves empty with what is stored. It is done only where another part's payload has been dropped:
// the call cannot be derived again from all it was derived from, and what is not told now may have been told there.
func keepUntold(c *call.Call, stored *call.Call) {
	keep(&c.AgentID, stored.AgentID)
	keep(&c.AgentName, stored.AgentName)
	keep(&c.AgentVersion, stored.AgentVersion)
	keep(&c.FlowName, stored.FlowName)
	keep(&c.FromNumber, stored.FromNumber)
	keep(&c.ToNumber, stored.ToNumber)
	keep(&c.CustomerNumber, stored.CustomerNumber)
	keep(&c.TelephonySID, stored.TelephonySID)
	keep(&c.EndReason, stored.EndReason)
	keep(&c.StartedAt, stored.StartedAt)
	keep(&c.EndedAt, stored.EndedAt)
	keep(&c.DurationMS, stored.DurationMS)
	keep(&c.Cost, stored.Cost)
	keep(&c.CostCurrency, stored.CostCurrency)
	keep(&c.Summary, stored.Summary)
	keep(&c.RecordingURL, stored.RecordingURL)
	keep(&c.IsTest, stored.IsTest)
	keep(&c.Metadata, stored.Metadata)
	// The word for a value that was not told is no value.
	if c.Channel == call.ChannelUnknown {
		c.Channel = stored.Channel
	}
	if c.Direction == call.DirectionUnknown {
		c.Direction = stored.Direction
	}
	if c.Status == call.Unknown && c.StatusRaw == "" {
		c.Status, c.StatusRaw = stored.Status, stored.StatusRaw
	}
	if c.Status == stored.Status {
		keep(&c.StatusRaw, stored.StatusRaw)
	}
	if len(c.Costs) == 0 {
		c.Costs = stored.Costs
	}
	if len(c.Messages) == 0 {
		c.Messages = stored.Messages
	}
	if len(c.Functions) == 0 {
		c.Functions = stored.Functions
	}
}

// keep gives an empty value the stored one.
func keep[T comparable](to *T, stored T) {
	var empty T
	if *to == empty {
		*to = stored
	}
}

// lacksAPart reports whether the payload of another part of the call has been dropped.
func (c *change) lacksAPart() bool {
	for _, p := range c.others {
		if p.Dropped {
			return true
		}
	}
	return false
}
