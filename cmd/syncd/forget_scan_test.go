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
	all := make(map[string][]string)
	must(t, w.Write(t.Context(), func(tx *load.Tx) error {
		columns, err := textsOf(t.Context(), tx, `SELECT t.schema_name || '.' || t.table_name || '.' || column_name FROM duckdb_columns() JOIN duckdb_tables() AS t
			USING (database_name, schema_name, table_name) WHERE database_name = current_database() AND NOT temporary`)
		for _, c := range columns {
			at := strings.LastIndex(c, ".")
			texts, err := textsOf(t.Context(), tx, `SELECT "`+c[at+1:]+`"::VARCHAR FROM `+c[:at]+` WHERE "`+c[at+1:]+`" IS NOT NULL`)
			if err != nil {
				return err
			}
			for _, text := range texts {
				all[c] = within(append(all[c], text), text)
			}
		}
		return err
	}))
	return all
}

func textsOf(ctx context.Context, tx *load.Tx, query string) (texts []string, err error) {
	rows, err := tx.QueryContext(ctx, query)
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
func traces(t *testing.T, path string) (found []string) {
	t.Helper()
	for column, texts := range columnsOf(t, path) {
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
