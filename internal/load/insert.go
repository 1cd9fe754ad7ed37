package load

import (
	"context"
	"fmt"
	"slices"

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
	if err := tx.appendRows("temp", "main", "moved", len(moves), func(r *row, i int) {
		c := moves[i].change
		r.text(moves[i].id)
		r.text(c.old.key)
		r.time(c.obs.Call.StartedAt)
		r.add(len(c.old.ids) > 1)
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
	if err := tx.insertPayloads(written); err != nil {
		return err
	}
	return tx.insertCalls(written)
}

func (tx *Tx) insertPayloads(written []*change) error {
	var payloads []childOf[*call.Observation]
	for _, c := range written {
		payloads = children(payloads, c, c.parts)
	}
	return tx.appendRows("", "main", "raw_calls", len(payloads), func(r *row, i int) {
		k, o := payloads[i].of, payloads[i].value
		r.word(k.Source)
		r.text(k.ID)
		r.word(string(o.Part))
		r.full(o.Payload)
		r.add(o.FetchedAt, o.ContentHash, o.Reading)
		r.time(k.StartedAt)
	})
}

func (tx *Tx) insertCalls(written []*change) error {
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
	if err := tx.appendRows("", "main", "calls", len(calls), func(r *row, i int) { calls[i].fill(r) }); err != nil {
		return err
	}
	if err := tx.appendRows("", "main", "call_costs", len(costs), func(r *row, i int) {
		c := costs[i].value
		costs[i].key(r)
		r.word(string(c.Component))
		r.word(c.Vendor)
		r.amount(c.Amount)
		r.word(c.Currency)
		r.count(c.InputTokens)
		r.count(c.OutputTokens)
		r.time(costs[i].of.StartedAt)
	}); err != nil {
		return err
	}
	if err := tx.appendRows("", "main", "call_messages", len(messages), func(r *row, i int) {
		m := messages[i].value
		messages[i].key(r)
		r.word(string(m.Role))
		r.full(m.Content)
		r.count(m.OffsetMS)
		r.time(messages[i].of.StartedAt)
	}); err != nil {
		return err
	}
	if err := tx.appendRows("", "main", "call_functions", len(functions), func(r *row, i int) {
		f := functions[i].value
		functions[i].key(r)
		r.word(f.Name)
		r.text(f.Params)
		r.text(f.Result)
		r.time(functions[i].of.StartedAt)
	}); err != nil {
		return err
	}
	return tx.appendRows("", "main", "call_revisions", len(revisions), func(r *row, i int) {
		v := revisions[i]
		r.word(v.of.Source)
		r.text(v.of.ID)
		r.add(v.change.revision(), v.change.obs.FetchedAt)
		r.word(v.value.name)
		r.text(v.value.before)
		r.text(v.value.after)
	})
}

// childOf is one row that belongs to a call.
type childOf[T any] struct {
	change *change
	of     *call.Call
	seq    int32 // from 0, in the provider's order
	value  T
}

// key adds what a row of a child table begins with.
func (c childOf[T]) key(r *row) {
	r.word(c.of.Source)
	r.text(c.of.ID)
	r.add(c.seq)
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

// fill makes a row of calls, in the order of its columns.
func (c *change) fill(r *row) {
	k := &c.obs.Call
	firstSeenAt, changedAt := c.obs.FetchedAt, c.obs.FetchedAt
	if c.before != nil {
		firstSeenAt = c.before.firstSeenAt
		if len(c.fields) == 0 {
			changedAt = c.before.changedAt
		}
	}
	r.word(k.Source)
	r.word(k.Provider)
	r.text(k.ID)
	r.word(k.AgentID)
	r.word(k.AgentName)
	r.word(k.AgentVersion)
	r.word(k.FlowName)
	r.word(string(k.Channel))
	r.word(string(k.Direction))
	r.text(k.FromNumber)
	r.text(k.ToNumber)
	r.text(k.CustomerNumber)
	r.text(k.TelephonySID)
	r.word(string(k.Status))
	r.word(k.StatusRaw)
	r.word(string(k.EndReason))
	r.add(k.Status.Final())
	r.time(k.StartedAt)
	r.time(k.EndedAt)
	r.count(k.DurationMS)
	r.amount(k.Cost)
	r.word(k.CostCurrency)
	r.text(k.Summary)
	r.text(k.RecordingURL)
	r.truth(k.IsTest)
	r.text(k.Metadata)
	r.add(c.revision(), firstSeenAt, changedAt, nil)
}
