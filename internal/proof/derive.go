package proof

import (
	"context"
	"fmt"
	"strconv"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/transform"
)

// sliceOfCalls is about how many calls are derived again at a time: their payloads are in memory together.
const sliceOfCalls = 10_000

// checkCalls derives each call again from the payloads of all its parts. What differs was derived from others: an older reading won, a part was
// erased, or the row was changed by another hand. A call of which a payload was dropped for its age cannot be derived, and is passed over.
func (p *prover) checkCalls(ctx context.Context) error {
	if p.o.Derive == nil {
		return nil
	}
	for _, s := range p.sources {
		d := p.o.Derive(s.name)
		if d == nil {
			continue
		}
		r := rederivation{source: s.name, deriver: d, fields: make(map[string]*tally), aliases: make(map[string]string)}
		n, err := p.number(ctx, `SELECT count(*) FROM calls WHERE source = ?`, s.name)
		if err != nil {
			return fmt.Errorf("count the calls of %s: %w", s.name, err)
		}
		slices := 1 + n/sliceOfCalls
		for nth := range slices {
			slice := "true"
			if slices > 1 {
				slice = fmt.Sprintf("hash(call_id) %% %d = %d", slices, nth)
			}
			calls, err := p.readCalls(ctx, s.name, slice)
			if err != nil {
				return fmt.Errorf("read calls of %s: %w", s.name, err)
			}
			for _, c := range calls {
				r.check(c)
			}
		}
		if err := p.conclude(ctx, &r); err != nil {
			return err
		}
	}
	return nil
}

// number is the answer to a question that has one.
func (p *prover) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	rows, err := p.q.QueryContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			return 0, err
		}
	}
	return n, rows.Err()
}

// rederivation is what the payloads of a source say, held against its calls.
type rederivation struct {
	source  string
	deriver Deriver
	fields  map[string]*tally // calls, by the field that differs
	hashes  tally             // payloads that are not what their hash says
	strange tally             // calls whose payloads say none
	aliases map[string]string // calls, by the other id that a payload of theirs names
}

func (r *rederivation) check(c *stored) {
	if c.dropped || len(c.parts) == 0 {
		return
	}
	read := r.read(c)
	for i, part := range c.parts {
		if !read.hashAgrees(i) {
			r.hashes.add(r.source + "/" + c.call.ID + "/" + string(part.name))
		}
	}
	candidates := read.candidates()
	if len(candidates) == 0 {
		r.strange.add(r.source + "/" + c.call.ID)
		return
	}
	var field string
	for _, o := range candidates {
		if o.Alias != "" && o.Alias != c.call.ID {
			r.aliases[o.Alias] = c.call.ID
		}
		if field = difference(c.call, o.Call); field == "" {
			return
		}
	}
	if r.fields[field] == nil {
		r.fields[field] = new(tally)
	}
	r.fields[field].add(r.source + "/" + c.call.ID)
}

// readings are what the payloads of a call say, in the order of its parts: each by itself, and each as the one that came among all of them. Each is read
// once, and only where it is asked for; where there is one part, both are the same.
type readings struct {
	deriver         Deriver
	call            *stored
	alone, together []*transform.Result
}

func (r *rederivation) read(c *stored) *readings {
	return &readings{r.deriver, c, make([]*transform.Result, len(c.parts)), make([]*transform.Result, len(c.parts))}
}

func (r *readings) byItself(nth int) *transform.Result {
	if r.alone[nth] == nil {
		part := r.call.parts[nth]
		result := r.deriver.Parts(part.name, map[call.Part]extract.Record{part.name: r.call.record(part)})
		r.alone[nth] = &result
	}
	return r.alone[nth]
}

func (r *readings) amongAll(nth int) *transform.Result {
	if len(r.call.parts) == 1 {
		return r.byItself(nth)
	}
	if r.together[nth] == nil {
		result := r.deriver.Parts(r.call.parts[nth].name, r.call.records())
		r.together[nth] = &result
	}
	return r.together[nth]
}

// candidates are what the call may be. Where its parts do not fit together the writer lets the one that came last stand by itself, and which that was a
// deletion may have made indistinct: so each that can stand by itself is one that may be right.
func (r *readings) candidates() []call.Observation {
	for i := range r.call.parts {
		if result := r.amongAll(i); result.Reject == nil {
			return []call.Observation{result.Observation}
		}
	}
	var alone []call.Observation
	for i, part := range r.call.parts {
		if result := r.byItself(i); result.Reject == nil && part.reading == r.call.newest {
			alone = append(alone, result.Observation)
		}
	}
	return alone
}

// hashAgrees reports whether a payload's hash is what is stored. Privacy may have seen the payload by itself or beside the others.
func (r *readings) hashAgrees(nth int) bool {
	stored, alone := r.call.parts[nth].hash, r.byItself(nth)
	if alone.Reject == nil && alone.Observation.ContentHash == stored {
		return true
	}
	together := r.amongAll(nth)
	return together.Reject == nil && together.Observation.ContentHash == stored || alone.Reject != nil && together.Reject != nil
}

// payloadChecks are that payloads say a call, and that they are what their hash says; idCheck that none of them has been stored twice for it.
func payloadChecks() (strange, hashes check) {
	return check{5, "raw_calls", "the payloads of a call say no call"},
		check{5, "raw_calls", "a payload is not what its hash says: a newer one would be taken for it, or it for a newer one"}
}

func idCheck() check {
	return check{9, "calls", "a call is stored a second time, under an id that it had earlier"}
}

// fieldCheck is that a field of a call is what its payloads say.
func fieldCheck(field string) check {
	return check{5, "calls", field + " is not what the call's payloads say: an older reading won, or what another part told was erased"}
}

// conclude notes what was found of a source.
func (p *prover) conclude(ctx context.Context, r *rederivation) error {
	for _, field := range fieldNames() {
		if t := r.fields[field]; t != nil {
			p.note(fieldCheck(field), t)
		}
	}
	strange, hashes := payloadChecks()
	if r.strange.count > 0 {
		p.note(strange, &r.strange)
	}
	if r.hashes.count > 0 {
		p.note(hashes, &r.hashes)
	}
	if len(r.aliases) == 0 {
		return nil
	}
	rows, err := p.q.QueryContext(ctx, `SELECT call_id FROM calls WHERE source = ?`, r.source)
	if err != nil {
		return fmt.Errorf("read the ids of the calls of %s: %w", r.source, err)
	}
	defer rows.Close()
	var twice tally
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("read the ids of the calls of %s: %w", r.source, err)
		}
		if r.aliases[id] != "" {
			twice.add(r.source + "/" + id)
		}
	}
	if twice.count > 0 {
		p.note(idCheck(), &twice)
	}
	return rows.Err()
}

// fieldNames are the fields that are compared, in the order in which they are told.
func fieldNames() []string {
	var names []string
	for _, f := range fieldsOf(call.Call{}) {
		names = append(names, f.name)
	}
	return append(names, "call_costs", "call_messages", "call_functions")
}

// difference names the first field in which a call differs from what it should be; "" where there is none.
func difference(got, want call.Call) string {
	a, b := fieldsOf(got), fieldsOf(want)
	for i := range a {
		if a[i].value != b[i].value {
			return a[i].name
		}
	}
	switch {
	case !equalRows(got.Costs, want.Costs, costText):
		return "call_costs"
	case !equalRows(got.Messages, want.Messages, messageText):
		return "call_messages"
	case !equalRows(got.Functions, want.Functions, func(f call.Function) string { return strconv.Quote(f.Name) + f.Params + "\x00" + f.Result }):
		return "call_functions"
	}
	return ""
}

func equalRows[T any](a, b []T, text func(T) string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if text(a[i]) != text(b[i]) {
			return false
		}
	}
	return true
}

func costText(c call.Cost) string {
	return fmt.Sprint(c.Component, "\x00", c.Vendor, "\x00", text(c.Amount), "\x00", c.Currency, "\x00", text(c.InputTokens), "\x00", text(c.OutputTokens))
}

func messageText(m call.Message) string {
	return string(m.Role) + "\x00" + text(m.OffsetMS) + "\x00" + m.Content
}
