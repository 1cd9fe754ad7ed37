// Prints the answer to one SQL text about a DuckDB file that is closed, as a JSON array of rows.
// usage: node dump.mjs FILE SQL
import { DuckDBInstance } from "@duckdb/node-api";

const [file, sql] = process.argv.slice(2);
const instance = await DuckDBInstance.create(file, { access_mode: "READ_ONLY" });
const connection = await instance.connect();
const reader = await connection.runAndReadAll(sql);
console.log(JSON.stringify(reader.getRowsJson()));
