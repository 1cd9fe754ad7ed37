package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/transform"
)

// # Somebody who is to be forgotten
//
// Every call of which any text in any table holds the number goes, with all that belongs to it; nothing of it stays, so that what is there never needs to be
// read with exceptions. What the promises then rest on:
//
//   - A window's ids are counted before a record is read, so a record that is kept out is counted as the provider counts it, and windows close.
//   - A record that is kept out is counted as unchanged, as nothing is written for it, so that the counts of a run add up.
//   - Calls that were inserted and are gone have a row each in sync.suppressed, and so as many are there as the runs say, less these.
//   - What is not there is no candidate for a deletion, and no details are due of it.
//   - The provider's total and the warehouse's, which are shown beside each other and decide nothing, differ by those who are kept out.
//
// Whoever was forgotten is kept out of all that is read later, by the number and by the ids of the calls: a record that shows the number in another
// form, or not at all, is of a call that is known. A call that is here already and turns out later to be the person's, because its transcript comes with the
// number in it, is erased then. Every record passes one place in the transformer, before privacy looks at it.
//
// Records that a run has read and not committed yet may be the person's, too. So the transaction begins a new epoch of the warehouse: what was read before it
// is never committed, and the run ends with an error that says so; the next one reads the list.

// Forgetting is what was erased.
type Forgetting struct {
	Rows   load.Erased `json:"rows"`   // by table
	Before bool        `json:"before"` // the number was kept out already
	Masked int64       `json:"masked"` // calls whose numbers nobody can tell
	Hashed int64       `json:"hashed"` // calls whose numbers are hashed, though by no key of these sources
}

// errRehearsal ends the transaction of a rehearsal.
var errRehearsal = errors.New("nothing is to be changed")

// Forget erases a person from the warehouse and keeps them out from then on. A rehearsal erases in a transaction that is rolled back, so that its
// counts are true.
//
// The list and the erasure are one transaction. If the process dies before it commits, nothing has happened but that there may be a key that nothing was made
// with; if it dies after, the same call finds nothing left to erase, and what comes after it (compaction, copies) is the caller's to do again.
func (p *Pipeline) Forget(ctx context.Context, n transform.Number, sources []Source, rehearse bool, tell func(done, total int64)) (f Forgetting, err error) {
	key, err := p.forgetKey(ctx, rehearse)
	if err != nil {
		return f, err
	}
	var tokens []string
	for _, s := range sources {
		for _, t := range s.Transform.Tokens(n) {
			if !slices.Contains(tokens, t) {
				tokens = append(tokens, t)
			}
		}
	}
	e := erasure{finder: transform.NewNumberFinder(n, tokens), sources: sources, key: key, hashes: len(tokens) > 0, tell: tell}
	err = p.Warehouse.Write(ctx, func(tx *load.Tx) error {
		if f, err = e.do(ctx, tx, p, n); err == nil && rehearse {
			err = errRehearsal
		}
		return err
	})
	if errors.Is(err, errRehearsal) {
		err = nil
	}
	if err != nil {
		return Forgetting{}, fmt.Errorf("forget a person: %w", err)
	}
	if !rehearse {
		p.Log.Info("somebody was forgotten", zap.Int64("calls", f.Rows["calls"]), zap.Int64("rejects", f.Rows["sync.rejects"]))
	}
	return f, nil
}

// forgetKey is the key of the list. It is made for the first who is forgotten; a rehearsal does without.
func (p *Pipeline) forgetKey(ctx context.Context, rehearse bool) (transform.MarkKey, error) {
	var list []load.Suppression
	if err := p.Warehouse.Write(ctx, func(tx *load.Tx) (err error) {
		list, err = tx.Suppressions(ctx)
		return err
	}); err != nil {
		return transform.MarkKey{}, err
	}
	if len(list) > 0 {
		return listKey(p.Warehouse.Path(), list)
	}
	if rehearse {
		return transform.NewMarkKey([]byte(rand.Text())), nil
	}
	secret, err := load.MakeForgetKey(p.Warehouse.Path())
	return transform.NewMarkKey(secret), err
}

// kindKey is the row that shows which key a list was made with.
const kindKey = "key"

// noKey says that the list of those who are kept out cannot be used, so that a person must act.
type noKey struct{ error }

func (e noKey) Unwrap() error { return e.error }

// listKey reads the key that a list was made with. Without it nobody who is on it could be kept out, so nothing may be read.
func listKey(warehouse string, list []load.Suppression) (transform.MarkKey, error) {
	secret, err := load.ReadForgetKey(warehouse)
	switch {
	case errors.Is(err, load.ErrNoForgetKey):
		return transform.MarkKey{}, noKey{fmt.Errorf("%w, so nobody who was forgotten could be kept out, and nothing is read: put the file back from where the warehouse came from, or from a backup", err)}
	case err != nil:
		return transform.MarkKey{}, noKey{err}
	}
	key := transform.NewMarkKey(secret)
	if !slices.ContainsFunc(list, func(s load.Suppression) bool { return s.Kind == kindKey && s.Hash == key.Check() }) {
		return transform.MarkKey{}, noKey{fmt.Errorf("%s is another key than the one with which people were forgotten here, so none of them could be kept out, and nothing is read: put the right file back",
			load.ForgetKeyPath(warehouse))}
	}
	return key, nil
}

// ForgetKey tells how many people and calls are kept out of a warehouse, whose key lies beside the file of that name. The error says that they cannot be, as
// the key is not the right one.
func ForgetKey(ctx context.Context, tx *load.Tx, warehouse string) (marks int, err error) {
	list, err := tx.Suppressions(ctx)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	_, err = listKey(warehouse, list)
	return len(list) - 1, err
}

// readSuppressions reads the list of those who are kept out; nil where nobody is.
func readSuppressions(ctx context.Context, tx *load.Tx, warehouse string) (*transform.Suppressions, error) {
	list, err := tx.Suppressions(ctx)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	key, err := listKey(warehouse, list)
	if err != nil {
		return nil, err
	}
	return suppressionsOf(key, list), nil
}

func suppressionsOf(key transform.MarkKey, list []load.Suppression) *transform.Suppressions {
	marks := make([]transform.Mark, len(list))
	for i, s := range list {
		marks[i] = transform.Mark{Kind: s.Kind, Length: s.Length, Hash: s.Hash}
	}
	return transform.NewSuppressions(key, marks)
}

// Forgotten is the list of those who are kept out; nil where nobody is. Who keeps rows elsewhere than in tables finds by it those of calls that were erased.
func (p *Pipeline) Forgotten(ctx context.Context) (s *transform.Suppressions, err error) {
	err = p.Warehouse.Write(ctx, func(tx *load.Tx) (err error) {
		s, err = readSuppressions(ctx, tx, p.Warehouse.Path())
		return err
	})
	return s, err
}

// ofForgotten reports whether the payload of a reject is of a call that was erased. A record that cannot be read as a call may still tell which one it is of.
func ofForgotten(t *transform.Transformer, forgotten *transform.Suppressions, source, payload string) bool {
	return slices.ContainsFunc(t.IDs(extract.Record{Payload: []byte(payload)}), func(id string) bool { return forgotten.HasCall(source, id) })
}

// erasure is how a number is looked for.
type erasure struct {
	finder  *transform.NumberFinder
	sources []Source
	key     transform.MarkKey
	hashes  bool // hashed numbers are found
	tell    func(done, total int64)
}

// do erases what holds the number, and puts it on the list.
func (e *erasure) do(ctx context.Context, tx *load.Tx, p *Pipeline, n transform.Number) (f Forgetting, err error) {
	f.Rows = make(load.Erased)
	calls, err := tx.CallsHolding(ctx, e.finder.Holds, e.tell)
	if err != nil {
		return f, err
	}
	known, err := tx.Suppressions(ctx)
	if err != nil {
		return f, err
	}
	if f.Masked, f.Hashed, err = tx.UnknownNumbers(ctx); err != nil {
		return f, err
	}
	if e.hashes {
		f.Hashed = 0
	}
	list := []load.Suppression{{Kind: kindKey, Hash: e.key.Check()}}
	for _, m := range e.key.Numbers(n) {
		f.Before = f.Before || slices.ContainsFunc(known, func(s load.Suppression) bool { return s.Hash == m.Hash })
		list = append(list, load.Suppression{Kind: m.Kind, Hash: m.Hash, Length: m.Length})
	}
	elsewhere := load.Elsewhere{Holds: e.finder.Holds}
	payloads := make(map[string][]string)
	for _, source := range slices.Sorted(maps.Keys(calls)) {
		ids, texts, err := e.gather(ctx, tx, source, calls[source])
		if err != nil {
			return f, err
		}
		payloads[source] = texts
		marks, err := eraseCalls(ctx, tx, e.key, source, ids, f.Rows)
		if err != nil {
			return f, err
		}
		list = append(list, marks...)
		for _, id := range ids {
			if e.finder.Holds(id) {
				elsewhere.IDs = append(elsewhere.IDs, id)
			}
		}
	}
	forgotten := suppressionsOf(e.key, slices.Concat(known, list))
	elsewhere.Reject = func(source, payload string) bool {
		at := slices.IndexFunc(e.sources, func(s Source) bool { return s.Name == source })
		return at >= 0 && ofForgotten(e.sources[at].Transform, forgotten, source, payload)
	}
	elsewhere.Piece = func(source, sample string) bool {
		return sample != "" && slices.ContainsFunc(payloads[source], func(text string) bool { return strings.Contains(text, sample) })
	}
	if err := tx.EraseElsewhere(ctx, elsewhere, f.Rows); err != nil {
		return f, err
	}
	tx.NewEpoch()
	return f, tx.Suppress(ctx, p.now(), list)
}

// gather adds to the ids of calls the others that they are known by, and returns their payloads.
func (e *erasure) gather(ctx context.Context, tx *load.Tx, source string, ids []string) (all, payloads []string, err error) {
	stored, err := tx.PayloadsOf(ctx, source, ids)
	if err != nil {
		return nil, nil, err
	}
	all = slices.Clone(ids)
	at := slices.IndexFunc(e.sources, func(s Source) bool { return s.Name == source })
	for _, id := range slices.Sorted(maps.Keys(stored)) {
		for part, p := range stored[id] {
			if p.Dropped {
				continue
			}
			payloads = append(payloads, p.Payload)
			if at < 0 || part != call.PartList && part != call.PartDetail {
				continue // of a source that is not configured any more nothing is read
			}
			result := e.sources[at].Transform.Record(recordOf(id, p))
			if alias := result.Observation.Alias; result.Reject == nil && alias != "" && !slices.Contains(all, alias) {
				all = append(all, alias)
			}
		}
	}
	return all, payloads, nil
}

// eraseCalls deletes calls and says what keeps them out.
func eraseCalls(ctx context.Context, tx *load.Tx, key transform.MarkKey, source string, ids []string, erased load.Erased) ([]load.Suppression, error) {
	stored, err := tx.EraseCalls(ctx, source, ids, erased)
	if err != nil {
		return nil, err
	}
	list := make([]load.Suppression, len(ids))
	for i, id := range ids {
		m := key.Call(source, id)
		list[i] = load.Suppression{Kind: m.Kind, Hash: m.Hash, Source: source, Erased: slices.Contains(stored, id)}
	}
	return list, nil
}

// keepOut takes what was kept out of a batch for what it is: its calls, where they are here, go, and are kept out from now on, whatever a record shows. It
// leaves out what else the batch holds of these calls, and of those that another run has found to be kept out since the batch was read. It returns how many
// records it left out, and the marks to be known once this is durable.
//
// The calls and their marks are one transaction with the batch. If the process dies before it commits, the same records come again.
func (r *run) keepOut(ctx context.Context, tx *load.Tx, b *batch) (left int64, marks []transform.Mark, err error) {
	if r.suppressions == nil {
		return 0, nil, nil
	}
	source := r.source.Name
	out := make(map[string]bool)
	var fresh []string
	for _, s := range b.suppressed {
		for _, id := range s.IDs {
			if !out[id] && !r.suppressions.HasCall(source, id) {
				fresh = append(fresh, id)
			}
			out[id] = true
		}
	}
	left = int64(len(b.suppressed))
	b.observations = slices.DeleteFunc(b.observations, func(o *call.Observation) bool {
		gone := out[o.Call.ID] || o.Alias != "" && out[o.Alias] || r.suppressions.HasCall(source, o.Call.ID) || r.suppressions.HasCall(source, o.Alias)
		if gone {
			left++
		}
		return gone
	})
	of := func(reject string) bool {
		return slices.ContainsFunc(r.stored.IDs(extract.Record{Payload: []byte(reject)}), func(id string) bool { return out[id] || r.suppressions.HasCall(source, id) })
	}
	b.rejects = slices.DeleteFunc(b.rejects, func(j call.Reject) bool {
		gone := of(j.Payload)
		if gone {
			left++
		}
		return gone
	})
	if len(fresh) == 0 {
		return left, nil, nil
	}
	if err := tx.EraseRejects(ctx, source, of, make(load.Erased)); err != nil {
		return 0, nil, err
	}
	list, err := eraseCalls(ctx, tx, r.suppressions.Key(), source, fresh, make(load.Erased))
	if err != nil {
		return 0, nil, err
	}
	for _, s := range list {
		marks = append(marks, transform.Mark{Kind: s.Kind, Hash: s.Hash})
	}
	return left, marks, tx.Suppress(ctx, r.now(), list)
}

// keptOut takes over what a commit has made durable. No other commit of the source goes on meanwhile, so that none misses it.
func (r *run) keptOut(marks []transform.Mark) {
	if len(marks) > 0 {
		r.suppressions.Add(marks)
	}
}
