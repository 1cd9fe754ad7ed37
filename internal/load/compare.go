package load

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"syncd/internal/call"
)

// state is a call as the warehouse has it.
type state struct {
	call        call.Call
	revision    int32
	firstSeenAt time.Time
	changedAt   time.Time
	deletedAt   *time.Time
}

// field is one difference between two states of a call, as it goes into call_revisions. "" is NULL.
type field struct {
	name, before, after string
}

// compare reads the stored state of calls that have a new payload, and notes which fields differ. It leaves the ids of the stored rows
// staged, and returns the condition that finds them.
func (tx *Tx) compare(ctx context.Context, source string, changed []*change) (near string, err error) {
	if len(changed) == 0 {
		return "", nil
	}
	if near, err = tx.stageStored(ctx, changed); err != nil {
		return "", err
	}
	if err := tx.readCalls(ctx, source, near, changed); err != nil {
		return "", fmt.Errorf("read calls: %w", err)
	}
	if err := tx.readChildren(ctx, source, near, changed); err != nil {
		return "", err
	}
	for _, c := range changed {
		if c.before == nil {
			return "", errors.New("a call was found and then was not: the file is damaged, or another process wrote it")
		}
		if c.lacksAPart() {
			keepUntold(&c.obs.Call, &c.before.call)
		}
		c.fields = differences(c.before, c.obs.Call)
	}
	return near, nil
}

// stageStored stages the ids under which changed calls are stored, and returns the condition that finds their rows without reading the
// whole table.
func (tx *Tx) stageStored(ctx context.Context, changed []*change) (string, error) {
	var keys []stagedKey
	var starts []*time.Time
	for n, c := range changed {
		for _, id := range c.old.ids {
			keys = append(keys, stagedKey{id, c.obs.Part, n})
		}
		starts = append(starts, c.old.startedAt...)
	}
	return between(starts), tx.stage(ctx, keys)
}

// stagedRows is the FROM clause that joins a table's rows to the staged keys.
func stagedRows(table, near string) string {
	return ` FROM (SELECT * FROM ` + table + ` AS c WHERE c.source = $1 AND (` + near + `)) AS c JOIN stage AS s ON s.lookup = c.call_id `
}

func (tx *Tx) readCalls(ctx context.Context, source, near string, changed []*change) error {
	rows, err := tx.QueryContext(ctx, `SELECT s.n, c.provider, c.call_id, c.agent_id, c.agent_name, c.agent_version, c.flow_name,
		c.channel, c.direction, c.from_number, c.to_number, c.customer_number, c.telephony_sid, c.status, c.status_raw, c.end_reason,
		c.started_at, c.ended_at, c.duration_ms, c.cost, c.cost_currency, c.summary, c.recording_url, c.is_test, c.metadata,
		c.revision, c.first_seen_at, c.changed_at, c.deleted_at`+stagedRows("calls", near), source)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			n                         int
			s                         state
			startedAt, endedAt, delAt sql.NullTime
			duration                  sql.NullInt64
			cost                      any
			isTest                    sql.NullBool
		)
		c := &s.call
		if err := rows.Scan(&n, &c.Provider, &c.ID, text{&c.AgentID}, text{&c.AgentName}, text{&c.AgentVersion}, text{&c.FlowName},
			&c.Channel, &c.Direction, text{&c.FromNumber}, text{&c.ToNumber}, text{&c.CustomerNumber}, text{&c.TelephonySID},
			&c.Status, text{&c.StatusRaw}, text{(*string)(&c.EndReason)}, &startedAt, &endedAt, &duration, &cost, text{&c.CostCurrency},
			text{&c.Summary}, text{&c.RecordingURL}, &isTest, text{&c.Metadata}, &s.revision, &s.firstSeenAt, &s.changedAt, &delAt); err != nil {
			return err
		}
		c.Source = source
		c.StartedAt, c.EndedAt, s.deletedAt = timePointer(startedAt), timePointer(endedAt), timePointer(delAt)
		s.firstSeenAt, s.changedAt = s.firstSeenAt.UTC(), s.changedAt.UTC()
		if duration.Valid {
			c.DurationMS = &duration.Int64
		}
		if isTest.Valid {
			c.IsTest = &isTest.Bool
		}
		c.Cost = amountOf(cost)
		// Where an earlier id and the lasting one both have rows, the lasting one's is the state, seen first when either was.
		if other := changed[n].before; other != nil {
			if other.firstSeenAt.Before(s.firstSeenAt) {
				s.firstSeenAt = other.firstSeenAt
			}
			if c.ID != changed[n].old.key {
				other.firstSeenAt = s.firstSeenAt
				continue
			}
		}
		changed[n].before = &s
	}
	return rows.Err()
}

// readChildren reads the stored costs, turns and tool calls of changed calls.
func (tx *Tx) readChildren(ctx context.Context, source, near string, changed []*change) error {
	// The rows of an id that is not the state's are left out.
	of := func(n int, id string) *call.Call {
		if s := changed[n].before; s != nil && s.call.ID == id {
			return &s.call
		}
		return nil
	}
	for _, child := range []struct {
		table, columns string
		scan           func(*sql.Rows) error
	}{
		{"call_costs", "c.component, c.vendor, c.amount, c.currency, c.input_tokens, c.output_tokens", func(rows *sql.Rows) error {
			var (
				n       int
				id      string
				c       call.Cost
				amount  any
				in, out sql.NullInt64
			)
			if err := rows.Scan(&n, &id, &c.Component, text{&c.Vendor}, &amount, text{&c.Currency}, &in, &out); err != nil {
				return err
			}
			c.Amount, c.InputTokens, c.OutputTokens = amountOf(amount), intPointer(in), intPointer(out)
			if to := of(n, id); to != nil {
				to.Costs = append(to.Costs, c)
			}
			return nil
		}},
		{"call_messages", "c.role, c.content, c.offset_ms", func(rows *sql.Rows) error {
			var (
				n      int
				id     string
				m      call.Message
				offset sql.NullInt64
			)
			if err := rows.Scan(&n, &id, text{(*string)(&m.Role)}, &m.Content, &offset); err != nil {
				return err
			}
			m.OffsetMS = intPointer(offset)
			if to := of(n, id); to != nil {
				to.Messages = append(to.Messages, m)
			}
			return nil
		}},
		{"call_functions", "c.name, c.params, c.result", func(rows *sql.Rows) error {
			var (
				n  int
				id string
				f  call.Function
			)
			if err := rows.Scan(&n, &id, text{&f.Name}, text{&f.Params}, text{&f.Result}); err != nil {
				return err
			}
			if to := of(n, id); to != nil {
				to.Functions = append(to.Functions, f)
			}
			return nil
		}},
	} {
		if err := tx.readChild(ctx, source, near, child.table, child.columns, child.scan); err != nil {
			return fmt.Errorf("read %s: %w", child.table, err)
		}
	}
	return nil
}

func (tx *Tx) readChild(ctx context.Context, source, near, table, columns string, scan func(*sql.Rows) error) error {
	rows, err := tx.QueryContext(ctx, `SELECT s.n, c.call_id, `+columns+stagedRows(table, near)+`ORDER BY s.n, c.seq`, source)
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

// differences lists the fields in which a new state of a call differs from the stored one. A recording's URL is often signed anew at
// every reading, so it is never a difference. Costs stand in full; of a transcript and of tool calls, which may be long, only their extent.
func differences(before *state, after call.Call) []field {
	b := &before.call
	var different []field
	text := func(name, before, after string) {
		if before != after {
			different = append(different, field{name, before, after})
		}
	}
	moment := func(name string, before, after *time.Time) {
		if !sameTime(before, after) {
			text(name, timeText(before), timeText(after))
		}
	}
	text("call_id", b.ID, after.ID)
	text("agent_id", b.AgentID, after.AgentID)
	text("agent_name", b.AgentName, after.AgentName)
	text("agent_version", b.AgentVersion, after.AgentVersion)
	text("flow_name", b.FlowName, after.FlowName)
	text("channel", string(b.Channel), string(after.Channel))
	text("direction", string(b.Direction), string(after.Direction))
	text("from_number", b.FromNumber, after.FromNumber)
	text("to_number", b.ToNumber, after.ToNumber)
	text("customer_number", b.CustomerNumber, after.CustomerNumber)
	text("telephony_sid", b.TelephonySID, after.TelephonySID)
	text("status", string(b.Status), string(after.Status))
	text("status_raw", b.StatusRaw, after.StatusRaw)
	text("end_reason", string(b.EndReason), string(after.EndReason))
	moment("started_at", b.StartedAt, after.StartedAt)
	moment("ended_at", b.EndedAt, after.EndedAt)
	if !samePointed(b.DurationMS, after.DurationMS) {
		text("duration_ms", intText(b.DurationMS), intText(after.DurationMS))
	}
	if !samePointed(b.Cost, after.Cost) {
		text("cost", amountText(b.Cost), amountText(after.Cost))
	}
	text("cost_currency", b.CostCurrency, after.CostCurrency)
	text("summary", b.Summary, after.Summary)
	if !samePointed(b.IsTest, after.IsTest) {
		text("is_test", boolText(b.IsTest), boolText(after.IsTest))
	}
	text("metadata", b.Metadata, after.Metadata)
	moment("deleted_at", before.deletedAt, nil) // it is listed, so it is there
	if !slices.EqualFunc(b.Costs, after.Costs, sameCost) {
		different = append(different, field{"costs", costsText(b.Costs), costsText(after.Costs)})
	}
	if !slices.EqualFunc(b.Messages, after.Messages, sameMessage) {
		different = append(different, field{"messages", messagesText(b.Messages), messagesText(after.Messages)})
	}
	if !slices.Equal(b.Functions, after.Functions) {
		different = append(different, field{"functions", functionsText(b.Functions), functionsText(after.Functions)})
	}
	return different
}

// sameTime and samePointed tell what is the same without writing it out: of most calls nothing differs.
func sameTime(a, b *time.Time) bool {
	return a == b || a != nil && b != nil && a.Truncate(time.Microsecond).Equal(b.Truncate(time.Microsecond))
}

func samePointed[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

func sameMessage(a, b call.Message) bool {
	return a.Role == b.Role && a.Content == b.Content && samePointed(a.OffsetMS, b.OffsetMS)
}

func sameCost(a, b call.Cost) bool {
	return a.Component == b.Component && a.Vendor == b.Vendor && a.Currency == b.Currency && samePointed(a.Amount, b.Amount) &&
		samePointed(a.InputTokens, b.InputTokens) && samePointed(a.OutputTokens, b.OutputTokens)
}

// costsText writes costs as a JSON array, amounts as decimal text.
func costsText(costs []call.Cost) string {
	if len(costs) == 0 {
		return ""
	}
	type item struct {
		Component    call.Component `json:"component"`
		Vendor       string         `json:"vendor,omitempty"`
		Amount       string         `json:"amount,omitempty"`
		Currency     string         `json:"currency,omitempty"`
		InputTokens  *int64         `json:"input_tokens,omitempty"`
		OutputTokens *int64         `json:"output_tokens,omitempty"`
	}
	items := make([]item, len(costs))
	for i, c := range costs {
		items[i] = item{c.Component, c.Vendor, amountText(c.Amount), c.Currency, c.InputTokens, c.OutputTokens}
	}
	b, err := json.Marshal(items)
	if err != nil {
		panic(err) // strings and integers always marshal
	}
	return string(b)
}

func messagesText(messages []call.Message) string {
	if len(messages) == 0 {
		return ""
	}
	n := 0
	for _, m := range messages {
		n += len(m.Content)
	}
	return fmt.Sprintf("%d turns, %d bytes", len(messages), n)
}

func functionsText(functions []call.Function) string {
	if len(functions) == 0 {
		return ""
	}
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = f.Name
	}
	return fmt.Sprintf("%d: %s", len(functions), strings.Join(names, ", "))
}

func timeText(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
}

func intText(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

func boolText(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}

func amountText(a *call.Amount) string {
	if a == nil {
		return ""
	}
	return a.String()
}

func intPointer(n sql.NullInt64) *int64 {
	if !n.Valid {
		return nil
	}
	return &n.Int64
}

// amountOf reads a DECIMAL(18,9) as the driver returns it.
func amountOf(v any) *call.Amount {
	d, ok := v.(duckdb.Decimal)
	if !ok {
		return nil
	}
	a := call.Amount(d.Value.Int64())
	return &a
}

// text scans a nullable VARCHAR into a string, NULL as "".
type text struct{ to *string }

// Scan implements sql.Scanner.
func (t text) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*t.to = ""
	case string:
		*t.to = v
	default:
		return fmt.Errorf("%T is not text", v)
	}
	return nil
}
