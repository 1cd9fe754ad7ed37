package proof

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"syncd/internal/call"
	"syncd/internal/extract"
)

// stored is a call as the warehouse has it, with its payloads.
type stored struct {
	call    call.Call
	parts   []storedPart
	newest  int64 // the highest of their readings
	dropped bool  // one of the payloads is no longer kept
}

type storedPart struct {
	name      call.Part
	payload   string
	fetchedAt time.Time
	hash      int64
	reading   int64
}

func (s *stored) record(p storedPart) extract.Record {
	return extract.Record{Payload: []byte(p.payload), ID: s.call.ID, FetchedAt: p.fetchedAt}
}

func (s *stored) records() map[call.Part]extract.Record {
	all := make(map[call.Part]extract.Record, len(s.parts))
	for _, p := range s.parts {
		all[p.name] = s.record(p)
	}
	return all
}

// readCalls reads a slice of the calls of a source, which a condition on their ids names, with what belongs to them. Of two rows of one call the last counts,
// and rows of no call do not: these are findings of their own.
func (p *prover) readCalls(ctx context.Context, source, slice string) (map[string]*stored, error) {
	of := ` WHERE source = ? AND ` + slice
	calls := make(map[string]*stored)
	if err := p.each(ctx, `SELECT provider, call_id, agent_id, agent_name, agent_version, flow_name, channel, direction, from_number, to_number,
		customer_number, telephony_sid, status, status_raw, end_reason, started_at, ended_at, duration_ms, cost::VARCHAR, cost_currency, summary, recording_url,
		is_test, metadata FROM calls`+of, source, func(rows *sql.Rows) error {
		s := new(stored)
		c := &s.call
		c.Source = source
		err := rows.Scan(&c.Provider, &c.ID, null(&c.AgentID), null(&c.AgentName), null(&c.AgentVersion), null(&c.FlowName), null(&c.Channel),
			null(&c.Direction), null(&c.FromNumber), null(&c.ToNumber), null(&c.CustomerNumber), null(&c.TelephonySID), null(&c.Status), null(&c.StatusRaw),
			null(&c.EndReason), pointer(&c.StartedAt), pointer(&c.EndedAt), pointer(&c.DurationMS), amount{&c.Cost}, null(&c.CostCurrency), null(&c.Summary),
			null(&c.RecordingURL), pointer(&c.IsTest), null(&c.Metadata))
		calls[c.ID] = s
		return err
	}); err != nil || len(calls) == 0 {
		return calls, err
	}
	costs, messages, functions := make(sequences[call.Cost]), make(sequences[call.Message]), make(sequences[call.Function])
	for _, child := range []struct {
		query string
		scan  func(rows *sql.Rows) error
	}{
		{`SELECT call_id, seq, component, vendor, amount::VARCHAR, currency, input_tokens, output_tokens FROM call_costs`, func(rows *sql.Rows) error {
			var id string
			var n int64
			var c call.Cost
			err := rows.Scan(&id, &n, null(&c.Component), null(&c.Vendor), amount{&c.Amount}, null(&c.Currency), pointer(&c.InputTokens), pointer(&c.OutputTokens))
			costs.add(id, n, c)
			return err
		}},
		{`SELECT call_id, seq, role, content, offset_ms FROM call_messages`, func(rows *sql.Rows) error {
			var id string
			var n int64
			var m call.Message
			err := rows.Scan(&id, &n, null(&m.Role), &m.Content, pointer(&m.OffsetMS))
			messages.add(id, n, m)
			return err
		}},
		{`SELECT call_id, seq, name, params, result FROM call_functions`, func(rows *sql.Rows) error {
			var id string
			var n int64
			var f call.Function
			err := rows.Scan(&id, &n, null(&f.Name), null(&f.Params), null(&f.Result))
			functions.add(id, n, f)
			return err
		}},
		{`SELECT call_id, part, payload, fetched_at, content_hash, reading FROM raw_calls`, func(rows *sql.Rows) error {
			var id string
			var part storedPart
			var payload sql.NullString
			err := rows.Scan(&id, &part.name, &payload, &part.fetchedAt, &part.hash, &part.reading)
			part.payload, part.fetchedAt = payload.String, part.fetchedAt.UTC()
			if s := calls[id]; s != nil {
				s.parts, s.newest, s.dropped = append(s.parts, part), max(s.newest, part.reading), s.dropped || !payload.Valid
			}
			return err
		}},
	} {
		if err := p.each(ctx, child.query+of, source, child.scan); err != nil {
			return nil, err
		}
	}
	for id, s := range calls {
		s.call.Costs, s.call.Messages, s.call.Functions = costs.of(id), messages.of(id), functions.of(id)
		slices.SortStableFunc(s.parts, func(a, b storedPart) int { return cmp.Compare(b.reading, a.reading) })
	}
	return calls, nil
}

// sequences are the numbered rows of calls. They are sorted here, where each call has a few: DuckDB would sort all of them.
type sequences[T any] map[string][]numbered[T]

type numbered[T any] struct {
	n   int64
	row T
}

func (s sequences[T]) add(id string, n int64, row T) { s[id] = append(s[id], numbered[T]{n, row}) }

func (s sequences[T]) of(id string) (rows []T) {
	all := s[id]
	slices.SortStableFunc(all, func(a, b numbered[T]) int { return cmp.Compare(a.n, b.n) })
	for _, r := range all {
		rows = append(rows, r.row)
	}
	return rows
}

// each asks something of a source, and scans each row of the answer.
func (p *prover) each(ctx context.Context, query, source string, scan func(*sql.Rows) error) error {
	rows, err := p.q.QueryContext(ctx, query, source)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// nullText scans a nullable text, NULL as "".
type nullText[T ~string] struct{ to *T }

func null[T ~string](to *T) nullText[T] { return nullText[T]{to} }

// Scan implements sql.Scanner.
func (n nullText[T]) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*n.to = ""
	case string:
		*n.to = T(v)
	default:
		return fmt.Errorf("%T is not text", v)
	}
	return nil
}

// nullable scans a nullable value, NULL as nil.
type nullable[T any] struct{ to **T }

func pointer[T any](to **T) nullable[T] { return nullable[T]{to} }

// Scan implements sql.Scanner.
func (n nullable[T]) Scan(v any) error {
	var s sql.Null[T]
	if err := s.Scan(v); err != nil {
		return err
	}
	*n.to = nil
	if s.Valid {
		*n.to = &s.V
	}
	return nil
}

// amount scans an amount from its decimal text.
type amount struct{ to **call.Amount }

// Scan implements sql.Scanner.
func (a amount) Scan(v any) error {
	*a.to = nil
	text, ok := v.(string)
	if !ok {
		return nil
	}
	n, _, err := call.ParseAmount(text)
	*a.to = &n
	return err
}

// field is one column of a call as text.
type field struct{ name, value string }

// fieldsOf are the columns of a call that its payloads tell.
func fieldsOf(c call.Call) []field {
	return []field{
		{"call_id", c.ID}, {"provider", c.Provider}, {"agent_id", c.AgentID}, {"agent_name", c.AgentName}, {"agent_version", c.AgentVersion},
		{"flow_name", c.FlowName}, {"channel", string(c.Channel)}, {"direction", string(c.Direction)}, {"from_number", c.FromNumber},
		{"to_number", c.ToNumber}, {"customer_number", c.CustomerNumber}, {"telephony_sid", c.TelephonySID}, {"status", string(c.Status)},
		{"status_raw", c.StatusRaw}, {"end_reason", string(c.EndReason)}, {"started_at", timeText(c.StartedAt)}, {"ended_at", timeText(c.EndedAt)},
		{"duration_ms", text(c.DurationMS)}, {"cost", text(c.Cost)}, {"cost_currency", c.CostCurrency}, {"summary", c.Summary},
		{"recording_url", c.RecordingURL}, {"is_test", text(c.IsTest)}, {"metadata", c.Metadata},
	}
}

// text is a value as text, and nothing where there is none.
func text[T any](v *T) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(*v)
}

func timeText(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
}
