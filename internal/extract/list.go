package extract

import (
	"context"
	"net/http"
	"time"

	"syncd/internal/extract/httpapi"
)

const (
	// slack is how much wider than its window a source asks, on both sides: whether a provider's bounds are inclusive is not known.
	slack = 2 * time.Second
	// outside is how far from the bounds that were asked for a start may lie. Farther out, the provider did not heed them.
	outside = time.Minute
)

// list is the list endpoint of one account.
type list struct {
	account
	method   string
	path     string
	pageSize int
	unit     time.Duration // the precision of the provider's time filter
	shape    shape
	count    string // the key beside the array that tells how many calls match; "": there is none
}

// Traffic implements Source. The list and the single calls are asked for by one client.
func (l *list) Traffic() Traffic {
	return Traffic{Requests: l.client.Requests(), Retries: l.client.Retries()}
}

// reading is one Fetch, or one look at the list as a whole, under way.
type reading struct {
	*list
	question
	whole    bool      // no window is asked for
	once     bool      // a request that fails is not tried again
	from, to time.Time // what is asked for: the window, widened and rounded outwards; zero where the list is asked for as a whole
	clock    time.Time // the provider's, when the first request was sent
}

func (l *list) read(w Window, p Position) *reading {
	return &reading{
		list: l, question: l.question("the window stays open and is tried again", w, p),
		from: floor(w.Since.UTC().Add(-slack), l.unit), to: ceil(w.Until.UTC().Add(slack), l.unit),
	}
}

// look asks for no window.
func (l *list) look() *reading {
	return &reading{list: l, question: l.question("try it again", Window{}, ""), whole: true}
}

// probe is a look that is not tried again: whoever asks wants to know how things are, now.
func (l *list) probe() *reading {
	r := l.look()
	r.once = true
	return r
}

func (l *list) question(kept string, w Window, p Position) question {
	return question{
		account: l.account, op: l.method + " " + l.path, window: w, position: p,
		kept: kept + "; if this lasts, the provider has changed its API",
	}
}

// ask sends one request of the reading and decodes the page that answers it.
func (r *reading) ask(ctx context.Context, req httpapi.Request) (answer, error) {
	if !r.whole && !r.window.Since.Before(r.window.Until) {
		return answer{}, r.fail(Malformed, "the window holds no time")
	}
	req.Method, req.Path, req.Once = r.method, r.path, r.once
	if err := r.send(ctx, req); err != nil {
		return answer{}, err
	}
	if r.clock.IsZero() {
		r.clock = r.last.Clock
	}
	if r.last.Status != http.StatusOK {
		return answer{}, r.refused()
	}
	a, err := r.shape.decode(r.last.Body, r.last.ReceivedAt)
	if err != nil {
		return answer{}, r.malformed("%v%s", err, contentType(r.last.Header))
	}
	return a, r.within(a.records)
}

// within checks that the provider heeded the bounds.
func (r *reading) within(records []Record) error {
	if r.whole {
		return nil
	}
	for _, record := range records {
		if at := record.StartedAt; at.IsZero() {
			continue
		} else if early := r.from.Sub(at); early > outside {
			return r.malformed("the provider does not heed the time filter: a call started %s before what was asked for", early)
		} else if late := at.Sub(r.to); late > outside {
			return r.malformed("the provider does not heed the time filter: a call started %s after what was asked for", late)
		}
	}
	return nil
}

// page is a Page of the records of this reading, still without what only the provider's own file knows.
func (r *reading) page(records []Record) Page {
	return Page{Records: records, Clock: r.clock}
}

// refused is the error of an answer that is not a 200.
func (r *reading) refused() error {
	if denied := r.denied(); denied != nil {
		return denied
	}
	switch status := r.last.Status; status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity:
		if r.position != "" {
			e := r.answered(Lost, "the provider refuses the position")
			e.Hint = "the window starts over"
			return e
		}
		if status == http.StatusNotFound {
			e := r.answered(Permanent, "the provider has no list of calls there")
			e.Hint = "check provider and base_url of this source"
			return e
		}
		return r.malformed("the provider refuses the request")
	}
	return r.undocumented()
}

// lost is the error of a position that cannot be read.
func (r *reading) lost(err error) *Error {
	e := r.fail(Lost, err.Error())
	e.Hint = "the window starts over"
	return e
}
