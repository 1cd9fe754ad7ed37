-- Burki's list: the call and its four prices. Transcripts and itemised costs are answers of their own, so call_messages stays empty; tools
-- are told nowhere.
--
-- The file is read twice: a typed read does not keep the line, and parsing each line a second time for its key alone is cheaper than
-- carrying all the lines through the temporary table.

-- Times are read as TIMESTAMP, which takes their offset into account and is UTC; the reader of TIMESTAMPTZ asks a calendar, and takes longer.
CREATE TEMP TABLE staged AS
SELECT * EXCLUDE (id, started_at), id AS call_id, make_timestamptz(epoch_us(started_at)) AS started_at
FROM read_ndjson(getvariable('ndjson'), columns = {
    id: 'VARCHAR', call_sid: 'VARCHAR', assistant_id: 'VARCHAR', assistant_name: 'VARCHAR', flow_name: 'VARCHAR',
    to_phone_number: 'VARCHAR', customer_phone_number: 'VARCHAR', status: 'VARCHAR', duration: 'DOUBLE', started_at: 'TIMESTAMP',
    ended_at: 'TIMESTAMP', call_meta: 'VARCHAR', total_cost: 'DECIMAL(18,9)', llm_cost: 'DECIMAL(18,9)', tts_cost: 'DECIMAL(18,9)',
    stt_cost: 'DECIMAL(18,9)', telephony_cost: 'DECIMAL(18,9)', cost_currency: 'VARCHAR'
});

CREATE TABLE calls AS
SELECT getvariable('source') AS source, 'burki' AS provider, call_id, assistant_id AS agent_id, assistant_name AS agent_name,
    NULL::VARCHAR AS agent_version, flow_name, 'unknown' AS channel, 'unknown' AS direction,
    NULL::VARCHAR AS from_number, to_phone_number AS to_number, customer_phone_number AS customer_number, call_sid AS telephony_sid,
    CASE WHEN staged.status IN ('completed', 'voicemail', 'no_answer', 'busy', 'canceled', 'failed', 'queued', 'ringing') THEN staged.status
        WHEN staged.status = 'no-answer' THEN 'no_answer'
        WHEN staged.status IN ('ongoing', 'in-progress') THEN 'in_progress'
        WHEN staged.status = 'initiated' THEN 'ringing'
        ELSE 'unknown' END AS status,
    staged.status AS status_raw,
    CASE WHEN staged.status = 'voicemail' THEN 'voicemail' END AS end_reason,
    coalesce(staged.status IN ('completed', 'voicemail', 'no_answer', 'no-answer', 'busy', 'canceled', 'failed'), false) AS is_final,
    started_at, make_timestamptz(epoch_us(staged.ended_at)) AS ended_at, round(1000 * duration)::BIGINT AS duration_ms,
    total_cost AS cost, CASE WHEN total_cost IS NOT NULL THEN staged.cost_currency END AS cost_currency, NULL::VARCHAR AS summary,
    NULL::VARCHAR AS recording_url, NULL::BOOLEAN AS is_test, call_meta AS metadata,
    1 AS revision, getvariable('fetched_at') AS first_seen_at, getvariable('fetched_at') AS changed_at, NULL::TIMESTAMPTZ AS deleted_at
FROM staged;

-- A price that is null is not known and has no row; the others are numbered without a gap.
CREATE TABLE call_costs AS
SELECT getvariable('source') AS source, call_id, seq, c.component AS component, NULL::VARCHAR AS vendor, c.amount AS amount,
    cost_currency AS currency, NULL::BIGINT AS input_tokens, NULL::BIGINT AS output_tokens, started_at
FROM (
    SELECT call_id, cost_currency, started_at, unnest(costs) AS c, (generate_subscripts(costs, 1) - 1)::INTEGER AS seq
    FROM (
        SELECT call_id, cost_currency, started_at, list_filter([
            {component: 'llm', amount: llm_cost}, {component: 'tts', amount: tts_cost},
            {component: 'stt', amount: stt_cost}, {component: 'telephony', amount: telephony_cost}
        ], lambda c: c.amount IS NOT NULL) AS costs
        FROM staged
    )
);

CREATE TABLE call_messages (
    source VARCHAR, call_id VARCHAR, seq INTEGER, role VARCHAR, content VARCHAR, offset_ms BIGINT, started_at TIMESTAMPTZ
);

CREATE TABLE call_functions (
    source VARCHAR, call_id VARCHAR, seq INTEGER, name VARCHAR, params VARCHAR, result VARCHAR, started_at TIMESTAMPTZ
);

CREATE TABLE raw_calls AS
SELECT getvariable('source') AS source, id AS call_id, 'list' AS part, payload, getvariable('fetched_at') AS fetched_at,
    (hash(payload) >> 1)::BIGINT AS content_hash, 1::BIGINT AS reading, make_timestamptz(epoch_us(started_at)) AS started_at
FROM (
    SELECT json::VARCHAR AS payload, unnest(from_json(json, '{"id": "VARCHAR", "started_at": "TIMESTAMP"}'))
    FROM read_ndjson_objects(getvariable('ndjson'))
);
