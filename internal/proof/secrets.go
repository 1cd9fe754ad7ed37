package proof

import (
	"context"
	"fmt"
	"strings"
	"unicode"
)

// numberCheck is that syncd words nothing with a phone number in it. A sample of drift is a piece of a record.
func numberCheck() check {
	return check{7, "sync", "a text that is written for people holds what looks like a phone number"}
}

// hasNumber is the condition that one of some columns holds what looks like a phone number.
func hasNumber(columns ...string) string {
	return `regexp_matches(concat_ws(chr(10), ` + strings.Join(columns, ", ") + `), '\+[0-9]{8}')`
}

// secretIn says that a column holds a secret.
func secretIn(c textColumn) check {
	return check{7, "sync." + c.table, "a secret is in the column " + c.column + ": renew it, as whoever reads the file has it"}
}

// checkSecrets looks for the secrets in every text of the schema sync but payloads.
func (p *prover) checkSecrets(ctx context.Context) error {
	var secrets []any
	for _, s := range p.o.Secrets {
		if s != "" {
			secrets = append(secrets, s)
		}
	}
	if len(secrets) == 0 {
		return nil
	}
	columns, err := p.textColumns(ctx)
	if err != nil {
		return err
	}
	for len(columns) > 0 {
		of := 1
		for of < len(columns) && columns[of].table == columns[0].table {
			of++
		}
		if err := p.findSecrets(ctx, columns[:of], secrets); err != nil {
			return err
		}
		columns = columns[of:]
	}
	return nil
}

// textColumn is a column of the schema sync that holds text.
type textColumn struct{ table, column string }

func (p *prover) textColumns(ctx context.Context) ([]textColumn, error) {
	rows, err := p.q.QueryContext(ctx, `SELECT table_name, column_name FROM duckdb_columns()
		WHERE schema_name = 'sync' AND database_name = current_database() AND data_type = 'VARCHAR' AND column_name <> 'payload'
			AND table_name IN (SELECT table_name FROM duckdb_tables() WHERE schema_name = 'sync') ORDER BY ALL`)
	if err != nil {
		return nil, fmt.Errorf("list the columns of text: %w", err)
	}
	defer rows.Close()
	var all []textColumn
	for rows.Next() {
		var c textColumn
		if err := rows.Scan(&c.table, &c.column); err != nil {
			return nil, fmt.Errorf("list the columns of text: %w", err)
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// findSecrets counts the rows of a table that hold a secret, by column. Which, it does not say: what names them may hold it.
func (p *prover) findSecrets(ctx context.Context, columns []textColumn, secrets []any) error {
	table := columns[0].table
	var counts []string
	var args, to []any
	found := make([]tally, len(columns))
	for i, c := range columns {
		holds := strings.TrimSuffix(strings.Repeat(`contains("`+c.column+`", ?) OR `, len(secrets)), " OR ")
		counts, args, to = append(counts, `count(*) FILTER (`+holds+`)`), append(args, secrets...), append(to, &found[i].count)
	}
	rows, err := p.q.QueryContext(ctx, `SELECT `+strings.Join(counts, ", ")+` FROM sync."`+table+`"`, args...)
	if err != nil {
		return fmt.Errorf("look for secrets in sync.%s: %w", table, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return fmt.Errorf("look for secrets in sync.%s: %w", table, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("look for secrets in sync.%s: %w", table, err)
	}
	for i, c := range columns {
		if found[i].count > 0 {
			p.note(secretIn(c), &found[i])
		}
	}
	return nil
}

// shown is an example as it may be shown: of an id that might be a phone number only its source.
func shown(example string) string {
	source, id, ok := strings.Cut(example, "/")
	if !ok {
		return example
	}
	first, _, _ := strings.Cut(id, "/")
	digits, others := 0, 0
	for _, r := range first {
		switch {
		case unicode.IsDigit(r):
			digits++
		case !strings.ContainsRune("+-.() ", r):
			others++
		}
	}
	if digits >= 7 && others == 0 {
		return source + "/(an id that may be a number)"
	}
	return example
}
