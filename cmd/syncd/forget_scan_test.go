package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"syncd/internal/load"
)

// columnsOf are all texts of a file, decoded where they are JSON, by table and column.
func columnsOf(t *testing.T, path string) map[string][]string {
	t.Helper()
	w, err := load.OpenReadOnly(t.Context(), path)
	must(t, err)
	defer w.Close()
	var all map[string][]string
	must(t, w.Write(t.Context(), func(tx *load.Tx) (err error) {
		all, err = textsIn(t.Context(), tx)
		return err
	}))
	return all
}

// exportedColumns are all texts of the files of an export, and their names.
func exportedColumns(t *testing.T, dir string) map[string][]string {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	must(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	tables, err := filepath.Glob(filepath.Join(dir, "*", "source=*"))
	must(t, err)
	for _, table := range tables {
		name := filepath.Base(filepath.Dir(table))
		_, err := db.ExecContext(t.Context(), `CREATE TABLE IF NOT EXISTS `+name+` AS FROM read_parquet('`+filepath.Dir(table)+`/*/*/*.parquet', hive_partitioning = true)`)
		must(t, err)
	}
	all, err := textsIn(t.Context(), db)
	must(t, err)
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	must(t, err)
	all["manifest.json"] = within([]string{string(text)}, string(text))
	return all
}

// asker answers SQL.
type asker interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// textsIn are all texts of a database, decoded where they are JSON, by table and column.
func textsIn(ctx context.Context, q asker) (map[string][]string, error) {
	all := make(map[string][]string)
	columns, err := textsOf(ctx, q, `SELECT t.schema_name || '.' || t.table_name || '.' || column_name FROM duckdb_columns() JOIN duckdb_tables() AS t
			USING (database_name, schema_name, table_name) WHERE database_name = current_database() AND NOT temporary`)
	for _, c := range columns {
		at := strings.LastIndex(c, ".")
		texts, err := textsOf(ctx, q, `SELECT "`+c[at+1:]+`"::VARCHAR FROM `+c[:at]+` WHERE "`+c[at+1:]+`" IS NOT NULL`)
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			all[c] = within(append(all[c], text), text)
		}
	}
	return all, err
}

func textsOf(ctx context.Context, q asker, query string) (texts []string, err error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Err(), rows.Close()) }()
	for rows.Next() {
		var text sql.NullString
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		texts = append(texts, text.String)
	}
	return texts, nil
}

// within appends what a text holds where it is JSON: names, texts and numbers, and so on inwards.
func within(all []string, text string) []string {
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&v) != nil || d.More() {
		return all
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case string:
			all = within(append(all, v), v)
		case json.Number:
			all = append(all, v.String())
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for k, e := range v {
				all = append(all, k)
				walk(e)
			}
		}
	}
	walk(v)
	return all
}

// traces lists the columns of a file in which a text has the person's digits, whatever is between them, but for the number that looks like it.
func traces(t *testing.T, path string) []string {
	t.Helper()
	return tracesIn(columnsOf(t, path))
}

func tracesIn(columns map[string][]string) (found []string) {
	for column, texts := range columns {
		for _, text := range texts {
			if strings.Contains(strings.ReplaceAll(onlyDigits(text), "44"+forgottenNational, ""), forgottenNational) {
				found = append(found, column)
				break
			}
		}
	}
	return found
}

// rawTraces counts where the bytes of a file and of its log hold the number, but for the one that looks like it.
func rawTraces(t *testing.T, path string) (n int) {
	t.Helper()
	for _, part := range []string{path, path + ".wal"} {
		content, err := os.ReadFile(part)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		must(t, err)
		n += bytes.Count(content, []byte(forgottenNational)) - bytes.Count(content, []byte("44"+forgottenNational))
		n += bytes.Count(content, []byte("415) 555-0100"))
	}
	return n
}

// plain is a text with one space between its words.
func plain(s string) string { return strings.Join(strings.Fields(s), " ") }

func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// theRest are the rows of a file that have nothing to do with the person, without what tells when and how often they were read.
func theRest(t *testing.T, path string) (all []string) {
	t.Helper()
	w, err := load.OpenReadOnly(t.Context(), path)
	must(t, err)
	defer w.Close()
	must(t, w.Write(t.Context(), func(tx *load.Tx) error {
		for _, table := range []string{"calls", "call_costs", "call_messages", "call_functions", "call_revisions", "raw_calls", "sync.details"} {
			texts, err := textsOf(t.Context(), tx, `SELECT t::VARCHAR FROM `+table+` AS t WHERE NOT regexp_matches(call_id, '^(person-.|880002)$') ORDER BY ALL`)
			if err != nil {
				return err
			}
			all = append(all, table)
			all = append(all, texts...)
		}
		return nil
	}))
	return all
}

// noTrace fails the test where anything is left of the person.
func noTrace(t *testing.T, after string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if found := traces(t, path); len(found) > 0 {
			t.Errorf("after %s the number stands in %s of %s", after, found, filepath.Base(path))
		}
	}
}
