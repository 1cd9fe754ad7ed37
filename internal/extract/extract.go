// Package extract asks providers for calls, a page at a time.
//
// It owns how to ask: paths, filters, page sizes, positions, the proof that nothing was skipped between two pages, and the proof that a single
// call is the one that was asked for, or is indeed not there. It refuses meaning: a record is the provider's bytes, and of those it reads no
// more than the id and the start, which these proofs need. What a status or a cost says is the transform's business; what is asked
// for, and when, is the caller's.
//
// A source keeps nothing between two calls of Fetch: all that it must remember is in the Position, so that a process that dies and
// one that never stopped go on alike. It may be asked by many goroutines at once: what they send is under one rate limit.
package extract

import (
	"context"
	"fmt"
	"time"

	"syncd/internal/rawjson"
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
	Payload   []byte    // the JSON value, byte for byte; nobody writes to it
	ID        string    // the id that paging counts by; "" where the record has none
	StartedAt time.Time // zero where the record has none that can be read
	FetchedAt time.Time // when the answer arrived, our clock, UTC

	// Fields are the members of Payload where it is an object and was cut into them already; nil: not yet. They are slices of it.
	Fields []rawjson.Member
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

// The parts of a call that are answers of their own, beside the element of the list.
const (
	Single      = "detail"      // the single call, which every provider has
	Transcripts = "transcripts" // Burki's transcript of a call
	Costs       = "costs"       // Burki's itemised costs of a call
)

// Source is one account of one provider. It is safe for concurrent use. Its errors are *Error, or the context's own.
type Source interface {
	// Fetch returns the page of the window at the position.
	Fetch(ctx context.Context, w Window, p Position) (Page, error)
	// Parts names what the list leaves out of a call, each an answer of its own; none where the list tells all.
	Parts() []string
	// Detail returns one answer about one call: Single, or one of Parts. The record's ID is the id that was asked for. An error of class
	// Missing says that the provider has no such call; of a part other than Single, it may also mean that the call has no such part.
	Detail(ctx context.Context, part, id string) (Record, error)
	// Total tells how many calls the account has in all, test calls included, whatever their start; ok is false where the provider tells none.
	Total(ctx context.Context) (total int64, ok bool, err error)
	// Probe sends the smallest request there is, once, to see whether the account can be reached with its key.
	Probe(ctx context.Context) error
	// Traffic tells what was sent so far. It may be called from any goroutine.
	Traffic() Traffic
}

// New makes the source of an account. An unknown provider is an error.
func New(a Account) (Source, error) {
	for _, p := range providers {
		if p.name == a.Provider {
			return p.open(a, p.dialect)
		}
	}
	return nil, fmt.Errorf("unknown provider %q", a.Provider)
}
