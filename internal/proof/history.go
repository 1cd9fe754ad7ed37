package proof

import "fmt"

// historyQuestion holds the histories of the given sources' calls: each field's revisions are one chain, whose end is what the call is now, in
// the words in which the writer writes it. What a revision says of costs is compared where vendors have plain names: others would have to be
// escaped as JSON just as the writer does.
func historyQuestion(sources []string) question {
	return question{fmt.Sprintf(`
		WITH changes AS MATERIALIZED (
			SELECT source, call_id, field, revision, changed_at, old_value, new_value,
				lag(new_value) OVER w AS before, lag(revision) OVER w IS NULL AS is_first, lead(revision) OVER w IS NULL AS is_last
			FROM call_revisions WHERE source IN %[1]s
			WINDOW w AS (PARTITION BY source, call_id, field ORDER BY revision)
		), spoken AS (
			SELECT source, call_id, count(*) || ' turns, ' || sum(strlen(content)) || ' bytes' AS told
			FROM call_messages SEMI JOIN (SELECT source, call_id FROM changes WHERE is_last AND field = 'messages') USING (source, call_id)
			GROUP BY source, call_id
		), made AS (
			SELECT source, call_id, count(*) || ': ' || string_agg(coalesce(name, ''), ', ' ORDER BY seq) AS told
			FROM call_functions SEMI JOIN (SELECT source, call_id FROM changes WHERE is_last AND field = 'functions') USING (source, call_id)
			GROUP BY source, call_id
		), priced AS (
			SELECT source, call_id, '[' || string_agg('{"component":"' || component || '"' || coalesce(',"vendor":"' || vendor || '"', '')
				|| coalesce(',"amount":"' || amount || '"', '') || coalesce(',"currency":"' || currency || '"', '')
				|| coalesce(',"input_tokens":' || input_tokens, '') || coalesce(',"output_tokens":' || output_tokens, '') || '}', ',' ORDER BY seq) || ']' AS told,
				bool_and(regexp_full_match(coalesce(vendor, '') || coalesce(currency, ''), '[A-Za-z0-9 ._:/-]*')) AS plain
			FROM call_costs SEMI JOIN (SELECT source, call_id FROM changes WHERE is_last AND field = 'costs') USING (source, call_id)
			GROUP BY source, call_id
		), rows_told AS (
			SELECT source, call_id, 'messages' AS field, told, true AS plain FROM spoken
			UNION ALL SELECT source, call_id, 'functions', told, true FROM made
			UNION ALL SELECT source, call_id, 'costs', told, plain FROM priced
		), ends AS MATERIALIZED (
			SELECT h.source || '/' || h.call_id AS example, h.new_value, c.revision = h.revision AND c.changed_at <> h.changed_at AS misdated, h.field,
				coalesce(t.plain, true) AS plain,
				CASE h.field WHEN 'call_id' THEN c.call_id WHEN 'agent_id' THEN c.agent_id WHEN 'agent_name' THEN c.agent_name
					WHEN 'agent_version' THEN c.agent_version WHEN 'flow_name' THEN c.flow_name WHEN 'channel' THEN c.channel WHEN 'direction' THEN c.direction
					WHEN 'from_number' THEN c.from_number WHEN 'to_number' THEN c.to_number WHEN 'customer_number' THEN c.customer_number
					WHEN 'telephony_sid' THEN c.telephony_sid WHEN 'status' THEN c.status WHEN 'status_raw' THEN c.status_raw WHEN 'end_reason' THEN c.end_reason
					WHEN 'started_at' THEN %[2]s WHEN 'ended_at' THEN %[3]s WHEN 'deleted_at' THEN %[4]s
					WHEN 'duration_ms' THEN c.duration_ms::VARCHAR WHEN 'cost' THEN c.cost::VARCHAR WHEN 'cost_currency' THEN c.cost_currency
					WHEN 'summary' THEN c.summary WHEN 'is_test' THEN c.is_test::VARCHAR WHEN 'metadata' THEN c.metadata
					ELSE t.told END AS present
			FROM changes AS h JOIN calls AS c ON c.source = h.source AND c.call_id = h.call_id
			LEFT JOIN rows_told AS t ON t.source = h.source AND t.call_id = h.call_id AND t.field = h.field
			WHERE h.is_last
		)
		SELECT 0, source || '/' || call_id FROM changes WHERE NOT is_first AND before IS DISTINCT FROM old_value
		UNION ALL
		SELECT 1, source || '/' || call_id FROM changes WHERE old_value IS NOT DISTINCT FROM new_value AND field NOT IN ('messages', 'functions')
		UNION ALL
		SELECT 2, example FROM ends WHERE plain AND present IS DISTINCT FROM new_value
		UNION ALL
		SELECT 3, example FROM ends WHERE misdated
		UNION ALL
		SELECT 3, source || '/' || call_id FROM calls WHERE revision = 1 AND changed_at <> first_seen_at AND source IN %[1]s`,
		quoted(sources), instantText("c.started_at"), instantText("c.ended_at"), instantText("c.deleted_at")),
		[]check{
			{3, "call_revisions", "a field changed from what it had not become before: a change between was lost"},
			{3, "call_revisions", "a field changed to what it was: the change is none"},
			{3, "call_revisions", "the last change of a field did not make it what it is: the call was changed without a revision, or the revision without the call"},
			{3, "calls", "changed_at is not when the call changed last"},
		}}
}

// instantText writes a time as the writer writes it into a revision, whatever time zone the session has.
func instantText(column string) string {
	return `rtrim(rtrim(strftime(make_timestamp(epoch_us(` + column + `)), '%Y-%m-%dT%H:%M:%S.%f'), '0'), '.') || 'Z'`
}
