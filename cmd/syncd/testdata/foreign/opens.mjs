// Opens a DuckDB file read-only, again and again, and asks it the same each time: one JSON array of rows a line. It says what failed, and goes on.
// usage: node opens.mjs FILE TIMES PAUSE_MS SQL
import { DuckDBInstance } from "@duckdb/node-api";

const [file, times, pause, sql] = process.argv.slice(2);
for (let n = 0; n < Number(times); n++) {
  try {
    const instance = await DuckDBInstance.create(file, { access_mode: "READ_ONLY" });
    const connection = await instance.connect();
    const reader = await connection.runAndReadAll(sql);
    console.log(JSON.stringify(reader.getRowsJson()));
    connection.closeSync();
    instance.closeSync();
  } catch (e) {
    console.log(JSON.stringify({ failed: String(e) }));
  }
  await new Promise((done) => setTimeout(done, Number(pause)));
}
