package load

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one numbered step of the schema. Steps are never changed once released, only added.
type migration struct {
	version int
	name    string
	sql     string
}

// migrations lists the steps in order.
func migrations() ([]migration, error) {
	entries, err := fs.ReadDir(migrationFiles, "migrations") // sorted by name, so by number
	if err != nil {
		return nil, err
	}
	var all []migration
	for _, e := range entries {
		number, _, _ := strings.Cut(e.Name(), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != len(all)+1 {
			return nil, fmt.Errorf("migration %s: expected number %04d", e.Name(), len(all)+1)
		}
		text, err := fs.ReadFile(migrationFiles, "migrations/"+e.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version, e.Name(), string(text)})
	}
	return all, nil
}

// migrate brings the schema to this binary's version, each step in a transaction with its own record. If the process dies in between,
// the next one goes on with the step that has no record.
func (w *Warehouse) migrate(ctx context.Context) error {
	all, err := migrations()
	if err != nil {
		return err
	}
	version, err := w.knownVersion(ctx)
	if err != nil {
		return err
	}
	for _, m := range all[version:] {
		if err := w.Write(ctx, func(tx *Tx) error {
			if m.version == 1 {
				if _, err := tx.ExecContext(ctx, `CREATE SCHEMA sync; CREATE TABLE sync.schema_versions (version INTEGER NOT NULL, applied_at TIMESTAMPTZ NOT NULL)`); err != nil {
					return err
				}
			}
			if _, err := tx.ExecContext(ctx, m.sql); err != nil {
				return err
			}
			tx.changed = true // readers look for what it makes
			_, err := tx.ExecContext(ctx, `INSERT INTO sync.schema_versions VALUES (?, now())`, m.version)
			return err
		}); err != nil {
			return fmt.Errorf("apply migration %s: %w", m.name, err)
		}
	}
	return nil
}

// knownVersion is the file's schema version. One that a newer syncd wrote is an error: this one does not know what it means.
func (w *Warehouse) knownVersion(ctx context.Context) (int, error) {
	all, err := migrations()
	if err != nil {
		return 0, err
	}
	version, err := w.schemaVersion(ctx)
	if err == nil && version > len(all) {
		err = fmt.Errorf("its schema is version %d, newer than this syncd knows (%d); use the newer syncd", version, len(all))
	}
	return version, err
}

// schemaVersion is 0 for a new file. A file with tables of somebody else's is an error: syncd shares its file with nobody.
func (w *Warehouse) schemaVersion(ctx context.Context) (int, error) {
	var tables, ours int
	if err := w.conn.QueryRowContext(ctx, `SELECT count(*), count(*) FILTER (schema_name = 'sync' AND table_name = 'schema_versions')
		FROM duckdb_tables() WHERE database_name = current_database()`).Scan(&tables, &ours); err != nil {
		return 0, fmt.Errorf("look at its tables: %w", err)
	}
	if ours == 0 {
		if tables > 0 {
			return 0, errors.New("it holds tables that are not syncd's; give syncd a file of its own")
		}
		return 0, nil
	}
	var version int
	if err := w.conn.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM sync.schema_versions`).Scan(&version); err != nil {
		return 0, fmt.Errorf("read its schema version: %w", err)
	}
	return version, nil
}
