package pipeline

import (
	"context"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/transform"
)

// fate is what was found of a call before it is written.
type fate struct {
	rederived      *transform.Again // nil: it was not derived
	withoutPayload bool
	unreadable     bool
}

// derive derives a stored call from the payloads of all its parts, and has privacy take out of all that is stored of it what it takes out now.
func (n *renormalization) derive(c *load.Stored) fate {
	order, records := recordsOf(c)
	scrub := n.source.Transform.Scrub(c.Was)
	if len(order) == 0 {
		scrubKept(c, scrub, transform.Again{})
		return fate{withoutPayload: true}
	}
	again, reject := n.source.Transform.Again(order, records)
	switch {
	case len(order) < len(c.Parts):
		scrubKept(c, scrub, again) // of what is left of its payloads, the payloads alone are of interest
		return fate{withoutPayload: true}
	case reject != nil:
		scrubKept(c, scrub, again)
		return fate{unreadable: true}
	}
	scrubHistory(c, scrub)
	renew(c, again)
	now := again.Call
	c.Now = &now
	return fate{rederived: &again}
}

// scrubKept takes out of a call that cannot be derived, as the payload of one of its parts is no longer kept or as its payloads say no call any more, what
// privacy takes out now.
func scrubKept(c *load.Stored, scrub *transform.Scrub, again transform.Again) {
	if scrub == nil {
		return
	}
	scrubHistory(c, scrub)
	now := c.Was
	scrub.Spoken(&now)
	c.Now = &now
	renew(c, again)
}

// recordsOf are the payloads of a call that are still kept, and their parts, the newest reading first.
func recordsOf(c *load.Stored) (order []call.Part, records map[call.Part]extract.Record) {
	records = make(map[call.Part]extract.Record, len(c.Parts))
	for _, p := range c.Parts {
		if !p.Dropped {
			order = append(order, p.Part)
			records[p.Part] = recordOf(c.Was.ID, load.StoredPart{Payload: p.Payload, FetchedAt: p.FetchedAt})
		}
	}
	return order, records
}

// renew notes which payloads are to be stored anew: those that privacy changes, and those whose hash leaves out something else than it did.
func renew(c *load.Stored, again transform.Again) {
	for i := range c.Parts {
		p := &c.Parts[i]
		now, ok := again.Parts[p.Part]
		if ok && (now.Changed || !now.Unreadable && now.ContentHash != p.ContentHash) {
			p.Payload, p.ContentHash, p.Anew = now.Text, now.ContentHash, true
		}
	}
}

// scrubHistory takes out of a call's row, and of what it was before, what privacy takes out now.
func scrubHistory(c *load.Stored, scrub *transform.Scrub) {
	if scrub == nil {
		return
	}
	scrub.Fields(&c.Was)
	for _, r := range c.History {
		r.Before, r.After = scrub.Value(r.Field, r.Before), scrub.Value(r.Field, r.After)
	}
}

// count adds a batch of calls to the counts: each is updated, unchanged or rejected.
func (s *rebuilt) count(stored []*load.Stored, became map[*load.Stored]fate, done load.Rewritten) {
	t := &s.told
	for _, c := range stored {
		f := became[c]
		t.Calls++
		s.record.Records++
		switch {
		case f.unreadable:
			t.Unreadable++
			s.record.Rejected++
		case f.withoutPayload && done.Changed[c]:
			t.WithoutPayload++
			s.record.Updated++
		case f.withoutPayload:
			t.WithoutPayload++
			s.record.Unchanged++
		case done.Changed[c]:
			t.Changed++
			s.record.Updated++
		default:
			t.Unchanged++
			s.record.Unchanged++
		}
	}
}

// oddities are those that a batch met and that are to be counted, by their paths.
type oddities map[string]*oddity

type oddity struct {
	sample string
	n      int64
}

func (o oddities) add(known map[string]bool, drift []call.Drift) {
	for _, d := range drift {
		if known[d.Path] {
			continue
		}
		if o[d.Path] == nil {
			o[d.Path] = &oddity{sample: d.Sample}
		}
		o[d.Path].n++
	}
}

func (o oddities) count() (n int64) {
	for _, one := range o {
		n += one.n
	}
	return n
}

func (n *renormalization) addOddities(ctx context.Context, tx *load.Tx, odd oddities) error {
	for path, one := range odd {
		if err := tx.AddDrift(ctx, n.source.Name, call.Drift{Path: path, Sample: one.sample}, n.now(), one.n); err != nil {
			return err
		}
	}
	return nil
}
