package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/zeebo/xxh3"
	"go.uber.org/zap"

	"syncd/internal/call"
	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
)

// reading is a window being read.
type reading struct {
	window  checkpoint.Window
	seen    map[uint64]struct{} // different ids returned by this reading, over all the processes that shared it
	visited map[string]bool     // positions asked for by this process
	stale   int                 // how many pages in a row brought no call that was new to the reading
	lost    bool                // the position was lost once already
	batch   batch
}

// batch is what was read and is not committed yet.
type batch struct {
	since        time.Time
	bytes        int
	pages        int64
	records      int64
	observations []call.Observation
	rejects      []call.Reject
	seen         []uint64 // ids new to the reading
	shifts       int
}

// A batch is committed when it reaches any of these. They bound what a crash costs (some requests) and what memory holds; a commit costs
// the same for a hundred rows as for a thousand, so smaller ones are slower.
const (
	batchRecords = 5_000
	batchBytes   = 16 << 20
	batchTime    = 2 * time.Second
)

// readWindow reads a window to its end and closes it. It returns how many pages it held.
func (r *run) readWindow(ctx context.Context, w checkpoint.Work) (pages int, err error) {
	rd := &reading{window: w.Window, visited: make(map[string]bool)}
	if err := r.resume(ctx, rd); err != nil {
		return 0, err
	}
	for {
		page, number, err := r.fetch(ctx, rd, w.Head)
		if err != nil {
			if err := r.pageFailed(ctx, rd, err); err != nil {
				return rd.window.Pages, err
			}
			continue
		}
		r.take(rd, page, number)
		switch {
		case page.Done:
			pages := rd.window.Pages
			again, err := r.conclude(ctx, rd)
			if err != nil || !again {
				return pages, err
			}
		case ctx.Err() != nil || rd.batch.full(r.now()):
			if err := r.commit(ctx, rd, r.saveWindow); err != nil {
				return rd.window.Pages, err
			}
			if err := ctx.Err(); err != nil {
				return rd.window.Pages, err
			}
		}
	}
}

// resume takes up what earlier processes did of a window.
func (r *run) resume(ctx context.Context, rd *reading) error {
	if rd.window.ID == 0 {
		rd.seen = make(map[uint64]struct{}) // nobody has read of it yet
		return nil
	}
	return r.Warehouse.Write(ctx, func(tx *load.Tx) (err error) {
		rd.seen, err = checkpoint.SeenTx(ctx, tx, rd.window)
		return err
	})
}

// fetch asks for the next page. The reading's number is taken before the request leaves: that is what makes it newer than any that left
// before, whichever arrives first.
func (r *run) fetch(ctx context.Context, rd *reading, head bool) (extract.Page, int64, error) {
	position := rd.window.Position
	number, sent := r.Warehouse.NextReading(), r.now()
	page, err := r.source.Extract.Fetch(ctx, extract.Window(rd.window.Span), extract.Position(position))
	if err != nil {
		return page, 0, err
	}
	r.Log.Debug("page", zap.String("source", r.source.Name), zap.Stringer("span", rd.window.Span), zap.Int("page", rd.window.Pages+1),
		zap.Int("records", len(page.Records)), zap.Int64p("total", page.Total), zap.Duration("took", r.now().Sub(sent)))
	rd.visited[position] = true
	if !page.Done {
		if err := r.getsOn(rd, page); err != nil {
			return page, 0, err
		}
	}
	if rd.window.ReadAt.IsZero() {
		rd.window.ReadAt = page.Clock.UTC().Truncate(time.Microsecond)
		r.readClock(rd.window.ReadAt, sent, head)
	}
	return page, number, nil
}

// staleLimit is how many pages in a row may bring no call that is new to the reading. One may be read again where rows moved, and its like
// once more; a provider that goes on so is leading in a circle, and asking on would have no end.
const staleLimit = 3

// getsOn checks that a page leads somewhere: to a position that was not read yet, and, within a few pages, to calls that were not.
func (r *run) getsOn(rd *reading, page extract.Page) error {
	rd.stale++
	alike := make(map[uint64]int)
	for _, rec := range page.Records {
		if _, ok := rd.seen[identity(rec, alike)]; !ok {
			rd.stale = 0
			break
		}
	}
	reason := ""
	switch {
	case rd.visited[string(page.Next)]:
		reason = "the provider leads back to a position that was read already"
	case rd.stale >= staleLimit:
		reason = fmt.Sprintf("%d pages in a row bring nothing new, and the provider says that there is more", rd.stale)
	default:
		return nil
	}
	return &extract.Error{Source: r.source.Name, Op: "read on", Window: extract.Window(rd.window.Span),
		Position: extract.Position(rd.window.Position), Class: extract.Malformed, Reason: reason}
}

// take transforms a page into the batch and moves the position past it.
func (r *run) take(rd *reading, page extract.Page, number int64) {
	b := &rd.batch
	if b.pages == 0 {
		b.since = r.now()
	}
	b.pages++
	b.shifts += page.Shifts
	alike := make(map[uint64]int)
	for _, rec := range page.Records {
		b.records++
		b.bytes += len(rec.Payload)
		id := identity(rec, alike)
		if _, ok := rd.seen[id]; !ok {
			rd.seen[id] = struct{}{}
			b.seen = append(b.seen, id)
		}
		result := r.source.Transform.Record(rec)
		if result.Reject != nil {
			b.rejects = append(b.rejects, *result.Reject)
			continue
		}
		result.Observation.Reading = number
		b.observations = append(b.observations, result.Observation)
	}
	rd.window.Position = string(page.Next)
	rd.window.Pages++
	if page.Total != nil { // an older server among several may leave it out
		rd.window.Total = page.Total
	}
	rd.window.Failures, rd.window.Error = 0, ""
}

// identity is what makes two records of a reading the same: their id. Where there is none it is their bytes, and of records of one page that
// are alike in these, which of them it is: the provider counts them as so many.
func identity(rec extract.Record, alike map[uint64]int) uint64 {
	if rec.ID != "" {
		return xxh3.HashString(rec.ID)
	}
	id := xxh3.Hash(rec.Payload)
	alike[id]++
	return id + uint64(alike[id]-1)
}

func (b *batch) full(now time.Time) bool {
	return b.records >= batchRecords || b.bytes >= batchBytes || now.Sub(b.since) >= batchTime
}

// pageFailed commits what was read before the page that failed, and decides what the error means. It returns nil where the window was put
// back to its start and is to be read on.
func (r *run) pageFailed(ctx context.Context, rd *reading, err error) error {
	restart := isClass(err, extract.Lost) && !rd.lost
	save := r.saveWindow
	switch {
	case restart:
		// The provider has forgotten the position: what was stored stays, the reading starts over, once.
		rd.lost, rd.visited, rd.stale = true, make(map[string]bool), 0
		save = r.restartWindow
	case isClass(err, extract.Malformed, extract.Lost):
		rd.window.Failures++
		rd.window.Error = err.Error()
	case rd.batch.pages == 0:
		return err
	}
	if cerr := r.commit(ctx, rd, save); cerr != nil {
		return fmt.Errorf("%w; before that: %s", cerr, err.Error()) // what failed first no longer decides what happens
	}
	if restart {
		return nil
	}
	return err
}

// isClass reports whether an error is the extractor's and of one of the classes.
func isClass(err error, classes ...extract.Class) bool {
	var e *extract.Error
	return errors.As(err, &e) && slices.Contains(classes, e.Class)
}

// conclude closes a window that was read to its end, if the provider's count agrees with what it returned. It reports whether the window
// is to be read again.
func (r *run) conclude(ctx context.Context, rd *reading) (again bool, _ error) {
	w := &rd.window
	if w.Total == nil || *w.Total == int64(len(rd.seen)) {
		return false, r.commit(ctx, rd, r.closeWindow)
	}
	disagreement := fmt.Errorf("%s: %s: %w: it counts %d calls and returned %d; read again at the next sync",
		r.source.Name, w.Span, errDisagrees, *w.Total, len(rd.seen))
	w.Attempt++
	again = w.Attempt == 1
	if !again {
		w.Error = disagreement.Error()
	}
	if settled := w.ReadAt.Add(-checkpoint.Settle); again && settled.Before(w.Until) && w.Since.Before(settled) {
		// Calls of the last minute may be listed late, while the head is being read. They are stored, and nobody claims them yet; without them
		// the second reading stands on firm ground.
		w.Until = settled
	}
	if err := r.commit(ctx, rd, r.restartWindow); err != nil {
		return false, err
	}
	if !again {
		return false, disagreement
	}
	rd.visited, rd.stale = make(map[string]bool), 0
	return true, nil
}

// step is what a commit does to the ledger: save, restart or close the window. It returns the book and the window as they will be.
type step func(ctx context.Context, tx *load.Tx, rd *reading) (checkpoint.Book, checkpoint.Window, error)

// saveWindow keeps the window open at its position. A window that failed before its first page is kept too, so that it can be seen.
func (r *run) saveWindow(ctx context.Context, tx *load.Tx, rd *reading) (checkpoint.Book, checkpoint.Window, error) {
	w, err := checkpoint.SaveTx(ctx, tx, r.source.Name, rd.window, rd.batch.seen)
	return r.withOpen(w), w, err
}

// restartWindow puts the window back to its start.
func (r *run) restartWindow(ctx context.Context, tx *load.Tx, rd *reading) (checkpoint.Book, checkpoint.Window, error) {
	w, err := checkpoint.RestartTx(ctx, tx, r.source.Name, rd.window)
	clear(rd.seen)
	return r.withOpen(w), w, err
}

// closeWindow turns the window into a fact.
func (r *run) closeWindow(ctx context.Context, tx *load.Tx, rd *reading) (checkpoint.Book, checkpoint.Window, error) {
	book, err := checkpoint.CloseTx(ctx, tx, r.source.Name, r.book, rd.window, ages)
	return book, rd.window, err
}

// withOpen is the book with the window as it is now.
func (r *run) withOpen(w checkpoint.Window) checkpoint.Book {
	b := checkpoint.Book{Facts: r.book.Facts}
	for _, o := range r.book.Open {
		if o.ID != w.ID {
			b.Open = append(b.Open, o)
		}
	}
	b.Open = append(b.Open, w)
	return b
}

// commit makes the batch, the step of the ledger and the run's counts durable together, and then forgets the batch.
//
// If the process dies before the commit returns, the file holds the state before the batch: the same pages are asked for again and nothing
// is lost or doubled. If it dies after, the next process goes on from the new position. Being told to stop does not interrupt it: a batch is
// small, and finishing it is the quickest way to stop well.
func (r *run) commit(ctx context.Context, rd *reading, ledger step) error {
	ctx = context.WithoutCancel(ctx)
	b := &rd.batch
	var (
		record load.Run
		book   checkpoint.Book
		window checkpoint.Window
	)
	err := r.Warehouse.Write(ctx, func(tx *load.Tx) error {
		counts, err := tx.Upsert(ctx, r.source.Name, b.observations)
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
		if book, window, err = ledger(ctx, tx, rd); err != nil {
			return err
		}
		record = r.counted()
		record.Pages += b.pages
		record.Records += b.records
		record.Inserted += counts.Inserted
		record.Updated += counts.Updated
		record.Unchanged += counts.Unchanged
		record.Rejected += int64(len(b.rejects))
		record.Drift += counts.Drift + int64(b.shifts)
		return tx.SaveRun(ctx, record)
	})
	if err != nil {
		return fmt.Errorf("%s: commit %d records of %s: %w", r.source.Name, b.records, rd.window.Span, err)
	}
	r.Log.Debug("commit", zap.String("source", r.source.Name), zap.Stringer("span", rd.window.Span), zap.Int64("pages", b.pages), zap.Int64("records", b.records),
		zap.Int64("inserted", record.Inserted), zap.Int64("updated", record.Updated), zap.Int64("unchanged", record.Unchanged), zap.Int64("rejected", record.Rejected))
	r.record, r.book, rd.window, rd.batch = record, book, window, batch{}
	r.progress()
	return nil
}

// shifted is the drift of rows that moved between two pages of a window.
func shifted(w checkpoint.Window) call.Drift {
	return call.Drift{Path: "list: rows moved between pages", Sample: w.Span.String()}
}
