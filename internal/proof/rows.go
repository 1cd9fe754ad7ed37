package proof

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// callQuestion holds the calls themselves.
func callQuestion() question {
	return question{`
		SELECT 0, source || '/' || call_id FROM calls GROUP BY source, call_id HAVING count(*) > 1
		UNION ALL
		SELECT 1, source || '/' || call_id FROM calls WHERE source = '' OR provider = '' OR call_id = ''
		UNION ALL
		SELECT 2, source || '/' || call_id FROM calls
		WHERE is_final <> (status IN ('completed', 'voicemail', 'no_answer', 'busy', 'canceled', 'failed'))
			OR status NOT IN ('queued', 'ringing', 'in_progress', 'completed', 'voicemail', 'no_answer', 'busy', 'canceled', 'failed', 'unknown')
			OR channel NOT IN ('phone', 'web', 'chat', 'unknown') OR direction NOT IN ('inbound', 'outbound', 'unknown')
		UNION ALL
		SELECT 3, source || '/' || call_id FROM call_costs WHERE component NOT IN ('llm', 'tts', 'stt', 'telephony', 'platform', 'other')
		UNION ALL
		SELECT 4, source || '/' || call_id FROM call_messages WHERE role NOT IN ('agent', 'customer', 'system', 'tool')`,
		[]check{
			{9, "calls", "a call has more than one row: whatever is counted counts it twice"},
			{9, "calls", "a call without a source, a provider or an id: it cannot be told from others"},
			{3, "calls", "a status, channel or direction that syncd has no such word for, or a status that is not as final as is_final says"},
			{3, "call_costs", "a component that syncd has no such word for"},
			{3, "call_messages", "a role that syncd has no such word for"},
		}}
}

// childQuestion holds a table of costs, turns or tool calls: one group of rows for each call.
func childQuestion(table string) question {
	return question{fmt.Sprintf(`
		WITH told AS (
			SELECT source, call_id, count(*) AS n, count(DISTINCT seq) AS different, min(seq) AS lowest, max(seq) AS highest,
				min(started_at) AS earliest, max(started_at) AS latest, count(started_at) AS started
			FROM %s GROUP BY source, call_id
		), odd AS MATERIALIZED (
			SELECT t.source || '/' || t.call_id AS example, c.call_id IS NULL AS orphan,
				NOT orphan AND (earliest IS DISTINCT FROM c.started_at OR latest IS DISTINCT FROM c.started_at OR started NOT IN (0, n)) AS astray,
				different < n AS twice, lowest <> 0 OR highest <> different - 1 AS holed
			FROM told AS t LEFT JOIN calls AS c ON c.source = t.source AND c.call_id = t.call_id
			WHERE orphan OR astray OR twice OR holed
		)
		SELECT 0, example FROM odd WHERE orphan
		UNION ALL SELECT 1, example FROM odd WHERE astray
		UNION ALL SELECT 2, example FROM odd WHERE twice
		UNION ALL SELECT 3, example FROM odd WHERE holed`, table),
		[]check{
			{1, table, "rows of a call that is not there: they were written without it, or it went without them"},
			{1, table, "rows that bear another start than their call: the writer would not find them there again"},
			{9, table, "two rows of a call bear one number: they are counted twice"},
			{3, table, "the numbers of a call's rows do not run from 0 without a hole: some were lost"},
		}}
}

// payloadQuestion holds the raw payloads.
func payloadQuestion(rawSince time.Time) question {
	return question{`
		WITH told AS (
			SELECT source, call_id, count(*) AS n, count(DISTINCT part) AS different, min(reading) AS lowest,
				min(started_at) AS earliest, max(started_at) AS latest, count(started_at) AS started
			FROM raw_calls GROUP BY source, call_id
		), odd AS MATERIALIZED (
			SELECT coalesce(t.source, c.source) || '/' || coalesce(t.call_id, c.call_id) AS example, c.call_id IS NULL AS orphan, t.call_id IS NULL AS bare,
				NOT orphan AND NOT bare AND (earliest IS DISTINCT FROM c.started_at OR latest IS DISTINCT FROM c.started_at OR started NOT IN (0, n)) AS astray,
				coalesce(different < n, false) AS twice, coalesce(lowest < 1, false) AS unread
			FROM told AS t FULL JOIN calls AS c ON c.source = t.source AND c.call_id = t.call_id
			WHERE orphan OR bare OR astray OR twice OR unread
		)
		SELECT 0, example FROM odd WHERE orphan
		UNION ALL SELECT 1, example FROM odd WHERE bare
		UNION ALL SELECT 2, example FROM odd WHERE astray
		UNION ALL SELECT 3, example FROM odd WHERE twice
		UNION ALL SELECT 4, example FROM odd WHERE unread
		UNION ALL SELECT 5, 'reading ' || reading FROM raw_calls GROUP BY reading HAVING min(source) <> max(source)
		UNION ALL SELECT 6, source || '/' || call_id || '/' || part FROM raw_calls WHERE payload IS NULL AND epoch_us(fetched_at) >= ` + micros(rawSince),
		[]check{
			{1, "raw_calls", "a payload of a call that is not there: it was written without it, or the call went without it"},
			{1, "raw_calls", "a call without any payload: nothing tells what it was derived from, and it would be taken for new"},
			{1, "raw_calls", "payloads that bear another start than their call: the writer would not find them there again"},
			{9, "raw_calls", "a part of a call has more than one payload: which of them is the newest is left to chance"},
			{5, "raw_calls", "a payload without the number of its reading: whatever comes late would replace it"},
			{5, "raw_calls", "one reading brought payloads of two sources: its number was given twice, and does not tell the newer"},
			{6, "raw_calls", "a payload is not there, though none of its age was dropped"},
		}}
}

// jsonQuestion holds that payloads are what a provider's answer can be.
func jsonQuestion() question {
	return question{`SELECT 0, source || '/' || call_id || '/' || part FROM raw_calls WHERE payload IS NOT NULL AND NOT json_valid(payload)`,
		[]check{{6, "raw_calls", "a payload that is empty or no JSON: a response was taken for what it was not"}}}
}

// revisionQuestion holds the numbers of revisions: a new call is 1, and each change leaves its rows under the next number.
func revisionQuestion() question {
	return question{`
		WITH told AS (
			SELECT source, call_id, count(DISTINCT revision) AS different, min(revision) AS lowest, max(revision) AS highest
			FROM call_revisions GROUP BY source, call_id
		), odd AS MATERIALIZED (
			SELECT coalesce(t.source, c.source) || '/' || coalesce(t.call_id, c.call_id) AS example, c.call_id IS NULL AS orphan,
				NOT orphan AND (c.revision <> coalesce(highest, 1) OR coalesce(lowest, 2) <> 2 OR coalesce(different, 0) <> c.revision - 1) AS holed
			FROM told AS t FULL JOIN calls AS c ON c.source = t.source AND c.call_id = t.call_id
			WHERE orphan OR holed
		)
		SELECT 0, example FROM odd WHERE orphan
		UNION ALL SELECT 1, example FROM odd WHERE holed
		UNION ALL SELECT 2, source || '/' || call_id FROM call_revisions GROUP BY source, call_id, revision, field HAVING count(*) > 1
		UNION ALL
		SELECT 3, source || '/' || call_id FROM calls AS c
		WHERE deleted_at IS NOT NULL AND NOT EXISTS (FROM call_revisions AS r WHERE r.source = c.source AND r.call_id = c.call_id AND r.field = 'deleted_at')`,
		[]check{
			{1, "call_revisions", "revisions of a call that is not there"},
			{3, "call_revisions", "a call's revisions do not run from 2 to its own: a change was lost, or was counted without its rows"},
			{9, "call_revisions", "a field changed twice in one revision"},
			{3, "call_revisions", "a call was marked as deleted without a revision that says so"},
		}}
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
