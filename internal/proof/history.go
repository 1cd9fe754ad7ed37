package proof

import "fmt"

// histories are the revisions, each beside the one before it of its field, and beside what the call is now in the words in which the writer writes
// it. What a revision says of costs is compared where vendors have plain names: others would have to be escaped as JSON just as the writer does.
const histories = `(
	SELECT h.*, h.source || '/' || h.call_id AS example, c.revision AS last_revision, c.changed_at AS last_changed_at,
		is_last AND c.call_id IS NOT NULL AND coalesce(t.plain, true) AND h.new_value IS DISTINCT FROM
			CASE h.field WHEN 'call_id' THEN c.call_id WHEN 'agent_id' THEN c.agent_id WHEN 'agent_name' THEN c.agent_name
				WHEN 'agent_version' THEN c.agent_version WHEN 'flow_name' THEN c.flow_name WHEN 'channel' THEN c.channel WHEN 'direction' THEN c.direction
				WHEN 'from_number' THEN c.from_number WHEN 'to_number' THEN c.to_number WHEN 'customer_number' THEN c.customer_number
				WHEN 'telephony_sid' THEN c.telephony_sid WHEN 'status' THEN c.status WHEN 'status_raw' THEN c.status_raw WHEN 'end_reason' THEN c.end_reason
				WHEN 'started_at' THEN %[2]s WHEN 'ended_at' THEN %[3]s WHEN 'deleted_at' THEN %[4]s
				WHEN 'duration_ms' THEN c.duration_ms::VARCHAR WHEN 'cost' THEN c.cost::VARCHAR WHEN 'cost_currency' THEN c.cost_currency
				WHEN 'summary' THEN c.summary WHEN 'is_test' THEN c.is_test::VARCHAR WHEN 'metadata' THEN c.metadata
				WHEN 'messages' THEN t.n || ' turns, ' || t.bytes || ' bytes' WHEN 'functions' THEN t.n || ': ' || t.words[3:]
				WHEN 'costs' THEN '[' || t.words[2:] || ']' END AS is_another
	FROM (
		SELECT source, call_id, field, revision, changed_at, old_value, new_value, source IN %[1]s AS of_one_id,
			lag(new_value) OVER w AS before, lag(revision) OVER w AS previous, lead(revision) OVER w IS NULL AS is_last
		FROM call_revisions WINDOW w AS (PARTITION BY source, call_id, field ORDER BY revision)) AS h
	LEFT JOIN calls AS c ON c.source = h.source AND c.call_id = h.call_id
	LEFT JOIN (
		SELECT source, call_id, field, count(*) AS n, sum(bytes) AS bytes, string_agg(words, '' ORDER BY seq) AS words, bool_and(plain) AS plain
		FROM (
			SELECT source, call_id, 'messages' AS field, seq, strlen(content) AS bytes, NULL AS words, true AS plain FROM call_messages
			UNION ALL SELECT source, call_id, 'functions', seq, NULL, ', ' || coalesce(name, ''), true FROM call_functions
			UNION ALL SELECT source, call_id, 'costs', seq, NULL, ',{"component":"' || component || '"' || coalesce(',"vendor":"' || vendor || '"', '')
				|| coalesce(',"amount":"' || amount || '"', '') || coalesce(',"currency":"' || currency || '"', '')
				|| coalesce(',"input_tokens":' || input_tokens, '') || coalesce(',"output_tokens":' || output_tokens, '') || '}',
				regexp_full_match(coalesce(vendor, '') || coalesce(currency, ''), '[A-Za-z0-9 ._:/-]*') FROM call_costs)
		SEMI JOIN call_revisions USING (source, call_id, field)
		GROUP BY source, call_id, field) AS t ON t.source = h.source AND t.call_id = h.call_id AND t.field = h.field)`

// historyQuestion holds the histories of calls: in those of the given sources, each field's revisions are one chain, whose end is what the call is now.
func historyQuestion(oneID []string) question {
	rows := fmt.Sprintf(histories, quoted(oneID), instantText("c.started_at"), instantText("c.ended_at"), instantText("c.deleted_at"))
	return question{about: "call_revisions", rows: rows, example: "example", conditions: []condition{
		{`previous = revision`, check{9, "call_revisions", "a field changed twice in one revision"}},
		{`of_one_id AND previous IS NOT NULL AND before IS DISTINCT FROM old_value`,
			check{3, "call_revisions", "a field changed from what it had not become before: a change between was lost"}},
		{`of_one_id AND old_value IS NOT DISTINCT FROM new_value AND field NOT IN ('messages', 'functions')`,
			check{3, "call_revisions", "a field changed to what it was: the change is none"}},
		{`of_one_id AND is_another`,
			check{3, "call_revisions", "the last change of a field did not make it what it is: the call was changed without a revision, or the revision without the call"}},
		{`of_one_id AND is_last AND last_revision = revision AND last_changed_at <> changed_at`, misdated()},
	}}
}

// instantText writes a time as the writer writes it into a revision, whatever time zone the session has.
func instantText(column string) string {
	return `rtrim(rtrim(strftime(make_timestamp(epoch_us(` + column + `)), '%Y-%m-%dT%H:%M:%S.%f'), '0'), '.') || 'Z'`
}
