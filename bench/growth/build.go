package growth

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"syncd/internal/load"
)

// settled is a built call's columns, as population.observation makes them. $1 is the first start and $2 the step, in milliseconds since 1970.
const settled = `WITH numbered AS (
	SELECT range AS n, sha256(range::VARCHAR || '/0') AS digest, $1::BIGINT + range * $2::BIGINT AS start_ms, 5000 + range * 7919 % 600000 AS lasted,
		'+1555010' || lpad((range % 40)::VARCHAR, 4, '0') AS ours, '+1555' || lpad((range * 48271 % 9999991)::VARCHAR, 7, '0') AS customer
	FROM range($3::BIGINT)
), settled AS (
	SELECT n, lasted, start_ms, customer, n % 3 = 0 AS inbound, n % 9 = 0 AS missed, ('0x' || digest[33:47])::BIGINT AS content_hash,
		digest[1:8] || '-' || digest[9:12] || '-' || digest[13:16] || '-' || digest[17:20] || '-' || digest[21:32] AS call_id,
		CASE WHEN inbound THEN customer ELSE ours END AS from_number, CASE WHEN inbound THEN ours ELSE customer END AS to_number,
		CASE WHEN missed THEN 'no_answer' ELSE 'user_hangup' END AS status_raw,
		'Reception ' || (n % 8 + 1) AS agent_name, (n % 5 + 1)::VARCHAR AS agent_version,
		make_timestamptz(start_ms * 1000) AS started_at, make_timestamptz(start_ms * 1000 + 600000000) AS fetched_at
	FROM numbered
)`

// Build makes a warehouse with so many calls, spread evenly over a year, each with the payload of its list, as the writer would have left it
// after a year. Reading one of them again is a call that has not changed.
func Build(ctx context.Context, path string, rows int) error {
	if err := prepare(ctx, path); err != nil {
		return err
	}
	db, err := connect(path)
	if err != nil {
		return err
	}
	step := stepOf(rows).Milliseconds()
	for _, statement := range []string{
		settled + `INSERT INTO calls SELECT 'voicy', 'voicy', call_id, NULL, agent_name, agent_version, NULL, 'phone',
			CASE WHEN inbound THEN 'inbound' ELSE 'outbound' END, from_number, to_number, customer, NULL,
			CASE WHEN missed THEN 'no_answer' ELSE 'completed' END, status_raw, CASE WHEN missed THEN NULL ELSE 'user' END, true,
			started_at, make_timestamptz((start_ms + lasted) * 1000), lasted, NULL, NULL, NULL, NULL, false, NULL, 1, fetched_at, fetched_at, NULL
		FROM settled`,
		settled + `INSERT INTO raw_calls SELECT 'voicy', call_id, 'list',
			'{"call_id":"' || call_id || '","call_type":"phone_call","call_status":"' || status_raw || '","agent":{"name":"' || agent_name || '","version":' ||
			agent_version || '},"from_number":"' || from_number || '","to_number":"' || to_number || '","direction":"' ||
			CASE WHEN inbound THEN 'incoming' ELSE 'outgoing' END || '","start_timestamp":' || start_ms || ',"duration_ms":' || lasted || ',"is_test_call":false}',
			fetched_at, content_hash, 1, started_at
		FROM settled`,
	} {
		if _, err := db.ExecContext(ctx, statement, firstStart().UnixMilli(), step, rows); err != nil {
			return errors.Join(fmt.Errorf("build %d calls: %w", rows, err), db.Close())
		}
	}
	if _, err := db.ExecContext(ctx, `CHECKPOINT`); err != nil {
		return errors.Join(fmt.Errorf("build %d calls: %w", rows, err), db.Close())
	}
	return db.Close()
}

// stepOf is the time between two starts where so many calls take a year, in whole milliseconds, as the provider's starts are.
func stepOf(rows int) time.Duration {
	return (365 * 24 * time.Hour / time.Duration(max(rows, 1))).Truncate(time.Millisecond)
}

// prepare makes a warehouse with its tables and its one source.
func prepare(ctx context.Context, path string) error {
	w, err := load.Open(ctx, load.Options{Path: path})
	if err != nil {
		return err
	}
	err = w.Write(ctx, func(tx *load.Tx) error {
		_, err := tx.SaveSource(ctx, load.Source{Name: source, Provider: "voicy", Start: firstStart(), Reread: "5m, 1h, 24h, 168h", LargestAge: 168 * time.Hour,
			Schedule: "@every 5m", Interval: 5 * time.Minute})
		return err
	})
	return errors.Join(err, w.Checkpoint(ctx), w.Close())
}

// connect opens a warehouse for statements of any kind, with the settings that decide how the writer's own rows are stored.
func connect(path string) (*sql.DB, error) {
	c, err := duckdb.NewConnector(path+"?storage_compatibility_version=v1.2.0&zstd_min_string_length=64&checkpoint_threshold=1GB", nil)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1) // a setting of a connection is one for all
	return db, nil
}
