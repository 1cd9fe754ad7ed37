package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/panics"
)

// # Details
//
// What the list leaves out of a call is derived work, too: the tables say which final calls lack it, newest first, so nothing is queued and
// an interrupted run goes on where it was. Answers are asked for side by side, after live work under the one rate limit, and committed in
// batches. One that does not come whole is recorded with the time of its next try, and with none once it is hopeless.

const (
	detailsAtOnce  = 8
	detailsInBatch = 200
	detailsTime    = 10 * time.Second // how long a batch is gathered: what a crash costs, and how long nobody sees that it goes on
	detailsLooked  = 2_000
)

// ofDetails is an error of fetching details. However lasting, it says nothing of the lists: a key may be let list calls and not read single ones.
type ofDetails struct{ error }

func (e ofDetails) Unwrap() error { return e.error }

// fetchDetails asks for the details that are due.
func (r *run) fetchDetails(ctx context.Context) error {
	if !r.options.Details || !r.source.Details {
		return nil
	}
	if err := r.fetchDue(ctx); err != nil {
		return ofDetails{err}
	}
	return nil
}

func (r *run) fetchDue(ctx context.Context) error {
	ctx = extract.WithUrgency(ctx, extract.Later)
	if mine, err := r.claimDetails(ctx); err != nil || !mine {
		return err
	}
	defer r.releaseDetails()
	query, changes, ok := r.detailsQuery()
	if !ok {
		return nil
	}
	began := r.now()
	strange := 0
	for {
		var due []load.DueDetail
		if err := r.write(ctx, func(tx *load.Tx) (err error) {
			due, err = tx.DueDetails(ctx, query)
			return err
		}); err != nil {
			return fmt.Errorf("%s: look for details that are due: %w", r.source.Name, err)
		}
		r.announce(ctx, query, len(due))
		for rest := due; len(rest) > 0; {
			answers, asked, err := r.askDetails(ctx, rest[:min(detailsInBatch, len(rest))])
			rest = rest[asked:]
			cerr := r.commitDetails(ctx, answers)
			if err = errors.Join(cerr, err); err != nil {
				r.holdUntil(err)
				return err
			}
			if strange = strangeInARow(strange, answers); strange >= 5*strangeLimit {
				return fmt.Errorf("%s: %d answers about single calls in a row cannot be read, so this run asks no more: check whether the provider has trouble or a new API: %w",
					r.source.Name, strange, answers[len(answers)-1].err)
			}
		}
		if len(due) < query.Limit {
			break
		}
		query.Before = &due[len(due)-1]
	}
	r.desk.mu.Lock()
	defer r.desk.mu.Unlock()
	if query.Renew == nil {
		r.desk.looked = r.desk.looked.after(query.Touched, began, changes)
	}
	return nil
}

// claimDetails makes sure that one run at a time fetches the details of a source: two would ask for the same. A run that comes again in minutes
// leaves them to the other, which is what false says; any other waits, and then fetches what is left.
func (r *run) claimDetails(ctx context.Context) (mine bool, err error) {
	for {
		r.desk.mu.Lock()
		if !r.desk.detail {
			r.desk.detail = true
			r.desk.mu.Unlock()
			return true, nil
		}
		freed := r.desk.awaiting()
		r.desk.mu.Unlock()
		if r.options.Patient {
			return false, nil
		}
		if err := wait(ctx, freed); err != nil {
			return false, err
		}
	}
}

func (r *run) releaseDetails() {
	r.desk.mu.Lock()
	defer r.desk.mu.Unlock()
	r.desk.detail = false
	r.desk.free()
}

// detailsQuery says what is to be looked for: everything once in a while, and between only what was read since the last look. It also returns
// how many changes this look sees, and false where nothing can be due.
func (r *run) detailsQuery() (q load.DetailsQuery, changes int64, due bool) {
	q = load.DetailsQuery{Source: r.source.Name, Parts: partsOf(r.source), Single: call.PartDetail, Now: r.now(), Unsettled: r.source.largestAge(),
		Limit: detailsLooked}
	d := r.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.options.Force {
		// What is read again whatever is proven is read again with its details, whatever is stored of them. If the process dies, the same command
		// asks for all of them again.
		q.Renew = &load.Renewal{Since: r.options.Range.Since, Until: r.options.Range.Until, Reading: r.firstReading, At: r.startedAt}
		return q, d.changes, len(q.Parts) > 0
	}
	q.Touched, due = d.looked.due(q.Now, d.changes)
	return q, d.changes, due && (len(q.Parts) > 0 || q.Unsettled > 0)
}

// announce counts what is due, once, for those who watch.
func (r *run) announce(ctx context.Context, q load.DetailsQuery, found int) {
	if r.watcher == nil || found == 0 || r.due > 0 {
		return
	}
	due := int64(found)
	if found == q.Limit {
		if err := r.write(ctx, func(tx *load.Tx) (err error) {
			due, err = tx.CountDueDetails(ctx, q)
			return err
		}); err != nil {
			r.Log.Warn("details that are due are not counted", zap.String("source", r.source.Name), zap.Error(err))
		}
	}
	r.desk.mu.Lock()
	defer r.desk.mu.Unlock()
	r.due = due
	r.progress()
}

// detailAnswer is what became of one request for a detail.
type detailAnswer struct {
	due     load.DueDetail
	record  extract.Record
	reading int64
	err     error // of a class that concerns this answer alone
}

// askDetails asks for a batch, some at once, for a few seconds at most, and returns the answers that came, and how many were asked for. The
// error is what keeps it from asking on.
func (r *run) askDetails(ctx context.Context, due []load.DueDetail) (came []detailAnswer, tried int, _ error) {
	until := r.now().Add(detailsTime)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	answers := make([]detailAnswer, len(due))
	asked := make([]bool, len(due))
	var (
		mu     sync.Mutex
		next   int
		bytes  int // of what came: what memory holds
		failed error
		askers sync.WaitGroup
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next == len(due) || failed != nil || ctx.Err() != nil || bytes >= batchBytes || next > 0 && !r.now().Before(until) {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range min(detailsAtOnce, len(due)) {
		askers.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				a, err := r.askDetail(ctx, due[i])
				if err != nil {
					mu.Lock()
					if failed == nil {
						failed = err
					}
					mu.Unlock()
					stop()
					return
				}
				answers[i], asked[i] = a, true
				mu.Lock()
				bytes += len(a.record.Payload)
				mu.Unlock()
			}
		})
	}
	askers.Wait()
	for i, a := range answers {
		if asked[i] {
			came = append(came, a)
		}
	}
	if failed == nil {
		failed = ctx.Err()
	}
	return came, next, failed
}

// errTokenID says that a call cannot be asked for.
var errTokenID = errors.New("privacy.phone_numbers: hash has put a token in the place of the call's id, which the provider does not know")

// askDetail asks for one answer. The error is one that does not concern this answer alone.
func (r *run) askDetail(ctx context.Context, due load.DueDetail) (a detailAnswer, err error) {
	a = detailAnswer{due: due, reading: r.Warehouse.NextReading()}
	if !r.source.Transform.OwnID(due.ID) {
		a.err = errTokenID
		return a, nil
	}
	err = panics.Guard(func() error {
		var err error
		a.record, err = r.source.Extract.Detail(ctx, string(due.Part), due.ID)
		return err
	})
	if err != nil && !isClass(err, extract.Missing, extract.Malformed, extract.Lost) {
		r.Warehouse.EndReading(a.reading)
		return a, err
	}
	a.err = err
	return a, nil
}

func strangeInARow(strange int, answers []detailAnswer) int {
	for _, a := range answers {
		if a.err != nil && !isClass(a.err, extract.Missing) && !errors.Is(a.err, errTokenID) {
			strange++
		} else {
			strange = 0
		}
	}
	return strange
}

// commitDetails makes answers durable: the calls as all their parts tell them, and what is to be tried again.
//
// If the process dies before, the tables lack them still, and they are asked for again.
func (r *run) commitDetails(ctx context.Context, answers []detailAnswer) error {
	if len(answers) == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	defer func() {
		for _, a := range answers {
			r.Warehouse.EndReading(a.reading)
		}
	}()
	d := r.desk
	d.writing.Lock()
	defer d.writing.Unlock()
	var (
		record load.Run
		kept   batch
	)
	err := r.write(ctx, func(tx *load.Tx) error {
		stored, err := tx.StoredParts(ctx, r.source.Name, refsOf(answers))
		if err != nil {
			return err
		}
		k := r.sort(answers, stored)
		r.sent(&k.batch)
		counts, err := r.store(ctx, tx, &k.batch)
		if err != nil {
			return err
		}
		if err := r.keepTries(ctx, tx, k); err != nil {
			return err
		}
		record, kept = r.added(counts, &k.batch), k.batch
		return r.saveRun(ctx, tx, record)
	})
	if err != nil {
		return fmt.Errorf("%s: commit %d answers about single calls: %w", r.source.Name, len(answers), err)
	}
	r.keptOut(kept.marks)
	d.mu.Lock()
	defer d.mu.Unlock()
	r.changed(record)
	r.record = record
	r.details += int64(len(answers))
	r.progress()
	return nil
}

func refsOf(answers []detailAnswer) []load.Ref {
	refs := make([]load.Ref, len(answers))
	for i, a := range answers {
		refs[i] = load.Ref{ID: a.due.ID, StartedAt: a.due.StartedAt}
	}
	return refs
}

// keepTries records what did not come whole, forgets the tries of what did, and marks calls that the provider says there are no more.
func (r *run) keepTries(ctx context.Context, tx *load.Tx, k sorted) error {
	if err := tx.Reject(ctx, r.record.ID, k.batch.rejects); err != nil {
		return err
	}
	for _, g := range k.gone {
		if _, err := tx.MarkDeleted(ctx, r.source.Name, []load.Ref{{ID: g.due.ID, StartedAt: g.due.StartedAt}}, r.now(), g.reading); err != nil {
			return err
		}
	}
	if err := tx.SaveDetailTry(ctx, k.tries...); err != nil {
		return err
	}
	return tx.EndDetailTry(ctx, r.source.Name, k.whole...)
}
