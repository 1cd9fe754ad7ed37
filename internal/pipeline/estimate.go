package pipeline

import (
	"context"
	"fmt"
	"time"

	"syncd/internal/call"
	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/load"
)

// Estimate is what a run over a range would cost.
type Estimate struct {
	Stretches []checkpoint.Span // what is not proven yet, or with Force all of it; newest first
	Calls     int64             // in them, as the provider counts, or as its newest page suggests
	Exact     bool              // the provider counts
	Windows   int64
	Requests  int64 // of the list
	Details   int64 // about single calls: what the list leaves out, and what is due already
	Asked     int64 // what this estimate sent: one for each stretch
}

// Estimate says what a run with these options would cost, and changes nothing. It asks for the first page of each stretch that is to be
// read. A pipeline without a warehouse knows of nothing that is covered.
func (p *Pipeline) Estimate(ctx context.Context, s Source, o Options) (Estimate, error) {
	book, due, err := p.known(ctx, s)
	e := Estimate{Exact: true}
	if err != nil {
		return e, fmt.Errorf("%s: look at what is covered: %w", s.Name, err)
	}
	wanted := o.Range
	if settled := p.now().Add(-checkpoint.Settle); wanted.Until.After(settled) {
		wanted.Until = settled
	}
	stretches := []checkpoint.Span{wanted}
	if !o.Force {
		stretches = checkpoint.Missing(book.Facts, 0, wanted)
	}
	for i := len(stretches) - 1; i >= 0; i-- {
		calls, exact, err := s.callsIn(ctx, stretches[i])
		if err != nil {
			return e, err
		}
		e.Asked++
		e.Calls += calls
		e.Exact = e.Exact && exact
		pages := max(1, (calls+int64(s.PageSize)-1)/int64(s.PageSize))
		e.Requests += pages
		e.Windows += max(1, (pages+checkpoint.PagesPerStep-1)/checkpoint.PagesPerStep)
		e.Stretches = append(e.Stretches, stretches[i])
	}
	if s.Details {
		e.Details = due + e.Calls*int64(len(s.Extract.Parts()))
	}
	return e, nil
}

// known is what the warehouse says of a source: what is covered, and how many answers about single calls are due.
func (p *Pipeline) known(ctx context.Context, s Source) (book checkpoint.Book, due int64, err error) {
	if p.Warehouse == nil {
		return book, 0, nil
	}
	err = p.Warehouse.Write(ctx, func(tx *load.Tx) (err error) {
		if book, err = checkpoint.LoadTx(ctx, tx, s.Name); err != nil || !s.Details {
			return err
		}
		due, err = tx.CountDueDetails(ctx, load.DetailsQuery{Source: s.Name, Parts: partsOf(s), Single: call.PartDetail, Now: p.now(), Unsettled: s.largestAge()})
		return err
	})
	return book, due, err
}

// callsIn is how many calls there are in a stretch: the provider's count, or where it tells none, as many as its newest page suggests.
func (s Source) callsIn(ctx context.Context, stretch checkpoint.Span) (calls int64, exact bool, err error) {
	page, err := s.Extract.Fetch(ctx, extract.Window(stretch), "")
	switch {
	case err != nil:
		return 0, false, err
	case page.Total != nil:
		return *page.Total, true, nil
	case page.Done:
		return int64(len(page.Records)), true, nil
	}
	oldest := stretch.Until
	for _, r := range page.Records {
		if !r.StartedAt.IsZero() && r.StartedAt.Before(oldest) {
			oldest = r.StartedAt
		}
	}
	took := max(stretch.Until.Sub(oldest), time.Second)
	return int64(float64(len(page.Records)) * (stretch.Until.Sub(stretch.Since).Seconds() / took.Seconds())), false, nil
}

func partsOf(s Source) []call.Part {
	var parts []call.Part
	for _, name := range s.Extract.Parts() {
		parts = append(parts, call.Part(name))
	}
	return parts
}
