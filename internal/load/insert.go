package load

import (
	"context"
	"database/sql/driver"
	"fmt"
	"math/big"
	"slices"
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
	staged, err := tx.clearPayloads(ctx, source, near, changed)
	if err != nil {
		return err
	}
	if err := tx.follow(ctx, source, near, changed); err != nil {
		return err
	}
	// The payload always went; the call and its children go only where they differ.
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
	if len(rewritten) < len(changed) || !staged {
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

// clearPayloads deletes the payloads that are replaced. It reports whether the calls are still staged as they were: where several parts of
// a call are written at once, the others need staging of their own.
func (tx *Tx) clearPayloads(ctx context.Context, source, near string, changed []*change) (staged bool, err error) {
	if err := tx.deleteStaged(ctx, source, near, "raw_calls", "AND c.part = s.part"); err != nil {
		return false, err
	}
	var more []stagedKey
	for n, c := range changed {
		for _, o := range c.parts {
			if o == c.obs {
				continue
			}
			for _, id := range c.old.ids {
				more = append(more, stagedKey{id, o.Part, n})
			}
		}
	}
	if len(more) == 0 {
		return true, nil
	}
	if err := tx.stage(ctx, more); err != nil {
		return false, err
	}
	return false, tx.deleteStaged(ctx, source, near, "raw_calls", "AND c.part = s.part")
}

func (tx *Tx) deleteStaged(ctx context.Context, source, near, table, and string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM `+table+` AS c USING stage AS s WHERE c.source = $1 AND (`+near+`) AND c.call_id = s.lookup `+and, source); err != nil {
		return fmt.Errorf("delete from %s: %w", table, err)
	}
	return nil
}

// follow gives the rows that stay (payloads of other parts, revisions, tries for details) the id and the start that the call has now. Both
// change rarely. Where two rows of one call merge, so does what belongs to them: of two payloads of a part the newer stays, and the
// revisions are numbered anew in the order in which they happened.
func (tx *Tx) follow(ctx context.Context, source, near string, changed []*change) error {
	type move struct {
		id     string
		change *change
	}
	var moves []move
	rekeyed, others := false, false
	for _, c := range changed {
		renamed := len(c.old.ids) > 1 || c.old.ids[0] != c.old.key
		more := c.hasOthers()
		if !renamed && (!more || timeText(c.before.call.StartedAt) == timeText(c.obs.Call.StartedAt)) {
			continue
		}
		rekeyed, others = rekeyed || renamed, others || more
		for _, id := range c.old.ids {
			moves = append(moves, move{id, c})
		}
	}
	if len(moves) == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, newMoved); err != nil {
		return fmt.Errorf("clear the table of moved calls: %w", err)
	}
	if err := tx.appendRows("temp", "main", "moved", len(moves), func(i int) []driver.Value {
		c := moves[i].change
		return []driver.Value{moves[i].id, c.old.key, nullTime(c.obs.Call.StartedAt), len(c.old.ids) > 1}
	}); err != nil {
		return err
	}
	if others {
		if err := tx.movePayloads(ctx, source, near); err != nil {
			return fmt.Errorf("move payloads: %w", err)
		}
	}
	if !rekeyed {
		return nil
	}
	if err := tx.moveTries(ctx, source); err != nil {
		return fmt.Errorf("re-key tries for details: %w", err)
	}
	if err := tx.moveRevisions(ctx, source, changed); err != nil {
		return fmt.Errorf("re-key revisions: %w", err)
	}
	return nil
}

// hasOthers reports whether the warehouse holds a payload of the call that is not replaced.
func (c *change) hasOthers() bool {
	return slices.ContainsFunc(c.old.parts, func(p knownPart) bool { return !c.writes(p.part) })
}

func (tx *Tx) movePayloads(ctx context.Context, source, near string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM raw_calls WHERE rowid IN (SELECT rowid FROM (
		SELECT c.rowid, row_number() OVER (PARTITION BY m.call_id, c.part ORDER BY c.reading DESC, c.call_id = m.call_id DESC) AS nth
		FROM raw_calls AS c JOIN moved AS m ON m.lookup = c.call_id WHERE m.merged AND c.source = $1 AND (`+near+`)) WHERE nth > 1)`, source); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE raw_calls AS c SET call_id = m.call_id, started_at = m.started_at FROM moved AS m
		WHERE c.source = $1 AND (`+near+`) AND c.call_id = m.lookup`, source)
	return err
}

func (tx *Tx) moveTries(ctx context.Context, source string) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM sync.details WHERE rowid IN (SELECT rowid FROM (
		SELECT t.rowid, row_number() OVER (PARTITION BY m.call_id, t.part ORDER BY t.reading DESC, t.tried_at DESC, t.call_id = m.call_id DESC) AS nth
		FROM sync.details AS t JOIN moved AS m ON m.lookup = t.call_id WHERE m.merged AND t.source = $1) WHERE nth > 1)`, source); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE sync.details AS t SET call_id = m.call_id FROM moved AS m
		WHERE t.source = $1 AND t.call_id = m.lookup AND m.lookup <> m.call_id`, source)
	return err
}

// moveRevisions also raises the revision of merged calls to what their revisions now come to.
func (tx *Tx) moveRevisions(ctx context.Context, source string, changed []*change) error {
	if _, err := tx.ExecContext(ctx, `UPDATE call_revisions AS c SET call_id = m.call_id, revision = m.number
		FROM (SELECT lookup, call_id, revision, CASE WHEN merged
				THEN 1 + row_number() OVER (PARTITION BY call_id ORDER BY happened_at, lookup = call_id, revision) ELSE revision END AS number
			FROM (SELECT m.lookup, m.call_id, m.merged, r.revision, min(r.changed_at) AS happened_at
				FROM call_revisions AS r JOIN moved AS m ON m.lookup = r.call_id WHERE r.source = $1 GROUP BY ALL)) AS m
		WHERE c.source = $1 AND c.call_id = m.lookup AND c.revision = m.revision AND (m.lookup <> m.call_id OR m.revision <> m.number)`, source); err != nil {
		return err
	}
	merged := make(map[string]*change)
	for _, c := range changed {
		if len(c.old.ids) > 1 {
			merged[c.old.key] = c
		}
	}
	if len(merged) == 0 {
		return nil
	}
	rows, err := tx.QueryContext(ctx, `SELECT c.call_id, max(c.revision) FROM call_revisions AS c
		WHERE c.source = $1 AND c.call_id IN (SELECT call_id FROM moved WHERE merged) GROUP BY c.call_id`, source)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var revision int32
		if err := rows.Scan(&id, &revision); err != nil {
			return err
		}
		merged[id].before.revision = max(merged[id].before.revision, revision)
	}
	return rows.Err()
}

// insert appends the rows of new and changed calls.
func (tx *Tx) insert(written []*change) error {
	var payloads []childOf[*call.Observation]
	for _, c := range written {
		payloads = children(payloads, c, c.parts)
	}
	if err := tx.appendRows("", "main", "raw_calls", len(payloads), func(i int) []driver.Value {
		k, o := payloads[i].of, payloads[i].value
		return []driver.Value{k.Source, k.ID, string(o.Part), o.Payload, o.FetchedAt, o.ContentHash, o.Reading, nullTime(k.StartedAt)}
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
