package proof

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// callQuestion holds the calls themselves, one by one. oneID are the sources whose calls are known under one id alone.
func callQuestion(oneID []string) question {
	return question{rows: "calls", example: `source || '/' || call_id`, conditions: []condition{
		{`source = '' OR provider = '' OR call_id = ''`,
			check{9, "calls", "a call without a source, a provider or an id: it cannot be told from others"}},
		{`is_final <> (status IN ('completed', 'voicemail', 'no_answer', 'busy', 'canceled', 'failed'))
			OR status NOT IN ('queued', 'ringing', 'in_progress', 'completed', 'voicemail', 'no_answer', 'busy', 'canceled', 'failed', 'unknown')
			OR channel NOT IN ('phone', 'web', 'chat', 'unknown') OR direction NOT IN ('inbound', 'outbound', 'unknown')`,
			check{3, "calls", "a status, channel or direction that syncd has no such word for, or a status that is not as final as is_final says"}},
		{`revision = 1 AND changed_at <> first_seen_at AND source IN ` + quoted(oneID), misdated()},
	}}
}

// misdated is that a call's date of change is none.
func misdated() check { return check{3, "calls", "changed_at is not when the call changed last"} }

// wordQuestions hold the words of costs and turns.
func wordQuestions() []question {
	return []question{
		{rows: "call_costs", example: `source || '/' || call_id`, conditions: []condition{{`component NOT IN ('llm', 'tts', 'stt', 'telephony', 'platform', 'other')`,
			check{3, "call_costs", "a component that syncd has no such word for"}}}},
		{rows: "call_messages", example: `source || '/' || call_id`, conditions: []condition{{`role NOT IN ('agent', 'customer', 'system', 'tool')`,
			check{3, "call_messages", "a role that syncd has no such word for"}}}},
	}
}

// children are the tables whose rows a call has in a sequence, by their places in belongings.
func children() []string { return []string{"call_costs", "call_messages", "call_functions"} }

// belongings are all rows that belong to a call, one group for each call and table of them, beside their call. Each call has a row of its own, without
// a number, in the groups of payloads and of revisions, so that these are there for every call. A part of a payload has no number, and its name's hash
// stands for it.
const belongings = `(
	SELECT g.*, g.source || '/' || g.call_id AS example, c.call_id IS NULL AS orphan, c.revision, c.deleted_at,
		NOT orphan AND n > 0 AND (earliest IS DISTINCT FROM c.started_at OR latest IS DISTINCT FROM c.started_at OR started NOT IN (0, n)) AS astray
	FROM (
		SELECT of, source, call_id, count(number) AS n, count(DISTINCT number) AS different, min(number) AS lowest, max(number) AS highest, count(*) - count(number) AS calls,
			min(started_at) AS earliest, max(started_at) AS latest, count(started_at) AS started, min(reading) AS first_reading, bool_or(deletion) AS deletion
		FROM (
			SELECT 0 AS of, source, call_id, seq::BIGINT AS number, started_at, NULL::BIGINT AS reading, NULL::BOOLEAN AS deletion FROM call_costs
			UNION ALL SELECT 1, source, call_id, seq, started_at, NULL, NULL FROM call_messages
			UNION ALL SELECT 2, source, call_id, seq, started_at, NULL, NULL FROM call_functions
			UNION ALL SELECT 3, source, call_id, (hash(part) >> 1)::BIGINT, started_at, reading, NULL FROM raw_calls
			UNION ALL SELECT 3, source, call_id, NULL, NULL, NULL, NULL FROM calls
			UNION ALL SELECT 4, source, call_id, revision, NULL, NULL, field = 'deleted_at' FROM call_revisions
			UNION ALL SELECT 4, source, call_id, NULL, NULL, NULL, NULL FROM calls)
		GROUP BY of, source, call_id) AS g
	LEFT JOIN calls AS c ON c.source = g.source AND c.call_id = g.call_id)`

// belongingQuestion holds what belongs to calls: costs, turns, tool calls, payloads, and revisions, of which a new call is 1, and each change leaves its
// rows under the next number.
func belongingQuestion() question {
	var all []condition
	for of, table := range children() {
		when := func(text string) string { return fmt.Sprintf("of = %d AND (%s)", of, text) }
		all = append(all,
			condition{when("orphan"), check{1, table, "rows of a call that is not there: they were written without it, or it went without them"}},
			condition{when("astray"), check{1, table, "rows that bear another start than their call: the writer would not find them there again"}},
			condition{when("different < n"), check{9, table, "two rows of a call bear one number: they are counted twice"}},
			condition{when("lowest <> 0 OR highest <> different - 1"),
				check{3, table, "the numbers of a call's rows do not run from 0 without a hole: some were lost"}})
	}
	return question{rows: belongings, example: "example", conditions: append(all,
		condition{"of = 3 AND orphan", check{1, "raw_calls", "a payload of a call that is not there: it was written without it, or the call went without it"}},
		condition{"of = 3 AND n = 0", check{1, "raw_calls", "a call without any payload: nothing tells what it was derived from, and it would be taken for new"}},
		condition{"of = 3 AND astray", check{1, "raw_calls", "payloads that bear another start than their call: the writer would not find them there again"}},
		condition{"of = 3 AND different < n", check{9, "raw_calls", "a part of a call has more than one payload: which of them is the newest is left to chance"}},
		condition{"of = 3 AND first_reading < 1", check{5, "raw_calls", "a payload without the number of its reading: whatever comes late would replace it"}},
		condition{"of = 3 AND calls > 1", check{9, "calls", "a call has more than one row: whatever is counted counts it twice"}},
		condition{"of = 4 AND orphan", check{1, "call_revisions", "revisions of a call that is not there"}},
		condition{"of = 4 AND NOT orphan AND (revision <> coalesce(highest, 1) OR coalesce(lowest, 2) <> 2 OR different <> revision - 1)",
			check{3, "call_revisions", "a call's revisions do not run from 2 to its own: a change was lost, or was counted without its rows"}},
		condition{"of = 4 AND deleted_at IS NOT NULL AND deletion IS NOT true",
			check{3, "call_revisions", "a call was marked as deleted without a revision that says so"}},
	)}
}

// payloadQuestions hold that payloads are there, and are what a provider's answer can be, and the numbers of their readings.
func payloadQuestions(rawSince time.Time) []question {
	return []question{
		{rows: "raw_calls", example: `source || '/' || call_id || '/' || part`, conditions: []condition{
			{`payload IS NULL AND epoch_us(fetched_at) >= ` + micros(rawSince),
				check{6, "raw_calls", "a payload is not there, though none of its age was dropped"}},
			{`payload IS NOT NULL AND NOT json_valid(payload)`,
				check{6, "raw_calls", "a payload that is empty or no JSON: a response was taken for what it was not"}},
		}},
		{rows: `(SELECT reading, min(source) AS one, max(source) AS other FROM raw_calls GROUP BY reading)`, example: `'reading ' || reading`, conditions: []condition{
			{`one <> other`, check{5, "raw_calls", "one reading brought payloads of two sources: its number was given twice, and does not tell the newer"}},
		}},
	}
}

// micros is a moment as a literal: microseconds since 1970. The zero time lies before every other.
func micros(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

// quoted is a list of texts as SQL writes it.
func quoted(texts []string) string {
	list := make([]string, len(texts))
	for i, t := range texts {
		list[i] = "'" + strings.ReplaceAll(t, "'", "''") + "'"
	}
	return "(" + strings.Join(append(list, "NULL"), ", ") + ")"
}
