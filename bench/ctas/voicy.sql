-- Voicy's list: who called whom, when, for how long and how it ended. What only the answer for a single call tells (transcript, summary,
-- recording, variables) is not in it, and its costs are told nowhere, so the tables for these are made and stay empty.
--
-- The lines are short: to carry them through the temporary table is cheaper than to read the file a second time for raw_calls.

CREATE TEMP TABLE staged AS
SELECT json AS payload, unnest(from_json(json, '{
    "call_id": "VARCHAR", "call_type": "VARCHAR", "call_status": "VARCHAR", "direction": "VARCHAR",
    "agent": {"name": "VARCHAR", "version": "VARCHAR"}, "from_number": "VARCHAR", "to_number": "VARCHAR",
    "start_timestamp": "BIGINT", "duration_ms": "BIGINT", "is_test_call": "BOOLEAN"}'))
FROM read_ndjson_objects(getvariable('ndjson'));

CREATE TABLE calls AS
SELECT getvariable('source') AS source, 'voicy' AS provider, call_id, NULL::VARCHAR AS agent_id, agent.name AS agent_name,
    agent.version AS agent_version, NULL::VARCHAR AS flow_name,
    CASE call_type WHEN 'phone_call' THEN 'phone' WHEN 'web_call' THEN 'web' ELSE 'unknown' END AS channel,
    CASE WHEN staged.direction IN ('incoming', 'inbound') THEN 'inbound' WHEN staged.direction IN ('outgoing', 'outbound') THEN 'outbound'
        ELSE 'unknown' END AS direction,
    from_number, to_number,
    CASE WHEN staged.direction IN ('incoming', 'inbound') THEN from_number WHEN staged.direction IN ('outgoing', 'outbound') THEN to_number
        END AS customer_number,
    NULL::VARCHAR AS telephony_sid,
    CASE WHEN call_status IN ('user_hangup', 'agent_hangup', 'inactivity', 'error_inactivity', 'ended') THEN 'completed'
        WHEN call_status IN ('no_answer', 'voicemail', 'busy', 'canceled') THEN call_status
        WHEN call_status = 'error' THEN 'failed'
        WHEN call_status IN ('initiated', 'ringing') THEN 'ringing'
        WHEN call_status IN ('ongoing', 'in_progress') THEN 'in_progress'
        ELSE 'unknown' END AS status,
    call_status AS status_raw,
    CASE WHEN call_status = 'user_hangup' THEN 'user' WHEN call_status = 'agent_hangup' THEN 'agent'
        WHEN call_status IN ('inactivity', 'error_inactivity') THEN 'inactivity' WHEN call_status IN ('voicemail', 'error') THEN call_status
        END AS end_reason,
    status NOT IN ('ringing', 'in_progress', 'unknown') AS is_final,
    make_timestamptz(1000 * start_timestamp) AS started_at,
    CASE WHEN status NOT IN ('ringing', 'in_progress') THEN make_timestamptz(1000 * (start_timestamp + duration_ms)) END AS ended_at,
    duration_ms, NULL::DECIMAL(18,9) AS cost, NULL::VARCHAR AS cost_currency, NULL::VARCHAR AS summary, NULL::VARCHAR AS recording_url,
    is_test_call AS is_test, NULL::VARCHAR AS metadata,
    1 AS revision, getvariable('fetched_at') AS first_seen_at, getvariable('fetched_at') AS changed_at, NULL::TIMESTAMPTZ AS deleted_at
FROM staged;

CREATE TABLE call_costs (
    source VARCHAR, call_id VARCHAR, seq INTEGER, component VARCHAR, vendor VARCHAR, amount DECIMAL(18,9), currency VARCHAR,
    input_tokens BIGINT, output_tokens BIGINT, started_at TIMESTAMPTZ
);

CREATE TABLE call_messages (
    source VARCHAR, call_id VARCHAR, seq INTEGER, role VARCHAR, content VARCHAR, offset_ms BIGINT, started_at TIMESTAMPTZ
);

CREATE TABLE call_functions (
    source VARCHAR, call_id VARCHAR, seq INTEGER, name VARCHAR, params VARCHAR, result VARCHAR, started_at TIMESTAMPTZ
);

CREATE TABLE raw_calls AS
SELECT getvariable('source') AS source, call_id, 'list' AS part, payload::VARCHAR AS payload, getvariable('fetched_at') AS fetched_at,
    (hash(payload) >> 1)::BIGINT AS content_hash, 1::BIGINT AS reading, make_timestamptz(1000 * start_timestamp) AS started_at
FROM staged;
