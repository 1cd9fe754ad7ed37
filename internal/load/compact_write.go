package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// fresh is the name by which the new file is attached while it is written.
const fresh = "syncd_compacting"

// write makes the new file and checks it: what it should hold is read from the disk again, and not from what is still in memory.
func (c *compaction) write(ctx context.Context) (rows int64, err error) {
	unstopped := context.WithoutCancel(ctx)
	detach := func(err error) error {
		if c.w.lost {
			return err // DuckDB refuses everything, and lets go of both files when they are closed
		}
		_, derr := c.w.conn.ExecContext(unstopped, `DETACH DATABASE IF EXISTS `+fresh)
		return errors.Join(err, derr)
	}
	stop := c.watch()
	defer stop()
	err = c.w.widely(ctx, func() error { return c.fill(ctx) })
	if err = detach(err); err != nil {
		return 0, err
	}
	if err := c.step("check what was written"); err != nil {
		return 0, err
	}
	if _, err := c.w.conn.ExecContext(ctx, `ATTACH `+literal(newOf(c.path))+` AS `+fresh+` (READ_ONLY)`); err != nil {
		return 0, err
	}
	err = c.w.widely(ctx, func() error { return c.same(ctx) })
	for _, n := range c.rows {
		rows += n
	}
	return rows, detach(err)
}

// watch tells how far the new file has grown, until it is told to stop.
func (c *compaction) watch() (stop func()) {
	if c.o.Tell == nil {
		return func() {}
	}
	total := int64(0)
	if info, err := os.Stat(c.path); err == nil {
		total = info.Size()
	}
	ended, rest := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(rest)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				if info, err := os.Stat(newOf(c.path)); err == nil {
					c.o.Tell(min(info.Size(), total), total)
				}
			}
		}
	}()
	return func() { close(ended); <-rest }
}

// fill writes everything into the new file: the tables, views, macros and sequences as they are in the old one, with all that is said of them, then the
// rows in the order in which they stand, and brings it to rest. Rows that stand beside each other in time are found by their starts, so the order stays.
func (c *compaction) fill(ctx context.Context) error {
	var name string
	if err := c.w.conn.QueryRowContext(ctx, `SELECT current_database()`).Scan(&name); err != nil {
		return err
	}
	for _, s := range []struct{ step, sql string }{
		{"make the new file", `ATTACH ` + literal(newOf(c.path)) + ` AS ` + fresh + ` (STORAGE_VERSION 'v1.2.0')`},
		{"copy the schema", `COPY FROM DATABASE ` + quote(name) + ` TO ` + fresh + ` (SCHEMA)`},
	} {
		if err := c.step(s.step); err != nil {
			return err
		}
		if _, err := c.w.conn.ExecContext(ctx, s.sql); err != nil {
			return err
		}
	}
	var err error
	if c.rows, err = c.w.countRows(ctx); err != nil {
		return err
	}
	before := ""
	for _, table := range slices.Sorted(maps.Keys(c.rows)) {
		if schema, _, _ := strings.Cut(table, "."); schema != before {
			if err := c.step("copy " + schema); err != nil {
				return err
			}
			before = schema
		}
		if _, err := c.w.conn.ExecContext(ctx, `INSERT INTO `+fresh+`.`+quoted(table)+` FROM `+quoted(table)); err != nil { //nolint:gosec // a name of the catalog, quoted
			return fmt.Errorf("copy %s: %w", table, err)
		}
	}
	if err := c.step("checkpoint"); err != nil {
		return err
	}
	_, err = c.w.conn.ExecContext(ctx, `CHECKPOINT `+fresh)
	return err
}

// takeIDs takes a number from each sequence: DuckDB tells in no other way for certain where one stands. What is taken is never given again.
func (w *Warehouse) takeIDs(ctx context.Context) (map[string]int64, error) {
	names, err := w.strings(ctx, `SELECT schema_name || '.' || sequence_name FROM duckdb_sequences()
		WHERE database_name = current_database() AND NOT temporary ORDER BY ALL`)
	if err != nil {
		return nil, fmt.Errorf("list the sequences: %w", err)
	}
	ids := make(map[string]int64, len(names))
	for _, name := range names {
		var n int64
		if err := w.conn.QueryRowContext(ctx, `SELECT nextval(`+literal(quoted(name))+`)`).Scan(&n); err != nil {
			return nil, fmt.Errorf("take a number of %s: %w", name, err)
		}
		ids[name] = n
	}
	return ids, nil
}

// goOn checks that the sequences of the new file go on behind the numbers that were taken last.
func (c *compaction) goOn(ctx context.Context) error {
	for name, last := range c.ids {
		var before int64
		if err := c.w.conn.QueryRowContext(ctx, `SELECT start_value - increment_by FROM duckdb_sequences()
			WHERE database_name = `+literal(fresh)+` AND schema_name || '.' || sequence_name = `+literal(name)).Scan(&before); err != nil {
			return fmt.Errorf("look where %s stands: %w", name, err)
		}
		if before != last {
			return fmt.Errorf("%s would go on behind %d in the new file, and %d was taken", name, before, last)
		}
	}
	return nil
}

// same compares the new file with the old one: what there is and what is said of it, and the rows of each table, whatever their order.
func (c *compaction) same(ctx context.Context) error {
	was, err := c.w.strings(ctx, catalogOf(`current_database()`))
	if err != nil {
		return fmt.Errorf("read what the old file has: %w", err)
	}
	is, err := c.w.strings(ctx, catalogOf(literal(fresh)))
	if err != nil {
		return fmt.Errorf("read what the new file has: %w", err)
	}
	for i := range max(len(was), len(is)) {
		if i >= len(was) || i >= len(is) || was[i] != is[i] {
			return fmt.Errorf("the new file is another in what it has: %s", firstDifference(was, is, i))
		}
	}
	if err := c.goOn(ctx); err != nil {
		return err
	}
	for _, table := range slices.Sorted(maps.Keys(c.rows)) {
		var digests [2]string
		for i, of := range []string{quoted(table), fresh + "." + quoted(table)} {
			if err := c.w.conn.QueryRowContext(ctx, `SELECT count(*) || ' ' || coalesce(sum(hash(t))::VARCHAR, '') FROM `+of+` AS t`).Scan(&digests[i]); err != nil {
				return fmt.Errorf("compare the rows of %s: %w", table, err)
			}
		}
		if digests[0] != digests[1] {
			return fmt.Errorf("the new file has other rows of %s", table)
		}
	}
	return nil
}

// firstDifference shows the first line in which two catalogs differ.
func firstDifference(was, is []string, at int) string {
	line := func(all []string) string {
		if at >= len(all) {
			return "nothing"
		}
		return all[at]
	}
	return fmt.Sprintf("%s, where the old one has %s", line(is), line(was))
}

// catalogOf selects all that a database has, a line each: with the columns of tables and views, their types, constraints and compression, the texts of
// views and macros, and what is said of each. Where a sequence stands is looked at elsewhere.
func catalogOf(database string) string {
	return `WITH said AS (
		SELECT 'schema ' || schema_name AS line, comment FROM duckdb_schemas() WHERE database_name = ` + database + `
		UNION ALL SELECT 'table ' || schema_name || '.' || table_name || ': ' || sql, comment FROM duckdb_tables() WHERE database_name = ` + database + ` AND NOT temporary
		UNION ALL SELECT 'column ' || schema_name || '.' || table_name || '.' || column_index || ' ' || column_name || ' ' || data_type || ' ' || is_nullable
			|| ' ' || coalesce(column_default, ''), comment FROM duckdb_columns() WHERE database_name = ` + database + ` AND NOT internal
		UNION ALL SELECT 'constraint ' || schema_name || '.' || table_name || ' ' || constraint_type || ' ' || coalesce(constraint_text, '') || ' '
			|| constraint_column_names::VARCHAR, '' FROM duckdb_constraints() WHERE database_name = ` + database + `
		UNION ALL SELECT 'index ' || schema_name || '.' || index_name || ': ' || coalesce(sql, ''), comment FROM duckdb_indexes() WHERE database_name = ` + database + `
		UNION ALL SELECT 'view ' || schema_name || '.' || view_name || ': ' || sql, comment FROM duckdb_views() WHERE database_name = ` + database + ` AND NOT internal
		UNION ALL SELECT 'sequence ' || schema_name || '.' || sequence_name || ' ' || increment_by || ' ' || min_value || ' ' || max_value || ' ' || cycle, comment
			FROM duckdb_sequences() WHERE database_name = ` + database + `
		UNION ALL SELECT function_type || ' ' || schema_name || '.' || function_name || '(' || parameters::VARCHAR || '): ' || coalesce(macro_definition, ''), comment
			FROM duckdb_functions() WHERE database_name = ` + database + ` AND NOT internal
		UNION ALL SELECT 'type ' || schema_name || '.' || type_name || ' ' || logical_type, comment FROM duckdb_types() WHERE database_name = ` + database + ` AND NOT internal)
	SELECT line || coalesce(' -- ' || comment, '') FROM said ORDER BY ALL`
}

// strings returns the rows of a query that has one column of text.
func (w *Warehouse) strings(ctx context.Context, query string) (all []string, err error) {
	rows, err := w.conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// quoted is the name of a table with its schema as SQL writes it.
func quoted(table string) string {
	schema, name, _ := strings.Cut(table, ".")
	return quote(schema) + "." + quote(name)
}

// literal is a text as SQL writes it, and quote a name.
func literal(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }
func quote(s string) string   { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
