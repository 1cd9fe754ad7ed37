// Opens a DuckDB file read-only and prints the answer to each SQL text given, one JSON array of rows a line.
// usage: node dump.mjs FILE SQL…
import { DuckDBInstance } from "@duckdb/node-api";

const [file, ...queries] = process.argv.slice(2);
const instance = await DuckDBInstance.create(file, { access_mode: "READ_ONLY" });
const connection = await instance.connect();
for (const sql of queries) {
  const reader = await connection.runAndReadAll(sql);
  console.log(JSON.stringify(reader.getRowsJson()));
}
