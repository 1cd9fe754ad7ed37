package extract

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"syncd/internal/extract/httpapi"
)

// Burki lists newest first and pages by an offset. The offset drifts: a call that arrives pushes the rows down, so that some are read
// twice; a call that is deleted pulls them up, so that one is skipped, silently.
//
// Hence each page begins with a row that was read before, the anchor, and reading goes on only from a page that is proven to join:
//
//   - the anchor is on it. If it is not the first row, rows were pushed down, and those above it are repeats.
//   - or its first row is newer than the anchor was: the page begins above the anchor's place, and the anchor itself was deleted.
//   - or it is the beginning of the list.
//
// Otherwise rows were pulled up: step back half a page, then twice as far each time, until one of these holds. Between the pages of a window new
// rows are rare, as its upper bound is fixed, so the usual price is one row a page. What is never accepted is the page before over again,
// twice running and further down the second time: that server does not heed skip.

const (
	burkiForm    = "burki2"
	burkiMaxPage = 1000
)

type burki struct {
	list
	details
}

// burkiPosition is where a reading stands.
type burkiPosition struct {
	Row    int64     `json:"row"`            // where the anchor stood in the list
	Anchor string    `json:"anchor"`         // anchorOf its id
	Start  time.Time `json:"start,omitzero"` // the anchor's
	Total  *int64    `json:"total,omitzero"`
	Digest string    `json:"digest"` // of the page before
}

func openBurki(a Account, d dialect) (Source, error) {
	account, err := connect(a, d)
	if err != nil {
		return nil, err
	}
	size := a.PageSize
	if size == 0 {
		size = burkiMaxPage
	}
	calls := shape{rows: "items", bare: true, ids: []string{"id"}, start: "started_at", instant: isoTime}
	return &burki{list{
		account: account, method: http.MethodGet, path: "/api/v1/calls/", unit: time.Second, shape: calls, count: "total",
		pageSize: max(size, 2), // a page of one row is all overlap, and would never get on
	}, details{account, []part{
		{name: Single, path: "/api/v1/calls/{id}", read: calls.single},
		{name: Transcripts, path: "/api/v1/calls/{id}/transcripts", leftOut: true, read: burkiTranscripts},
		{name: Costs, path: "/api/calls/{id}/costs", leftOut: true, read: burkiCosts}, // this one is not below /v1
	}}}, nil
}

// Probe implements Source.
func (b *burki) Probe(ctx context.Context) error {
	r := b.probe()
	a, err := r.ask(ctx, httpapi.Request{Query: url.Values{"limit": {"1"}}})
	if err != nil {
		return err
	}
	_, err = r.total(a)
	return err
}

// Total implements Source. An older server, whose list is a bare array, tells none.
func (b *burki) Total(ctx context.Context) (total int64, ok bool, err error) {
	r := b.look()
	a, err := r.ask(ctx, httpapi.Request{Query: url.Values{"limit": {"1"}}})
	if err != nil {
		return 0, false, err
	}
	return r.all(a)
}

// Fetch implements Source.
func (b *burki) Fetch(ctx context.Context, w Window, p Position) (Page, error) {
	r := b.read(w, p)
	if p == "" {
		a, err := r.askBurki(ctx, 0)
		if err != nil {
			return Page{}, err
		}
		return r.burkiPage(a, 0, burkiPosition{}, 0)
	}
	before, err := decodePosition[burkiPosition](burkiForm, p)
	if err == nil && (before.Row < 0 || before.Anchor == "") {
		err = errPosition
	}
	if err != nil {
		return Page{}, r.lost(err)
	}
	return b.join(ctx, r, before)
}

// join asks for the page after the one before, from where it stood and then from elsewhere, until a page is proven to join.
func (b *burki) join(ctx context.Context, r *reading, before burkiPosition) (Page, error) {
	skip, back := before.Row, int64(b.pageSize/2)
	for shifts := 0; ; shifts++ {
		a, err := r.askBurki(ctx, skip)
		if err != nil {
			return Page{}, err
		}
		if shifts == 0 && repeats(a, before) {
			// Rows were pushed down by just so much, or the server does not heed skip: further down it is seen which.
			skip += int64(len(a.records) - 1)
			if a, err = r.askBurki(ctx, skip); err != nil {
				return Page{}, err
			}
			if repeats(a, before) {
				return Page{}, r.malformed("the page is the same as the one before")
			}
			shifts++
		}
		if skip == 0 || follows(a, before) {
			return r.burkiPage(a, skip, before, shifts)
		}
		skip = max(0, skip-back)
		back *= 2
	}
}

// repeats reports whether a page is the one before over again. One row alone is the anchor, which is always repeated.
func repeats(a answer, before burkiPosition) bool {
	return len(a.records) > 1 && digest(a.records) == before.Digest
}

// follows reports whether a page is proven to begin at or above the place of the anchor.
func follows(a answer, before burkiPosition) bool {
	if indexOf(a.records, before.Anchor) >= 0 {
		return true
	}
	return len(a.records) > 0 && !before.Start.IsZero() && a.records[0].StartedAt.After(before.Start)
}

func (r *reading) askBurki(ctx context.Context, skip int64) (answer, error) {
	return r.ask(ctx, httpapi.Request{Query: url.Values{
		"skip":      {strconv.FormatInt(skip, 10)},
		"limit":     {strconv.Itoa(r.pageSize)},
		"date_from": {r.from.Format(time.RFC3339)},
		"date_to":   {r.to.Format(time.RFC3339)},
	}})
}

// burkiPage makes the Page of an answer that begins at row skip of the list and joins the page before.
func (r *reading) burkiPage(a answer, skip int64, before burkiPosition, shifts int) (Page, error) {
	total, err := r.total(a)
	if err != nil {
		return Page{}, err
	}
	page := r.page(a.records)
	page.Total, page.Shifts = total, shifts
	n := len(a.records)
	fresh := n
	if before.Anchor != "" {
		at := indexOf(a.records, before.Anchor)
		fresh = n - 1 - at
		if shifts == 0 && (at != 0 || !sameCount(total, before.Total)) {
			page.Shifts = 1
		}
	}
	if n == 0 {
		return r.emptyPage(page, skip == 0)
	}
	page.Done = r.lastPage(n, total, skip+int64(n)) || n < r.pageSize && fresh == 0
	if page.Done {
		return page, nil
	}
	last := lastWithID(a.records)
	if last < 0 {
		return Page{}, r.malformed("no call on the page has an id to go on from")
	}
	next := burkiPosition{
		Row: skip + int64(last), Anchor: anchorOf(a.records[last].ID), Start: a.records[last].StartedAt, Total: total, Digest: digest(a.records),
	}
	if page.Shifts == 0 && next.Row == before.Row && next.Anchor == before.Anchor {
		return Page{}, r.malformed("the position does not move: no other call on the page has an id")
	}
	if page.Next, err = encodePosition(burkiForm, next); err != nil {
		return Page{}, r.malformed("%v", err)
	}
	return page, nil
}
