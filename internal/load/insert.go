package load

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math/big"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"syncd/internal/call"
)

// clear deletes the rows that changed calls are about to replace, and brings what stays of a call along where its id or start changes. The
// calls are staged as compare left them, and near is the condition that finds their rows.
func (tx *Tx) clear(ctx context.Context, source, near string, changed []*change) error {
	if len(changed) == 0 {
		return nil
	}
	for _, c := range changed {
		if err := tx.follow(ctx, source, c); err != nil {
			return err
		}
	}
	// The payload always goes; the call and its children only where they differ.
	if err := tx.deleteStaged(ctx, source, near, "raw_calls", "AND c.part = s.part"); err != nil {
		return err
	}
	var rewritten []*change
	costs, messages, functions := false, false, false
	for _, c := range changed {
		if c.rewrites() {
			rewritten = append(rewritten, c)
			// Another row of the same call, under an earlier id, may have children of its own.
			two := len(c.old.ids) > 1
			costs = costs || two || len(c.before.call.Costs) > 0
			messages = messages || two || len(c.before.call.Messages) > 0
			functions = functions || two || len(c.before.call.Functions) > 0
		}
	}
	if len(rewritten) == 0 {
		return nil
	}
	if len(rewritten) < len(changed) {
		var err error
		if near, err = tx.stageStored(ctx, rewritten); err != nil {
			return err
		}
	}
	for _, t := range []struct {
		table string
		has   bool
	}{{"calls", true}, {"call_costs", costs}, {"call_messages", messages}, {"call_functions", functions}} {
		if !t.has {
			continue
		}
		if err := tx.deleteStaged(ctx, source, near, t.table, ""); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) deleteStaged(ctx context.Context, source, near, table, and string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` AS c USING stage AS s WHERE c.source = $1 AND (`+near+`) AND c.call_id = s.lookup `+and, source); err != nil {
		return fmt.Errorf("delete from %s: %w", table, err)
	}
	return nil
}

// follow gives the rows that stay (revisions, payloads of other parts) the id and the start that the call has now. Both change rarely.
func (tx *Tx) follow(ctx context.Context, source string, c *change) error {
	for _, id := range c.old.ids {
		if id == c.old.key {
			continue
		}
		for _, table := range []string{"raw_calls", "call_revisions"} {
			and := ""
			if table == "raw_calls" {
				and = ` AND part <> '` + string(c.obs.Part) + `'`
			}
			if _, err := tx.ExecContext(ctx, `UPDATE `+table+` SET call_id = $1 WHERE source = $2 AND call_id = $3`+and, c.old.key, source, id); err != nil {
				return fmt.Errorf("re-key %s: %w", table, err)
			}
		}
	}
	if timeText(c.before.call.StartedAt) == timeText(c.obs.Call.StartedAt) {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE raw_calls SET started_at = $1 WHERE source = $2 AND call_id = $3 AND part <> $4`,
		nullTime(c.obs.Call.StartedAt), source, c.old.key, string(c.obs.Part)); err != nil {
		return fmt.Errorf("move raw_calls: %w", err)
	}
	return nil
}

// insert appends the rows of new and changed calls.
func (tx *Tx) insert(written []*change) error {
	if err := tx.appendRows("", "main", "raw_calls", len(written), func(i int) []driver.Value {
		o := &written[i].obs
		return []driver.Value{o.Call.Source, o.Call.ID, string(o.Part), o.Payload, o.FetchedAt, o.ContentHash, o.Reading, nullTime(o.Call.StartedAt)}
	}); err != nil {
		return err
	}
	var calls []*change
	var costs []childOf[call.Cost]
	var messages []childOf[call.Message]
	var functions []childOf[call.Function]
	var revisions []childOf[field]
	for _, c := range written {
		if !c.rewrites() {
			continue
		}
		calls = append(calls, c)
		costs = children(costs, c, c.obs.Call.Costs)
		messages = children(messages, c, c.obs.Call.Messages)
		functions = children(functions, c, c.obs.Call.Functions)
		revisions = children(revisions, c, c.fields)
	}
	if err := tx.appendRows("", "main", "calls", len(calls), func(i int) []driver.Value { return callRow(calls[i]) }); err != nil {
		return err
	}
	if err := tx.appendRows("", "main", "call_costs", len(costs), func(i int) []driver.Value {
		k, c := costs[i].of, costs[i].value
		return []driver.Value{k.Source, k.ID, costs[i].seq, string(c.Component), null(c.Vendor), nullAmount(c.Amount), null(c.Currency),
			nullInt(c.InputTokens), nullInt(c.OutputTokens), nullTime(k.StartedAt)}
	}); err != nil {
		return err
	}
	if err := tx.appendRows("", "main", "call_messages", len(messages), func(i int) []driver.Value {
		k, m := messages[i].of, messages[i].value
		return []driver.Value{k.Source, k.ID, messages[i].seq, null(string(m.Role)), m.Content, nullInt(m.OffsetMS), nullTime(k.StartedAt)}
	}); err != nil {
		return err
	}
	if err := tx.appendRows("", "main", "call_functions", len(functions), func(i int) []driver.Value {
		k, f := functions[i].of, functions[i].value
		return []driver.Value{k.Source, k.ID, functions[i].seq, null(f.Name), null(f.Params), null(f.Result), nullTime(k.StartedAt)}
	}); err != nil {
		return err
	}
	return tx.appendRows("", "main", "call_revisions", len(revisions), func(i int) []driver.Value {
		r := revisions[i]
		return []driver.Value{r.of.Source, r.of.ID, r.change.revision(), r.change.obs.FetchedAt, r.value.name, null(r.value.before), null(r.value.after)}
	})
}

// childOf is one row that belongs to a call.
type childOf[T any] struct {
	change *change
	of     *call.Call
	seq    int32 // from 0, in the provider's order
	value  T
}

func children[T any](rows []childOf[T], c *change, values []T) []childOf[T] {
	for i, v := range values {
		rows = append(rows, childOf[T]{c, &c.obs.Call, int32(i), v})
	}
	return rows
}

// revision is the number of the state being written: 1 for a new call, one more than before where a field differs.
func (c *change) revision() int32 {
	switch {
	case c.before == nil:
		return 1
	case len(c.fields) == 0:
		return c.before.revision
	}
	return c.before.revision + 1
}

// callRow is a row of calls, in the order of its columns.
func callRow(ch *change) []driver.Value {
	c := &ch.obs.Call
	firstSeenAt, changedAt := ch.obs.FetchedAt, ch.obs.FetchedAt
	if ch.before != nil {
		firstSeenAt = ch.before.firstSeenAt
		if len(ch.fields) == 0 {
			changedAt = ch.before.changedAt
		}
	}
	return []driver.Value{
		c.Source, c.Provider, c.ID, null(c.AgentID), null(c.AgentName), null(c.AgentVersion), null(c.FlowName),
		string(c.Channel), string(c.Direction), null(c.FromNumber), null(c.ToNumber), null(c.CustomerNumber), null(c.TelephonySID),
		string(c.Status), null(c.StatusRaw), null(string(c.EndReason)), c.Status.Final(),
		nullTime(c.StartedAt), nullTime(c.EndedAt), nullInt(c.DurationMS), nullAmount(c.Cost), null(c.CostCurrency),
		null(c.Summary), null(c.RecordingURL), nullBool(c.IsTest), null(c.Metadata),
		ch.revision(), firstSeenAt, changedAt, nil,
	}
}

func null(s string) driver.Value {
	if s == "" {
		return nil
	}
	return s
}

func nullTime(t *time.Time) driver.Value {
	if t == nil {
		return nil
	}
	return *t
}

func nullInt(n *int64) driver.Value {
	if n == nil {
		return nil
	}
	return *n
}

func nullBool(b *bool) driver.Value {
	if b == nil {
		return nil
	}
	return *b
}

// nullAmount makes the one value that the appender stores exactly in a DECIMAL(18,9): a float 0.1 would silently become 0.
func nullAmount(a *call.Amount) driver.Value {
	if a == nil {
		return nil
	}
	return duckdb.Decimal{Width: 18, Scale: call.AmountScale, Value: big.NewInt(int64(*a))}
}
