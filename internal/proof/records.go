package proof

import (
	"fmt"
	"time"
)

// runQuestion holds the records of runs, and what they counted against what is there. oneID are the sources of which two rows never become one
// call, so that as many calls are there as were inserted, and no fewer.
func runQuestion(oneID []string, since time.Time) question {
	return question{fmt.Sprintf(`
		SELECT 0, run_id FROM sync.runs WHERE records <> inserted + updated + unchanged + rejected
		UNION ALL
		SELECT 1, run_id FROM sync.runs
		WHERE least(requests, retries, pages, records, inserted, updated, unchanged, rejected, drift) < 0 OR coalesce(runs, 1) < 1
		UNION ALL
		SELECT 2, run_id FROM sync.runs
		WHERE outcome NOT IN ('running', 'done', 'failed', 'stopped', 'interrupted') OR (finished_at IS NULL) <> (outcome IN ('running', 'interrupted'))
			OR (outcome = 'failed') <> (error IS NOT NULL) OR kind = ''
		UNION ALL
		SELECT 3, run_id FROM sync.runs GROUP BY run_id HAVING count(*) > 1
		UNION ALL
		SELECT CASE WHEN coalesce(c.calls, 0) > coalesce(r.inserted, 0) THEN 4 ELSE 5 END, coalesce(c.source, r.source)
		FROM (SELECT source, count(*) AS calls FROM calls WHERE epoch_us(first_seen_at) >= %[1]s GROUP BY source) AS c
		FULL JOIN (SELECT source, sum(inserted) AS inserted FROM sync.runs GROUP BY source) AS r ON r.source = c.source
		WHERE coalesce(c.calls, 0) > coalesce(r.inserted, 0)
			OR %[2]t AND coalesce(c.source, r.source) IN %[3]s AND coalesce(c.calls, 0) < coalesce(r.inserted, 0)
		UNION ALL
		SELECT 6, coalesce(d.source, r.source)
		FROM (SELECT source, sum(occurrences) AS occurrences FROM sync.drift GROUP BY source) AS d
		FULL JOIN (SELECT source, sum(drift) AS counted FROM sync.runs GROUP BY source) AS r ON r.source = d.source
		WHERE coalesce(d.occurrences, 0) < coalesce(r.counted, 0) OR %[2]t AND coalesce(d.occurrences, 0) > coalesce(r.counted, 0)
		UNION ALL
		SELECT 7, source || ': ' || path FROM sync.drift GROUP BY source, path HAVING count(*) > 1`,
		micros(since), since.IsZero(), quoted(oneID)),
		[]check{
			{2, "sync.runs", "the counts of a run do not add up: a record was fetched and is neither inserted, updated, unchanged nor rejected"},
			{2, "sync.runs", "a count below nothing"},
			{2, "sync.runs", "a run whose outcome, end and error do not belong together"},
			{9, "sync.runs", "a run has more than one record: its counts are counted twice"},
			{2, "calls", "calls that no run says it inserted"},
			{2, "calls", "fewer calls than the runs inserted: some have vanished"},
			{2, "sync.drift", "the oddities that are recorded and those that the runs counted are not as many"},
			{9, "sync.drift", "an oddity has more than one row"},
		}}
}

// rejectQuestion holds the rejects.
func rejectQuestion(runsSince, rawSince time.Time) question {
	return question{fmt.Sprintf(`
		SELECT 0, reject_id FROM sync.rejects GROUP BY reject_id HAVING count(*) > 1
		UNION ALL
		SELECT 1, reject_id FROM sync.rejects WHERE reason = ''
		UNION ALL
		SELECT 2, reject_id FROM sync.rejects WHERE payload IS NULL AND epoch_us(fetched_at) >= %s
		UNION ALL
		SELECT 3, j.run_id FROM (SELECT run_id, source, count(*) AS n, max(fetched_at) AS last FROM sync.rejects GROUP BY run_id, source) AS j
		LEFT JOIN sync.runs AS r ON r.run_id = j.run_id AND r.source = j.source
		WHERE r.run_id IS NULL AND epoch_us(j.last) >= %s OR r.rejected < j.n`, micros(rawSince), micros(runsSince)),
		[]check{
			{9, "sync.rejects", "a reject has more than one row"},
			{6, "sync.rejects", "a reject without a reason: nobody can tell what was wrong with it"},
			{6, "sync.rejects", "a reject without its bytes, though none of its age were dropped"},
			{2, "sync.rejects", "rejects that their run did not count"},
		}}
}

// detailQuestion holds the tries for details.
func detailQuestion() question {
	return question{`
		SELECT 0, source || '/' || call_id FROM sync.details ANTI JOIN calls USING (source, call_id)
		UNION ALL
		SELECT 1, source || '/' || call_id || '/' || part FROM sync.details GROUP BY source, call_id, part HAVING count(*) > 1
		UNION ALL
		SELECT 2, source || '/' || call_id || '/' || part FROM sync.details
		WHERE state NOT IN ('missing', 'failed', 'incomplete') OR attempts < 1 OR state <> 'incomplete' AND error IS NULL
		UNION ALL
		SELECT 3, t.source || '/' || t.call_id || '/' || t.part FROM sync.details AS t SEMI JOIN calls USING (source, call_id)
		LEFT JOIN (SELECT source, call_id, max(reading) AS reading FROM raw_calls WHERE part = 'list' GROUP BY source, call_id) AS l
			ON l.source = t.source AND l.call_id = t.call_id
		WHERE t.reading > coalesce(l.reading, 0)`,
		[]check{
			{1, "sync.details", "a try for details of a call that is not there"},
			{9, "sync.details", "a try for one answer has more than one row"},
			{2, "sync.details", "a try for details that does not tell what became of it"},
			{5, "sync.details", "a try for details belongs to a list payload newer than the one that is stored: that was put back to an older one"},
		}}
}

// sourceQuestion holds the records of sources.
func sourceQuestion() question {
	return question{`
		SELECT 0, source FROM sync.sources GROUP BY source HAVING count(*) > 1
		UNION ALL
		SELECT 1, source FROM (
			SELECT DISTINCT source FROM calls UNION SELECT DISTINCT source FROM raw_calls UNION SELECT source FROM sync.windows UNION SELECT source FROM sync.runs
			UNION SELECT source FROM sync.rejects UNION SELECT source FROM sync.drift UNION SELECT source FROM sync.forced) ANTI JOIN sync.sources USING (source)
		UNION ALL
		SELECT 2, source FROM sync.sources
		WHERE state NOT IN ('active', 'parked') OR (state = 'parked') <> (reason IS NOT NULL)
		UNION ALL
		SELECT 3, source FROM sync.sources
		WHERE (provider_total IS NULL) <> (reconciled_at IS NULL) OR (warehouse_total IS NULL) <> (reconciled_at IS NULL) OR least(provider_total, warehouse_total) < 0`,
		[]check{
			{9, "sync.sources", "a source has more than one row: what is shown of it is shown twice"},
			{1, "sync.sources", "rows of a source that is not recorded: nothing tells what is wanted of it, and nothing of it is missing"},
			{1, "sync.sources", "a source that is neither active nor parked for a reason"},
			{2, "sync.sources", "the totals of a source were not taken at one moment"},
		}}
}
