-- Views for analysts, and what is said of every table and column: units, time zone, and where there may be nothing.

-- What a day is. The views name the zone themselves, so that every reader sees the same days, whatever its own zone. syncd makes the macro anew
-- where warehouse.timezone says otherwise.
CREATE MACRO sync.time_zone() AS 'UTC';
COMMENT ON MACRO sync.time_zone IS 'The zone in which the views tell days and hours: warehouse.timezone of the configuration, when a syncd last wrote this file.';

CREATE MACRO sync.local_time(moment) AS moment AT TIME ZONE sync.time_zone();
COMMENT ON MACRO sync.local_time IS 'The date and the time of day that clocks in sync.time_zone() show at a moment.';

-- Money is added up within one currency alone: where there are several, there is no sum. min and max tell that at the cost of neither sorting nor
-- a set; a cost whose currency is not told counts as one of its own.
CREATE VIEW daily_calls AS
SELECT source, sync.local_time(started_at)::DATE AS day, count(*) AS calls,
    count(*) FILTER (direction = 'inbound') AS inbound_calls,
    count(*) FILTER (direction = 'outbound') AS outbound_calls,
    count(*) FILTER (status = 'completed') AS completed_calls,
    count(*) FILTER (status = 'voicemail') AS voicemail_calls,
    count(*) FILTER (status = 'no_answer') AS no_answer_calls,
    count(*) FILTER (status = 'busy') AS busy_calls,
    count(*) FILTER (status = 'canceled') AS canceled_calls,
    count(*) FILTER (status = 'failed') AS failed_calls,
    count(*) FILTER (NOT is_final) AS open_calls,
    count(*) FILTER (status = 'completed') / nullif(count(*) FILTER (is_final), 0) AS answer_rate,
    count(DISTINCT customer_number) AS customers,
    sum(duration_ms) FILTER (status = 'completed') / 60000 AS talk_minutes,
    avg(duration_ms) FILTER (status = 'completed') / 1000 AS average_seconds,
    count(cost) AS priced_calls,
    count(*) - count(cost) AS unpriced_calls,
    CASE WHEN min(coalesce(cost_currency, '')) FILTER (cost IS NOT NULL) = max(coalesce(cost_currency, '')) FILTER (cost IS NOT NULL)
        THEN sum(cost) END AS cost,
    CASE WHEN min(coalesce(cost_currency, '')) FILTER (cost IS NOT NULL) = max(coalesce(cost_currency, '')) FILTER (cost IS NOT NULL)
        THEN min(cost_currency) FILTER (cost IS NOT NULL) END AS cost_currency
FROM calls
WHERE deleted_at IS NULL AND is_test IS NOT TRUE AND started_at IS NOT NULL
GROUP BY source, sync.local_time(started_at)::DATE;
COMMENT ON VIEW daily_calls IS 'How many calls there were, how they ended, how long they lasted and what they cost: one row per source and day on which there was a call. Deleted calls, test calls and calls without a start are left out.';
COMMENT ON COLUMN daily_calls.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN daily_calls.day IS 'The day on which the calls started, in the zone of sync.time_zone(). Never NULL.';
COMMENT ON COLUMN daily_calls.calls IS 'How many calls started on it: the sum of completed, voicemail, no answer, busy, canceled, failed and open. Never NULL.';
COMMENT ON COLUMN daily_calls.inbound_calls IS 'How many of them customers made. A call whose direction the provider does not tell counts neither here nor as outbound. Never NULL.';
COMMENT ON COLUMN daily_calls.outbound_calls IS 'How many of them were made to customers. Never NULL.';
COMMENT ON COLUMN daily_calls.completed_calls IS 'How many of them were answered by a person and have ended. Never NULL.';
COMMENT ON COLUMN daily_calls.voicemail_calls IS 'How many of them a machine answered. Never NULL.';
COMMENT ON COLUMN daily_calls.no_answer_calls IS 'How many of them nobody answered. Never NULL.';
COMMENT ON COLUMN daily_calls.busy_calls IS 'How many of them found the line busy. Never NULL.';
COMMENT ON COLUMN daily_calls.canceled_calls IS 'How many of them were given up before they were answered. Never NULL.';
COMMENT ON COLUMN daily_calls.failed_calls IS 'How many of them ended with an error. Never NULL.';
COMMENT ON COLUMN daily_calls.open_calls IS 'How many of them have no final status yet: queued, ringing, in progress, or unknown. Never NULL.';
COMMENT ON COLUMN daily_calls.answer_rate IS 'completed_calls as a share of the calls that have a final status, from 0 to 1. NULL: none has.';
COMMENT ON COLUMN daily_calls.customers IS 'How many different numbers of customers they had; calls without one count for nothing. Never NULL.';
COMMENT ON COLUMN daily_calls.talk_minutes IS 'How long the completed calls lasted together, in minutes, ringing included where the provider counts it. NULL: no duration is known.';
COMMENT ON COLUMN daily_calls.average_seconds IS 'How long a completed call lasted on average, in seconds. NULL: no duration is known.';
COMMENT ON COLUMN daily_calls.priced_calls IS 'For how many of the calls a cost is known, be it zero. Never NULL.';
COMMENT ON COLUMN daily_calls.unpriced_calls IS 'For how many of the calls no cost is known: cost leaves them out. Never NULL.';
COMMENT ON COLUMN daily_calls.cost IS 'What the priced calls cost together, in cost_currency. NULL where no cost is known, and where they are in several currencies: cost_by_component tells these apart.';
COMMENT ON COLUMN daily_calls.cost_currency IS 'The one currency of cost, an ISO 4217 code, or credit for a provider''s credits without a value. NULL where there is not just one, or where it is not told.';

CREATE VIEW agent_performance AS
SELECT source, coalesce(agent_id, agent_name) AS agent, arg_max(agent_name, started_at) AS agent_name,
    date_trunc('week', sync.local_time(started_at))::DATE AS week, count(*) AS calls,
    count(*) FILTER (status = 'completed') AS completed_calls,
    count(*) FILTER (status = 'voicemail') AS voicemail_calls,
    count(*) FILTER (status = 'no_answer') AS no_answer_calls,
    count(*) FILTER (status = 'failed') AS failed_calls,
    count(*) FILTER (NOT is_final) AS open_calls,
    count(*) FILTER (status = 'completed') / nullif(count(*) FILTER (is_final), 0) AS answer_rate,
    count(*) FILTER (status = 'completed' AND end_reason = 'user') AS ended_by_customer_calls,
    count(*) FILTER (status = 'completed' AND end_reason = 'agent') AS ended_by_agent_calls,
    sum(duration_ms) FILTER (status = 'completed') / 60000 AS talk_minutes,
    avg(duration_ms) FILTER (status = 'completed') / 1000 AS average_seconds,
    median(duration_ms) FILTER (status = 'completed') / 1000 AS median_seconds,
    count(cost) AS priced_calls,
    count(*) - count(cost) AS unpriced_calls,
    CASE WHEN min(coalesce(cost_currency, '')) FILTER (cost IS NOT NULL) = max(coalesce(cost_currency, '')) FILTER (cost IS NOT NULL)
        THEN sum(cost) END AS cost,
    CASE WHEN min(coalesce(cost_currency, '')) FILTER (cost IS NOT NULL) = max(coalesce(cost_currency, '')) FILTER (cost IS NOT NULL)
        THEN min(cost_currency) FILTER (cost IS NOT NULL) END AS cost_currency,
    CASE WHEN min(coalesce(cost_currency, '')) FILTER (cost IS NOT NULL) = max(coalesce(cost_currency, '')) FILTER (cost IS NOT NULL)
        THEN (sum(cost) / nullif(count(*) FILTER (cost IS NOT NULL AND status = 'completed'), 0))::DECIMAL(18,9) END AS cost_per_completed_call
FROM calls
WHERE deleted_at IS NULL AND is_test IS NOT TRUE AND started_at IS NOT NULL
GROUP BY source, coalesce(calls.agent_id, calls.agent_name), date_trunc('week', sync.local_time(started_at))::DATE;
COMMENT ON VIEW agent_performance IS 'What each agent did in each week, and what that cost: one row per source, agent and week with a call. Deleted calls, test calls and calls without a start are left out.';
COMMENT ON COLUMN agent_performance.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN agent_performance.agent IS 'The provider''s id of the agent, or its name where no id is told. NULL: the calls tell neither.';
COMMENT ON COLUMN agent_performance.agent_name IS 'The name that the agent had last in that week. NULL: the provider tells none.';
COMMENT ON COLUMN agent_performance.week IS 'The Monday of the week in which the calls started, in the zone of sync.time_zone(). Never NULL.';
COMMENT ON COLUMN agent_performance.calls IS 'How many calls of the agent started in it. Never NULL.';
COMMENT ON COLUMN agent_performance.completed_calls IS 'How many of them were answered by a person and have ended. Never NULL.';
COMMENT ON COLUMN agent_performance.voicemail_calls IS 'How many of them a machine answered. Never NULL.';
COMMENT ON COLUMN agent_performance.no_answer_calls IS 'How many of them nobody answered. Never NULL.';
COMMENT ON COLUMN agent_performance.failed_calls IS 'How many of them ended with an error. Never NULL.';
COMMENT ON COLUMN agent_performance.open_calls IS 'How many of them have no final status yet: queued, ringing, in progress, or unknown. Never NULL.';
COMMENT ON COLUMN agent_performance.answer_rate IS 'completed_calls as a share of the calls that have a final status, from 0 to 1. NULL: none has.';
COMMENT ON COLUMN agent_performance.ended_by_customer_calls IS 'How many of the completed calls the customer ended; 0 where the provider does not tell who did. Never NULL.';
COMMENT ON COLUMN agent_performance.ended_by_agent_calls IS 'How many of the completed calls the agent ended; 0 where the provider does not tell who did. Never NULL.';
COMMENT ON COLUMN agent_performance.talk_minutes IS 'How long the completed calls lasted together, in minutes, ringing included where the provider counts it. NULL: no duration is known.';
COMMENT ON COLUMN agent_performance.average_seconds IS 'How long a completed call lasted on average, in seconds. NULL: no duration is known.';
COMMENT ON COLUMN agent_performance.median_seconds IS 'How long the middle one of the completed calls lasted, in seconds. NULL: no duration is known.';
COMMENT ON COLUMN agent_performance.priced_calls IS 'For how many of the calls a cost is known, be it zero. Never NULL.';
COMMENT ON COLUMN agent_performance.unpriced_calls IS 'For how many of the calls no cost is known: cost leaves them out. Never NULL.';
COMMENT ON COLUMN agent_performance.cost IS 'What the priced calls cost together, in cost_currency. NULL where no cost is known, and where they are in several currencies: cost_by_component tells these apart.';
COMMENT ON COLUMN agent_performance.cost_currency IS 'The one currency of cost, an ISO 4217 code, or credit for a provider''s credits without a value. NULL where there is not just one, or where it is not told.';
COMMENT ON COLUMN agent_performance.cost_per_completed_call IS 'cost, shared among the completed calls that have one, in cost_currency, rounded to nine decimals: what a conversation costs, with the calls that came to nothing. NULL where cost is, or where no priced call was completed.';

CREATE VIEW cost_by_component AS
SELECT c.source, date_trunc('month', sync.local_time(c.started_at))::DATE AS month, p.component, p.vendor, p.currency,
    count(DISTINCT c.call_id) AS calls,
    sum(p.amount) AS amount,
    count(*) - count(p.amount) AS unpriced_parts,
    sum(p.input_tokens)::BIGINT AS input_tokens,
    sum(p.output_tokens)::BIGINT AS output_tokens
FROM calls AS c JOIN call_costs AS p ON p.source = c.source AND p.call_id = c.call_id
WHERE c.deleted_at IS NULL AND c.is_test IS NOT TRUE AND c.started_at IS NOT NULL
GROUP BY c.source, date_trunc('month', sync.local_time(c.started_at))::DATE, p.component, p.vendor, p.currency;
COMMENT ON VIEW cost_by_component IS 'What the parts of calls cost: one row per source, month, component, vendor and currency, so that no two currencies are ever added. Only what the provider itemises; deleted calls, test calls and calls without a start are left out.';
COMMENT ON COLUMN cost_by_component.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN cost_by_component.month IS 'The first day of the month in which the calls started, in the zone of sync.time_zone(). Never NULL.';
COMMENT ON COLUMN cost_by_component.component IS 'What is paid for: llm, tts, stt, telephony, platform or other. Never NULL.';
COMMENT ON COLUMN cost_by_component.vendor IS 'Who is paid, in the provider''s word. NULL: not told.';
COMMENT ON COLUMN cost_by_component.currency IS 'The currency of amount, an ISO 4217 code, or credit for a provider''s credits without a value. NULL: not told, or no amount is known.';
COMMENT ON COLUMN cost_by_component.calls IS 'How many calls have such a part. One call is counted in the row of each of its parts. Never NULL.';
COMMENT ON COLUMN cost_by_component.amount IS 'What these parts cost together, in currency. NULL: no amount is known.';
COMMENT ON COLUMN cost_by_component.unpriced_parts IS 'How many of these parts have no amount: the sum leaves them out. Never NULL.';
COMMENT ON COLUMN cost_by_component.input_tokens IS 'How many tokens the model was given. NULL: not told.';
COMMENT ON COLUMN cost_by_component.output_tokens IS 'How many tokens the model wrote. NULL: not told.';

CREATE VIEW hourly_volume AS
SELECT source, sync.local_time(started_at)::DATE AS day, isodow(sync.local_time(started_at))::INTEGER AS weekday,
    hour(sync.local_time(started_at))::INTEGER AS hour, count(*) AS calls,
    count(*) FILTER (direction = 'inbound') AS inbound_calls,
    count(*) FILTER (direction = 'outbound') AS outbound_calls,
    count(*) FILTER (is_final) AS final_calls,
    count(*) FILTER (status = 'completed') AS completed_calls,
    count(*) FILTER (status = 'no_answer') AS no_answer_calls,
    count(*) FILTER (status = 'failed') AS failed_calls,
    sum(duration_ms) FILTER (status = 'completed') / 60000 AS talk_minutes
FROM calls
WHERE deleted_at IS NULL AND is_test IS NOT TRUE AND started_at IS NOT NULL
GROUP BY source, sync.local_time(started_at)::DATE, isodow(sync.local_time(started_at))::INTEGER, hour(sync.local_time(started_at))::INTEGER;
COMMENT ON VIEW hourly_volume IS 'How many calls started in each hour: one row per source, day and hour of the day in which one did. The hour that clocks show twice in autumn is one row. Deleted calls, test calls and calls without a start are left out.';
COMMENT ON COLUMN hourly_volume.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN hourly_volume.day IS 'The day on which the calls started, in the zone of sync.time_zone(). Never NULL.';
COMMENT ON COLUMN hourly_volume.weekday IS 'Its day of the week, from 1 for Monday to 7 for Sunday. Never NULL.';
COMMENT ON COLUMN hourly_volume.hour IS 'The hour of the day in which they started, from 0 to 23, in the same zone. Never NULL.';
COMMENT ON COLUMN hourly_volume.calls IS 'How many calls started in it. Never NULL.';
COMMENT ON COLUMN hourly_volume.inbound_calls IS 'How many of them customers made. A call whose direction the provider does not tell counts neither here nor as outbound. Never NULL.';
COMMENT ON COLUMN hourly_volume.outbound_calls IS 'How many of them were made to customers. Never NULL.';
COMMENT ON COLUMN hourly_volume.final_calls IS 'How many of them have a final status: of these, rates are shares. Never NULL.';
COMMENT ON COLUMN hourly_volume.completed_calls IS 'How many of them were answered by a person and have ended. Never NULL.';
COMMENT ON COLUMN hourly_volume.no_answer_calls IS 'How many of them nobody answered. Never NULL.';
COMMENT ON COLUMN hourly_volume.failed_calls IS 'How many of them ended with an error. Never NULL.';
COMMENT ON COLUMN hourly_volume.talk_minutes IS 'How long the completed calls lasted together, in minutes, ringing included where the provider counts it. NULL: no duration is known.';

COMMENT ON TABLE calls IS 'One row per call, in its latest state. The key is source and call_id; calls that the provider deleted stay.';
COMMENT ON COLUMN calls.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN calls.provider IS 'millis, burki or voicy. Never NULL.';
COMMENT ON COLUMN calls.call_id IS 'The provider''s id of the call. Never NULL.';
COMMENT ON COLUMN calls.agent_id IS 'The provider''s id of the agent. NULL: not told.';
COMMENT ON COLUMN calls.agent_name IS 'The name of the agent. NULL: not told.';
COMMENT ON COLUMN calls.agent_version IS 'The version of the agent, in the provider''s words. NULL: not told.';
COMMENT ON COLUMN calls.flow_name IS 'The name of the flow that the agent followed. NULL: not told, or none.';
COMMENT ON COLUMN calls.channel IS 'phone, web, chat or unknown. Never NULL.';
COMMENT ON COLUMN calls.direction IS 'inbound (the customer called), outbound or unknown. Never NULL.';
COMMENT ON COLUMN calls.from_number IS 'The number that called, as the provider writes it, after privacy. NULL: not told, or dropped.';
COMMENT ON COLUMN calls.to_number IS 'The number that was called, as the provider writes it, after privacy. NULL: not told, or dropped.';
COMMENT ON COLUMN calls.customer_number IS 'Which of the two is the customer''s, after privacy. NULL: not told, or dropped.';
COMMENT ON COLUMN calls.telephony_sid IS 'The telephony carrier''s id of the call. NULL: not told, or no telephone call.';
COMMENT ON COLUMN calls.status IS 'queued, ringing, in_progress or unknown while it may change; completed (a person answered), voicemail, no_answer, busy, canceled or failed once it is final. Never NULL.';
COMMENT ON COLUMN calls.status_raw IS 'The status in the provider''s own word. NULL: not told.';
COMMENT ON COLUMN calls.end_reason IS 'Who or what ended the call: user, agent, api, timeout, inactivity, voicemail or error. NULL: not told.';
COMMENT ON COLUMN calls.is_final IS 'Whether the status is one that ends a call. Costs, transcripts and corrections may still come. Never NULL.';
COMMENT ON COLUMN calls.started_at IS 'When the call started; UTC. NULL: not told yet; such a call lies outside every window and every view by day.';
COMMENT ON COLUMN calls.ended_at IS 'When the call ended; UTC. NULL: not told, or not ended.';
COMMENT ON COLUMN calls.duration_ms IS 'How long it lasted as the provider counts, in milliseconds; 0 where nobody answered, with some providers. NULL: not told, or not ended.';
COMMENT ON COLUMN calls.cost IS 'What the call cost in all, in cost_currency, exact to nine decimals. NULL: not known, or not yet; 0 is a cost that is known.';
COMMENT ON COLUMN calls.cost_currency IS 'An ISO 4217 code such as USD, or credit for a provider''s credits to which credit_value gives no value. Never add two currencies. NULL where cost is, or where it is not told.';
COMMENT ON COLUMN calls.summary IS 'The provider''s summary of the conversation. NULL: not told.';
COMMENT ON COLUMN calls.recording_url IS 'Where the recording lies; often signed for an hour or so. NULL: not told.';
COMMENT ON COLUMN calls.is_test IS 'Whether it is a test call; views leave these out. NULL: the provider does not tell.';
COMMENT ON COLUMN calls.metadata IS 'What the account''s own software attached to the call, JSON text. NULL: nothing.';
COMMENT ON COLUMN calls.revision IS 'How many states of the call were seen, from 1; call_revisions has what changed from the second on. Never NULL.';
COMMENT ON COLUMN calls.first_seen_at IS 'When the call was first read; UTC. Never NULL.';
COMMENT ON COLUMN calls.changed_at IS 'When the answer was read that brought its latest state; UTC. Never NULL.';
COMMENT ON COLUMN calls.deleted_at IS 'When it was seen that the provider has deleted the call; UTC. NULL: it has not.';

COMMENT ON TABLE call_costs IS 'One row per priced part of a call, as far as the provider itemises. The sum may differ from the cost of the call, which is the provider''s own total.';
COMMENT ON COLUMN call_costs.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN call_costs.call_id IS 'The provider''s id of the call. Never NULL.';
COMMENT ON COLUMN call_costs.seq IS 'Which part of the call it is, in the provider''s order. Never NULL.';
COMMENT ON COLUMN call_costs.component IS 'What is paid for: llm, tts, stt, telephony, platform or other. Never NULL.';
COMMENT ON COLUMN call_costs.vendor IS 'Who is paid, in the provider''s word. NULL: not told.';
COMMENT ON COLUMN call_costs.amount IS 'What it cost, in currency, exact to nine decimals. NULL: not known.';
COMMENT ON COLUMN call_costs.currency IS 'As cost_currency of the call. NULL: not told, or no amount is known.';
COMMENT ON COLUMN call_costs.input_tokens IS 'How many tokens the model was given. NULL: not told.';
COMMENT ON COLUMN call_costs.output_tokens IS 'How many tokens the model wrote. NULL: not told.';
COMMENT ON COLUMN call_costs.started_at IS 'The writer''s own: the start of the call when the row was written; UTC. NULL: not told.';

COMMENT ON TABLE call_messages IS 'One row per turn of a transcript.';
COMMENT ON COLUMN call_messages.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN call_messages.call_id IS 'The provider''s id of the call. Never NULL.';
COMMENT ON COLUMN call_messages.seq IS 'Which turn of the call it is, in the provider''s order. Never NULL.';
COMMENT ON COLUMN call_messages.role IS 'Who speaks: agent, customer, system or tool. NULL: not told, or a word that syncd has no name for.';
COMMENT ON COLUMN call_messages.content IS 'What was said, after privacy; empty for a turn without words. Never NULL.';
COMMENT ON COLUMN call_messages.offset_ms IS 'When the turn began, in milliseconds from the start of the call. NULL: the provider does not tell.';
COMMENT ON COLUMN call_messages.started_at IS 'The writer''s own: the start of the call when the row was written; UTC. NULL: not told.';

COMMENT ON TABLE call_functions IS 'One row per tool that the agent used in a call.';
COMMENT ON COLUMN call_functions.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN call_functions.call_id IS 'The provider''s id of the call. Never NULL.';
COMMENT ON COLUMN call_functions.seq IS 'Which use of a tool in the call it is, in the provider''s order. Never NULL.';
COMMENT ON COLUMN call_functions.name IS 'The name of the tool. NULL: not told.';
COMMENT ON COLUMN call_functions.params IS 'What it was given, JSON or the provider''s plain text. NULL: nothing.';
COMMENT ON COLUMN call_functions.result IS 'What it answered, JSON or the provider''s plain text. NULL: no answer was recorded.';
COMMENT ON COLUMN call_functions.started_at IS 'The writer''s own: the start of the call when the row was written; UTC. NULL: not told.';

COMMENT ON TABLE call_revisions IS 'One row per field of a call that changed after the call was first read. All rows of one revision came with one answer.';
COMMENT ON COLUMN call_revisions.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN call_revisions.call_id IS 'The provider''s id of the call. Never NULL.';
COMMENT ON COLUMN call_revisions.revision IS 'Which state of the call the change led to; 2 is the first one. Never NULL.';
COMMENT ON COLUMN call_revisions.changed_at IS 'When the answer was read that brought it; UTC. Never NULL.';
COMMENT ON COLUMN call_revisions.field IS 'A column of calls, or costs, messages or functions for the rows of these tables. Never NULL.';
COMMENT ON COLUMN call_revisions.old_value IS 'What it was, as text: amounts as decimals, times in UTC, costs as a JSON array, of messages and functions only how many. NULL: nothing.';
COMMENT ON COLUMN call_revisions.new_value IS 'What it became, likewise. NULL: nothing.';

COMMENT ON TABLE raw_calls IS 'The provider''s own payloads: one row per call and part, the newest of each. Calls are derived from all of theirs.';
COMMENT ON COLUMN raw_calls.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN raw_calls.call_id IS 'The provider''s id of the call. Never NULL.';
COMMENT ON COLUMN raw_calls.part IS 'Which answer it came in: list, detail, transcripts or costs. Never NULL.';
COMMENT ON COLUMN raw_calls.payload IS 'The provider''s JSON, after privacy. NULL: it is older than keep_raw says.';
COMMENT ON COLUMN raw_calls.fetched_at IS 'When the answer arrived; UTC. Never NULL.';
COMMENT ON COLUMN raw_calls.content_hash IS 'The writer''s own: a hash of the payload without what the provider changes at every answer. Never NULL.';
COMMENT ON COLUMN raw_calls.reading IS 'The writer''s own: a number taken when the request was sent; the higher is the newer. Never NULL.';
COMMENT ON COLUMN raw_calls.started_at IS 'The writer''s own: the start of the call when the row was written; UTC. NULL: not told.';

COMMENT ON TABLE sync.sources IS 'One row per source that ever stood in the configuration.';
COMMENT ON COLUMN sync.sources.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN sync.sources.provider IS 'millis, burki or voicy. Never NULL.';
COMMENT ON COLUMN sync.sources.account_fingerprint IS 'Tells the account that the records came from, without its key. NULL: not known yet.';
COMMENT ON COLUMN sync.sources.start IS 'Nothing older is wanted; UTC. Never NULL.';
COMMENT ON COLUMN sync.sources.reread IS 'The ages at which calls are read again, as configured. NULL: none.';
COMMENT ON COLUMN sync.sources.schedule IS 'When it is read, as configured. NULL: not told.';
COMMENT ON COLUMN sync.sources.state IS 'active or parked: nothing is asked for a parked source until somebody acts. Never NULL.';
COMMENT ON COLUMN sync.sources.reason IS 'Why it is parked. NULL while it is active.';
COMMENT ON COLUMN sync.sources.rules IS 'What its records are read with: privacy, and what a credit is worth, without a key. NULL: not told.';
COMMENT ON COLUMN sync.sources.configured IS 'Whether it stood in the configuration when a syncd last looked. NULL counts as not.';
COMMENT ON COLUMN sync.sources.interval_ms IS 'The longest time between two ticks of its schedule, in milliseconds: what is not read for longer is late. NULL: it has none.';
COMMENT ON COLUMN sync.sources.largest_age_ms IS 'The largest age of reread, in milliseconds. NULL: there is none.';
COMMENT ON COLUMN sync.sources.provider_total IS 'How many calls the provider had in all at reconciled_at. NULL: it does not tell, or was not asked yet.';
COMMENT ON COLUMN sync.sources.warehouse_total IS 'How many were here at reconciled_at, those left out that the provider deleted. NULL where provider_total is.';
COMMENT ON COLUMN sync.sources.reconciled_at IS 'When the two totals were taken; UTC. NULL where provider_total is.';

COMMENT ON TABLE sync.windows IS 'The coverage ledger. A closed row is a fact: everything that started in [since, until) was read. An open row is a window being read, or left open. sync.gaps tells what follows from it.';
COMMENT ON COLUMN sync.windows.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN sync.windows.window_id IS 'A number of its own; a later window has a higher one. Never NULL.';
COMMENT ON COLUMN sync.windows.state IS 'open or closed. Never NULL.';
COMMENT ON COLUMN sync.windows.since IS 'Beginning of the stretch, by the start of calls, included; UTC. Never NULL.';
COMMENT ON COLUMN sync.windows.until IS 'End of the stretch, by the start of calls, not included; UTC. Never NULL.';
COMMENT ON COLUMN sync.windows.read_at IS 'When its reading began, by the provider''s clock; UTC. NULL: it has not begun.';
COMMENT ON COLUMN sync.windows.age_ms IS 'How old its youngest call was then, in milliseconds; of readings that were merged, the smallest. NULL while it is open.';
COMMENT ON COLUMN sync.windows.position IS 'Where to go on reading, in the provider''s own terms. NULL: at the beginning, or closed.';
COMMENT ON COLUMN sync.windows.pages IS 'How many pages were read so far. NULL: none, or closed.';
COMMENT ON COLUMN sync.windows.total IS 'How many calls the provider counts in it. NULL: it does not tell, or closed.';
COMMENT ON COLUMN sync.windows.attempt IS 'How often its reading began anew. Never NULL.';
COMMENT ON COLUMN sync.windows.failures IS 'How often in a row its reading failed. Never NULL.';
COMMENT ON COLUMN sync.windows.error IS 'Why its last reading failed. NULL: it did not.';
COMMENT ON COLUMN sync.windows.retry_at IS 'When the daemon may try it again; UTC. NULL: at once.';
COMMENT ON SEQUENCE sync.window_id IS 'The numbers of windows.';

COMMENT ON TABLE sync.window_ids IS 'The writer''s own: which ids the reading of an open window has returned so far. Emptied when the window closes.';
COMMENT ON COLUMN sync.window_ids.window_id IS 'The window, as in sync.windows. Never NULL.';
COMMENT ON COLUMN sync.window_ids.id_hash IS 'A hash of the id. Never NULL.';

COMMENT ON TABLE sync.runs IS 'One row per run of a source; runs that changed nothing, or failed alike, fold into one. Kept for ninety days.';
COMMENT ON COLUMN sync.runs.run_id IS 'A name of its own; of runs that folded, that of the last. Never NULL.';
COMMENT ON COLUMN sync.runs.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN sync.runs.kind IS 'What it was for: live, history or details of the daemon, or the command sync or backfill. Never NULL.';
COMMENT ON COLUMN sync.runs.started_at IS 'When it began; of runs that folded, the first; UTC. Never NULL.';
COMMENT ON COLUMN sync.runs.finished_at IS 'When it ended; of runs that folded, the last; UTC. NULL while it runs, and for ever where its process died.';
COMMENT ON COLUMN sync.runs.outcome IS 'running, done, failed, stopped, or interrupted: its process died. Never NULL.';
COMMENT ON COLUMN sync.runs.requests IS 'How many requests it sent, retries included. Never NULL.';
COMMENT ON COLUMN sync.runs.retries IS 'How many of them were tries again. Never NULL.';
COMMENT ON COLUMN sync.runs.pages IS 'How many pages of lists it read. Never NULL.';
COMMENT ON COLUMN sync.runs.records IS 'How many records it read: the sum of inserted, updated, unchanged and rejected. Never NULL.';
COMMENT ON COLUMN sync.runs.inserted IS 'How many of them were calls that were not here. Never NULL.';
COMMENT ON COLUMN sync.runs.updated IS 'How many of them changed a call. Never NULL.';
COMMENT ON COLUMN sync.runs.unchanged IS 'How many of them told nothing new. Never NULL.';
COMMENT ON COLUMN sync.runs.rejected IS 'How many of them could not become calls. Never NULL.';
COMMENT ON COLUMN sync.runs.drift IS 'How often something appeared in them that syncd has no name for. Never NULL.';
COMMENT ON COLUMN sync.runs.error IS 'Why it failed, or what of it did. NULL: nothing.';
COMMENT ON COLUMN sync.runs.runs IS 'How many runs the row stands for. NULL counts as one.';

COMMENT ON TABLE sync.rejects IS 'One row per record that could not become a call, with its bytes and the reason.';
COMMENT ON COLUMN sync.rejects.reject_id IS 'A hash of the record, its source and the reason. Never NULL.';
COMMENT ON COLUMN sync.rejects.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN sync.rejects.run_id IS 'The run that read it first, as in sync.runs. Never NULL.';
COMMENT ON COLUMN sync.rejects.reason IS 'What it lacks, in a few words that are the same for every record of its kind, such as no id. Never NULL.';
COMMENT ON COLUMN sync.rejects.detail IS 'What a person needs to know to act. NULL: nothing more.';
COMMENT ON COLUMN sync.rejects.payload IS 'The record''s own bytes, after privacy. NULL: it is older than keep_raw says.';
COMMENT ON COLUMN sync.rejects.fetched_at IS 'When it arrived; UTC. Never NULL.';
COMMENT ON COLUMN sync.rejects.resolved_at IS 'When the record could be read after all; UTC. NULL: it could not.';

COMMENT ON TABLE sync.drift IS 'One row per field, status or word of a source that syncd has no name for. Nothing is lost by it: the payload has it.';
COMMENT ON COLUMN sync.drift.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN sync.drift.path IS 'Where it stands in a record, then what is odd about it. Never NULL.';
COMMENT ON COLUMN sync.drift.sample IS 'The first value that was met, shortened, after privacy. NULL: none is shown.';
COMMENT ON COLUMN sync.drift.first_seen_at IS 'When it was first met; UTC. Never NULL.';
COMMENT ON COLUMN sync.drift.last_seen_at IS 'When it was last met; UTC. Never NULL.';
COMMENT ON COLUMN sync.drift.occurrences IS 'How often it was met in records that were new or had changed. Never NULL.';

COMMENT ON TABLE sync.forced IS 'What backfill --force is still to read again, one row per stretch. What stands here shrinks with every window that closes.';
COMMENT ON COLUMN sync.forced.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN sync.forced.since IS 'Beginning of what is left, by the start of calls, included; UTC. Never NULL.';
COMMENT ON COLUMN sync.forced.until IS 'End of what is left, by the start of calls, not included; UTC. Never NULL.';
COMMENT ON COLUMN sync.forced.asked_since IS 'Beginning of what was asked for; UTC. Never NULL.';
COMMENT ON COLUMN sync.forced.asked_until IS 'End of what was asked for; UTC. Never NULL.';
COMMENT ON COLUMN sync.forced.requested_at IS 'When it was asked for; UTC. Never NULL.';

COMMENT ON TABLE sync.details IS 'Answers about single calls that were asked for and did not come whole, one row per call and part. What came whole has no row: its payload in raw_calls says so.';
COMMENT ON COLUMN sync.details.source IS 'The name of the source in the configuration. Never NULL.';
COMMENT ON COLUMN sync.details.call_id IS 'The provider''s id of the call. Never NULL.';
COMMENT ON COLUMN sync.details.part IS 'Which answer: detail, transcripts or costs. Never NULL.';
COMMENT ON COLUMN sync.details.state IS 'missing (the provider says that there is none), failed, or incomplete (it came, and lacked what it should bring). Never NULL.';
COMMENT ON COLUMN sync.details.attempts IS 'How often it was tried. Never NULL.';
COMMENT ON COLUMN sync.details.reading IS 'The writer''s own: the reading of the list payload that the try belongs to; 0: there is none. Never NULL.';
COMMENT ON COLUMN sync.details.tried_at IS 'When it was last tried; UTC. Never NULL.';
COMMENT ON COLUMN sync.details.retry_at IS 'When it is tried again; UTC. NULL: never, unless the list tells something new of the call.';
COMMENT ON COLUMN sync.details.error IS 'Why it did not come. NULL: it came, and lacked something.';

COMMENT ON TABLE sync.schema_versions IS 'The writer''s own: which steps of the schema were made in this file.';
COMMENT ON COLUMN sync.schema_versions.version IS 'The number of the step, from 1. Never NULL.';
COMMENT ON COLUMN sync.schema_versions.applied_at IS 'When it was made; UTC. Never NULL.';
