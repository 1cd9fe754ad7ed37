package pipeline

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/panics"
)

// answer is a page that is being asked for, or has come. The page after one is asked for as soon as it is known where it is, while the one before is
// still read: neither the provider nor this process waits for the other. One that turns out not to be wanted, because what came before could not be
// kept, is forgotten.
type answer struct {
	position string
	number   int64 // of the reading
	sent     time.Time
	stop     context.CancelFunc
	done     chan struct{}

	// Valid once done is closed.
	page extract.Page
	took time.Duration
	err  error
}

// ask asks for a page. The reading's number is taken before the request leaves: that is what makes it newer than any that left before, whichever
// arrives first.
func (r *run) ask(ctx context.Context, span checkpoint.Span, position string) *answer {
	ctx, stop := context.WithCancel(ctx)
	a := &answer{position: position, number: r.Warehouse.NextReading(), sent: r.now(), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.err = panics.Guard(func() (err error) {
			a.page, err = r.source.Extract.Fetch(ctx, extract.Window(span), extract.Position(position))
			a.took = r.now().Sub(a.sent)
			return err
		})
	}()
	return a
}

// forget gives up an answer that nobody wants any more; nil is none. When it returns, nothing is under way.
func (r *run) forget(a *answer) {
	if a == nil {
		return
	}
	a.stop()
	<-a.done
	r.Warehouse.EndReading(a.number)
}

// receive waits for a page, and checks that it leads on. The request heeds the run's context, and so does the wait.
func (r *run) receive(rd *reading, a *answer, head bool) (extract.Page, error) {
	<-a.done
	a.stop()
	rd.batch.readings = append(rd.batch.readings, a.number)
	if a.err != nil {
		return a.page, a.err
	}
	page := a.page
	r.Log.Debug("page", zap.String("source", r.source.Name), zap.Stringer("span", rd.window.Span), zap.Int("page", rd.window.Pages+1),
		zap.Int("records", len(page.Records)), zap.Int64p("total", page.Total), zap.Duration("took", a.took))
	rd.visited[a.position] = true
	if !page.Done {
		if err := r.getsOn(rd, page); err != nil {
			return page, err
		}
	}
	if rd.window.ReadAt.IsZero() {
		rd.window.ReadAt = r.readClock(page.Clock.UTC().Truncate(time.Microsecond), a.sent, head)
	}
	return page, nil
}

// staleLimit is how many pages in a row may bring no call that is new to the reading. One may be read again where rows moved, and its like
// once more; a provider that goes on so is leading in a circle, and asking on would have no end.
const staleLimit = 3

// getsOn checks that a page leads somewhere: to a position that was not read yet, and, within a few pages, to calls that were not.
func (r *run) getsOn(rd *reading, page extract.Page) error {
	rd.stale++
	alike := make(map[uint64]uint64)
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
