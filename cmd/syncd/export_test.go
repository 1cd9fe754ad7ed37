package main

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"syncd/internal/export"
)

// An export reads what readers see, whether or not a daemon has the warehouse, and keeps it from nothing.
func TestAnExportWhileTheDaemonRunsHoldsWhatReadersSee(t *testing.T) {
	t.Parallel()
	s := newSite(t, 120, providers...)
	s.edit("warehouse:\n", "warehouse:\n  publish_every: 1s\n")
	if out, code := s.run("sync"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	daemon := s.daemon()
	dir := filepath.Join(t.TempDir(), "export")
	out, code := s.run("export", "--to", dir, "--raw")
	if code != exitDone || !strings.Contains(out, "exported to "+dir+" as of 20") {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	same := func() {
		t.Helper()
		var db *sql.DB
		eventually(t, "an export is of the copy that there is", func() bool { // another may have been made meanwhile
			if out, code := s.run("export", "--to", dir); code != exitDone {
				t.Fatalf("exit code %d\n%s", code, out)
			}
			var m export.Manifest
			text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
			must(t, err)
			must(t, json.Unmarshal(text, &m))
			db, err = sql.Open("duckdb", "")
			must(t, err)
			db.SetMaxOpenConns(1)
			_, err = db.Exec(`ATTACH '` + strings.TrimSuffix(s.warehouse, ".duckdb") + `.read.duckdb' AS wh (READ_ONLY)`)
			must(t, err)
			var at time.Time
			must(t, db.QueryRow(`SELECT published_at FROM wh.sync.published`).Scan(&at))
			if !m.Complete || !at.Equal(m.AsOf) {
				must(t, db.Close())
				return false
			}
			return true
		})
		defer db.Close()
		for _, c := range []struct{ table, own string }{
			{"calls", ""}, {"call_costs", "EXCLUDE (started_at)"}, {"call_messages", "EXCLUDE (started_at)"}, {"call_functions", "EXCLUDE (started_at)"},
			{"raw_calls", "EXCLUDE (started_at, reading, content_hash)"},
		} {
			parquet := `FROM read_parquet('` + dir + `/` + c.table + `/*/*/*.parquet', hive_partitioning = true)`
			var differ, n int
			// The folders' columns come last in what is read; in the tables the source comes first.
			ours, theirs := `SELECT * `+c.own+` FROM wh.`+c.table, `SELECT source, * EXCLUDE (source, month) `+parquet
			must(t, db.QueryRow(`SELECT (SELECT count(*) FROM ((`+ours+`) EXCEPT ALL (`+theirs+`))) + (SELECT count(*) FROM ((`+theirs+`) EXCEPT ALL (`+ours+`))), (SELECT count(*) `+parquet+`)`).
				Scan(&differ, &n))
			if differ > 0 || n == 0 {
				t.Errorf("%s: %d rows differ of %d", c.table, differ, n)
			}
		}
	}
	same()

	known, err := export.Known(s.warehouse)
	if err != nil || len(known) != 1 {
		t.Errorf("where it was exported to: %v, %v", known, err)
	}
	must(t, daemon.Process.Signal(os.Interrupt))
	if code := daemon.ends(patience); code != exitDone && code != 130 {
		t.Errorf("the daemon's exit code is %d", code)
	}
	same()
}
