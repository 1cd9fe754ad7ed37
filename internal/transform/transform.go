// Package transform says what a provider's record means.
//
// It owns meaning: statuses, end reasons, units of time, money, parties, transcripts, and privacy, which is applied to a record before
// anything else looks at it, but for the list of those who are kept out because they were forgotten. It refuses to fetch, to store and to guess:
// it is pure, an unknown value is kept and counted as drift, and a record that cannot be a call becomes a reject with its bytes and a reason.
package transform

import (
	"errors"
	"fmt"

	"syncd/internal/call"
	"syncd/internal/extract"
)

// Options are what one source's records are read with.
type Options struct {
	Source   string
	Provider string
	Privacy  Privacy
	Credit   CreditValue
}

// CreditValue is what the user says one Millis credit is worth. The zero value leaves credits as credits: no currency is ever guessed.
type CreditValue struct {
	Amount   string // decimal text, "0.01"
	Currency string // ISO 4217
}

// check refuses a value that is half told or no amount.
func (c CreditValue) check() error {
	if c == (CreditValue{}) {
		return nil
	}
	if c.Amount == "" || c.Currency == "" {
		return errors.New("credit value: give both an amount and a currency, or neither")
	}
	if _, _, err := call.ParseAmount(c.Amount); err != nil {
		return fmt.Errorf("credit value: amount: %w", err)
	}
	return nil
}

// Result is what became of one record: an observation, or a reject, or nothing, where it is of somebody who is to be kept out.
type Result struct {
	Observation call.Observation // valid where Reject and Suppressed are nil
	Reject      *call.Reject
	Suppressed  *Suppressed
}

// Transformer reads the records of one source. It is safe for concurrent use.
type Transformer struct {
	opts         Options
	provider     *provider
	suppressions *Suppressions // nil: nobody is kept out
}

// New makes the transformer of a source. An unknown provider and an unusable option are errors.
func New(o Options) (*Transformer, error) {
	if o.Source == "" {
		return nil, errors.New("a source needs a name")
	}
	if err := o.Privacy.check(); err != nil {
		return nil, err
	}
	if err := o.Credit.check(); err != nil {
		return nil, err
	}
	for i := range providers {
		if providers[i].name == o.Provider {
			return &Transformer{opts: o, provider: &providers[i]}, nil
		}
	}
	return nil, fmt.Errorf("unknown provider %q", o.Provider)
}

// Record reads one element of a provider's list, where nothing else is known of the call. The caller sets the observation's Reading.
func (t *Transformer) Record(r extract.Record) Result {
	return t.read([]part{{name: call.PartList, record: r}}, 0, true)
}

// Key reads no more of a list element than tells which call it is and whether it has changed: of the observation's Call only Source, ID, Provider
// and StartedAt are set, the last as the extractor read it. A record whose key can be read is no reject to Record either.
func (t *Transformer) Key(r extract.Record) Result {
	return t.read([]part{{name: call.PartList, record: r}}, 0, false)
}

// Parts reads a call from the newest payload of each of its parts. read names the part that was just fetched: the observation's Part,
// Payload, ContentHash and FetchedAt are that part's, while the call is derived from all of them. Where two parts tell the same field, the
// one fetched later wins unless it is empty there: a list re-read never erases what a detail brought. Payloads that went through privacy
// before may go through it again: it changes them no further.
//
// A part that was just read and cannot be understood is a reject; one from before that cannot is left out, and counted as drift.
func (t *Transformer) Parts(read call.Part, parts map[call.Part]extract.Record) Result {
	all := inOrder(parts)
	i := indexOfPart(all, read)
	if i < 0 {
		return Result{Reject: &call.Reject{
			Source:  t.opts.Source,
			Reason:  reasonNoPart,
			Detail:  fmt.Sprintf("no %s payload was given; fetch it again", read),
			Payload: "null",
		}}
	}
	return t.read(all, i, true)
}

// read is the one way through which every record goes.
func (t *Transformer) read(parts []part, read int, all bool) Result {
	if t.suppressions == nil {
		return t.derive(parts, read, all)
	}
	return t.held(parts, read, all)
}

func partOrder(p call.Part) int {
	if p == call.PartList {
		return 0
	}
	return 1
}
