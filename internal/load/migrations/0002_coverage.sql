-- Coverage in full: re-reads, details, deletions, what is missing and what is unsettled.

-- configured: it stood in the configuration when a syncd last looked; the rows of a source that does not are kept, and nothing is asked for it.
-- interval_ms: the longest time between two ticks of its schedule. largest_age_ms: the largest age of reread, NULL where it is empty.
-- provider_total and warehouse_total: how many calls the provider had in all and how many were here, not deleted, at reconciled_at.
ALTER TABLE sync.sources ADD COLUMN configured BOOLEAN;
ALTER TABLE sync.sources ADD COLUMN interval_ms BIGINT;
ALTER TABLE sync.sources ADD COLUMN largest_age_ms BIGINT;
ALTER TABLE sync.sources ADD COLUMN provider_total BIGINT;
ALTER TABLE sync.sources ADD COLUMN warehouse_total BIGINT;
ALTER TABLE sync.sources ADD COLUMN reconciled_at TIMESTAMPTZ;
UPDATE sync.sources SET configured = true;

-- When an open window that failed may be tried again by the daemon; NULL: at once.
ALTER TABLE sync.windows ADD COLUMN retry_at TIMESTAMPTZ;

-- How many runs a row stands for: runs that brought nothing fold into one.
ALTER TABLE sync.runs ADD COLUMN runs BIGINT;
UPDATE sync.runs SET runs = 1;

-- What was asked to be read again whatever is proven (backfill --force) and has not been yet: what stands here shrinks with every window
-- that closes, in its transaction, so that an interrupted one goes on where it was.
CREATE TABLE sync.forced (
    source       VARCHAR NOT NULL,
    since        TIMESTAMPTZ NOT NULL,
    until        TIMESTAMPTZ NOT NULL,
    asked_since  TIMESTAMPTZ NOT NULL,
    asked_until  TIMESTAMPTZ NOT NULL,
    requested_at TIMESTAMPTZ NOT NULL
);

-- Answers about single calls that were asked for and did not come whole: 'missing' (the provider says there is none), 'failed', or
-- 'incomplete' (it came, and lacked what it should bring). What came whole has no row here: its payload in raw_calls says so. retry_at NULL:
-- never again, unless the call's list payload changes: reading is the one of the list payload that the try belongs to.
CREATE TABLE sync.details (
    source   VARCHAR NOT NULL,
    call_id  VARCHAR NOT NULL,
    part     VARCHAR NOT NULL,
    state    VARCHAR NOT NULL,
    attempts INTEGER NOT NULL,
    reading  BIGINT NOT NULL,
    tried_at TIMESTAMPTZ NOT NULL,
    retry_at TIMESTAMPTZ,
    error    VARCHAR
);

-- A reject's payload goes with the other raw payloads when they are too old to be kept; its row stays.
ALTER TABLE sync.rejects ALTER COLUMN payload DROP NOT NULL;

-- What the ledger proves, as SQL: the same rule as the plan's, so that what is shown as missing is what will be asked for. A closed row proves
-- for an age L (at least 60 s, as a call may be listed some seconds after it started) the part that was that old when it was read: all of it
-- where age_ms >= L, else [since, least(until, read_at - L)). Every moment at which a proof begins or ends, and every bound of what is
-- wanted, is an edge; between two edges nothing changes, so each stretch has one state, and equal neighbours are one row.
-- Microseconds since 1970 as integers: exact, fast, and the same in every time zone.
CREATE MACRO sync.coverage_at(as_of) AS TABLE
WITH wanted AS (
    SELECT source, configured, epoch_us(start) AS start_us, epoch_us(as_of::TIMESTAMPTZ) AS now_us,
        epoch_us(as_of::TIMESTAMPTZ) - 60000000 - 1000 * coalesce(interval_ms, 0) AS late_us,
        1000 * greatest(coalesce(largest_age_ms, 0), 60000) AS settle_us
    FROM sync.sources
    WHERE as_of IS NOT NULL
), facts AS (
    SELECT source, epoch_us(since) AS since_us, epoch_us(until) AS until_us, epoch_us(read_at) AS read_us, 1000 * age_ms AS age_us, settle_us
    FROM sync.windows JOIN wanted USING (source)
    WHERE sync.windows.state = 'closed' AND read_at IS NOT NULL AND age_ms IS NOT NULL
), proofs AS (
    SELECT source, since_us, 1 AS fresh, 0 AS settled,
        CASE WHEN age_us >= 60000000 THEN until_us ELSE least(until_us, read_us - 60000000) END AS until_us
    FROM facts
    UNION ALL
    SELECT source, since_us, 0, 1, CASE WHEN age_us >= settle_us THEN until_us ELSE least(until_us, read_us - settle_us) END
    FROM facts
), failing AS (
    SELECT source, window_id, epoch_us(since) AS since_us, epoch_us(until) AS until_us, error
    FROM sync.windows
    WHERE state = 'open' AND error IS NOT NULL
), edges AS (
    SELECT source, since_us AS edge_us, fresh, settled FROM proofs WHERE since_us < until_us
    UNION ALL
    SELECT source, until_us, -fresh, -settled FROM proofs WHERE since_us < until_us
    UNION ALL
    SELECT source, unnest([start_us, late_us, now_us]), 0, 0 FROM wanted
    UNION ALL
    SELECT source, unnest([since_us, until_us]), 0, 0 FROM failing
), steps AS (
    SELECT source, edge_us, sum(fresh) AS fresh, sum(settled) AS settled FROM edges GROUP BY source, edge_us
), stretches AS (
    SELECT source, edge_us AS since_us, lead(edge_us) OVER (PARTITION BY source ORDER BY edge_us) AS until_us,
        sum(fresh) OVER (PARTITION BY source ORDER BY edge_us) > 0 AS fresh, sum(settled) OVER (PARTITION BY source ORDER BY edge_us) > 0 AS settled
    FROM steps
), judged AS (
    SELECT source, since_us, until_us, configured AND since_us >= start_us AS wanted,
        CASE WHEN settled THEN 'settled' WHEN fresh THEN 'settling' WHEN NOT configured OR since_us < start_us THEN NULL
            WHEN until_us <= late_us THEN 'missing' ELSE 'pending' END AS state
    FROM stretches JOIN wanted USING (source)
    WHERE until_us <= now_us
), blamed AS (
    -- Where failing windows overlap, the one that was opened last is named.
    SELECT j.source, j.since_us, max(f.window_id) AS window_id, arg_max(f.error, f.window_id) AS error
    FROM judged AS j JOIN failing AS f ON f.source = j.source AND f.since_us <= j.since_us AND f.until_us >= j.until_us
    WHERE j.state = 'missing'
    GROUP BY j.source, j.since_us
), compared AS (
    SELECT j.*, b.window_id, b.error,
        (j.state, j.wanted, b.window_id) IS DISTINCT FROM lag((j.state, j.wanted, b.window_id)) OVER (PARTITION BY j.source ORDER BY j.since_us) AS differs
    FROM judged AS j LEFT JOIN blamed AS b ON b.source = j.source AND b.since_us = j.since_us
), numbered AS (
    SELECT *, count(*) FILTER (differs) OVER (PARTITION BY source ORDER BY since_us) AS n FROM compared
)
SELECT source,
    TIMESTAMPTZ '1970-01-01 00:00:00+00' + to_microseconds(min(since_us)) AS since,
    TIMESTAMPTZ '1970-01-01 00:00:00+00' + to_microseconds(max(until_us)) AS until,
    any_value(state) AS state, any_value(wanted) AS wanted, any_value(error) AS error
FROM numbered
WHERE state IS NOT NULL
GROUP BY source, n
ORDER BY source, min(since_us);
COMMENT ON MACRO TABLE sync.coverage_at IS 'Time as the ledger proves it at a moment, a row per stretch [since, until) of one state: settled (read at the largest age of reread), settling (read, and to be read again), missing (late by more than a schedule interval), pending (not late yet). wanted: between the start of a configured source and that moment. error: why the window that covers a missing stretch failed.';

CREATE MACRO sync.gaps_at(as_of) AS TABLE
SELECT source, since, until, state, error FROM sync.coverage_at(as_of) WHERE wanted AND state IN ('missing', 'settling') ORDER BY source, since;
COMMENT ON MACRO TABLE sync.gaps_at IS 'sync.gaps as of a moment.';

CREATE VIEW sync.gaps AS FROM sync.gaps_at(now());
COMMENT ON VIEW sync.gaps IS 'Which hours are missing: the stretches of time whose calls may not be here, or not in their last state, one row per stretch. Empty for a source that is complete and settled. Only sources that stand in the configuration, parked ones too.';
COMMENT ON COLUMN sync.gaps.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN sync.gaps.since IS 'Beginning of the stretch, by the start of calls, included; UTC. Never NULL.';
COMMENT ON COLUMN sync.gaps.until IS 'End of the stretch, by the start of calls, not included; UTC. Never NULL.';
COMMENT ON COLUMN sync.gaps.state IS 'missing: not read since a minute after it ended, one schedule interval after that was due. settling: read once, and not yet at the largest age of reread, so its calls may still change. Never NULL.';
COMMENT ON COLUMN sync.gaps.error IS 'Why the reading of a missing stretch failed; the stretch is then just what the failing window covers of it. NULL where no reading of it failed.';

CREATE MACRO sync.freshness_at(as_of) AS TABLE
WITH coverage AS (
    FROM sync.coverage_at(as_of)
), proven AS (
    SELECT source, since, until, state, lag(until) OVER (PARTITION BY source ORDER BY since) AS before
    FROM coverage
    WHERE state IN ('settling', 'settled')
), newest AS (
    SELECT source, max(until) AS fresh_until, max(since) FILTER (before IS DISTINCT FROM since) AS covered_since FROM proven GROUP BY source
), settled AS (
    SELECT source, min(since) AS settled_until FROM proven JOIN newest USING (source) WHERE state = 'settling' AND since >= covered_since GROUP BY source
), gaps AS (
    SELECT source, count(*) FILTER (state = 'missing') AS gaps,
        coalesce(sum(epoch_us(until) - epoch_us(since)) FILTER (state = 'missing'), 0) / 3.6e9 AS missing_hours,
        coalesce(sum(epoch_us(until) - epoch_us(since)) FILTER (state = 'settling'), 0) / 3.6e9 AS settling_hours
    FROM coverage
    WHERE wanted
    GROUP BY source
), windows AS (
    SELECT source, count(*) AS open_windows, count(error) AS failing_windows FROM sync.windows WHERE state = 'open' GROUP BY source
), stored AS (
    SELECT source, count(*) FILTER (deleted_at IS NULL) AS calls, count(deleted_at) AS deleted_calls,
        count(*) FILTER (NOT is_final AND deleted_at IS NULL) AS unsettled_calls
    FROM main.calls
    GROUP BY source
), rejects AS (
    SELECT source, count(*) AS rejects FROM sync.rejects WHERE resolved_at IS NULL GROUP BY source
), drift AS (
    SELECT source, sum(occurrences)::BIGINT AS drift FROM sync.drift GROUP BY source
), details AS (
    SELECT source, count(*) FILTER (state = 'failed') AS failed, count(*) FILTER (state = 'incomplete') AS incomplete FROM sync.details GROUP BY source
), runs AS (
    SELECT source, max(finished_at) FILTER (outcome = 'done') AS last_success_at,
        arg_max(error, finished_at) FILTER (error IS NOT NULL) AS last_error, max(finished_at) FILTER (error IS NOT NULL) AS last_error_at
    FROM sync.runs
    GROUP BY source
)
SELECT s.source, s.provider, s.configured, s.state, s.reason, r.last_success_at, n.fresh_until,
    to_microseconds(epoch_us(as_of::TIMESTAMPTZ) - epoch_us(n.fresh_until)) AS lag,
    n.covered_since, nullif(coalesce(e.settled_until, n.fresh_until), n.covered_since) AS settled_until,
    coalesce(g.gaps, 0) AS gaps, coalesce(g.missing_hours, 0) AS missing_hours, coalesce(g.settling_hours, 0) AS settling_hours,
    coalesce(w.open_windows, 0) AS open_windows, coalesce(w.failing_windows, 0) AS failing_windows,
    coalesce(c.calls, 0) AS calls, coalesce(c.deleted_calls, 0) AS deleted_calls, coalesce(c.unsettled_calls, 0) AS unsettled_calls,
    coalesce(j.rejects, 0) AS rejects, coalesce(d.drift, 0) AS drift,
    coalesce(t.failed, 0) AS details_failed, coalesce(t.incomplete, 0) AS details_incomplete,
    r.last_error, r.last_error_at, s.provider_total, s.warehouse_total, s.reconciled_at
FROM sync.sources AS s
LEFT JOIN newest AS n ON n.source = s.source
LEFT JOIN settled AS e ON e.source = s.source
LEFT JOIN gaps AS g ON g.source = s.source
LEFT JOIN windows AS w ON w.source = s.source
LEFT JOIN stored AS c ON c.source = s.source
LEFT JOIN rejects AS j ON j.source = s.source
LEFT JOIN drift AS d ON d.source = s.source
LEFT JOIN details AS t ON t.source = s.source
LEFT JOIN runs AS r ON r.source = s.source
ORDER BY s.source;
COMMENT ON MACRO TABLE sync.freshness_at IS 'sync.freshness as of a moment. Counts of calls, rejects and runs are those of the file as it is.';

CREATE VIEW sync.freshness AS FROM sync.freshness_at(now());
COMMENT ON VIEW sync.freshness IS 'How fresh, how complete and how settled each source is, one row per source, those that stand in the configuration no more included.';
COMMENT ON COLUMN sync.freshness.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN sync.freshness.provider IS 'millis, burki or voicy. Never NULL.';
COMMENT ON COLUMN sync.freshness.configured IS 'Whether it stood in the configuration when a syncd last looked; nothing is asked, and nothing is missing, of one that did not. Never NULL.';
COMMENT ON COLUMN sync.freshness.state IS 'active or parked: nothing is asked for a parked source until somebody acts. Never NULL.';
COMMENT ON COLUMN sync.freshness.reason IS 'Why it is parked. NULL while it is active.';
COMMENT ON COLUMN sync.freshness.last_success_at IS 'When its last run without an error finished; UTC. NULL: none yet.';
COMMENT ON COLUMN sync.freshness.fresh_until IS 'Every call that started in [covered_since, fresh_until) is here, as far as the provider tells; UTC. NULL: nothing was read yet.';
COMMENT ON COLUMN sync.freshness.lag IS 'How far fresh_until is behind the present, in hours, minutes and seconds. NULL: nothing was read yet.';
COMMENT ON COLUMN sync.freshness.covered_since IS 'Beginning of the stretch without a gap that ends at fresh_until; UTC. NULL: nothing was read yet.';
COMMENT ON COLUMN sync.freshness.settled_until IS 'Every call that started in [covered_since, settled_until) was read at the largest age of reread: its numbers are the last; UTC. NULL: none of it.';
COMMENT ON COLUMN sync.freshness.gaps IS 'How many stretches sync.gaps calls missing. Never NULL.';
COMMENT ON COLUMN sync.freshness.missing_hours IS 'How long these are together, in hours. Never NULL.';
COMMENT ON COLUMN sync.freshness.settling_hours IS 'How long the stretches are together that sync.gaps calls settling, in hours. Never NULL.';
COMMENT ON COLUMN sync.freshness.open_windows IS 'How many windows of the ledger are being read, or were left open. Never NULL.';
COMMENT ON COLUMN sync.freshness.failing_windows IS 'How many of these failed when they were last read; sync.windows tells why. Never NULL.';
COMMENT ON COLUMN sync.freshness.calls IS 'How many of its calls are here, those left out that the provider deleted. Never NULL.';
COMMENT ON COLUMN sync.freshness.deleted_calls IS 'How many of its calls are here that the provider deleted. Never NULL.';
COMMENT ON COLUMN sync.freshness.unsettled_calls IS 'How many of its calls have no final status, deleted ones left out. Never NULL.';
COMMENT ON COLUMN sync.freshness.rejects IS 'How many of its records could not become calls and were not read since; sync.rejects has them. Never NULL.';
COMMENT ON COLUMN sync.freshness.drift IS 'How often something appeared that syncd has no name for; sync.drift tells what. Never NULL.';
COMMENT ON COLUMN sync.freshness.details_failed IS 'For how many calls the details could not be fetched. Never NULL.';
COMMENT ON COLUMN sync.freshness.details_incomplete IS 'For how many calls details came that lack something. Never NULL.';
COMMENT ON COLUMN sync.freshness.last_error IS 'The error of the last run that had one, even if later ones had none. NULL: none had.';
COMMENT ON COLUMN sync.freshness.last_error_at IS 'When that run finished; UTC. NULL: none had an error.';
COMMENT ON COLUMN sync.freshness.provider_total IS 'How many calls the provider had in all at reconciled_at. NULL: it does not tell, or was not asked yet.';
COMMENT ON COLUMN sync.freshness.warehouse_total IS 'How many were here at reconciled_at, those left out that the provider deleted. NULL where provider_total is.';
COMMENT ON COLUMN sync.freshness.reconciled_at IS 'When the two totals were taken; UTC. NULL where provider_total is.';
