package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// # Views of a user's own
//
// A folder of .sql files is made part of every copy for readers, each file in one transaction, in the order of their names. They may add views and
// macros, and say what these are; all else that the copy holds is a copy, and stays one. That is not judged by looking for words in a text: DuckDB
// says how many statements a piece is, and of what kind, before anything of it is executed, and after each one the catalog is held against what it
// was. Files, extensions and other databases are out of reach.
//
// Whatever is wrong with a file, the copy is made: without that file, and with a line that says why.

const (
	// viewPatience is how long a file may take where nobody says. A view is made in no time; what takes longer reads tables.
	viewPatience = 10 * time.Second
	// longestViews is how long a file may be, in bytes.
	longestViews = 1 << 20
	// mostViewErrors is how many lines tell of errors at most.
	mostViewErrors = 100
)

// onlyViews is said of everything that a file may not do.
const onlyViews = "only CREATE VIEW, CREATE MACRO and COMMENT ON what they make are done here"

// viewError is what is wrong with a file, and where.
type viewError struct {
	line    int // from 1
	message string
}

func (e *viewError) Error() string { return fmt.Sprintf("%d: %s", e.line, e.message) }

// makeViews makes the views of a folder in a copy that nobody has open. It returns a line for each file that was left out. An error is one of the
// copy: it could not be opened.
//
// If the process dies meanwhile, the copy does not bear its name yet.
func makeViews(ctx context.Context, c Copy) (left []string, err error) {
	files, problem := viewFiles(c.Views)
	if problem != "" {
		return []string{problem}, nil
	}
	if len(files) == 0 {
		return nil, nil
	}
	m, err := openMaker(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("make the views of %s: %w", c.Views, err)
	}
	defer m.close()
	for _, name := range files {
		err := m.makeFile(ctx, filepath.Join(c.Views, name))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			left = append(left, name+":"+err.Error())
		}
	}
	if more := len(left) - mostViewErrors; more > 0 {
		left = append(left[:mostViewErrors], fmt.Sprintf("%s: %d more files have errors", c.Views, more))
	}
	return left, nil
}

// viewFiles lists the files of a folder that hold views, by name, or says why it cannot be read.
func viewFiles(folder string) (names []string, problem string) {
	entries, err := os.ReadDir(folder) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Sprintf("%s: there is no such folder; make it, or take warehouse.views out of the configuration", folder)
	}
	if err != nil {
		var e *fs.PathError
		if errors.As(err, &e) {
			err = e.Err
		}
		return nil, fmt.Sprintf("%s: the folder cannot be read: %v", folder, err)
	}
	for _, e := range entries {
		if !e.IsDir() && strings.HasSuffix(e.Name(), ".sql") && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names, ""
}

// makeFile makes what one file says, or nothing of it.
func (m *maker) makeFile(ctx context.Context, path string) error {
	text, err := os.ReadFile(path)
	switch {
	case err != nil:
		var e *fs.PathError
		if errors.As(err, &e) {
			err = e.Err
		}
		return &viewError{1, "the file cannot be read: " + err.Error()}
	case len(text) > longestViews:
		return &viewError{1, fmt.Sprintf("the file has more than %d bytes", longestViews)}
	case !utf8.Valid(text) || strings.ContainsRune(string(text), 0):
		return &viewError{1, "the file is not UTF-8 text"}
	}
	ctx, cancel := context.WithTimeout(ctx, m.patience)
	defer cancel()
	if err := m.exec(ctx, "BEGIN TRANSACTION"); err != nil {
		return &viewError{1, oneLine(err)}
	}
	for _, s := range statementsOf(strings.TrimPrefix(string(text), "\ufeff")) {
		if err = m.makeOne(ctx, s); err != nil {
			break
		}
	}
	// The end of a transaction is not interrupted: it takes no time, and nobody would know whether it happened.
	unstopped := context.WithoutCancel(ctx)
	if err == nil {
		if cerr := m.exec(unstopped, "COMMIT"); cerr != nil {
			return &viewError{1, oneLine(cerr)}
		}
		return nil
	}
	_ = m.exec(unstopped, "ROLLBACK") // where DuckDB has done so by itself, it says that there is nothing to roll back
	return err
}

// makeOne makes what one statement says, and fails where that is more than a view, a macro, or what is said of one.
func (m *maker) makeOne(ctx context.Context, s statement) error {
	at := func(err error) error {
		if ctx.Err() != nil {
			return &viewError{s.line, fmt.Sprintf("it takes longer than %v; %s", m.patience, onlyViews)}
		}
		line := s.line
		var e *engineError
		if errors.As(err, &e) && e.at >= 0 && e.at <= len(s.text) {
			line += strings.Count(s.text[:e.at], "\n")
		}
		return &viewError{line, oneLine(err)}
	}
	p, err := m.prepareOne(ctx, s.text)
	if err != nil {
		return at(err)
	}
	defer bindings.DestroyPrepare(&p)
	// To DuckDB, COMMENT ON is of one kind with ALTER, which may change rows where the catalog shows nothing: ALTER TYPE … USING. That a statement
	// begins with this very word is no guess: its first token is what the text begins with, and nothing else begins so.
	t := bindings.PreparedStatementType(p)
	if t != bindings.StatementTypeCreate && (t != bindings.StatementTypeAlter || !strings.EqualFold(s.text[:tokenEnd(s.text, 0)], "COMMENT")) {
		return at(errors.New(onlyViews))
	}
	if err := m.run(ctx, p, nil); err != nil {
		return at(err)
	}
	now, err := m.entries(ctx)
	if err == nil {
		err = m.judge(now)
	}
	if err != nil {
		return at(err)
	}
	return nil
}

// entry names something in the catalog.
type entry struct {
	kind, database, schema, name string
}

// judge fails where the catalog differs from what it was before the first file by more than views and macros that are new.
func (m *maker) judge(now map[entry]string) error {
	for e, was := range m.before {
		if is, there := now[e]; !there || is != was {
			return fmt.Errorf("it would change %s.%s, which is syncd's own; choose another name", e.schema, e.name)
		}
	}
	for e := range now {
		if _, there := m.before[e]; there || e.kind == "column" { // a column is new with its view
			continue
		}
		switch {
		case e.kind != "view" && e.kind != "macro":
			return fmt.Errorf("it would make %s, which is neither a view nor a macro; %s", e.name, onlyViews)
		case e.database != m.database:
			return fmt.Errorf("%s is temporary, and would not be in the copy", e.name)
		case e.schema != "main":
			return fmt.Errorf("%s.%s: the schema %s is syncd's own; leave the schema out", e.schema, e.name, e.schema)
		case e.kind == "macro" && m.builtIn[strings.ToLower(e.name)]:
			return fmt.Errorf("%s is a function of DuckDB's, and every view would use the macro in its place; choose another name", e.name)
		}
	}
	return nil
}

// catalogQuery lists what the catalog holds. No function stands in it but those that list, and these by their full names: a macro could stand in
// the place of any other.
const catalogQuery = `
SELECT 'schema', database_name, schema_name, schema_name, CAST(oid AS VARCHAR), sql, comment FROM system.main.duckdb_schemas() WHERE NOT internal
UNION ALL SELECT 'table', database_name, schema_name, table_name, CAST(table_oid AS VARCHAR), sql, comment FROM system.main.duckdb_tables() WHERE NOT internal
UNION ALL SELECT 'view', database_name, schema_name, view_name, CAST(view_oid AS VARCHAR), sql, comment FROM system.main.duckdb_views() WHERE NOT internal
UNION ALL SELECT 'sequence', database_name, schema_name, sequence_name, CAST(sequence_oid AS VARCHAR), '', comment FROM system.main.duckdb_sequences()
UNION ALL SELECT 'index', database_name, schema_name, index_name, CAST(index_oid AS VARCHAR), sql, comment FROM system.main.duckdb_indexes()
UNION ALL SELECT 'type', database_name, schema_name, type_name, CAST(type_oid AS VARCHAR), logical_type, comment FROM system.main.duckdb_types() WHERE NOT internal
UNION ALL SELECT 'macro', database_name, schema_name, function_name, CAST(function_oid AS VARCHAR), macro_definition, comment
	FROM system.main.duckdb_functions() WHERE NOT internal
UNION ALL SELECT 'column', database_name, schema_name, table_name, column_name, data_type, comment FROM system.main.duckdb_columns() WHERE NOT internal`

// entries reads the catalog: what there is, and what it is, in words that change with it.
func (m *maker) entries(ctx context.Context) (map[entry]string, error) {
	all := make(map[entry]string)
	err := m.read(ctx, catalogQuery, 7, func(row []string) {
		e := entry{row[0], row[1], row[2], row[3]}
		all[e] += strings.Join(row[4:], "\x00") + "\x00" // a macro, and what has columns, have several rows
	})
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	return all, nil
}

// oneLine is an error in one line of bounded length.
func oneLine(err error) string {
	const most = 300
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) <= most {
		return text
	}
	for n := most; ; n-- {
		if utf8.RuneStart(text[n]) {
			return text[:n] + "…"
		}
	}
}
