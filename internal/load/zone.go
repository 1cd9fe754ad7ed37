package load

import (
	"context"
	"fmt"
	"time"
)

// tellZone makes the views tell days in a zone. Where they do already, nothing is written.
//
// It is one transaction: if the process dies before it commits, the views go on as they were, and the next Open does the same again.
func (w *Warehouse) tellZone(ctx context.Context, zone *time.Location) error {
	if zone == nil {
		return nil
	}
	name := zone.String()
	var is string
	if err := w.conn.QueryRowContext(ctx, `SELECT sync.time_zone()`).Scan(&is); err != nil {
		return fmt.Errorf("read the zone of the views: %w", err)
	}
	if is == name {
		return nil
	}
	var known bool
	if err := w.conn.QueryRowContext(ctx, `SELECT count(*) > 0 FROM pg_timezone_names() WHERE name = ?`, name).Scan(&known); err != nil {
		return fmt.Errorf("look up the zone %s: %w", name, err)
	}
	if !known {
		return fmt.Errorf("DuckDB knows no time zone %q; choose another name in warehouse.timezone, such as Europe/Berlin", name)
	}
	if err := w.Write(ctx, func(tx *Tx) error {
		said, err := tx.macroComment(ctx, "time_zone")
		if err != nil {
			return err
		}
		tx.changed = true // readers see other days
		for _, s := range []string{`CREATE OR REPLACE MACRO sync.time_zone() AS ` + literal(name), `COMMENT ON MACRO sync.time_zone IS ` + literal(said)} {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("set the zone of the views to %s: %w", name, err)
	}
	return nil
}

// macroComment is what is said of a macro of the schema sync.
func (tx *Tx) macroComment(ctx context.Context, name string) (said string, err error) {
	err = tx.w.conn.QueryRowContext(ctx, `SELECT coalesce(any_value(comment), '') FROM duckdb_functions() WHERE schema_name = 'sync' AND function_name = ?`, name).Scan(&said)
	return said, err
}
