package load

import (
	"context"
	"fmt"
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
	if err := tx.insertRows(ctx, rows{"temp.moved", len(moves), []column{
		full("lookup", func(i int) string { return moves[i].id }),
		full("call_id", func(i int) string { return moves[i].change.old.key }),
		moment("started_at", func(i int) *time.Time { return moves[i].change.obs.Call.StartedAt }),
		value("merged", duckdb.TYPE_BOOLEAN, func(i int) bool { return len(moves[i].change.old.ids) > 1 }),
	}}); err != nil {
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
func (tx *Tx) insert(ctx context.Context, written []*change) error {
	if slices.ContainsFunc(written, (*change).lacksKey) {
		return errNoKey
	}
	if err := tx.insertPayloads(ctx, written); err != nil {
		return err
	}
	return tx.insertCalls(ctx, written)
}

func (tx *Tx) insertPayloads(ctx context.Context, written []*change) error {
	var list []childOf[*call.Observation]
	for _, c := range written {
		list = children(list, c, c.parts)
	}
	return tx.insertRows(ctx, rows{"main.raw_calls", len(list), []column{
		full("source", func(i int) string { return list[i].of.Source }),
		full("call_id", func(i int) string { return list[i].of.ID }),
		full("part", func(i int) string { return string(list[i].value.Part) }),
		full("payload", func(i int) string { return list[i].value.Payload }),
		value("fetched_at", duckdb.TYPE_TIMESTAMP_TZ, func(i int) time.Time { return list[i].value.FetchedAt }),
		value("content_hash", duckdb.TYPE_BIGINT, func(i int) int64 { return list[i].value.ContentHash }),
		value("reading", duckdb.TYPE_BIGINT, func(i int) int64 { return list[i].value.Reading }),
		moment("started_at", func(i int) *time.Time { return list[i].of.StartedAt }),
	}})
}

func (tx *Tx) insertCalls(ctx context.Context, written []*change) error {
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
	for _, r := range []rows{rowsOfCalls(calls), rowsOfCosts(costs), rowsOfMessages(messages), rowsOfFunctions(functions), rowsOfRevisions(revisions)} {
		if err := tx.insertRows(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func rowsOfCalls(list []*change) rows {
	of := func(i int) *call.Call { return &list[i].obs.Call }
	return rows{"main.calls", len(list), []column{
		full("source", func(i int) string { return of(i).Source }),
		full("provider", func(i int) string { return of(i).Provider }),
		full("call_id", func(i int) string { return of(i).ID }),
		optional("agent_id", func(i int) string { return of(i).AgentID }),
		optional("agent_name", func(i int) string { return of(i).AgentName }),
		optional("agent_version", func(i int) string { return of(i).AgentVersion }),
		optional("flow_name", func(i int) string { return of(i).FlowName }),
		full("channel", func(i int) string { return string(of(i).Channel) }),
		full("direction", func(i int) string { return string(of(i).Direction) }),
		optional("from_number", func(i int) string { return of(i).FromNumber }),
		optional("to_number", func(i int) string { return of(i).ToNumber }),
		optional("customer_number", func(i int) string { return of(i).CustomerNumber }),
		optional("telephony_sid", func(i int) string { return of(i).TelephonySID }),
		full("status", func(i int) string { return string(of(i).Status) }),
		optional("status_raw", func(i int) string { return of(i).StatusRaw }),
		optional("end_reason", func(i int) string { return string(of(i).EndReason) }),
		value("is_final", duckdb.TYPE_BOOLEAN, func(i int) bool { return of(i).Status.Final() }),
		moment("started_at", func(i int) *time.Time { return of(i).StartedAt }),
		moment("ended_at", func(i int) *time.Time { return of(i).EndedAt }),
		pointed("duration_ms", duckdb.TYPE_BIGINT, func(i int) *int64 { return of(i).DurationMS }),
		money("cost", func(i int) *call.Amount { return of(i).Cost }),
		optional("cost_currency", func(i int) string { return of(i).CostCurrency }),
		optional("summary", func(i int) string { return of(i).Summary }),
		optional("recording_url", func(i int) string { return of(i).RecordingURL }),
		pointed("is_test", duckdb.TYPE_BOOLEAN, func(i int) *bool { return of(i).IsTest }),
		optional("metadata", func(i int) string { return of(i).Metadata }),
		value("revision", duckdb.TYPE_INTEGER, func(i int) int32 { return list[i].revision() }),
		value("first_seen_at", duckdb.TYPE_TIMESTAMP_TZ, func(i int) time.Time { return list[i].firstSeenAt() }),
		value("changed_at", duckdb.TYPE_TIMESTAMP_TZ, func(i int) time.Time { return list[i].changedAt() }),
		moment("deleted_at", func(i int) *time.Time { return list[i].deletedAt() }),
	}}
}

func rowsOfCosts(list []childOf[call.Cost]) rows {
	return rows{"main.call_costs", len(list), append(keys(list),
		full("component", func(i int) string { return string(list[i].value.Component) }),
		optional("vendor", func(i int) string { return list[i].value.Vendor }),
		money("amount", func(i int) *call.Amount { return list[i].value.Amount }),
		optional("currency", func(i int) string { return list[i].value.Currency }),
		pointed("input_tokens", duckdb.TYPE_BIGINT, func(i int) *int64 { return list[i].value.InputTokens }),
		pointed("output_tokens", duckdb.TYPE_BIGINT, func(i int) *int64 { return list[i].value.OutputTokens }),
		moment("started_at", func(i int) *time.Time { return list[i].of.StartedAt }),
	)}
}

func rowsOfMessages(list []childOf[call.Message]) rows {
	return rows{"main.call_messages", len(list), append(keys(list),
		optional("role", func(i int) string { return string(list[i].value.Role) }),
		full("content", func(i int) string { return list[i].value.Content }),
		pointed("offset_ms", duckdb.TYPE_BIGINT, func(i int) *int64 { return list[i].value.OffsetMS }),
		moment("started_at", func(i int) *time.Time { return list[i].of.StartedAt }),
	)}
}

func rowsOfFunctions(list []childOf[call.Function]) rows {
	return rows{"main.call_functions", len(list), append(keys(list),
		optional("name", func(i int) string { return list[i].value.Name }),
		optional("params", func(i int) string { return list[i].value.Params }),
		optional("result", func(i int) string { return list[i].value.Result }),
		moment("started_at", func(i int) *time.Time { return list[i].of.StartedAt }),
	)}
}

func rowsOfRevisions(list []childOf[field]) rows {
	return rows{"main.call_revisions", len(list), []column{
		full("source", func(i int) string { return list[i].of.Source }),
		full("call_id", func(i int) string { return list[i].of.ID }),
		value("revision", duckdb.TYPE_INTEGER, func(i int) int32 { return list[i].change.revision() }),
		value("changed_at", duckdb.TYPE_TIMESTAMP_TZ, func(i int) time.Time { return list[i].change.obs.FetchedAt }),
		full("field", func(i int) string { return list[i].value.name }),
		optional("old_value", func(i int) string { return list[i].value.before }),
		optional("new_value", func(i int) string { return list[i].value.after }),
	}}
}

// childOf is one row that belongs to a call.
type childOf[T any] struct {
	change *change
	of     *call.Call
	seq    int32 // from 0, in the provider's order
	value  T
}

// keys are the columns that a child table begins with.
func keys[T any](list []childOf[T]) []column {
	return []column{
		full("source", func(i int) string { return list[i].of.Source }),
		full("call_id", func(i int) string { return list[i].of.ID }),
		value("seq", duckdb.TYPE_INTEGER, func(i int) int32 { return list[i].seq }),
	}
}

func children[T any](list []childOf[T], c *change, values []T) []childOf[T] {
	for i, v := range values {
		list = append(list, childOf[T]{c, &c.obs.Call, int32(i), v})
	}
	return list
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

// firstSeenAt is when the call was seen first.
func (c *change) firstSeenAt() time.Time {
	if c.before != nil {
		return c.before.firstSeenAt
	}
	return c.obs.FetchedAt
}

// changedAt is when a field of the call changed last.
func (c *change) changedAt() time.Time {
	if c.before != nil && len(c.fields) == 0 {
		return c.before.changedAt
	}
	return c.obs.FetchedAt
}

// deletedAt is when the call was deleted. To be listed brings it back, to be derived again does not.
func (c *change) deletedAt() *time.Time {
	if c.again {
		return c.before.deletedAt
	}
	return nil
}
