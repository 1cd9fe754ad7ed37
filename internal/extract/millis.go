package extract

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"syncd/internal/extract/httpapi"
)

// How Millis is asked. How its pages are joined, which takes more thought, is in millis_join.go.

const (
	millisForm = "millis2"
	// millisMaxPage is documented. The look at one second asks for as many whatever the page size is, so that ties fit on one page.
	millisMaxPage = 100
)

type millis struct {
	list
	details
}

// millisPosition is where a reading stands. Edge and Anchor are there only if the page before had an edge.
type millisPosition struct {
	Cursor string `json:"cursor"` // next_cursor, as it was written
	// Guessed: the provider sent no next_cursor with a full page, and the cursor is the edge.
	Guessed bool      `json:"guessed,omitzero"`
	Edge    time.Time `json:"edge,omitzero"`
	Anchor  string    `json:"anchor,omitzero"` // anchorOf its id
	Digest  string    `json:"digest"`          // of the page before
}

func openMillis(a Account, d dialect) (Source, error) {
	account, err := connect(a, d)
	if err != nil {
		return nil, err
	}
	size := a.PageSize
	if size == 0 {
		size = millisMaxPage
	}
	calls := shape{rows: "histories", ids: []string{"session_id", "call_id"}, start: "ts", instant: unixSeconds}
	return &millis{list{
		account: account, method: http.MethodGet, path: "/call-logs", pageSize: size, unit: time.Second, shape: calls,
	}, details{account, []part{
		{name: Single, path: "/call-logs/{session_id}", read: calls.single},
	}}}, nil
}

// Probe implements Source.
func (m *millis) Probe(ctx context.Context) error {
	r := m.probe()
	a, err := r.ask(ctx, httpapi.Request{Query: url.Values{"limit": {"1"}}})
	if err != nil {
		return err
	}
	_, _, err = r.nextCursor(a)
	return err
}

// Total implements Source: Millis tells none, so nothing is asked.
func (m *millis) Total(context.Context) (total int64, ok bool, err error) { return 0, false, nil }

// Fetch implements Source.
func (m *millis) Fetch(ctx context.Context, w Window, p Position) (Page, error) {
	r := m.read(w, p)
	if p == "" {
		a, err := r.askMillis(ctx, r.from, r.to, "", m.pageSize)
		if err != nil {
			return Page{}, err
		}
		return r.millisPage(a, millisPosition{}, m.pageSize)
	}
	before, err := decodePosition[millisPosition](millisForm, p)
	if err == nil {
		_, err = cursorTime(before.Cursor)
	}
	if err != nil {
		return Page{}, r.lost(err)
	}
	moved := false
	if before.Anchor != "" {
		a, err := r.askMillis(ctx, r.from, earlier(r.to, secondAfter(before.Edge)), "", m.pageSize)
		if err != nil {
			return Page{}, err
		}
		if joins(a, before, m.pageSize) {
			return r.millisPage(a, before, m.pageSize)
		}
		moved = indexOf(a.records, before.Anchor) < 0
	}
	return m.byCursor(ctx, r, before, moved)
}

func (r *reading) askMillis(ctx context.Context, from, to time.Time, cursor string, limit int) (answer, error) {
	q := url.Values{
		"limit":      {strconv.Itoa(limit)},
		"start_time": {strconv.FormatInt(from.Unix(), 10)},
		"end_time":   {strconv.FormatInt(to.Unix(), 10)},
	}
	if cursor != "" {
		q.Set("start_after_ts", cursor)
	}
	return r.ask(ctx, httpapi.Request{Query: q})
}
