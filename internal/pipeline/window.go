package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/zeebo/xxh3"

	"syncd/internal/call"
	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
	"syncd/internal/transform"
)

// reading is a window being read.
type reading struct {
	window      checkpoint.Window
	claimed     *checkpoint.Span    // by which others know that the window is being read; it is where the window is
	seen        map[uint64]struct{} // different ids returned by this reading, over all the processes that shared it
	visited     map[string]bool     // positions asked for by this process
	stale       int                 // how many pages in a row brought no call that was new to the reading
	resumed     bool                // it went on from where an earlier reading stood
	lost        bool                // the position was lost once already
	again       bool                // it was read to its end before: this reading is done whole, by one process
	earlier     bool                // an earlier reading of it may have stored calls
	ids         map[uint64]struct{} // the ids of calls that this reading returned in this process, as the warehouse knows them
	closing     bool                // it has been read to its end, and its count agrees: it is to be closed
	gone        []load.Ref          // calls that the provider says there are no more, as the reading of that number
	goneReading int64
	batch       batch
}

// batch is what was read and is not committed yet.
type batch struct {
	since        time.Time
	bytes        int
	pages        int64
	records      int64
	observations []*call.Observation
	unread       []unread // those of which only the key was read
	readings     []int64  // the numbers of the requests that brought them
	rejects      []call.Reject
	suppressed   []transform.Suppressed // what of it is kept out
	marks        []transform.Mark       // of calls that the commit under way keeps out from now on
	seen         []uint64               // ids new to the reading
	shifts       int
	requests     int64 // that the run had sent, and those that were retries
	retries      int64
}

// A batch is committed when it reaches any of these. They bound what a crash costs (some requests) and what memory holds; a commit costs
// the same for a hundred rows as for a thousand, so smaller ones are slower.
const (
	batchRecords = 50_000
	batchBytes   = 32 << 20 // what most windows hold: the rest of one would be a commit of its own
	batchTime    = 2 * time.Second

	// What memory holds of a record beside its payload: what was read of it, and where its fields lie, while they are kept.
	recordBytes = 1 << 10
	fieldBytes  = 40
)

// readWindow reads a window to its end, up to what closes it. It returns the reading as it ended, and how many pages it held.
func (r *reader) readWindow(ctx context.Context, c claim) (rd *reading, pages int, err error) {
	w := c.work
	rd = &reading{window: w.Window, claimed: c.claimed, visited: make(map[string]bool), again: w.Again, earlier: w.Again || w.ID != 0, ids: make(map[uint64]struct{})}
	defer func() {
		if !rd.closing {
			r.endReadings(rd)
		}
	}()
	if err := r.resume(ctx, rd); err != nil {
		return rd, 0, err
	}
	var next *answer
	defer func() { r.forget(next) }()
	for {
		if next == nil {
			next = r.ask(ctx, rd.window.Span, rd.window.Position)
		}
		asked := next
		next = nil
		page, err := r.receive(rd, asked, w.Head)
		if err != nil {
			if err := r.pageFailed(ctx, rd, err); err != nil {
				return rd, rd.window.Pages, err
			}
			continue
		}
		if !page.Done && ctx.Err() == nil {
			next = r.ask(ctx, rd.window.Span, string(page.Next))
		}
		r.take(rd, page, asked.number)
		switch {
		case page.Done:
			pages := rd.window.Pages
			again, err := r.conclude(ctx, rd)
			if err != nil || !again {
				return rd, pages, err
			}
		case ctx.Err() != nil:
			if err := r.commit(ctx, rd, r.saveWindow); err != nil {
				return rd, rd.window.Pages, err
			}
			return rd, rd.window.Pages, ctx.Err()
		case rd.batch.full(r.now()):
			if err := r.save(ctx, rd); err != nil {
				return rd, rd.window.Pages, err
			}
		}
	}
}

// resume takes up what was done of a window before. A first reading goes on where it was; one that reads again starts over: what it did not
// return tells something only if one process saw all of it.
func (r *reader) resume(ctx context.Context, rd *reading) error {
	rd.seen = make(map[uint64]struct{})
	switch {
	case rd.window.ID == 0:
		return nil // nobody has read of it yet
	case rd.again && rd.window.Position != "":
		return r.commit(ctx, rd, r.restartWindow)
	case rd.again:
		return nil
	}
	rd.resumed = rd.window.Position != ""
	return r.write(ctx, func(tx *load.Tx) (err error) {
		rd.seen, err = checkpoint.SeenTx(ctx, tx, rd.window)
		return err
	})
}

// take transforms a page into the batch and moves the position past it.
func (r *run) take(rd *reading, page extract.Page, number int64) {
	b := &rd.batch
	if b.pages == 0 {
		b.since = r.now()
	}
	b.pages++
	b.shifts += page.Shifts
	alike := make(map[uint64]uint64)
	room := make([]call.Observation, 0, len(page.Records)) // one array, which never grows: what points into it stays
	for _, rec := range page.Records {
		b.records++
		b.bytes += len(rec.Payload) + recordBytes
		id := identity(rec, alike)
		if _, ok := rd.seen[id]; !ok {
			rd.seen[id] = struct{}{}
			b.seen = append(b.seen, id)
		}
		rd.note(rec.ID)
		result := r.look(rd, rec)
		if result.Suppressed != nil {
			b.suppressed = append(b.suppressed, *result.Suppressed)
			continue
		}
		if result.Reject != nil {
			b.rejects = append(b.rejects, *result.Reject)
			continue
		}
		result.Observation.Reading = number
		if result.Observation.Call.ID != rec.ID {
			rd.note(result.Observation.Call.ID)
		}
		rd.note(result.Observation.Alias)
		room = append(room, result.Observation)
		o := &room[len(room)-1]
		b.observations = append(b.observations, o)
		if rd.earlier {
			b.leave(o, rec)
		}
	}
	rd.window.Position = string(page.Next)
	rd.window.Pages++
	if page.Total != nil { // an older server among several may leave it out
		rd.window.Total = page.Total
	}
	if rd.resumed {
		// It has got further than ever before. A reading that began at the start has not, and what failed may lie ahead.
		rd.window.Failures, rd.window.Error, rd.window.RetryAt = 0, "", time.Time{}
	}
}

// unread is an observation of which only the key was read, and the record that it is of.
type unread struct {
	observation *call.Observation
	record      extract.Record
}

// look reads a record. What was read before has hardly changed, so that at first only its key is looked at.
func (r *run) look(rd *reading, rec extract.Record) transform.Result {
	if rd.earlier {
		return r.source.Transform.Key(rec)
	}
	return r.source.Transform.Record(rec)
}

// leave remembers the record of an observation of which only the key was read.
func (b *batch) leave(o *call.Observation, rec extract.Record) {
	b.unread = append(b.unread, unread{o, rec})
	b.bytes += len(rec.Fields) * fieldBytes
}

// whole reports whether this process has read the window from its start, so that what was not returned is not listed any more.
func (rd *reading) whole() bool { return !rd.resumed }

// note remembers the id of a call that the reading returned, where what it does not return may have been deleted.
func (rd *reading) note(id string) {
	if rd.earlier && id != "" {
		rd.ids[xxh3.HashString(id)] = struct{}{}
	}
}

// identity is what makes two records of a reading the same: their id. Where there is none it is their bytes, and of records of one page that
// are alike in these, which of them it is: the provider counts them as so many.
func identity(rec extract.Record, alike map[uint64]uint64) uint64 {
	if rec.ID != "" {
		return xxh3.HashString(rec.ID)
	}
	id := xxh3.Hash(rec.Payload)
	alike[id]++
	return id + alike[id] - 1
}

func (b *batch) full(now time.Time) bool {
	return b.records >= batchRecords || b.bytes >= batchBytes || now.Sub(b.since) >= batchTime
}

// pageFailed commits what was read before the page that failed, and decides what the error means. It returns nil where the window was put
// back to its start and is to be read on.
func (r *reader) pageFailed(ctx context.Context, rd *reading, err error) error {
	if serr := r.settle(); serr != nil {
		return fmt.Errorf("%w; before that: %s", serr, err.Error()) // what failed first no longer decides what happens
	}
	restart := isClass(err, extract.Lost) && !rd.lost
	save := r.saveWindow
	switch {
	case restart:
		// The provider has forgotten the position: what was stored stays, the reading starts over, once.
		rd.lost, rd.visited, rd.stale = true, make(map[string]bool), 0
		save = r.restartWindow
	case isClass(err, extract.Malformed, extract.Lost) && rd.window.ID == 0 && rd.batch.pages == 0 && r.failing() >= manyFailing:
		return err // it stays missing, and is planned again with what comes after it: one more row would tell nothing new
	case isClass(err, extract.Malformed, extract.Lost):
		rd.failed(err, r.now())
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

// conclude decides that a window that was read to its end is to be closed, if the provider's count agrees with what it returned. It reports whether the window
// is to be read again.
func (r *reader) conclude(ctx context.Context, rd *reading) (again bool, _ error) {
	w := &rd.window
	if w.Total == nil || *w.Total == int64(len(rd.seen)) {
		return false, r.closeRead(ctx, rd)
	}
	disagreement := fmt.Errorf("%s: %s: %w: it counts %d calls and returned %d; read again at the next sync",
		r.source.Name, w.Span, errDisagrees, *w.Total, len(rd.seen))
	w.Attempt++
	again = w.Attempt == 1
	if !again {
		w.Error, w.RetryAt = disagreement.Error(), r.now().Add(pauseAfter(w.Attempt-1))
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
