package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/panics"
	"syncd/internal/transform"
)

// run is one run of one source. What its windows share is guarded by the desk's lock.
type run struct {
	*Pipeline
	source  Source
	options Options
	desk    *desk
	watcher Watcher
	traffic *extract.Tally // what this run sent

	epoch        int64     // of the warehouse, when what the desk knows of it was read
	startedAt    time.Time // our clock
	firstReading int64     // what it stores has this number or a higher one
	record       load.Run
	present      time.Time // of this run: the provider's clock at its start, as soon as that is known
	clockRead    bool      // it is known
	forced       []checkpoint.Span
	skip         map[spanKey]bool // windows that failed: they are left alone until the next run, and never block other work
	read         map[spanKey]bool // windows that were read to their end
	faults       []error          // of windows that were left, while others went on
	strange      int              // how many windows in a row, none of which had failed before, could not be read
	unread       int              // how many windows in a row could not be read, whether or not they had failed before
	halved       int
	details      int64 // answers about single calls that were stored
	due          int64
	goneSingly   int // calls that were asked for singly and marked as deleted

	suppressions *transform.Suppressions // who is kept out; the source's transformer heeds it
	stored       *transform.Transformer  // reads what has passed it before
}

// spanKey is a span that can be a map's key.
type spanKey struct{ since, until int64 }

func keyOf(s checkpoint.Span) spanKey { return spanKey{s.Since.UnixMicro(), s.Until.UnixMicro()} }

func (k spanKey) span() checkpoint.Span {
	return checkpoint.Span{Since: time.UnixMicro(k.since).UTC(), Until: time.UnixMicro(k.until).UTC()}
}

// begin records the source and reads its ledger, where no run of this process has done so yet, or where the tables may be others since.
func (r *run) begin(ctx context.Context) error {
	d := r.desk
	now := r.source.described()
	d.writing.Lock()
	defer d.writing.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.saved != now || d.epoch != r.Warehouse.Epoch() {
		if err := r.introduce(ctx, now); err != nil {
			return err
		}
	}
	r.epoch, r.present = d.epoch, d.presentAt(r.startedAt)
	r.suppressions, r.stored, r.source.Transform = d.suppressions, r.source.Transform, r.source.Transform.Without(d.suppressions)
	r.firstReading = r.Warehouse.NextReading()
	r.Warehouse.EndReading(r.firstReading)
	if r.options.Force {
		return r.write(ctx, func(tx *load.Tx) (err error) {
			resumed := false
			r.forced, resumed, err = checkpoint.LoadForcedTx(ctx, tx, r.source.Name, r.options.Range, r.startedAt)
			if resumed {
				r.Log.Info("going on with what an earlier run left to be read again", zap.String("source", r.source.Name))
			}
			return err
		})
	}
	return nil
}

// introduce saves what the configuration says of the source, and reads its ledger the first time and in every epoch of the warehouse. The desk
// is locked.
func (r *run) introduce(ctx context.Context, now load.Source) error {
	d := r.desk
	var epoch int64
	err := r.Warehouse.Write(ctx, func(tx *load.Tx) error {
		epoch = r.Warehouse.Epoch()
		known := d.saved.Name != "" && d.epoch == epoch
		before, err := tx.SaveSource(ctx, now)
		if err != nil {
			return err
		}
		if before.Rules != "" && before.Rules != now.Rules && r.options.Kind != kindRenormalize {
			r.Log.Warn("privacy or credit_value has changed: what is stored already stays as it was; for one rule throughout, run 'syncd renormalize'",
				zap.String("source", r.source.Name), zap.String("was", before.Rules), zap.String("is", now.Rules))
		}
		if known {
			return nil
		}
		if err := tx.EndInterrupted(ctx, now.Name); err != nil {
			return err
		}
		d.account, d.counted, d.ended, d.looked = before.Fingerprint, before.ReconciledAt, nil, looks{}
		if d.suppressions, err = readSuppressions(ctx, tx, r.Warehouse.Path()); err != nil {
			return fmt.Errorf("%s: %w", now.Name, err)
		}
		d.book, err = checkpoint.LoadTx(ctx, tx, now.Name)
		return err
	})
	if err == nil {
		d.saved, d.epoch = now, epoch
	}
	return err
}

// errOtherEpoch ends a run that goes on while the tables may have become others than it knows.
var errOtherEpoch = errors.New("a commit has failed, the warehouse file had to be opened again, or somebody was forgotten, since this run began; the next run goes on from what is in the file")

// write runs a transaction on tables that are as this run knows them.
func (r *run) write(ctx context.Context, fn func(*load.Tx) error) error {
	return r.Warehouse.Write(ctx, func(tx *load.Tx) error {
		if r.Warehouse.Epoch() != r.epoch {
			return errOtherEpoch
		}
		return fn(tx)
	})
}

// writeBook runs a transaction that reads or changes the ledger, and then takes over the book that it leaves. Nothing of the desk has changed
// where the transaction fails.
func (r *run) writeBook(ctx context.Context, fn func(*load.Tx, checkpoint.Book) (checkpoint.Book, error)) error {
	d := r.desk
	d.writing.Lock()
	defer d.writing.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	book := d.book
	if err := r.write(ctx, func(tx *load.Tx) (err error) {
		book, err = fn(tx, d.book)
		return err
	}); err != nil {
		return err
	}
	d.book = book
	return nil
}

// work reads windows until none is left that this run can read, as many at once as it may.
func (r *run) work(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, max(1, r.options.Parallel))
	var readers sync.WaitGroup
	for i := range errs {
		first := r.next() // each in its turn, so that equal runs share their windows out alike
		readers.Go(func() {
			if errs[i] = panics.Guard(func() error { return (&reader{run: r}).readWindows(ctx, first) }); errs[i] != nil {
				stop() // the others finish the page at hand
			}
		})
	}
	readers.Wait()
	// What ended the run counts, not that the others were told to stop because of it.
	if at := slices.IndexFunc(errs, func(err error) bool { return err != nil && !errors.Is(err, context.Canceled) }); at >= 0 {
		return errors.Join(r.left(), errs[at])
	}
	return errors.Join(r.left(), errs[0])
}

// claim is what a reader is to do next.
type claim struct {
	work    checkpoint.Work
	claimed *checkpoint.Span // what the desk knows of it; nil: nothing is claimed
	freed   <-chan struct{}  // where nothing is: tells when there may be work again; nil: there will be none
}

// next plans the next window and claims it. Where all that is left is being read, by another run or another reader of this one, it tells
// when some of that is given back: whoever asked for all of it is not done before. A run that comes again in minutes does not wait.
func (r *run) next() claim {
	d := r.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		claims := make([]checkpoint.Span, len(d.claims))
		for i, c := range d.claims {
			claims[i] = *c
		}
		w, ok := r.plan(d, claims)
		if !ok {
			if r.options.Patient || len(d.claims) == 0 {
				return claim{}
			}
			if _, more := r.plan(d, nil); more {
				return claim{freed: d.awaiting()}
			}
			return claim{}
		}
		if key := keyOf(w.Span); r.read[key] {
			// It was read and is work all the same: a clock that jumps can make a window end in the provider's future. It is read again, but not
			// by this run: without end is no way to ask.
			r.Log.Warn("window proved nothing", zap.String("source", r.source.Name), zap.Stringer("window", w.Span))
			r.skip[key] = true
			continue
		}
		c := claim{work: w, claimed: &w.Span}
		d.claims = append(d.claims, c.claimed)
		return c
	}
}

func (r *run) plan(d *desk, claims []checkpoint.Span) (checkpoint.Work, bool) {
	taken := claims
	for key := range r.skip {
		taken = append(taken, key.span())
	}
	if r.options.Force {
		return checkpoint.NextForced(d.book, r.forced, taken, d.step)
	}
	want := checkpoint.Want{
		Span: checkpoint.Span{Since: r.source.Start}, Now: r.present, Ages: r.source.Ages, Step: d.step,
		Scope: r.options.Scope, Taken: taken, Patient: r.options.Patient,
	}
	if r.ranged() {
		// Whatever is open in the range belongs to it; reading again is not asked for.
		want.Span, want.Ages, want.Scope = r.options.Range, nil, checkpoint.All
	}
	return checkpoint.Next(d.book, want)
}

func (r *run) ranged() bool { return !r.options.Range.Empty() }

// knock sends one small request, once, to a provider that was in trouble at the last run: an outage of three days, at a tick every five minutes,
// must not cost every retry each time.
func (r *run) knock(ctx context.Context) error {
	r.desk.mu.Lock()
	down := r.desk.down
	r.desk.mu.Unlock()
	if !down {
		return nil
	}
	return r.source.Extract.Probe(extract.WithUrgency(ctx, extract.Live))
}

// finish writes the run's record.
func (r *run) finish(ctx context.Context, err error) (load.Run, error) {
	if key := (noKey{}); errors.As(err, &key) {
		return load.Run{}, err // nothing was asked, and nothing may be written that belongs to a source
	}
	r.desk.mu.Lock()
	record := r.counted()
	if record.Requests > 0 && ctx.Err() == nil {
		r.desk.down = isClass(err, extract.Transient)
	}
	r.desk.mu.Unlock()
	record.FinishedAt, record.Outcome = r.now(), "done"
	switch {
	case err == nil && record.Requests == 0 && record.Records == 0:
		return load.Run{}, nil
	case err == nil:
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		record.Outcome = "stopped"
	default:
		record.Outcome, record.Error = "failed", strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	// A run that was stopped is recorded all the same.
	ctx = context.WithoutCancel(ctx)
	if werr := r.saveEnd(ctx, record); werr != nil {
		err = errors.Join(err, fmt.Errorf("%s: record the run: %w", r.source.Name, werr))
	}
	return record, err
}

// saveEnd writes the record of the run that has ended.
func (r *run) saveEnd(ctx context.Context, record load.Run) error {
	d := r.desk
	d.writing.Lock()
	defer d.writing.Unlock()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.saved.Name == "" {
		// It ended before its source was recorded, and a run of nobody's would help nobody.
		if err := r.introduce(ctx, r.source.described()); err != nil {
			return err
		}
	}
	var row load.Row
	if err := r.Warehouse.Write(ctx, func(tx *load.Tx) (err error) {
		last := d.ended[record.Kind]
		if r.Warehouse.Epoch() != r.epoch {
			// The commit that failed may have told more of this run than this process believes, and the row before may be another.
			if last, err = nil, tx.CountMost(ctx, &record); err != nil {
				return err
			}
		}
		row, err = tx.FinishRun(ctx, record, last)
		return err
	}); err != nil {
		return err
	}
	if d.ended == nil {
		d.ended = make(map[string]*load.Row)
	}
	d.ended[record.Kind] = &row
	return nil
}

// counted is the run's record with what was sent until now.
func (r *run) counted() load.Run {
	record := r.record
	record.Requests, record.Retries = r.traffic.Requests(), r.traffic.Retries()
	return record
}

// progress tells the watcher how far the run has come. The desk is locked.
func (r *run) progress() {
	if r.watcher == nil {
		return
	}
	p := Progress{Run: r.counted(), Details: r.details, Due: r.due}
	wanted := checkpoint.Span{Since: r.source.Start, Until: r.present.Add(-checkpoint.Settle)}
	if r.ranged() {
		wanted = r.options.Range
	}
	if !wanted.Empty() {
		p.Wanted = wanted.Until.Sub(wanted.Since)
		left := checkpoint.Missing(r.desk.book.Facts, 0, wanted)
		if r.options.Force {
			left = r.forced
		}
		p.Covered = p.Wanted
		for _, m := range left {
			p.Covered -= m.Until.Sub(m.Since)
		}
	}
	r.watcher.Committed(p)
}

// described is what the warehouse tells of the source.
func (s Source) described() load.Source {
	return load.Source{Name: s.Name, Provider: s.Provider, Start: s.Start, Reread: agesText(s.Ages), Schedule: s.Schedule,
		Rules: s.Rules, Interval: s.Interval, LargestAge: s.largestAge(), Fingerprint: s.Fingerprint}
}

// largestAge is the largest age at which calls are read again; 0 where they never are.
func (s Source) largestAge() time.Duration {
	if len(s.Ages) == 0 {
		return 0
	}
	return s.Ages[len(s.Ages)-1]
}

// agesText writes ages as the configuration has them.
func agesText(ages []time.Duration) string {
	texts := make([]string, len(ages))
	for i, a := range ages {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}
