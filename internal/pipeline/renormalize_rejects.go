package pipeline

import (
	"context"
	"fmt"
	"slices"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/transform"
)

// readable is a reject that can be read now.
type readable struct {
	reject load.StoredReject
	call   *call.Observation
}

// ids are the ids of its call.
func (r readable) ids() []string {
	if r.call.Alias == "" {
		return []string{r.call.Call.ID}
	}
	return []string{r.call.Call.ID, r.call.Alias}
}

// rejects reads the next batch of records that could not become calls.
func (n *renormalization) rejects(ctx context.Context, tx *load.Tx, s *rebuilt) error {
	list, err := tx.StoredRejects(ctx, n.source.Name, s.state.RejectID, renormalizedRejects)
	if err != nil || len(list) == 0 {
		return err
	}
	var found []readable
	var out []transform.Suppressed
	for _, r := range list {
		if n.renamed[r.ID] {
			continue
		}
		o, kept, err := n.readReject(ctx, tx, &r)
		if err != nil {
			return err
		}
		if !r.Resolved || kept != nil {
			s.record.Records++
		}
		switch {
		case kept != nil:
			out = append(out, *kept)
		case r.Resolved:
		case o == nil:
			s.reject()
		default:
			found = append(found, readable{r, o})
		}
	}
	s.state.RejectID, s.more = list[len(list)-1].ID, true
	return n.resolve(ctx, tx, s, found, out)
}

// reject counts a record that is no call still.
func (s *rebuilt) reject() {
	s.told.Rejected++
	s.record.Rejected++
}

// readReject reads a reject again, and has privacy take out of it what it takes out now. It returns neither where it cannot become a call still. One of
// somebody who is kept out goes, whether or not it could be read before: it was stored when nobody could tell whose it was.
func (n *renormalization) readReject(ctx context.Context, tx *load.Tx, r *load.StoredReject) (*call.Observation, *transform.Suppressed, error) {
	if r.Dropped {
		return nil, nil, nil
	}
	result := n.source.Transform.Record(extract.Record{Payload: []byte(r.Payload), FetchedAt: r.FetchedAt})
	if result.Suppressed != nil {
		return nil, result.Suppressed, tx.DeleteReject(ctx, *r)
	}
	now := r.Reject
	if result.Reject != nil {
		now.Payload = result.Reject.Payload
		if !r.Resolved && transform.IsRecord(r.Reason) {
			now.Reason, now.Detail = result.Reject.Reason, result.Reject.Detail
		}
	} else {
		now.Payload = result.Observation.Payload
	}
	if now.Payload != r.Payload || now.Reason != r.Reason {
		var err error
		if r.ID, err = tx.RewriteReject(ctx, r.ID, now); err != nil {
			return nil, nil, err
		}
		n.renamed[r.ID] = true
	}
	if result.Reject != nil || !transform.IsRecord(r.Reason) {
		return nil, nil, nil
	}
	return &result.Observation, nil, nil
}

// resolve stores the calls of rejects that can be read now. Nothing tells which reading brought a reject, so that it takes no other payload's place: where
// the warehouse has the call from an answer that came no earlier, there is nothing left to do; from one that came earlier, which of the two is the newer
// is for the provider to say, and it stays a reject until the call is read again.
//
// Where a reject tells that a call is to be kept out, so are the others of the call, and what is stored of it.
func (n *renormalization) resolve(ctx context.Context, tx *load.Tx, s *rebuilt, found []readable, out []transform.Suppressed) error {
	found, out, err := n.withoutKeptOut(ctx, tx, found, out)
	if err != nil || len(found)+len(out) == 0 {
		return err
	}
	var refs []load.Ref
	for _, f := range found {
		for _, id := range f.ids() {
			refs = append(refs, load.Ref{ID: id, StartedAt: f.call.Call.StartedAt})
		}
	}
	stored, err := tx.StoredParts(ctx, n.source.Name, refs)
	if err != nil {
		return err
	}
	// Of several records of one call the one that came last counts.
	slices.SortStableFunc(found, func(a, b readable) int { return a.reject.FetchedAt.Compare(b.reject.FetchedAt) })
	b := batch{suppressed: out}
	for _, f := range found {
		has := stored[f.call.Call.ID]
		if has == nil {
			has = stored[f.call.Alias]
		}
		list, listed := has[call.PartList]
		switch {
		case has == nil:
			if f.call.Reading, err = n.oldestReading(ctx, tx); err != nil {
				return err
			}
			b.observations = append(b.observations, f.call)
		case !listed || list.FetchedAt.Before(f.reject.FetchedAt):
			s.reject()
			continue
		default:
			s.record.Unchanged++
		}
		if err := tx.ResolveReject(ctx, f.reject, n.now()); err != nil {
			return err
		}
		s.told.Resolved++
	}
	counts, err := n.store(ctx, tx, &b)
	s.marks = b.marks
	s.record.Inserted += counts.Inserted
	s.record.Updated += counts.Updated
	s.record.Unchanged += counts.Unchanged
	s.record.Drift += counts.Drift
	return err
}

// withoutKeptOut deletes the rejects of calls of which another reject tells that they are kept out, and adds them to these.
func (n *renormalization) withoutKeptOut(ctx context.Context, tx *load.Tx, found []readable, out []transform.Suppressed) ([]readable, []transform.Suppressed, error) {
	gone := idsOf(out)
	stays := found[:0]
	for _, f := range found {
		if !slices.ContainsFunc(f.ids(), func(id string) bool { return gone[id] }) {
			stays = append(stays, f)
			continue
		}
		if err := tx.DeleteReject(ctx, f.reject); err != nil {
			return nil, nil, err
		}
		out = append(out, transform.Suppressed{IDs: f.ids()})
	}
	return stays, out, nil
}

// idsOf are the ids of calls that are kept out.
func idsOf(out []transform.Suppressed) map[string]bool {
	ids := make(map[string]bool)
	for _, o := range out {
		for _, id := range o.IDs {
			ids[id] = true
		}
	}
	return ids
}

// oldestReading is the number under which the payload of a reject is stored: whatever else is read of its call is newer.
func (n *renormalization) oldestReading(ctx context.Context, tx *load.Tx) (int64, error) {
	if n.oldest > 0 {
		return n.oldest, nil
	}
	oldest, err := tx.OldestReading(ctx, n.source.Name)
	if err != nil {
		return 0, err
	}
	if oldest == 0 {
		oldest = n.Warehouse.NextReading()
		n.Warehouse.EndReading(oldest)
	}
	n.oldest = oldest
	return oldest, nil
}

// conclude ends what was rebuilt. What privacy takes out now is taken out of the samples of oddities, too, and the rules that all of it has been through
// are recorded.
func (n *renormalization) conclude(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	rules := n.source.Rules
	if n.options.AsStored {
		rules = "" // some of it was stored by others, and stays so
	}
	err := n.write(ctx, func(tx *load.Tx) error {
		if err := n.scrubOddities(ctx, tx); err != nil {
			return err
		}
		return tx.EndRenormalizing(ctx, n.source.Name, rules)
	})
	if err != nil {
		return fmt.Errorf("%s: end what was renormalized: %w", n.source.Name, err)
	}
	return nil
}

func (n *renormalization) scrubOddities(ctx context.Context, tx *load.Tx) error {
	scrub := n.source.Transform.Scrub(call.Call{})
	if scrub == nil {
		return nil
	}
	all, err := tx.StoredDrift(ctx, n.source.Name)
	if err != nil {
		return err
	}
	for _, d := range all {
		now := call.Drift{Path: scrub.Text(d.Path), Sample: scrub.Text(d.Sample)}
		if now == d {
			continue
		}
		if err := tx.RewriteDrift(ctx, n.source.Name, d.Path, now); err != nil {
			return err
		}
	}
	return nil
}
