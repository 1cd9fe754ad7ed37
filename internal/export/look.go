package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"syncd/internal/query"
)

// survey is what the warehouse has.
type survey struct {
	asOf       time.Time
	partitions []wanted
}

// look asks the warehouse what it has of the sources, or of all of them for none.
func look(ctx context.Context, r *query.Reader, o Options, raw bool) (s survey, err error) {
	if s.asOf, err = asOf(ctx, r, o.Now); err != nil {
		return survey{}, err
	}
	if !o.AsBefore {
		if err := known(ctx, r, o.Sources); err != nil {
			return survey{}, err
		}
	}
	tables := allTables()
	for i, t := range tables {
		o.Tell(Progress{What: "tables compared", Done: int64(i), Total: int64(len(tables))})
		if t.name == rawTable && !raw {
			continue
		}
		found, err := t.look(ctx, r, o.Sources)
		if err != nil {
			return survey{}, err
		}
		for _, w := range found {
			w.asOf = s.asOf
			s.partitions = append(s.partitions, w)
		}
	}
	return s, nil
}

// asOf tells as of when it is what is read: a copy says so itself, and to a warehouse nobody writes while it is read.
func asOf(ctx context.Context, r *query.Reader, now func() time.Time) (time.Time, error) {
	at := now().UTC()
	copies, err := ask[struct{}](ctx, r, `SELECT 1 AS one FROM duckdb_tables()
		WHERE schema_name = 'sync' AND table_name = 'published' AND database_name = current_database()`)
	if err != nil || len(copies) == 0 {
		return at, err
	}
	rows, err := ask[struct{ Us int64 }](ctx, r, `SELECT epoch_us(published_at) AS us FROM sync.published`)
	if err != nil {
		return time.Time{}, err
	}
	for _, row := range rows {
		at = time.UnixMicro(row.Us).UTC()
	}
	return at, nil
}

// known refuses sources of which the warehouse knows nothing.
func known(ctx context.Context, r *query.Reader, sources []string) error {
	if len(sources) == 0 {
		return nil
	}
	rows, err := ask[struct{ Source string }](ctx, r, `SELECT source FROM sync.sources UNION SELECT source FROM calls ORDER BY source`)
	if err != nil {
		return err
	}
	var names []string
	for _, row := range rows {
		names = append(names, row.Source)
	}
	for _, s := range sources {
		if !slices.Contains(names, s) {
			return refuse("the warehouse has no source %q; it has %s", s, strings.Join(names, ", "))
		}
	}
	return nil
}

// look asks one question for all partitions of a table: how many rows there are, and a sum over all their values.
func (t table) look(ctx context.Context, r *query.Reader, sources []string) ([]wanted, error) {
	columns, schema, err := t.columns(ctx, r)
	if err != nil {
		return nil, err
	}
	only := ""
	if len(sources) > 0 {
		names := make([]string, len(sources))
		for i, s := range sources {
			names[i] = quote(s)
		}
		only = " WHERE t.source IN (" + strings.Join(names, ", ") + ")"
	}
	// The sum of all rows' hashes is the same in any order, and, unlike an exclusive or, counts a row that is there twice.
	rows, err := ask[struct {
		Source, Fingerprint string
		Month               *string
		N                   int64
	}](ctx, r, fmt.Sprintf(`SELECT source, strftime(month, '%%Y-%%m') AS month, n, fingerprint::VARCHAR AS fingerprint FROM (
		SELECT t.source AS source, date_trunc('month', %s AT TIME ZONE 'UTC') AS month, count(*) AS n, sum(hash(%s)) AS fingerprint
		FROM %s AS t%s%s GROUP BY ALL) ORDER BY source, month`, t.started, named(columns), quoteName(t.name), t.join, only))
	if err != nil {
		return nil, fmt.Errorf("compare %s: %w", t.name, err)
	}
	var found []wanted
	for _, row := range rows {
		month := unknown
		if row.Month != nil {
			month = *row.Month
		}
		if !isMonth(month) {
			return nil, fmt.Errorf("compare %s: source %s has calls in a month %q, of which no name can be made", t.name, row.Source, month)
		}
		found = append(found, wanted{partition: partition{t.name, row.Source, month}, of: t, columns: columns, rows: row.N,
			fingerprint: row.Fingerprint, schema: schema})
	}
	return found, nil
}

// columns are those of the table that are exported, and a hash of their names and types.
func (t table) columns(ctx context.Context, r *query.Reader) (columns []string, schema string, err error) {
	rows, err := ask[struct{ Name, Type string }](ctx, r, `SELECT column_name AS name, data_type AS type FROM duckdb_columns()
		WHERE database_name = current_database() AND schema_name = 'main' AND table_name = `+quote(t.name)+` ORDER BY column_index`)
	if err != nil {
		return nil, "", fmt.Errorf("look at %s: %w", t.name, err)
	}
	if len(rows) == 0 {
		return nil, "", fmt.Errorf("the warehouse has no table %s; run 'syncd sync' with this syncd first", t.name)
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "ordered by %s, groups of %d\n", t.order, t.group)
	for _, c := range rows {
		if c.Name == "source" || slices.Contains(t.own, c.Name) {
			continue
		}
		columns = append(columns, c.Name)
		fmt.Fprintf(hash, "%q %s\n", c.Name, c.Type)
	}
	return columns, fmt.Sprintf("%x", hash.Sum(nil)[:8]), nil
}

// ask returns all rows of an answer that is short.
func ask[Row any](ctx context.Context, r *query.Reader, sql string) (rows []Row, err error) {
	var answer bytes.Buffer
	if _, err := r.Run(ctx, sql, query.NDJSON, &answer); err != nil {
		return nil, err
	}
	for d := json.NewDecoder(&answer); ; {
		var row Row
		if err := d.Decode(&row); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		rows = append(rows, row)
	}
}
