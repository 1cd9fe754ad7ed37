package proof

import (
	"fmt"
	"time"
)

// keyQuestion holds that the tables whose keys no other question looks at have no key twice.
func keyQuestion() question {
	return question{rows: `(
		SELECT of, first || second || third AS example, count(*) AS n
		FROM (
			SELECT 0 AS of, run_id AS first, '' AS second, '' AS third FROM sync.runs
			UNION ALL SELECT 1, reject_id, '', '' FROM sync.rejects
			UNION ALL SELECT 2, source, ': ' || path, '' FROM sync.drift
			UNION ALL SELECT 3, source, '/' || call_id, '/' || part FROM sync.details
			UNION ALL SELECT 4, source, '/' || window_id, '' FROM sync.windows
			UNION ALL SELECT 5, kind, '/' || hash, '' FROM sync.suppressed)
		GROUP BY of, first, second, third)`, example: "example", conditions: []condition{
		{"n > 1 AND of = 0", check{9, "sync.runs", "a run has more than one record: its counts are counted twice"}},
		{"n > 1 AND of = 1", check{9, "sync.rejects", "a reject has more than one row"}},
		{"n > 1 AND of = 2", check{9, "sync.drift", "an oddity has more than one row"}},
		{"n > 1 AND of = 3", check{9, "sync.details", "a try for one answer has more than one row"}},
		{"n > 1 AND of = 4", check{9, "sync.windows", "two windows bear one id"}},
		{"n > 1 AND of = 5", check{9, "sync.suppressed", "somebody is kept out twice: calls that were erased are counted twice"}},
	}}
}

// recordQuestions hold the records of runs, what they counted against what is there, and the rejects. oneID are the sources of which two rows never become
// one call, so that as many calls are there as were inserted, and no fewer.
func recordQuestions(oneID []string, runsSince, rawSince time.Time) []question {
	return []question{
		{rows: "sync.runs", example: "run_id", conditions: []condition{
			{`records <> inserted + updated + unchanged + rejected`,
				check{2, "sync.runs", "the counts of a run do not add up: a record was fetched and is neither inserted, updated, unchanged nor rejected"}},
			{`least(requests, retries, pages, records, inserted, updated, unchanged, rejected, drift) < 0 OR coalesce(runs, 1) < 1`,
				check{2, "sync.runs", "a count below nothing"}},
			{`outcome NOT IN ('running', 'done', 'failed', 'stopped', 'interrupted') OR (finished_at IS NULL) <> (outcome IN ('running', 'interrupted'))
				OR (outcome = 'failed') <> (error IS NOT NULL) OR kind = ''`,
				check{2, "sync.runs", "a run whose outcome, end and error do not belong together"}},
			{hasNumber("kind", "error"), numberCheck()},
		}},
		countQuestion(oneID, runsSince),
		{about: "sync.rejects", rows: "sync.rejects", example: "reject_id", conditions: []condition{
			{`reason = ''`, check{6, "sync.rejects", "a reject without a reason: nobody can tell what was wrong with it"}},
			{`payload IS NULL AND epoch_us(fetched_at) >= ` + micros(rawSince),
				check{6, "sync.rejects", "a reject without its bytes, though none of its age were dropped"}},
			{hasNumber("reason", "detail"), numberCheck()},
		}},
		{about: "sync.rejects", rows: `(SELECT j.*, r.run_id IS NULL AS unknown, r.rejected
			FROM (SELECT run_id, source, count(*) AS n, max(fetched_at) AS last FROM sync.rejects GROUP BY run_id, source) AS j
			LEFT JOIN sync.runs AS r ON r.run_id = j.run_id AND r.source = j.source)`, example: "run_id", conditions: []condition{
			{`unknown AND epoch_us(last) >= ` + micros(runsSince) + ` OR rejected < n`, check{2, "sync.rejects", "rejects that their run did not count"}},
		}},
	}
}

// countQuestion holds what there is of each source against what its runs counted, and that the source is recorded.
func countQuestion(oneID []string, since time.Time) question {
	rows := fmt.Sprintf(`(
		SELECT source, sum(recorded) AS recorded, sum(calls) AS calls, sum(inserted) AS inserted, sum(occurrences) AS occurrences, sum(counted) AS counted,
			sum(erased) AS erased
		FROM (
			SELECT source, 1 AS recorded, 0 AS calls, 0 AS inserted, 0 AS occurrences, 0 AS counted, 0 AS erased FROM sync.sources
			UNION ALL SELECT source, 0, CASE WHEN epoch_us(first_seen_at) >= %s THEN 1 ELSE 0 END, 0, 0, 0, 0 FROM calls
			UNION ALL SELECT source, 0, 0, inserted, 0, drift, 0 FROM sync.runs
			UNION ALL SELECT source, 0, 0, 0, occurrences, 0, 0 FROM sync.drift
			UNION ALL SELECT source, 0, 0, 0, 0, 0, CASE WHEN erased THEN 1 ELSE 0 END FROM sync.suppressed WHERE kind = 'call'
			UNION ALL SELECT source, 0, 0, 0, 0, 0, 0 FROM raw_calls
			UNION ALL SELECT source, 0, 0, 0, 0, 0, 0 FROM sync.windows
			UNION ALL SELECT source, 0, 0, 0, 0, 0, 0 FROM sync.rejects
			UNION ALL SELECT source, 0, 0, 0, 0, 0, 0 FROM sync.forced)
		GROUP BY source)`, micros(since))
	whole := fmt.Sprint(since.IsZero()) // no record of a run was dropped
	return question{rows: rows, example: "source", conditions: []condition{
		{"calls > inserted OR " + whole + " AND calls + erased > inserted", check{2, "calls", "calls that no run says it inserted"}},
		{whole + " AND source IN " + quoted(oneID) + " AND calls + erased < inserted", check{2, "calls", "fewer calls than the runs inserted: some have vanished"}},
		{"occurrences < counted OR " + whole + " AND occurrences > counted",
			check{2, "sync.drift", "the oddities that are recorded and those that the runs counted are not as many"}},
		{"recorded > 1", check{9, "sync.sources", "a source has more than one row: what is shown of it is shown twice"}},
		{"recorded = 0", check{1, "sync.sources", "rows of a source that is not recorded: nothing tells what is wanted of it, and nothing of it is missing"}},
	}}
}

// detailQuestion holds the tries for details.
func detailQuestion() question {
	return question{about: "sync.details", rows: `(
		SELECT t.*, t.source || '/' || t.call_id || '/' || t.part AS example, c.call_id IS NULL AS orphan, l.reading AS listed
		FROM sync.details AS t LEFT JOIN calls AS c ON c.source = t.source AND c.call_id = t.call_id
		LEFT JOIN raw_calls AS l ON l.source = t.source AND l.call_id = t.call_id AND l.part = 'list')`, example: "example", conditions: []condition{
		{`orphan`, check{1, "sync.details", "a try for details of a call that is not there"}},
		{`state NOT IN ('missing', 'failed', 'incomplete') OR attempts < 1 OR state <> 'incomplete' AND error IS NULL`,
			check{2, "sync.details", "a try for details that does not tell what became of it"}},
		{`NOT orphan AND reading > coalesce(listed, 0)`,
			check{5, "sync.details", "a try for details belongs to a list payload newer than the one that is stored: that was put back to an older one"}},
		{hasNumber("error"), numberCheck()},
	}}
}

// suppressedQuestion holds the list of those who are kept out.
func suppressedQuestion() question {
	return question{about: "sync.suppressed", rows: `(SELECT *, count(*) FILTER (kind = 'key') OVER () AS keys FROM sync.suppressed)`, example: "kind", conditions: []condition{
		{`kind NOT IN ('key', 'number', 'national', 'call') OR (kind IN ('number', 'national')) <> (length IS NOT NULL) OR (kind = 'call') <> (source IS NOT NULL)
			OR erased AND kind <> 'call' OR keys <> 1`,
			check{2, "sync.suppressed", "a row of those who are kept out that does not tell what it is of, or by which key: nobody could be kept out by it"}},
		{`NOT regexp_full_match(hash, '[0-9a-f]{64}')`, check{7, "sync.suppressed", "somebody who is kept out is named by something else than a digest"}},
	}}
}

// sourceQuestion holds the records of sources.
func sourceQuestion() question {
	return question{rows: "sync.sources", example: "source", conditions: []condition{
		{`state NOT IN ('active', 'parked') OR (state = 'parked') <> (reason IS NOT NULL)`,
			check{1, "sync.sources", "a source that is neither active nor parked for a reason"}},
		{`(provider_total IS NULL) <> (reconciled_at IS NULL) OR (warehouse_total IS NULL) <> (reconciled_at IS NULL) OR least(provider_total, warehouse_total) < 0`,
			check{2, "sync.sources", "the totals of a source were not taken at one moment"}},
		{hasNumber("reason", "rules", "schedule", "reread"), numberCheck()},
	}}
}
