package query

import (
	"context"
	"errors"
	"fmt"
	"unsafe"

	"syncd/internal/interrupt"

	bindings "github.com/duckdb/duckdb-go-bindings"
	"github.com/duckdb/duckdb-go/v2"
)

// instance is one open database.
type instance struct {
	db bindings.Database
}

// openInstance opens a file. It goes through the driver's cache, which refuses a file that this process has open with other settings:
// a second, independent opening would drop the first one's lock when it is closed.
func openInstance(path string, config map[string]string) (*instance, error) {
	var c bindings.Config
	if bindings.CreateConfig(&c) == bindings.StateError {
		return nil, errors.New("make a DuckDB configuration")
	}
	defer bindings.DestroyConfig(&c)
	for name, value := range config {
		if bindings.SetConfig(c, name, value) == bindings.StateError {
			return nil, fmt.Errorf("set %s to %q", name, value)
		}
	}
	var db bindings.Database
	var message string
	if bindings.GetOrCreateFromCache(duckdb.GetInstanceCache(), path, &db, c, &message) == bindings.StateError {
		bindings.Close(&db)
		return nil, errors.New(message)
	}
	return &instance{db: db}, nil
}

func (i *instance) close() { bindings.Close(&i.db) }

// session is one connection. It serves one goroutine.
type session struct {
	conn bindings.Connection
}

func (i *instance) connect() (*session, error) {
	var c bindings.Connection
	if bindings.Connect(i.db, &c) == bindings.StateError {
		return nil, errors.New("connect to the warehouse: no connection could be made")
	}
	return &session{conn: c}, nil
}

func (s *session) close() { bindings.Disconnect(&s.conn) }

// heed makes a call into DuckDB that ends soon after ctx does.
func (s *session) heed(ctx context.Context, call func()) error {
	return interrupt.Heed(ctx, s.conn, call)
}

// exec executes one of our own statements and tells how many rows it changed or wrote.
func (s *session) exec(ctx context.Context, sql string) (int64, error) {
	p, err := s.prepare(ctx, sql)
	if err != nil {
		return 0, err
	}
	defer bindings.DestroyPrepare(&p)
	var res bindings.Result
	defer bindings.DestroyResult(&res)
	var state bindings.State
	if err := s.heed(ctx, func() { state = bindings.ExecutePrepared(p, &res) }); err != nil {
		return 0, err
	}
	if state == bindings.StateError {
		return 0, engineError(bindings.ResultError(&res))
	}
	return int64(bindings.RowsChanged(&res)), nil //nolint:gosec // DuckDB's own bound
}

// prepare prepares exactly one statement: duckdb_prepare refuses several, unlike the driver, which executes all but the last.
func (s *session) prepare(ctx context.Context, sql string) (bindings.PreparedStatement, error) {
	var p bindings.PreparedStatement
	var state bindings.State
	if err := s.heed(ctx, func() { state = bindings.Prepare(s.conn, sql, &p) }); err != nil {
		return p, err
	}
	if state == bindings.StateError {
		err := engineError(bindings.PrepareError(p))
		bindings.DestroyPrepare(&p)
		return bindings.PreparedStatement{}, err
	}
	return p, nil
}

// describe tells the columns of a statement that the guard let pass, without running it.
func (s *session) describe(ctx context.Context, sql string) ([]column, error) {
	p, err := s.prepare(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer bindings.DestroyPrepare(&p)
	if t := bindings.PreparedStatementType(p); t != bindings.StatementTypeSelect {
		return nil, refuse("the statement is not a SELECT", "")
	}
	columns := make([]column, bindings.PreparedStatementColumnCount(p))
	for i := range columns {
		t := bindings.PreparedStatementColumnLogicalType(p, bindings.IdxT(i))
		columns[i] = column{name: bindings.PreparedStatementColumnName(p, bindings.IdxT(i)), typ: typeOf(t)}
		bindings.DestroyLogicalType(&t)
	}
	return columns, nil
}

// stream runs a statement whose columns are all VARCHAR. Rows are made as they are asked for.
func (s *session) stream(ctx context.Context, sql string, columns int, args ...string) (*rows, error) {
	p, err := s.prepare(ctx, sql)
	if err != nil {
		return nil, err
	}
	for i, a := range args {
		if bindings.BindVarchar(p, bindings.IdxT(i+1), a) == bindings.StateError {
			bindings.DestroyPrepare(&p)
			return nil, fmt.Errorf("bind argument %d", i+1)
		}
	}
	r := &rows{session: s, prepared: p, cells: make([]cell, columns), vectors: make([]vector, columns)}
	var state bindings.State
	// The C library calls its streaming entry deprecated and has no other; DuckDB's own Node client stands on the same one.
	if err := s.heed(ctx, func() { state = bindings.ExecutePreparedStreaming(p, &r.res) }); err != nil { //nolint:staticcheck // see above
		r.close()
		return nil, err
	}
	if state == bindings.StateError {
		err := engineError(bindings.ResultError(&r.res))
		r.close()
		return nil, err
	}
	return r, nil
}

// cell is one value as text.
type cell struct {
	text string
	null bool
}

// vector is one column of the current chunk.
type vector struct {
	data, valid unsafe.Pointer // valid is nil where no value is NULL
}

// rows is a running statement.
type rows struct {
	session  *session
	prepared bindings.PreparedStatement
	res      bindings.Result
	chunk    bindings.DataChunk
	vectors  []vector
	size, at bindings.IdxT
	cells    []cell // the current row; next overwrites it
	err      error
}

// next reads the next row into cells. It returns false at the end and on an error, which err then holds.
func (r *rows) next(ctx context.Context) bool {
	for r.at == r.size {
		if !r.fetch(ctx) {
			return false
		}
	}
	for i, v := range r.vectors {
		if v.valid != nil && !bindings.ValidityRowIsValid(v.valid, r.at) {
			r.cells[i] = cell{null: true}
			continue
		}
		t := (*bindings.StringT)(unsafe.Add(v.data, uintptr(r.at)*unsafe.Sizeof(bindings.StringT{})))
		r.cells[i] = cell{text: bindings.StringTData(t)}
	}
	r.at++
	return true
}

func (r *rows) fetch(ctx context.Context) bool {
	bindings.DestroyDataChunk(&r.chunk)
	if r.err = r.session.heed(ctx, func() { r.chunk = bindings.FetchChunk(r.res) }); r.err != nil {
		return false
	}
	if r.chunk.Ptr == nil {
		if message := bindings.ResultError(&r.res); message != "" {
			r.err = engineError(message)
		}
		return false
	}
	r.at, r.size = 0, bindings.DataChunkGetSize(r.chunk)
	for i := range r.vectors {
		v := bindings.DataChunkGetVector(r.chunk, bindings.IdxT(i))
		r.vectors[i] = vector{data: bindings.VectorGetData(v), valid: bindings.VectorGetValidity(v)}
	}
	return true
}

func (r *rows) close() {
	bindings.DestroyDataChunk(&r.chunk)
	bindings.DestroyResult(&r.res)
	bindings.DestroyPrepare(&r.prepared)
}
