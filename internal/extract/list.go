package extract

import (
	"context"
	"errors"
	"fmt"
	"mime"
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
	source   string
	client   *httpapi.Client
	method   string
	path     string
	pageSize int
	unit     time.Duration // the precision of the provider's time filter
	shape    shape
}

// dialect is what one provider's list is to the way there.
type dialect struct {
	baseURL    string
	authScheme string
	maxPage    int
}

func newClient(a Account, d dialect) (*httpapi.Client, error) {
	base := a.BaseURL
	if base == "" {
		base = d.baseURL
	}
	if a.PageSize < 0 || a.PageSize > d.maxPage {
		return nil, fmt.Errorf("source %s: page_size is %d, where %s allows 1 to %d", a.Source, a.PageSize, a.Provider, d.maxPage)
	}
	client, err := httpapi.New(httpapi.Config{
		BaseURL: base, AuthHeader: "Authorization", AuthScheme: d.authScheme, Key: a.Key, UserAgent: a.UserAgent,
		Rate: httpapi.Rate(a.RateLimit), Timeout: a.Timeout,
	})
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", a.Source, err)
	}
	return client, nil
}

// Traffic implements Source.
func (l *list) Traffic() Traffic {
	return Traffic{Requests: l.client.Requests(), Retries: l.client.Retries()}
}

// reading is one Fetch, or one probe, under way.
type reading struct {
	*list
	window   Window
	position Position
	probe    bool      // no window is asked for
	from, to time.Time // what is asked for: the window, widened and rounded outwards; zero for a probe
	clock    time.Time // the provider's, when the first request was sent
	last     httpapi.Response
}

func (l *list) read(w Window, p Position) *reading {
	return &reading{
		list: l, window: w, position: p,
		from: floor(w.Since.UTC().Add(-slack), l.unit), to: ceil(w.Until.UTC().Add(slack), l.unit),
	}
}

func (l *list) probe() *reading { return &reading{list: l, probe: true} }

// ask sends one request of the reading and decodes the page that answers it.
func (r *reading) ask(ctx context.Context, req httpapi.Request) (answer, error) {
	if !r.probe && !r.window.Since.Before(r.window.Until) {
		return answer{}, r.fail(Malformed, "the window holds no time")
	}
	req.Method, req.Path = r.method, r.path
	resp, err := r.client.Do(ctx, req)
	if err != nil {
		return answer{}, r.unanswered(ctx, err)
	}
	r.last = resp
	if r.clock.IsZero() {
		r.clock = resp.Clock
	}
	if resp.Status != http.StatusOK {
		return answer{}, r.refused()
	}
	a, err := r.shape.decode(resp.Body, resp.ReceivedAt)
	if err != nil {
		return answer{}, r.malformed("%v%s", err, contentType(resp.Header))
	}
	return a, r.within(a.records)
}

// within checks that the provider heeded the bounds.
func (r *reading) within(records []Record) error {
	if r.probe {
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

// unanswered is the error of a request that brought no answer.
func (r *reading) unanswered(ctx context.Context, err error) error {
	var failed *httpapi.Error
	if !errors.As(err, &failed) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return r.fail(Transient, err.Error())
	}
	e := r.fail(Transient, failed.Reason)
	e.Status, e.Excerpt, e.Until = failed.Status, failed.Excerpt, failed.Until
	if failed.Attempts > 1 {
		e.Reason += fmt.Sprintf(", tried %d times", failed.Attempts)
	}
	switch failed.Kind {
	case httpapi.Unavailable:
		if e.Status == 0 {
			e.Hint = "check base_url and the network, and run it again"
		}
	case httpapi.Redirected:
		e.Class, e.Hint = Permanent, "set base_url to where the provider's API is now"
	case httpapi.Unusable:
		e.Class, e.Hint = Malformed, "a smaller page_size makes smaller answers"
	}
	return e
}

// refused is the error of an answer that is not a 200.
func (r *reading) refused() error {
	switch status := r.last.Status; status {
	case http.StatusUnauthorized, http.StatusForbidden:
		e := r.answered(Permanent, "the provider refuses the key")
		e.Hint = "check the key of this source, where api_key_env or api_key_file says; `syncd check` tells when it works"
		return e
	case http.StatusPaymentRequired:
		e := r.answered(Permanent, "the provider wants to be paid first")
		e.Hint = "look at the account; `syncd check` tells when it works"
		return e
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
	return r.malformed("the provider answers with a status that its documentation does not name")
}

// malformed is the error of an answer that is not what the provider's contract says.
func (r *reading) malformed(format string, args ...any) *Error {
	e := r.answered(Malformed, fmt.Sprintf(format, args...))
	e.Hint = "the window stays open and is tried again; if this lasts, the provider has changed its API"
	return e
}

// answered is an error about the last answer.
func (r *reading) answered(class Class, reason string) *Error {
	e := r.fail(class, reason)
	e.Status, e.Excerpt = r.last.Status, r.client.Excerpt(r.last.Status, r.last.Body)
	return e
}

func (r *reading) fail(class Class, reason string) *Error {
	return &Error{
		Source: r.source, Op: r.method + " " + r.path, Window: r.window, Position: r.position, Class: class, Reason: reason,
	}
}

// lost is the error of a position that cannot be read.
func (r *reading) lost(err error) *Error {
	e := r.fail(Lost, err.Error())
	e.Hint = "the window starts over"
	return e
}

// contentType says what an answer calls itself, where that is not JSON.
func contentType(h http.Header) string {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind == "application/json" || len(kind) > 60 {
		return ""
	}
	return fmt.Sprintf("; it calls itself %s", kind)
}
