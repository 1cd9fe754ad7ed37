// Package extract asks providers for calls, a page at a time.
//
// It owns how to ask: paths, filters, page sizes, positions, and the proof that nothing was skipped between two pages. It refuses
// meaning: a record is the provider's bytes, and of those it reads no more than the id and the start, which paging needs. What a
// status or a cost says is the transform's business; what is asked for, and when, is the caller's.
//
// A source is one method, Fetch. It keeps nothing between two calls of it: all that it must remember is in the Position, so that a
// process that dies and one that never stopped go on alike.
package extract

import (
	"context"
	"fmt"
	"time"
)

// Window asks for every call that started in [Since, Until). Both are UTC. A Fetch asks the provider a little wider on both sides,
// and returns everything it was given; only the window itself is claimed.
type Window struct {
	Since, Until time.Time
}

// String writes the window for people and for errors.
func (w Window) String() string {
	return fmt.Sprintf("[%s, %s)", w.Since.UTC().Format(time.RFC3339), w.Until.UTC().Format(time.RFC3339))
}

// Position is where the reading of a window stands: the provider's own cursor, offset or key with what is needed to check that the
// next page joins the last. It is opaque to all but the extractor that made it, and it may hold an id: print it with String, which fmt
// does, and convert it only to store it. "" is the start of a window.
type Position string

// Record is one call as the provider wrote it.
type Record struct {
	Payload   []byte    // the JSON value, byte for byte
	ID        string    // the id that paging counts by; "" where the record has none
	StartedAt time.Time // zero where the record has none that can be read
	FetchedAt time.Time // when the page arrived, our clock, UTC
}

// Page is one answer of a list.
type Page struct {
	Records []Record  // in the provider's order; repeats of the page before included
	Next    Position  // where to go on; "" when Done
	Done    bool      // the window has been read to its end
	Total   *int64    // how many calls the provider says match, whatever the page; nil where it does not tell
	Clock   time.Time // the provider's clock when the request was sent, never later than it truly was; ours where it tells none
	Shifts  int       // how often rows were found to have moved since the page before, and were read again
}

// Traffic counts what a source has sent since it was made.
type Traffic struct {
	Requests int64 // every one that left, retries included
	Retries  int64
}

// Source is one account of one provider.
type Source interface {
	// Fetch returns the page of the window at the position. Its errors are *Error, or the context's own.
	Fetch(ctx context.Context, w Window, p Position) (Page, error)
	// Probe sends the smallest request there is, once, to see whether the account can be reached with its key.
	Probe(ctx context.Context) error
	// Traffic tells what was sent so far. It may be called from any goroutine.
	Traffic() Traffic
}

// Account is what a source needs to know of one account.
type Account struct {
	Source    string        // the user's name for it
	Provider  string        // millis, burki or voicy
	BaseURL   string        // "": the provider's default
	Key       string        // the secret; it goes into one header and nowhere else
	PageSize  int           // 0: the provider's maximum
	RateLimit Rate          // zero: none
	Timeout   time.Duration // for one request, its body included; 0: 30 s
	UserAgent string        // "": syncd
}

// Rate allows Requests in any span of time Per. The zero Rate is no limit.
type Rate struct {
	Requests int
	Per      time.Duration
}

// New makes the source of an account. An unknown provider is an error.
func New(a Account) (Source, error) {
	for _, p := range providers {
		if p.name == a.Provider {
			return p.open(a)
		}
	}
	return nil, fmt.Errorf("unknown provider %q", a.Provider)
}
