// The script that most engineers would write: a page a transaction, staged in a temporary table and merged into a table with a primary key.
import { DuckDBInstance, DuckDBTimestampTZValue } from "@duckdb/node-api";
import { columns, normalise, pages, readOptions, readState, report, writeState } from "./voicy.mjs";

const options = readOptions();
const instance = await DuckDBInstance.create(options.database);
const connection = await instance.connect();
await connection.run(`CREATE TABLE IF NOT EXISTS calls (${columns}, PRIMARY KEY (call_id))`);
await connection.run(`CREATE TEMP TABLE stage (${columns})`);

const time = (ms) => new DuckDBTimestampTZValue(BigInt(ms) * 1000n);

function append(appender, method, value) {
  if (value == null) appender.appendNull();
  else appender[method](value);
}

async function commit(calls) {
  await connection.run("BEGIN");
  const appender = await connection.createAppender("stage");
  for (const c of calls.map(normalise)) {
    appender.appendVarchar(c.callId);
    appender.appendVarchar(c.status);
    append(appender, "appendVarchar", c.statusRaw);
    append(appender, "appendVarchar", c.endReason);
    append(appender, "appendVarchar", c.direction);
    append(appender, "appendVarchar", c.channel);
    append(appender, "appendVarchar", c.fromNumber);
    append(appender, "appendVarchar", c.toNumber);
    append(appender, "appendVarchar", c.agentName);
    append(appender, "appendInteger", c.agentVersion);
    append(appender, "appendTimestampTZ", c.startedMs == null ? null : time(c.startedMs));
    append(appender, "appendTimestampTZ", c.endedMs == null ? null : time(c.endedMs));
    append(appender, "appendInteger", c.durationMs);
    append(appender, "appendBoolean", c.isTest);
    append(appender, "appendVarchar", c.summary);
    appender.endRow();
  }
  appender.closeSync();
  await connection.run("INSERT OR REPLACE INTO calls SELECT * FROM stage");
  // Before the commit: a stage that is emptied later makes reading everything again take three times the processor time.
  await connection.run("TRUNCATE stage");
  await connection.run("COMMIT");
}

const began = performance.now();
let rows = 0;
let read = 0;
for await (const page of pages(options, readState(options.state))) {
  await commit(page.calls);
  writeState(options.state, page.position);
  rows += page.calls.length;
  read++;
}
await connection.run("CHECKPOINT");
connection.closeSync();
instance.closeSync();
report(rows, read, began);
