-- The tables of the warehouse. No primary keys and no secondary indexes: with one, an upsert into ten million rows takes seconds; the
-- single writer keeps keys unique instead. `started_at`, `reading` and `content_hash` at the end of a table are the writer's own: they
-- let it find a row again without reading the whole table, and tell whether anything changed.
--
-- Where a text's kind is known, so is how to compress it: DuckDB then tries no other way (a tenth of a first load's time), and files become up to a
-- third smaller. A dictionary is for what is repeated, FSST for ids that are not. What suits neither (a long text) DuckDB stores as it is.

CREATE TABLE calls (
    source          VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    provider        VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    call_id         VARCHAR USING COMPRESSION FSST NOT NULL,
    agent_id        VARCHAR USING COMPRESSION DICTIONARY,
    agent_name      VARCHAR USING COMPRESSION DICTIONARY,
    agent_version   VARCHAR USING COMPRESSION DICTIONARY,
    flow_name       VARCHAR USING COMPRESSION DICTIONARY,
    channel         VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    direction       VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    from_number     VARCHAR,
    to_number       VARCHAR USING COMPRESSION DICTIONARY,
    customer_number VARCHAR,
    telephony_sid   VARCHAR USING COMPRESSION FSST,
    status          VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    status_raw      VARCHAR USING COMPRESSION DICTIONARY,
    end_reason      VARCHAR USING COMPRESSION DICTIONARY,
    is_final        BOOLEAN NOT NULL,
    started_at      TIMESTAMPTZ,
    ended_at        TIMESTAMPTZ,
    duration_ms     BIGINT,
    cost            DECIMAL(18,9),
    cost_currency   VARCHAR USING COMPRESSION DICTIONARY,
    summary         VARCHAR,
    recording_url   VARCHAR,
    is_test         BOOLEAN,
    metadata        VARCHAR,
    revision        INTEGER NOT NULL,
    first_seen_at   TIMESTAMPTZ NOT NULL,
    changed_at      TIMESTAMPTZ NOT NULL,
    deleted_at      TIMESTAMPTZ
);

CREATE TABLE call_costs (
    source        VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    call_id       VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    seq           INTEGER NOT NULL,
    component     VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    vendor        VARCHAR USING COMPRESSION DICTIONARY,
    amount        DECIMAL(18,9),
    currency      VARCHAR USING COMPRESSION DICTIONARY,
    input_tokens  BIGINT,
    output_tokens BIGINT,
    started_at    TIMESTAMPTZ
);

CREATE TABLE call_messages (
    source     VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    call_id    VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    seq        INTEGER NOT NULL,
    role       VARCHAR USING COMPRESSION DICTIONARY,
    content    VARCHAR NOT NULL,
    offset_ms  BIGINT,
    started_at TIMESTAMPTZ
);

CREATE TABLE call_functions (
    source     VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    call_id    VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    seq        INTEGER NOT NULL,
    name       VARCHAR USING COMPRESSION DICTIONARY,
    params     VARCHAR,
    result     VARCHAR,
    started_at TIMESTAMPTZ
);

CREATE TABLE call_revisions (
    source     VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    call_id    VARCHAR USING COMPRESSION FSST NOT NULL,
    revision   INTEGER NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    field      VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    old_value  VARCHAR,
    new_value  VARCHAR
);

CREATE TABLE raw_calls (
    source       VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    call_id      VARCHAR USING COMPRESSION FSST NOT NULL,
    part         VARCHAR USING COMPRESSION DICTIONARY NOT NULL,
    payload      VARCHAR USING COMPRESSION ZSTD,
    fetched_at   TIMESTAMPTZ NOT NULL,
    content_hash BIGINT NOT NULL,
    reading      BIGINT NOT NULL,
    started_at   TIMESTAMPTZ
);

CREATE TABLE sync.sources (
    source              VARCHAR NOT NULL,
    provider            VARCHAR NOT NULL,
    account_fingerprint VARCHAR,
    start               TIMESTAMPTZ NOT NULL,
    reread              VARCHAR,
    schedule            VARCHAR,
    state               VARCHAR NOT NULL,
    reason              VARCHAR,
    rules               VARCHAR
);

-- The coverage ledger. A closed row is a fact: everything that started in [since, until) was read, beginning at read_at by the
-- provider's clock, when its youngest call was age_ms old. An open row is a window being read, with the position to go on from, the pages
-- read so far and the provider's total; a closed row stands for many readings, and tells neither.
CREATE TABLE sync.windows (
    source    VARCHAR NOT NULL,
    window_id BIGINT NOT NULL,
    state     VARCHAR NOT NULL,
    since     TIMESTAMPTZ NOT NULL,
    until     TIMESTAMPTZ NOT NULL,
    read_at   TIMESTAMPTZ,
    age_ms    BIGINT,
    position  VARCHAR,
    pages     BIGINT,
    total     BIGINT,
    attempt   INTEGER NOT NULL,
    failures  INTEGER NOT NULL,
    error     VARCHAR
);
CREATE SEQUENCE sync.window_id;

-- The ids that the reading of an open window has returned so far, hashed, so that its count can be held against the provider's even if
-- several processes share the reading. Emptied when the window closes.
CREATE TABLE sync.window_ids (
    window_id BIGINT NOT NULL,
    id_hash   UBIGINT NOT NULL
);

CREATE TABLE sync.runs (
    run_id      VARCHAR NOT NULL,
    source      VARCHAR NOT NULL,
    kind        VARCHAR NOT NULL,
    started_at  TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    outcome     VARCHAR NOT NULL,
    requests    BIGINT NOT NULL,
    retries     BIGINT NOT NULL,
    pages       BIGINT NOT NULL,
    records     BIGINT NOT NULL,
    inserted    BIGINT NOT NULL,
    updated     BIGINT NOT NULL,
    unchanged   BIGINT NOT NULL,
    rejected    BIGINT NOT NULL,
    drift       BIGINT NOT NULL,
    error       VARCHAR
);

CREATE TABLE sync.rejects (
    reject_id   VARCHAR NOT NULL,
    source      VARCHAR NOT NULL,
    run_id      VARCHAR NOT NULL,
    reason      VARCHAR NOT NULL,
    detail      VARCHAR,
    payload     VARCHAR NOT NULL,
    fetched_at  TIMESTAMPTZ NOT NULL,
    resolved_at TIMESTAMPTZ
);

CREATE TABLE sync.drift (
    source        VARCHAR NOT NULL,
    path          VARCHAR NOT NULL,
    sample        VARCHAR,
    first_seen_at TIMESTAMPTZ NOT NULL,
    last_seen_at  TIMESTAMPTZ NOT NULL,
    occurrences   BIGINT NOT NULL
);
