package extract

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Millis lists newest first and pages by a cursor that is a time: "everything older than start_after_ts". Calls that share one
// start across the edge of a page may so be skipped, and nothing in the answers would tell. Hence the cursor is the second choice.
//
// A page after the first is asked for as a narrower window of the same list: up to the end of the second in which the edge lies, the edge being
// the start of the oldest call of the page before. So the calls at the edge are repeated rather than skipped. The page joins the one before if
//
//   - the anchor, the last call of the page before, is on it: end_time means what we take it to mean, and the list still reaches down from there;
//   - the page is in order, and reaches below the edge or to the end of the list: then it holds every call at the edge or newer.
//
// Where it does not join, because the anchor was deleted, or a whole page of calls lies in that one second, the page is asked for by the
// cursor, exactly as the provider gave it, and with it the edge's own second is looked at, to the end of that: what the cursor may
// have skipped is there. A page that is not in order, or whose last call has no id or no start, has no edge: after it the cursor alone
// is followed, with the look at the cursor's second. If so many calls share one start that even this look is one full page of
// them, they cannot be told from those that follow, and the reading stops with an error: no claim is made that could be false.
//
// A page without next_cursor is the end, as is one that says null; but that it is not there may also mean that the server forgot it. If such
// a page is full, the reading goes on from its edge, in the same way, until a page brings nothing new.

// byCursor fetches the page after the cursor, and the second that the cursor may have cut through.
func (m *millis) byCursor(ctx context.Context, r *reading, before millisPosition, moved bool) (Page, error) {
	a, err := r.askMillis(ctx, r.from, r.to, before.Cursor, m.pageSize)
	if err != nil {
		return Page{}, err
	}
	page, err := r.millisPage(a, before, m.pageSize)
	if err != nil {
		return Page{}, err
	}
	at := before.Edge
	if at.IsZero() {
		at, _ = cursorTime(before.Cursor) // Fetch has seen that it can be read
	}
	second, err := r.wholeSecond(ctx, floor(at, time.Second))
	if err != nil {
		return Page{}, err
	}
	page.Records = append(page.Records, second...) // asked for later, so of two answers for one call the last is the newer
	if moved {
		page.Shifts++
	}
	return page, nil
}

// The look at one second ends here. It is one Fetch, which holds its records in memory and saves nothing on the way, and a cursor that falls
// by a microsecond a page moves, and would still keep it going for a million pages.
const (
	secondMaxPages   = 50
	secondMaxRecords = 5000
)

// wholeSecond returns every call that started in one second.
func (r *reading) wholeSecond(ctx context.Context, second time.Time) ([]Record, error) {
	var records []Record
	before, limit := millisPosition{}, millisMaxPage
	for pages := 0; ; pages++ {
		if pages >= secondMaxPages || len(records) > secondMaxRecords {
			return nil, r.malformed("the second %s goes on after %d calls on %d pages, more than one second is believed to hold",
				second.Format(time.RFC3339), len(records), pages)
		}
		a, err := r.askMillis(ctx, second, secondAfter(second), before.Cursor, limit)
		if refused := (*Error)(nil); errors.As(err, &refused) && refused.Class == Lost && limit > r.pageSize {
			limit = r.pageSize // an account may be allowed less than is documented
			continue
		}
		if err != nil {
			return nil, err
		}
		records = append(records, a.records...)
		page, err := r.millisPage(a, before, limit)
		if err != nil {
			return nil, err
		}
		if page.Done {
			return records, nil
		}
		if n := len(a.records); n >= limit && oneInstant(a.records) {
			return nil, r.malformed("%d calls and maybe more start at the same instant, and the provider's cursor cannot go past them", n)
		}
		if before, err = decodePosition[millisPosition](millisForm, page.Next); err != nil {
			return nil, r.lost(err)
		}
		if at, err := cursorTime(before.Cursor); err == nil && at.Before(second) {
			return records, nil
		}
	}
}

// oneInstant reports whether all records that have a start have the same.
func oneInstant(records []Record) bool {
	return !slices.ContainsFunc(records, func(r Record) bool {
		return !r.StartedAt.IsZero() && !r.StartedAt.Equal(records[0].StartedAt)
	})
}

// joins reports whether a narrower window's page proves that nothing is missing between it and the page before.
func joins(a answer, before millisPosition, limit int) bool {
	if indexOf(a.records, before.Anchor) < 0 || !descending(a.records) {
		return false
	}
	if end, _ := endOfList(a.fields["next_cursor"]); end && !forgetsCursor(a, limit) {
		return true
	}
	return slices.ContainsFunc(a.records, func(r Record) bool { return !r.StartedAt.IsZero() && r.StartedAt.Before(before.Edge) })
}

// millisPage makes the Page of an answer of at most limit rows and checks that it leads on from the one before.
func (r *reading) millisPage(a answer, before millisPosition, limit int) (Page, error) {
	cursor, end, err := r.nextCursor(a)
	if err != nil {
		return Page{}, err
	}
	page := r.page(a.records)
	next := millisPosition{Cursor: cursor, Digest: digest(a.records)}
	next.Edge, next.Anchor = edge(a.records)
	if end && forgetsCursor(a, limit) && next.Anchor != "" && next.Edge.Unix() >= 0 && !(before.Guessed && next.Digest == before.Digest) {
		next.Cursor, next.Guessed, end = fmt.Sprintf("%d.%09d", next.Edge.Unix(), next.Edge.Nanosecond()), true, false
	}
	if page.Done = end; end {
		return page, nil
	}
	if len(a.records) == 0 {
		return Page{}, r.malformed("a page without calls names a page after it")
	}
	if before.Cursor != "" {
		at, _ := cursorTime(next.Cursor) // nextCursor and Fetch have seen that both can be read
		if last, _ := cursorTime(before.Cursor); !at.Before(last) {
			return Page{}, r.malformed("the cursor does not move: it is %s after %s", next.Cursor, before.Cursor)
		}
		if next.Digest == before.Digest {
			return Page{}, r.malformed("the page is the same as the one before")
		}
	}
	if page.Next, err = encodePosition(millisForm, next); err != nil {
		return Page{}, r.malformed("%v", err)
	}
	return page, nil
}

// edge is the start and the anchor of the last call of a page; zero where the page has none to go by.
func edge(records []Record) (at time.Time, anchor string) {
	if len(records) == 0 || !descending(records) {
		return time.Time{}, ""
	}
	last := records[len(records)-1]
	if last.ID == "" || last.StartedAt.IsZero() {
		return time.Time{}, ""
	}
	return last.StartedAt, anchorOf(last.ID)
}

// forgetsCursor reports whether a page is full and does not say, even by a null, that nothing follows.
func forgetsCursor(a answer, limit int) bool {
	_, told := a.fields["next_cursor"]
	return !told && len(a.records) >= limit
}

// nextCursor returns the cursor as it was written, or end where there is none.
func (r *reading) nextCursor(a answer) (cursor string, end bool, err error) {
	v := a.fields["next_cursor"]
	if end, cursor = endOfList(v); end {
		return "", true, nil
	}
	if _, err := cursorTime(cursor); err != nil {
		return "", false, r.malformed("next_cursor is %s that is no time", kindName(v.Kind()))
	}
	return cursor, false, nil
}

// endOfList reports whether a next_cursor says that nothing follows: null, not there, or nought. If not, it returns the cursor's text.
func endOfList(v jsontext.Value) (end bool, text string) {
	if v == nil || v.Kind() == 'n' {
		return true, ""
	}
	text = string(v)
	if v.Kind() == '"' {
		text = stringOf(v)
	}
	size, err := strconv.ParseFloat(text, 64)
	return text == "" || err == nil && size == 0, text
}

// cursorTime is the time that a cursor stands for.
func cursorTime(cursor string) (time.Time, error) {
	if at, ok := unixTime(cursor, time.Second); ok && at.Unix() >= 0 {
		return at, nil
	}
	return time.Time{}, errPosition
}

// secondAfter is the first whole second after t.
func secondAfter(t time.Time) time.Time { return floor(t, time.Second).Add(time.Second) }

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
