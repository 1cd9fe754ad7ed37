package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/transform"
)

// # Renormalising
//
// What a record means is decided anew from time to time: a status gets a name, a price a component, a source another rule of privacy. Then what is
// stored is derived again from the payloads that are stored, and no provider is asked. Calls are gone through newest first, a batch a transaction, with
// the position that leads past them; then come the records that could not become calls, and may be read now.
//
// Each batch is read, derived and written in one transaction, so that whatever a sync brings meanwhile is either seen or comes later, and wins. Privacy
// that takes out more than it did does so everywhere: in payloads, calls, histories, rejects and samples of oddities. No revision tells what it took out.
//
// Oddities are a history of what was met: one that has got a name since stays, and one that was known is not counted again. One that only the meaning of
// today calls odd is counted, once for each call.

// RenormalizeOptions say how a source is rebuilt.
type RenormalizeOptions struct {
	// By names the meaning that it is rebuilt by, such as a version: an interrupted one goes on where it was if it was done by the same.
	By string
	// AsStored says that some of what is stored was stored by rules that took out what the source's rules keep, and stays so.
	AsStored bool
	AtOnce   int     // how many calls a batch has at most; 0: 10,000
	Watcher  Watcher // nil: the pipeline's
}

// Renormalized is what became of a source. Calls is the sum of Changed, Unchanged, WithoutPayload and Unreadable.
type Renormalized struct {
	Run            load.Run
	Resumed        bool
	Calls          int64
	Changed        int64
	Unchanged      int64
	WithoutPayload int64 // the payload of a part is no longer kept: they stay as they are, but for what privacy takes out
	Unreadable     int64 // their payloads say no call any more: they stay as they are
	Resolved       int64 // rejects that are calls now
	Rejected       int64 // rejects that are none still
}

const (
	// A batch ends with either. It holds up other writers for as long as it takes.
	renormalizedCalls = 10_000
	renormalizedBytes = 16 << 20

	renormalizedRejects = 500
)

// errRenormalizing says that somebody else is at it.
var errRenormalizing = errors.New("it is being renormalized already; wait for that to end")

// Renormalize rebuilds the tables of a source from the payloads that are stored. The error is the context's own where it was stopped: what was rebuilt
// is committed, and the next one goes on from there.
func (p *Pipeline) Renormalize(ctx context.Context, s Source, o RenormalizeOptions) (Renormalized, error) {
	n := &renormalization{run: p.newRun(s, Options{Kind: kindRenormalize, Watcher: o.Watcher}), options: o, renamed: make(map[string]bool)}
	if err := n.claim(); err != nil {
		return n.told, fmt.Errorf("%s: %w", s.Name, err)
	}
	defer n.release()
	err := n.begin(ctx)
	if err == nil {
		err = n.rebuild(ctx)
	}
	n.told.Run, err = n.finish(ctx, err)
	return n.told, err
}

const kindRenormalize = "renormalize"

// StoredRules are all the rules by which something that is stored of a source may have been stored, as [Source] names them.
func (p *Pipeline) StoredRules(ctx context.Context, source string) (rules []string, err error) {
	err = p.Warehouse.Write(ctx, func(tx *load.Tx) (err error) {
		rules, err = tx.StoredRules(ctx, source)
		return err
	})
	return rules, err
}

// CountCalls is how many calls of a source are stored.
func (p *Pipeline) CountCalls(ctx context.Context, source string) (n int64, err error) {
	err = p.Warehouse.Write(ctx, func(tx *load.Tx) (err error) {
		n, err = tx.CountCalls(ctx, source)
		return err
	})
	return n, err
}

// renormalization is one run that rebuilds a source.
type renormalization struct {
	*run
	options RenormalizeOptions
	told    Renormalized
	state   load.Renormalizing // as it is committed
	known   map[string]bool    // the oddities that are not counted
	query   load.StoredQuery
	oldest  int64           // the reading that rejects count as; 0: not known yet
	renamed map[string]bool // the new ids of rejects of which something was taken out: they may come again
}

func (n *renormalization) claim() error {
	n.desk.mu.Lock()
	defer n.desk.mu.Unlock()
	if n.desk.rebuilding {
		return errRenormalizing
	}
	n.desk.rebuilding = true
	return nil
}

func (n *renormalization) release() {
	n.desk.mu.Lock()
	defer n.desk.mu.Unlock()
	n.desk.rebuilding = false
	if n.told.Changed+n.told.Resolved > 0 {
		n.desk.looked = looks{} // details may be due of any call
	}
}

// rebuild goes through calls and rejects until none is left.
func (n *renormalization) rebuild(ctx context.Context) error {
	total, err := n.takeUp(ctx)
	if err != nil {
		return fmt.Errorf("%s: take up what was rebuilt: %w", n.source.Name, err)
	}
	n.show(total)
	stages := []func(context.Context, *load.Tx, *rebuilt) error{n.calls, n.rejects}
	if n.state.Rejects {
		stages = stages[1:]
	}
	for _, stage := range stages {
		for more := true; more; n.show(total) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if more, err = n.commitStep(ctx, stage); err != nil {
				return err
			}
		}
	}
	return n.conclude(ctx)
}

// takeUp reads how far an earlier run has come, or begins anew. It returns how many calls there are.
func (n *renormalization) takeUp(ctx context.Context) (total int64, err error) {
	by := n.options.By + "\n" + n.source.Rules
	reading := n.Warehouse.NextReading()
	n.Warehouse.EndReading(reading)
	err = n.write(ctx, func(tx *load.Tx) error {
		before, err := tx.Renormalizing(ctx, n.source.Name)
		if err != nil {
			return err
		}
		if total, err = tx.CountCalls(ctx, n.source.Name); err != nil {
			return err
		}
		if before != nil && before.By == by {
			n.state, n.told.Resumed = *before, true
			return nil
		}
		odd, err := tx.StoredDrift(ctx, n.source.Name)
		n.state = load.Renormalizing{Source: n.source.Name, By: by, BeganAt: n.startedAt, Reading: reading, Drift: make([]string, 0, len(odd))}
		for _, d := range odd {
			n.state.Drift = append(n.state.Drift, d.Path)
		}
		return err
	})
	n.known = make(map[string]bool, len(n.state.Drift))
	for _, path := range n.state.Drift {
		n.known[path] = true
	}
	n.query = load.StoredQuery{Source: n.source.Name, Limit: cmp.Or(n.options.AtOnce, renormalizedCalls), Bytes: renormalizedBytes, History: n.source.Transform.Scrub(call.Call{}) != nil}
	if n.told.Resumed {
		n.Log.Info("going on with what an earlier run left to be renormalized", zap.String("source", n.source.Name), zap.Int64("calls done", n.state.Looked))
	}
	return total, err
}

// rebuilt is what there is once a transaction has committed.
type rebuilt struct {
	state  load.Renormalizing
	told   Renormalized
	record load.Run
	marks  []transform.Mark // of calls that the commit under way keeps out from now on
	more   bool
}

// commitStep makes a batch durable together with the position that leads past it and the run's counts.
//
// If the process dies before the commit returns, the batch was not rebuilt and is next again; if after, the next one is. Being told to stop does not
// interrupt it: finishing a batch is the quickest way to stop well.
func (n *renormalization) commitStep(ctx context.Context, do func(context.Context, *load.Tx, *rebuilt) error) (more bool, err error) {
	ctx = context.WithoutCancel(ctx)
	d := n.desk
	d.writing.Lock()
	defer d.writing.Unlock()
	var s rebuilt
	if err := n.write(ctx, func(tx *load.Tx) error {
		s = rebuilt{state: n.state, told: n.told, record: n.record}
		if err := do(ctx, tx, &s); err != nil {
			return err
		}
		if err := tx.SaveRenormalizing(ctx, s.state); err != nil {
			return err
		}
		return n.saveRun(ctx, tx, s.record)
	}); err != nil {
		return false, fmt.Errorf("%s: renormalize a batch after %d calls: %w", n.source.Name, n.state.Looked, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n.changed(s.record)
	n.keptOut(s.marks)
	n.state, n.told, n.record = s.state, s.told, s.record
	return s.more, nil
}

// show tells the watcher how far it has come.
func (n *renormalization) show(total int64) {
	n.desk.mu.Lock()
	defer n.desk.mu.Unlock()
	if n.watcher != nil {
		n.watcher.Committed(Progress{Run: n.counted(), Looked: n.state.Looked, ToLook: max(total, n.state.Looked)})
	}
}

// calls rebuilds the next batch of calls.
func (n *renormalization) calls(ctx context.Context, tx *load.Tx, s *rebuilt) error {
	n.query.After = s.state.After
	stored, err := tx.StoredCalls(ctx, &n.query)
	if err != nil {
		return err
	}
	if len(stored) == 0 {
		s.state.Rejects = true
		return nil
	}
	became := make(map[*load.Stored]fate)
	for _, c := range stored {
		became[c] = n.derive(c)
	}
	done, err := tx.Rewrite(ctx, n.source.Name, stored, n.now())
	if err != nil {
		return err
	}
	merging := n.merging(done.Merging)
	gone, odd := idsOf(merging.suppressed), make(oddities)
	for _, c := range stored {
		if f := became[c]; f.rederived != nil && !c.Since(s.state.Reading) && !gone[c.Next().ID] {
			odd.add(n.known, f.rederived.Drift)
		}
	}
	merged, err := n.store(ctx, tx, &merging)
	if err != nil {
		return err
	}
	if err := n.addOddities(ctx, tx, odd); err != nil {
		return err
	}
	s.count(stored, became, done)
	s.marks = merging.marks
	s.record.Drift += merged.Drift + odd.count()
	s.state.After, s.state.Looked, s.more = stored[len(stored)-1].Next(), s.state.Looked+int64(len(stored)), true
	return nil
}

// merging is a batch of calls that turned out to be one with another call. One that turns out by that to be of somebody who is kept out goes, with the
// call that it would have become one with.
func (n *renormalization) merging(found []*call.Observation) (b batch) {
	for _, o := range found {
		// Its payload may be the other row's. Where there are several, what they say together is put together when they are stored.
		parts := map[call.Part]extract.Record{o.Part: recordOf(o.Call.ID, load.StoredPart{Payload: o.Payload, FetchedAt: o.FetchedAt})}
		switch alone := n.source.Transform.Parts(o.Part, parts); {
		case alone.Suppressed != nil:
			out := *alone.Suppressed
			out.IDs = append(out.IDs, o.Call.ID, o.Alias)
			b.suppressed = append(b.suppressed, out)
			continue
		case alone.Reject == nil:
			o.Call = alone.Observation.Call
		}
		b.observations = append(b.observations, o)
	}
	return b
}
