package proof

import (
	"context"
	"fmt"
	"strings"
	"unicode"
)

// numberQuestion looks for phone numbers in the texts that syncd words itself. A sample of drift is a piece of a record.
func numberQuestion() question {
	return question{`
		WITH words AS (
			SELECT 'source ' || source AS example, unnest([reason, rules, schedule, reread]) AS word FROM sync.sources
			UNION ALL SELECT 'window ' || window_id, error FROM sync.windows
			UNION ALL SELECT 'run ' || run_id, unnest([kind, error]) FROM sync.runs
			UNION ALL SELECT 'reject ' || reject_id, unnest([reason, detail]) FROM sync.rejects
			UNION ALL SELECT 'a try of source ' || source, error FROM sync.details)
		SELECT 0, example FROM words WHERE regexp_matches(word, '\+[0-9]{8}')`,
		[]check{{7, "sync", "a text that is written for people holds what looks like a phone number"}}}
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
	for _, c := range columns {
		if err := p.findSecrets(ctx, c, secrets); err != nil {
			return err
		}
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

// findSecrets counts the rows of a column that hold a secret. Which, it does not say: what names them may hold it.
func (p *prover) findSecrets(ctx context.Context, c textColumn, secrets []any) error {
	column := `"` + c.column + `"`
	holds := strings.TrimSuffix(strings.Repeat("contains("+column+", ?) OR ", len(secrets)), " OR ")
	rows, err := p.q.QueryContext(ctx, `SELECT count(*) FROM sync."`+c.table+`" WHERE `+holds, secrets...)
	if err != nil {
		return fmt.Errorf("look for secrets in sync.%s: %w", c.table, err)
	}
	defer rows.Close()
	var found tally
	for rows.Next() {
		if err := rows.Scan(&found.count); err != nil {
			return fmt.Errorf("look for secrets in sync.%s: %w", c.table, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("look for secrets in sync.%s: %w", c.table, err)
	}
	if found.count > 0 {
		p.note(secretIn(c), &found)
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
