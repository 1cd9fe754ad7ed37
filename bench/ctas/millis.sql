-- Millis' list: the whole call, with its conversation as JSON in a text.
--
-- The file is read twice: a typed read does not keep the line, and parsing each line a second time for its key alone is cheaper than
-- carrying all the lines through the temporary table. What is free in form is read as VARCHAR, which is a text as it is and any other
-- value's JSON.

-- A double holds the microseconds of a Unix time exactly, and is read faster than a decimal.
CREATE TEMP TABLE staged AS
SELECT * EXCLUDE (session_id, call_id, ts), coalesce(session_id, call_id) AS call_id, make_timestamptz(round(1e6 * ts)::BIGINT) AS started_at
FROM read_ndjson(getvariable('ndjson'), columns = {
    session_id: 'VARCHAR', call_id: 'VARCHAR', agent_id: 'VARCHAR', agent_config: 'STRUCT(name VARCHAR, version VARCHAR)',
    call_status: 'VARCHAR', ts: 'DOUBLE', duration: 'DOUBLE', metadata: 'VARCHAR', chat: 'VARCHAR',
    voip: 'STRUCT("from" VARCHAR, "to" VARCHAR, direction VARCHAR, call_sid VARCHAR)',
    recording: 'STRUCT(url VARCHAR, recording_url VARCHAR)',
    cost_breakdown: 'STRUCT("type" VARCHAR, provider VARCHAR, credit DECIMAL(18,9), prompt_tokens BIGINT, completion_tokens BIGINT)[]',
    function_calls: 'STRUCT("name" VARCHAR, params VARCHAR, result VARCHAR)[]'
});

CREATE TABLE calls AS
SELECT getvariable('source') AS source, 'millis' AS provider, call_id, agent_id, agent_config.name AS agent_name,
    agent_config.version AS agent_version, NULL::VARCHAR AS flow_name,
    CASE WHEN call_status = 'chat_completion' THEN 'chat' WHEN voip IS NULL THEN 'web' ELSE 'phone' END AS channel,
    CASE WHEN voip.direction IN ('inbound', 'incoming') THEN 'inbound' WHEN voip.direction IN ('outbound', 'outgoing') THEN 'outbound'
        ELSE 'unknown' END AS direction,
    voip."from" AS from_number, voip."to" AS to_number,
    CASE direction WHEN 'inbound' THEN from_number WHEN 'outbound' THEN to_number END AS customer_number,
    voip.call_sid AS telephony_sid,
    CASE WHEN call_status IN ('user-ended', 'agent-ended', 'api-ended', 'timeout', 'chat_completion') THEN 'completed'
        WHEN call_status IN ('voicemail-hangup', 'voicemail-message') THEN 'voicemail'
        WHEN call_status = 'no-answer' THEN 'no_answer'
        WHEN call_status IN ('busy', 'canceled', 'failed', 'queued', 'ringing') THEN call_status
        WHEN call_status = 'error' THEN 'failed'
        WHEN call_status IN ('registered', 'dispatching', 'provider_queued') THEN 'queued'
        WHEN call_status = 'initiated' THEN 'ringing'
        WHEN call_status = 'in-progress' THEN 'in_progress'
        ELSE 'unknown' END AS status,
    call_status AS status_raw,
    CASE WHEN call_status = 'user-ended' THEN 'user' WHEN call_status = 'agent-ended' THEN 'agent' WHEN call_status = 'api-ended' THEN 'api'
        WHEN call_status IN ('voicemail-hangup', 'voicemail-message') THEN 'voicemail'
        WHEN call_status IN ('timeout', 'error') THEN call_status END AS end_reason,
    status NOT IN ('queued', 'ringing', 'in_progress', 'unknown') AS is_final,
    started_at,
    CASE WHEN status NOT IN ('queued', 'ringing', 'in_progress') THEN make_timestamptz(epoch_us(started_at) + 1000 * round(1000 * duration)::BIGINT) END
        AS ended_at,
    round(1000 * duration)::BIGINT AS duration_ms,
    list_sum([c.credit FOR c IN cost_breakdown])::DECIMAL(18,9) AS cost, CASE WHEN cost IS NOT NULL THEN 'credit' END AS cost_currency,
    NULL::VARCHAR AS summary, coalesce(recording.url, recording.recording_url) AS recording_url, NULL::BOOLEAN AS is_test, metadata,
    1 AS revision, getvariable('fetched_at') AS first_seen_at, getvariable('fetched_at') AS changed_at, NULL::TIMESTAMPTZ AS deleted_at
FROM staged;

CREATE TABLE call_costs AS
SELECT getvariable('source') AS source, call_id, seq,
    CASE WHEN c.type IN ('llm', 'tts', 'stt', 'telephony', 'platform') THEN c.type WHEN c.type = 'asr' THEN 'stt'
        WHEN c.type IN ('voip', 'phone') THEN 'telephony' WHEN c.type = 'millis' THEN 'platform' ELSE 'other' END AS component,
    c.provider AS vendor, c.credit AS amount, CASE WHEN c.credit IS NOT NULL THEN 'credit' END AS currency,
    c.prompt_tokens AS input_tokens, c.completion_tokens AS output_tokens, started_at
FROM (
    SELECT call_id, started_at, unnest(cost_breakdown) AS c, (generate_subscripts(cost_breakdown, 1) - 1)::INTEGER AS seq FROM staged
);

CREATE TABLE call_messages AS
SELECT getvariable('source') AS source, call_id, seq,
    CASE WHEN m.role IN ('assistant', 'agent', 'bot') THEN 'agent' WHEN m.role IN ('user', 'customer', 'caller', 'human') THEN 'customer'
        WHEN m.role = 'system' THEN 'system' WHEN m.role IN ('tool', 'function') THEN 'tool' END AS role,
    coalesce(m.content, '') AS content, NULL::BIGINT AS offset_ms, started_at
FROM (
    SELECT call_id, started_at, unnest(turns) AS m, (generate_subscripts(turns, 1) - 1)::INTEGER AS seq
    FROM (SELECT call_id, started_at, from_json(chat, '[{"role": "VARCHAR", "content": "VARCHAR"}]') AS turns FROM staged)
);

CREATE TABLE call_functions AS
SELECT getvariable('source') AS source, call_id, seq, f.name AS "name", f.params AS params, f.result AS result, started_at
FROM (
    SELECT call_id, started_at, unnest(function_calls) AS f, (generate_subscripts(function_calls, 1) - 1)::INTEGER AS seq FROM staged
);

CREATE TABLE raw_calls AS
SELECT getvariable('source') AS source, coalesce(session_id, call_id) AS call_id, 'list' AS part, payload, getvariable('fetched_at') AS fetched_at,
    (hash(payload) >> 1)::BIGINT AS content_hash, 1::BIGINT AS reading, make_timestamptz(round(1e6 * ts)::BIGINT) AS started_at
FROM (
    SELECT json::VARCHAR AS payload, unnest(from_json(json, '{"session_id": "VARCHAR", "call_id": "VARCHAR", "ts": "DOUBLE"}'))
    FROM read_ndjson_objects(getvariable('ndjson'))
);
