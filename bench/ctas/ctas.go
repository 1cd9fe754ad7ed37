// Package ctas is the reference that syncd's speed is measured against: what DuckDB's own CREATE TABLE AS SELECT takes to bring the same
// records into the same tables.
//
// It owns one script of SQL per provider, which reads a file of records as the provider lists them, one call a line, and makes of it the
// tables calls, call_costs, call_messages, call_functions and raw_calls; and the clock that is held to it. The scripts are written to be
// as fast as DuckDB makes them: to be faster than a slow reference would prove nothing. They refuse all that syncd does beyond
// that: there is no upsert, no ledger, no privacy, no drift and no reject. A record that is not what the provider documents fails the
// load or is read in DuckDB's way, and what the provider's list never tells is NULL without a look.
package ctas

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

//go:embed *.sql
var scripts embed.FS

// Options say what is loaded, and into what.
type Options struct {
	Provider  string    // millis, burki or voicy
	Source    string    // what the column source holds
	NDJSON    string    // the file of records: one call a line, as the provider lists it; DuckDB reads *, ? and [ in its name as a pattern
	Database  string    // the file to make; it must not exist
	FetchedAt time.Time // what the columns hold that tell when syncd read a call; the zero time: now
}

// Timing is how long the statements took. The opening and the closing of the database are in none of them.
type Timing struct {
	Read       time.Duration // from the file of records into a temporary table
	Tables     time.Duration // the five tables
	Checkpoint time.Duration // from the write-ahead log into the file
}

// Total is how long the load took as a whole.
func (t Timing) Total() time.Duration { return t.Read + t.Tables + t.Checkpoint }

// Load makes the database and fills its tables. After an error the file holds nothing of use, and is the caller's to delete.
func Load(ctx context.Context, o Options) (Timing, error) {
	if _, err := os.Lstat(o.Database); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return Timing{}, errors.Join(fmt.Errorf("load into %s: it is there already, and would be measured too; name a new file", o.Database), err)
	}
	script, err := scripts.ReadFile(o.Provider + ".sql")
	if err != nil {
		return Timing{}, fmt.Errorf("there is no script for the provider %q: %w", o.Provider, err)
	}
	db, err := open(ctx, o.Database)
	if err != nil {
		return Timing{}, fmt.Errorf("open %s: %w", o.Database, err)
	}
	t, err := run(ctx, db, o, string(script))
	if err := errors.Join(err, db.Close()); err != nil {
		return Timing{}, fmt.Errorf("load %s: %w", o.NDJSON, err)
	}
	return t, nil
}

// open makes the database with the settings of syncd's own warehouse, so that both write the same format and compress alike.
func open(ctx context.Context, path string) (*sql.DB, error) {
	if strings.ContainsAny(path, "?#%") {
		return nil, errors.New("DuckDB's driver reads ?, # and % in a path as options; choose another name")
	}
	settings := url.Values{
		"storage_compatibility_version": {"v1.2.0"},
		"checkpoint_threshold":          {"1GB"},
		"zstd_min_string_length":        {"64"},
		"autoinstall_known_extensions":  {"false"},
		"autoload_known_extensions":     {"false"},
	}
	connector, err := duckdb.NewConnector(path+"?"+settings.Encode(), func(e driver.ExecerContext) error {
		_, err := e.ExecContext(ctx, "SET TimeZone = 'UTC'", nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// run executes the script on one connection, as temporary tables and variables belong to theirs.
func run(ctx context.Context, db *sql.DB, o Options, script string) (t Timing, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	exec := func(statement string) (time.Duration, error) {
		began := time.Now()
		_, err := conn.ExecContext(ctx, statement)
		return time.Since(began), err
	}
	if o.FetchedAt.IsZero() {
		o.FetchedAt = time.Now()
	}
	for name, value := range map[string]string{
		"source": literal(o.Source), "ndjson": literal(o.NDJSON),
		"fetched_at": "TIMESTAMPTZ " + literal(o.FetchedAt.UTC().Format("2006-01-02 15:04:05.999999-07:00")),
	} {
		// A prepared statement of this kind takes no parameters.
		if _, err := exec("SET VARIABLE " + name + " = " + value); err != nil {
			return t, fmt.Errorf("set the variable %s: %w", name, err)
		}
	}
	for i, statement := range statements(script) {
		took, err := exec(statement)
		if err != nil {
			return t, err
		}
		if i == 0 {
			t.Read = took
		} else {
			t.Tables += took
		}
	}
	t.Checkpoint, err = exec("CHECKPOINT")
	return t, err
}

// statements splits a script. Ours end each statement with a semicolon at the end of a line, and have none there otherwise.
func statements(script string) []string {
	return strings.Split(strings.TrimSuffix(strings.TrimSpace(script), ";"), ";\n")
}

// literal writes a text as SQL does.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
