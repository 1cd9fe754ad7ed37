package pipeline

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"syncd/internal/call"
	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
)

// step is what a commit does to the ledger: save, restart or close the window. It returns the book and the window as they will be.
type step func(ctx context.Context, tx *load.Tx, b checkpoint.Book, rd *reading) (checkpoint.Book, checkpoint.Window, error)

// saveWindow keeps the window open at its position. A window that failed before its first page is kept too, so that it can be seen.
func (r *run) saveWindow(ctx context.Context, tx *load.Tx, b checkpoint.Book, rd *reading) (checkpoint.Book, checkpoint.Window, error) {
	seen := rd.batch.seen
	if rd.again {
		seen = nil // nobody goes on with it
	}
	w, err := checkpoint.SaveTx(ctx, tx, r.source.Name, rd.window, seen)
	return b.With(w), w, err
}

// restartWindow puts the window back to its start. What was read of it is stored, and this process reads it whole from here on.
func (r *run) restartWindow(ctx context.Context, tx *load.Tx, b checkpoint.Book, rd *reading) (checkpoint.Book, checkpoint.Window, error) {
	w, err := checkpoint.RestartTx(ctx, tx, r.source.Name, rd.window)
	clear(rd.seen)
	clear(rd.ids)
	rd.earlier, rd.resumed = true, false
	return b.With(w), w, err
}

// closeWindow turns the window into facts, marks the calls that it found to be gone, and takes it off what is to be read again.
func (r *run) closeWindow(ctx context.Context, tx *load.Tx, b checkpoint.Book, rd *reading) (checkpoint.Book, checkpoint.Window, error) {
	if len(rd.gone) > 0 {
		if _, err := tx.MarkDeleted(ctx, r.source.Name, rd.gone, r.now(), rd.goneReading); err != nil {
			return b, rd.window, err
		}
	}
	if r.options.Force {
		left := checkpoint.Without(r.forced, rd.window.Span)
		if err := checkpoint.SaveForcedTx(ctx, tx, r.source.Name, r.options.Range, left, r.now()); err != nil {
			return b, rd.window, err
		}
	}
	book, err := checkpoint.CloseTx(ctx, tx, r.source.Name, b, rd.window, r.source.Ages)
	return book, rd.window, err
}

// commit makes the batch, the step of the ledger and the run's counts durable together, and then forgets the batch.
//
// If the process dies before the commit returns, the file holds the state before the batch: the same pages are asked for again and nothing
// is lost or doubled. If it dies after, the next process goes on from the new position. Being told to stop does not interrupt it: a batch is
// small, and finishing it is the quickest way to stop well.
func (r *run) commit(ctx context.Context, rd *reading, ledger step) error {
	ctx = context.WithoutCancel(ctx)
	b := &rd.batch
	d := r.desk
	d.writing.Lock()
	defer d.writing.Unlock()
	d.mu.Lock()
	before := d.book // nobody else changes it meanwhile
	d.mu.Unlock()
	var (
		record load.Run
		book   checkpoint.Book
		window checkpoint.Window
	)
	err := r.write(ctx, func(tx *load.Tx) error {
		counts, err := r.store(ctx, tx, b)
		if err != nil {
			return err
		}
		if err := tx.Reject(ctx, r.record.ID, b.rejects); err != nil {
			return err
		}
		if b.shifts > 0 {
			if err := tx.AddDrift(ctx, r.source.Name, shifted(rd.window), r.now(), int64(b.shifts)); err != nil {
				return err
			}
		}
		if book, window, err = ledger(ctx, tx, before, rd); err != nil {
			return err
		}
		record = r.added(counts, b)
		return r.saveRun(ctx, tx, record)
	})
	if err != nil {
		return fmt.Errorf("%s: commit %d records of %s: %w", r.source.Name, b.records, rd.window.Span, err)
	}
	r.Log.Debug("commit", zap.String("source", r.source.Name), zap.Stringer("span", rd.window.Span), zap.Int64("pages", b.pages), zap.Int64("records", b.records),
		zap.Int64("inserted", record.Inserted), zap.Int64("updated", record.Updated), zap.Int64("unchanged", record.Unchanged), zap.Int64("rejected", record.Rejected))
	d.mu.Lock()
	defer d.mu.Unlock()
	if rd.closing {
		r.read[keyOf(window.Span)] = true
		if r.options.Force {
			r.forced = checkpoint.Without(r.forced, window.Span)
		}
	}
	r.endReadings(rd)
	r.keptOut(b.marks)
	r.changed(record)
	r.record, d.book, rd.window, rd.batch = record, book, window, batch{}
	*rd.claimed = window.Span // a window may end earlier than it was planned to
	r.progress()
	return nil
}

// changed notes whether a commit changed a call: then details may be due that were not before.
func (r *run) changed(record load.Run) {
	if record.Inserted+record.Updated > r.record.Inserted+r.record.Updated {
		r.desk.changes++
	}
}

// saveRun makes the run's counts true of what is stored. A run that has changed nothing yet needs no record before its end: if the process
// dies, there is nothing that it would tell of.
func (r *run) saveRun(ctx context.Context, tx *load.Tx, record load.Run) error {
	if record.Inserted+record.Updated+record.Rejected+record.Drift == 0 {
		return nil
	}
	return tx.SaveRun(ctx, record)
}

// sent notes with a batch how much the run had sent when its commit was begun: what is sent while it goes on is counted with the next one.
func (r *run) sent(b *batch) { b.requests, b.retries = r.traffic.Requests(), r.traffic.Retries() }

// added is the run's record with a batch counted in.
func (r *run) added(counts load.Counts, b *batch) load.Run {
	record := r.record
	record.Requests, record.Retries = max(record.Requests, b.requests), max(record.Retries, b.retries)
	record.Pages += b.pages
	record.Records += b.records
	record.Inserted += counts.Inserted
	record.Updated += counts.Updated
	record.Unchanged += counts.Unchanged
	record.Rejected += int64(len(b.rejects))
	record.Drift += counts.Drift + int64(b.shifts)
	return record
}

// store writes observations, each call derived from all of its parts: a list that is read again never erases what a detail brought.
func (r *run) store(ctx context.Context, tx *load.Tx, b *batch) (load.Counts, error) {
	kept, marks, err := r.keepOut(ctx, tx, b)
	if err != nil {
		return load.Counts{}, err
	}
	b.marks = marks
	found, err := tx.Find(ctx, r.source.Name, b.observations)
	if err != nil {
		return load.Counts{}, err
	}
	r.readOn(found.Written(), b.unread)
	for _, p := range found.Partial() {
		r.combine(p)
	}
	counts, err := tx.Store(ctx, r.source.Name, found)
	counts.Unchanged += kept
	return counts, err
}

// readOn reads the whole of the records of which only the key was read, where they are written: few of many, as a rule.
func (r *run) readOn(written []*call.Observation, keys []unread) {
	if len(written) == 0 || len(keys) == 0 {
		return
	}
	wanted := make(map[*call.Observation]bool, len(written))
	for _, o := range written {
		wanted[o] = true
	}
	for _, u := range keys {
		if o := u.observation; wanted[o] {
			whole := r.stored.Record(u.record).Observation // it was not kept out, and its key could be read, so it is no reject
			o.Call, o.Drift = whole.Call, whole.Drift
		}
	}
}

// combine derives the call of an observation from the newest payloads of all its parts.
func (r *run) combine(p *load.Partial) {
	o := p.Observation
	parts := map[call.Part]extract.Record{o.Part: recordOf(o.Call.ID, load.StoredPart{Payload: o.Payload, FetchedAt: o.FetchedAt})}
	for name, stored := range p.Others {
		if !stored.Dropped {
			parts[name] = recordOf(o.Call.ID, stored)
		}
	}
	whole := r.stored.Parts(o.Part, parts)
	if whole.Reject != nil {
		// The parts do not fit together, and what was just read stands by itself.
		o.Drift = append(o.Drift, call.Drift{Path: string(o.Part) + ": does not fit the call's other parts", Sample: whole.Reject.Reason})
		return
	}
	o.Call, o.Drift = whole.Observation.Call, whole.Observation.Drift
}

func recordOf(id string, p load.StoredPart) extract.Record {
	return extract.Record{Payload: []byte(p.Payload), ID: id, FetchedAt: p.FetchedAt}
}

// endReadings says that what the requests of a batch brought is stored, or given up.
func (r *run) endReadings(rd *reading) {
	for _, n := range rd.batch.readings {
		r.Warehouse.EndReading(n)
	}
	rd.batch.readings = nil
}

// shifted is the drift of rows that moved between two pages of a window.
func shifted(w checkpoint.Window) call.Drift {
	return call.Drift{Path: "list: rows moved between pages", Sample: w.Span.String()}
}
