package pipeline

import (
	"context"
	"fmt"
	"maps"

	"go.uber.org/zap"

	"syncd/internal/call"
	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
)

// step is what a commit does to the ledger: save or restart the window. It returns the book and the window as they will be.
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

// closeWindows turns windows into facts, marks the calls that their readings found to be gone, and takes them off what is to be read again.
func (r *run) closeWindows(ctx context.Context, tx *load.Tx, b checkpoint.Book, read []*reading) (checkpoint.Book, error) {
	windows := make([]checkpoint.Window, len(read))
	for i, rd := range read {
		windows[i] = rd.window
		if len(rd.gone) == 0 {
			continue
		}
		if _, err := tx.MarkDeleted(ctx, r.source.Name, rd.gone, r.now(), rd.goneReading); err != nil {
			return b, err
		}
	}
	if r.options.Force {
		if err := checkpoint.SaveForcedTx(ctx, tx, r.source.Name, r.options.Range, r.leftOf(read), r.now()); err != nil {
			return b, err
		}
	}
	return checkpoint.CloseTx(ctx, tx, r.source.Name, b, r.source.Ages, windows...)
}

// leftOf is what is to be read again once some windows are closed.
func (r *run) leftOf(read []*reading) []checkpoint.Span {
	left := r.forced
	for _, rd := range read {
		left = checkpoint.Without(left, rd.window.Span)
	}
	return left
}

// commit makes the batch of a reading, the step of the ledger and the run's counts durable together, and then forgets the batch.
func (r *run) commit(ctx context.Context, rd *reading, ledger step) error {
	var window checkpoint.Window
	return r.commitAll(ctx, []*reading{rd}, func(ctx context.Context, tx *load.Tx, b checkpoint.Book) (_ checkpoint.Book, err error) {
		b, window, err = ledger(ctx, tx, b, rd)
		return b, err
	}, func() {
		rd.window, *rd.claimed = window, window.Span // a window may end earlier than it was planned to
	})
}

// commitClosed makes the batches of readings that came to their end durable, with the facts that they prove.
func (r *run) commitClosed(ctx context.Context, read []*reading) error {
	return r.commitAll(ctx, read, func(ctx context.Context, tx *load.Tx, b checkpoint.Book) (checkpoint.Book, error) {
		return r.closeWindows(ctx, tx, b, read)
	}, func() {
		if r.options.Force {
			r.forced = r.leftOf(read)
		}
		for _, rd := range read {
			r.read[keyOf(*rd.claimed)] = true
		}
	})
}

// commitAll makes the batches of some readings, what it means for the ledger and the run's counts durable together, and then forgets the batches.
// Once it is done, the desk being locked, then is called.
//
// If the process dies before the commit returns, the file holds the state before the batches: the same pages are asked for again and nothing
// is lost or doubled. If it dies after, the next process goes on from the new position. Being told to stop does not interrupt it: a batch is
// small, and finishing it is the quickest way to stop well.
func (r *run) commitAll(ctx context.Context, read []*reading, ledger func(context.Context, *load.Tx, checkpoint.Book) (checkpoint.Book, error), then func()) error {
	ctx = context.WithoutCancel(ctx)
	b := merged(read)
	d := r.desk
	d.writing.Lock()
	defer d.writing.Unlock()
	d.mu.Lock()
	before := d.book // nobody else changes it meanwhile
	d.mu.Unlock()
	var (
		record load.Run
		book   checkpoint.Book
	)
	err := r.write(ctx, func(tx *load.Tx) error {
		counts, err := r.store(ctx, tx, b)
		if err != nil {
			return err
		}
		if err := tx.Reject(ctx, r.record.ID, b.rejects); err != nil {
			return err
		}
		for _, rd := range read {
			if rd.batch.shifts == 0 {
				continue
			}
			if err := tx.AddDrift(ctx, r.source.Name, shifted(rd.window), r.now(), int64(rd.batch.shifts)); err != nil {
				return err
			}
		}
		if book, err = ledger(ctx, tx, before); err != nil {
			return err
		}
		record = r.added(counts, b)
		return r.saveRun(ctx, tx, record)
	})
	spans := spansOf(read)
	if err != nil {
		return fmt.Errorf("%s: commit %d records of %s: %w", r.source.Name, b.records, spans, err)
	}
	r.Log.Debug("commit", zap.String("source", r.source.Name), zap.String("span", spans), zap.Int64("pages", b.pages), zap.Int64("records", b.records),
		zap.Int64("inserted", record.Inserted), zap.Int64("updated", record.Updated), zap.Int64("unchanged", record.Unchanged), zap.Int64("rejected", record.Rejected))
	d.mu.Lock()
	defer d.mu.Unlock()
	then()
	r.changed(record)
	r.record, d.book = record, book
	for _, rd := range read {
		r.endReadings(rd)
		rd.batch = batch{}
	}
	r.progress()
	return nil
}

// merged is the batches of some readings as one.
func merged(read []*reading) *batch {
	if len(read) == 1 {
		return &read[0].batch
	}
	all := &batch{unread: make(map[*call.Observation]extract.Record)}
	for _, rd := range read {
		b := &rd.batch
		all.pages, all.records, all.bytes, all.shifts = all.pages+b.pages, all.records+b.records, all.bytes+b.bytes, all.shifts+b.shifts
		all.requests, all.retries = max(all.requests, b.requests), max(all.retries, b.retries)
		all.observations = append(all.observations, b.observations...)
		all.rejects = append(all.rejects, b.rejects...)
		maps.Copy(all.unread, b.unread)
	}
	return all
}

// spansOf names the windows of some readings.
func spansOf(read []*reading) string {
	if len(read) == 1 {
		return read[0].window.Span.String()
	}
	return fmt.Sprintf("%s and %d more windows", read[0].window.Span, len(read)-1)
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
	found, err := tx.Find(ctx, r.source.Name, b.observations)
	if err != nil {
		return load.Counts{}, err
	}
	if len(b.unread) > 0 {
		for _, o := range found.Written() {
			r.readOn(o, b.unread)
		}
	}
	for _, p := range found.Partial() {
		r.combine(p)
	}
	return tx.Store(ctx, r.source.Name, found)
}

// readOn reads the whole of a record of which only the key was read.
func (r *run) readOn(o *call.Observation, unread map[*call.Observation]extract.Record) {
	rec, ok := unread[o]
	if !ok {
		return
	}
	whole := r.source.Transform.Record(rec).Observation // its key could be read, so it is no reject
	o.Call, o.Drift = whole.Call, whole.Drift
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
	whole := r.source.Transform.Parts(o.Part, parts)
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
