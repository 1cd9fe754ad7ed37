package load

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"syncd/internal/interrupt"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// maker makes a user's views in a copy. It speaks to DuckDB through the bindings that the driver stands on: the driver executes all but the last of
// several statements before anybody could look at them, and does not tell what kind they are.
type maker struct {
	db   bindings.Database
	conn bindings.Connection

	patience time.Duration    // for one file
	database string           // the copy's name in the catalog
	before   map[entry]string // what the copy held before the first file
	builtIn  map[string]bool  // the names of DuckDB's own functions, in lower case
}

// openMaker opens a copy that nobody has open, with nothing else in reach.
func openMaker(ctx context.Context, c Copy) (_ *maker, err error) {
	values := settings(Options{MemoryLimit: c.Memory, TempDirectory: c.TempDirectory})
	values.Set("allow_persistent_secrets", "false")
	values.Set("allow_community_extensions", "false")
	var config bindings.Config
	if bindings.CreateConfig(&config) == bindings.StateError {
		return nil, errors.New("make a DuckDB configuration")
	}
	defer bindings.DestroyConfig(&config)
	for name := range values {
		if bindings.SetConfig(config, name, values.Get(name)) == bindings.StateError {
			return nil, fmt.Errorf("set %s to %q", name, values.Get(name))
		}
	}
	m := &maker{patience: cmp.Or(c.Patience, viewPatience)}
	var message string
	if bindings.OpenExt(c.To, &m.db, config, &message) == bindings.StateError {
		bindings.Close(&m.db)
		return nil, fmt.Errorf("open %s: %s", c.To, message)
	}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if bindings.Connect(m.db, &m.conn) == bindings.StateError {
		return nil, errors.New("connect to the copy: no connection could be made")
	}
	// The order matters: once the configuration is locked, nothing can be set.
	for _, s := range []string{"SET TimeZone = 'UTC'", "SET GLOBAL errors_as_json = true", "SET GLOBAL enable_external_access = false", "SET GLOBAL lock_configuration = true"} {
		if err := m.exec(ctx, s); err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
	}
	return m, m.look(ctx)
}

// look notes what there is before the first file.
func (m *maker) look(ctx context.Context) (err error) {
	if err := m.read(ctx, `SELECT current_database()`, 1, func(row []string) { m.database = row[0] }); err != nil {
		return fmt.Errorf("read the name of the copy: %w", err)
	}
	m.builtIn = make(map[string]bool)
	if err := m.read(ctx, `SELECT DISTINCT function_name FROM duckdb_functions() WHERE internal`, 1, func(row []string) {
		m.builtIn[strings.ToLower(row[0])] = true
	}); err != nil {
		return fmt.Errorf("list the functions: %w", err)
	}
	m.before, err = m.entries(ctx)
	return err
}

func (m *maker) close() {
	bindings.Disconnect(&m.conn)
	bindings.Close(&m.db)
}

// heed makes a call into DuckDB that ends soon after ctx does.
func (m *maker) heed(ctx context.Context, call func()) error {
	return interrupt.Heed(ctx, m.conn, call)
}

// prepareOne prepares a text that must be exactly one statement.
func (m *maker) prepareOne(ctx context.Context, sql string) (p bindings.PreparedStatement, err error) {
	var all bindings.ExtractedStatements
	var n bindings.IdxT
	if err := m.heed(ctx, func() { n = bindings.ExtractStatements(m.conn, sql, &all) }); err != nil {
		return p, err
	}
	defer bindings.DestroyExtracted(&all)
	switch {
	case n == 0:
		return p, failure(ctx, bindings.ExtractStatementsError(all))
	case n > 1:
		return p, errors.New("it is more than one statement; " + onlyViews)
	}
	var state bindings.State
	if err := m.heed(ctx, func() { state = bindings.PrepareExtractedStatement(m.conn, all, 0, &p) }); err != nil {
		return p, err
	}
	if state == bindings.StateError {
		err := failure(ctx, bindings.PrepareError(p))
		bindings.DestroyPrepare(&p)
		return p, err
	}
	return p, nil
}

// run executes what was prepared, and hands what came of it on; use may be nil.
func (m *maker) run(ctx context.Context, p bindings.PreparedStatement, use func(bindings.Result)) error {
	var res bindings.Result
	defer bindings.DestroyResult(&res)
	var state bindings.State
	if err := m.heed(ctx, func() { state = bindings.ExecutePrepared(p, &res) }); err != nil {
		return err
	}
	if state == bindings.StateError {
		return failure(ctx, bindings.ResultError(&res))
	}
	if use != nil {
		use(res)
	}
	return nil
}

// exec executes one of our own statements.
func (m *maker) exec(ctx context.Context, sql string) error {
	p, err := m.prepareOne(ctx, sql)
	if err != nil {
		return err
	}
	defer bindings.DestroyPrepare(&p)
	return m.run(ctx, p, nil)
}

// read hands the rows of one of our own queries on, whose columns are all texts; NULL is "".
func (m *maker) read(ctx context.Context, sql string, columns int, row func([]string)) error {
	p, err := m.prepareOne(ctx, sql)
	if err != nil {
		return err
	}
	defer bindings.DestroyPrepare(&p)
	return m.run(ctx, p, func(res bindings.Result) {
		for chunk := bindings.FetchChunk(res); chunk.Ptr != nil; chunk = bindings.FetchChunk(res) {
			readChunk(chunk, columns, row)
			bindings.DestroyDataChunk(&chunk)
		}
	})
}

// readChunk hands the rows of a chunk of texts on.
func readChunk(chunk bindings.DataChunk, columns int, row func([]string)) {
	cells := make([]string, columns)
	for i := range bindings.DataChunkGetSize(chunk) {
		for c := range cells {
			v := bindings.DataChunkGetVector(chunk, bindings.IdxT(c)) //nolint:gosec // a few columns
			cells[c] = ""
			if valid := bindings.VectorGetValidity(v); valid == nil || bindings.ValidityRowIsValid(valid, i) {
				t := (*bindings.StringT)(unsafe.Add(bindings.VectorGetData(v), uintptr(i)*unsafe.Sizeof(bindings.StringT{})))
				cells[c] = bindings.StringTData(t)
			}
		}
		row(cells)
	}
}

// engineError is an error of DuckDB's about a statement.
type engineError struct {
	kind    string // parser, binder, catalog …
	message string
	at      int // byte offset into the statement; -1: not told
}

func (e *engineError) Error() string { return e.kind + " error: " + e.message }

// failure is why a call failed: it was stopped, or what DuckDB says.
func failure(ctx context.Context, message string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return readEngineError(message)
}

// readEngineError reads an error, which is JSON, or "Binder Error: …". Only what speaks of the statement is told in DuckDB's words: others may quote
// what stands in rows.
func readEngineError(message string) error {
	e := &engineError{kind: "engine", at: -1}
	var parsed struct {
		Type     string `json:"exception_type"`
		Message  string `json:"exception_message"`
		Position string `json:"position"`
	}
	if _, object, found := strings.Cut(message, "{"); found && json.Unmarshal([]byte("{"+object), &parsed) == nil && parsed.Type != "" {
		e.kind, e.message = strings.ToLower(parsed.Type), parsed.Message
		if at, err := strconv.Atoi(parsed.Position); err == nil {
			e.at = at
		}
	} else if kind, rest, found := strings.Cut(message, " Error: "); found {
		e.kind, e.message = strings.ToLower(kind), rest
	}
	switch e.kind {
	case "parser", "syntax", "binder", "catalog", "dependency", "not implemented":
	case "permission":
		e.message = "files and other databases are not read here"
	default:
		e.message = "it cannot be made here; " + onlyViews
	}
	return e
}
