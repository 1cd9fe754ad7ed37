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
