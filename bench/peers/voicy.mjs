// What both scripts share: their options, the pages of Voicy's list, and what a call means in typed columns.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

export function readOptions() {
  const text = { type: "string" };
  const { values } = parseArgs({
    options: { url: text, key: text, database: text, state: text, since: text, until: text, "page-size": { ...text, default: "1000" } },
  });
  for (const name of ["url", "key", "database", "state", "since", "until"]) {
    if (!values[name]) {
      console.error(`--${name} is missing; usage: --url URL --key KEY --database FILE --state FILE --since MS --until MS [--page-size N]`);
      process.exit(2);
    }
  }
  return { ...values, since: Number(values.since), until: Number(values.until), pageSize: Number(values["page-size"]) };
}

// The position after the last page that was committed; undefined where nothing was, or the file was removed.
export function readState(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8")).pagination_key;
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

export function writeState(file, key) {
  writeFileSync(`${file}.new`, JSON.stringify({ pagination_key: key }));
  renameSync(`${file}.new`, file);
}

// The list, oldest call first, from a position on: such a reading ends at the newest call, and the next one goes on from there. Node's fetch
// keeps the connection open between the pages.
export async function* pages({ url, key, since, until, pageSize }, position) {
  const filter = { start_timestamp: { lower_threshold: since, upper_threshold: until - 1 }, include_test_calls: true };
  for (;;) {
    const body = JSON.stringify({ filter_criteria: filter, sort_order: "ascending", limit: pageSize, pagination_key: position });
    const { calls } = await post(`${url}/call-list`, key, body);
    if (calls.length === 0) return;
    position = calls[calls.length - 1].call_id;
    yield { calls, position };
    if (calls.length < pageSize) return;
  }
}

async function post(url, key, body) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(url, { method: "POST", headers, body });
    if (response.ok) return response.json();
    const message = await response.text();
    if (attempt === 5 || (response.status !== 429 && response.status < 500)) {
      throw new Error(`POST ${url}: ${response.status} ${message}`);
    }
    const seconds = Number(response.headers.get("retry-after")) || 2 ** attempt;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }
}

// What a call means, in the order of the table's columns. A duration of 24 days fits into an INTEGER, and spares the scripts a BigInt.
export const columns = `call_id VARCHAR NOT NULL, status VARCHAR NOT NULL, status_raw VARCHAR, end_reason VARCHAR, direction VARCHAR, channel VARCHAR,
  from_number VARCHAR, to_number VARCHAR, agent_name VARCHAR, agent_version INTEGER, started_at TIMESTAMPTZ, ended_at TIMESTAMPTZ,
  duration_ms INTEGER, is_test BOOLEAN, summary VARCHAR`;

const directions = { incoming: "inbound", outgoing: "outbound" };
const channels = { phone_call: "phone", web_call: "web" };
const statuses = {
  initiated: ["ringing"],
  ringing: ["ringing"],
  ongoing: ["in_progress"],
  in_progress: ["in_progress"],
  user_hangup: ["completed", "user"],
  agent_hangup: ["completed", "agent"],
  inactivity: ["completed", "inactivity"],
  error_inactivity: ["completed", "inactivity"],
  ended: ["completed"],
  voicemail: ["voicemail", "voicemail"],
  no_answer: ["no_answer"],
  busy: ["busy"],
  canceled: ["canceled"],
  error: ["failed", "error"],
};
const unknown = ["unknown"];

export function normalise(call) {
  const [status, endReason] = statuses[call.call_status] ?? unknown;
  const { start_timestamp: startedMs, duration_ms: durationMs } = call;
  return {
    callId: call.call_id,
    status,
    statusRaw: call.call_status,
    endReason,
    direction: directions[call.direction],
    channel: channels[call.call_type],
    fromNumber: call.from_number,
    toNumber: call.to_number,
    agentName: call.agent?.name,
    agentVersion: call.agent?.version,
    startedMs,
    endedMs: startedMs == null || durationMs == null ? null : startedMs + durationMs,
    durationMs,
    isTest: call.is_test_call,
    summary: call.summary,
  };
}

export function report(rows, pages, began) {
  console.log(JSON.stringify({ rows, pages, seconds: (performance.now() - began) / 1000 }));
}
