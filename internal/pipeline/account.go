package pipeline

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
)

// knownCalls is how many of the newest calls are asked for to see whether a new key opens the same account.
const knownCalls = 5

// ErrOtherAccount says that a source's key opens an account that knows none of its calls.
type ErrOtherAccount struct {
	Source string
	Asked  int // how many of the source's newest calls it was asked for
}

func (e *ErrOtherAccount) Error() string {
	return fmt.Sprintf("%s: is this another account? its key or base_url has changed, and the account that they open knows none of the %d newest calls that are stored; nothing was read. "+
		"If it is another, give it a source of its own, with a name of its own, and put the old key back; if it is the right one, run 'syncd sync %s --accept-account'", e.Source, e.Asked, e.Source)
}

// checkAccount makes sure that the key opens the account that the source's calls came from. A key that is renewed is nothing to ask a person
// about: the account that it opens knows the calls.
func (r *run) checkAccount(ctx context.Context) error {
	d, now := r.desk, r.source.Fingerprint
	d.mu.Lock()
	before := d.account
	d.mu.Unlock()
	if before == now {
		return nil
	}
	if before != "" && !r.options.AcceptAccount {
		if err := r.knowsOurCalls(extract.WithUrgency(ctx, extract.Live)); err != nil {
			return err
		}
		r.Log.Info("the key or base_url has changed, and opens the same account", zap.String("source", r.source.Name))
	}
	if before != "" {
		if err := r.write(ctx, func(tx *load.Tx) error { return tx.SetFingerprint(ctx, r.source.Name, now) }); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.account = now
	return nil
}

// knowsOurCalls asks for the newest calls that are stored, until one is known. Where ids are small numbers another account may have a call of
// the same one: it is known only if it starts when ours does.
func (r *run) knowsOurCalls(ctx context.Context) error {
	var newest []load.Ref
	if err := r.write(ctx, func(tx *load.Tx) (err error) {
		newest, err = tx.NewestCalls(ctx, r.source.Name, knownCalls)
		return err
	}); err != nil {
		return err
	}
	asked := 0
	for _, c := range newest {
		if !r.source.Transform.OwnID(c.ID) {
			continue
		}
		asked++
		rec, err := r.source.Extract.Detail(ctx, extract.Single, c.ID)
		switch {
		case err == nil && startsAlike(rec, c):
			return nil
		case err != nil && !isClass(err, extract.Missing):
			return err
		}
	}
	if asked == 0 {
		return nil // nothing is there that could be asked for
	}
	return &ErrOtherAccount{r.source.Name, asked}
}

// startsAlike reports whether an answer may be about a stored call, by its start.
func startsAlike(rec extract.Record, stored load.Ref) bool {
	return stored.StartedAt == nil || rec.StartedAt.IsZero() || rec.StartedAt.Sub(*stored.StartedAt).Abs() < time.Second
}

// reconcileEvery is how often the provider's total is held against the warehouse.
const reconcileEvery = 24 * time.Hour

// complete reports whether nothing is missing but what has just come. The desk is locked.
func (r *run) complete() bool {
	left := time.Duration(0)
	for _, m := range checkpoint.Missing(r.desk.book.Facts, 0, checkpoint.Span{Since: r.source.Start, Until: r.present.Add(-checkpoint.Settle)}) {
		left += m.Until.Sub(m.Since)
	}
	return left < time.Hour
}

// reconcile holds the number of calls that the provider has in all against the warehouse, once a day and once history is covered, where it tells one. It is shown, and
// decides nothing: the warehouse may well begin later than the provider.
func (r *run) reconcile(ctx context.Context) error {
	d, now := r.desk, r.now()
	d.mu.Lock()
	due := now.Sub(d.counted) >= reconcileEvery && !r.ranged() && r.complete()
	if due {
		d.counted = now // a provider that does not answer is asked again tomorrow
	}
	d.mu.Unlock()
	if !due {
		return nil
	}
	total, ok, err := r.source.Extract.Total(extract.WithUrgency(ctx, extract.Later))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		// Nothing that was asked for is left undone by it.
		r.Log.Warn("the provider's total is not told; asked again tomorrow", zap.String("source", r.source.Name), zap.Error(err))
		return nil
	case !ok:
		return nil
	}
	return r.write(ctx, func(tx *load.Tx) error { return tx.SaveTotals(ctx, r.source.Name, total, now) })
}
