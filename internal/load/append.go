package load

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2"

	"syncd/internal/call"
	"syncd/internal/panics"
)

// rows are rows on their way to DuckDB, which asks for them column by column.
type rows struct {
	table   string // with its schema
	n       int
	columns []column // all of the table's, in its order
}

// column is one column of rows. What it tells of a row is told by the row's number.
type column struct {
	name   string
	kind   duckdb.Type
	isNull func(i int) bool                                // nil: never
	put    func(to duckdb.DataChunk, at, row, i int) error // writes a value that is not NULL
	box    func(i int) driver.Value                        // returns it
}

// optional is a column of texts; "" is NULL.
func optional(name string, of func(i int) string) column {
	c := full(name, of)
	c.isNull = func(i int) bool { return of(i) == "" }
	return c
}

// full is a column of texts that are never NULL. The driver would copy a string into bytes first; it only reads what it is given, so it is given
// the string's own.
func full(name string, of func(i int) string) column {
	view := func(i int) []byte {
		s := of(i)
		return unsafe.Slice(unsafe.StringData(s), len(s)) //nolint:gosec // DuckDB copies it into memory of its own at once
	}
	return column{name: name, kind: duckdb.TYPE_VARCHAR,
		put: func(to duckdb.DataChunk, at, row, i int) error { return duckdb.SetChunkValue(to, at, row, view(i)) },
		box: func(i int) driver.Value { return view(i) },
	}
}

// value is a column of values that are never NULL.
func value[T any](name string, kind duckdb.Type, of func(i int) T) column {
	return column{name: name, kind: kind,
		put: func(to duckdb.DataChunk, at, row, i int) error { return duckdb.SetChunkValue(to, at, row, of(i)) },
		box: func(i int) driver.Value { return of(i) },
	}
}

// pointed is a column of values, of which nil is NULL.
func pointed[T any](name string, kind duckdb.Type, of func(i int) *T) column {
	c := value(name, kind, func(i int) T { return *of(i) })
	c.isNull = func(i int) bool { return of(i) == nil }
	return c
}

// moment is a column of times; nil is NULL.
func moment(name string, of func(i int) *time.Time) column {
	return pointed(name, duckdb.TYPE_TIMESTAMP_TZ, of)
}

// money is a column of amounts. A DECIMAL(18,9) is kept as a count of billionths, which is what the driver takes a whole number for: a float 0.1
// would silently become 0.
func money(name string, of func(i int) *call.Amount) column {
	c := value(name, duckdb.TYPE_DECIMAL, func(i int) int64 { return int64(*of(i)) })
	c.isNull = func(i int) bool { return of(i) == nil }
	return c
}

// nothing is a column that is NULL in every row.
func nothing(name string) column {
	return column{name: name, isNull: func(int) bool { return true }}
}

// insertRows writes rows to a table. Few of them go through DuckDB's appender. Many are asked for by DuckDB, column by column, through a table
// function: they are copied once less, and a column in which there is nothing costs nothing.
func (tx *Tx) insertRows(ctx context.Context, r rows) (err error) {
	switch {
	case r.n == 0:
		return nil
	case r.n < worthwhile:
		err = tx.appendAll(r)
	default:
		err = tx.insertChunks(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("append to %s: %w", r.table, err)
	}
	return nil
}

func (tx *Tx) appendAll(r rows) error {
	schema, table, _ := strings.Cut(r.table, ".")
	catalog := ""
	if schema == "temp" {
		catalog, schema = "temp", "main"
	}
	return tx.w.conn.Raw(func(dc any) error {
		a, err := duckdb.NewAppender(dc.(driver.Conn), catalog, schema, table)
		if err != nil {
			return err
		}
		row := make([]driver.Value, len(r.columns))
		for i := range r.n {
			for at, c := range r.columns {
				row[at] = nil
				if c.isNull == nil || !c.isNull(i) {
					row[at] = c.box(i)
				}
			}
			if err := a.AppendRow(row...); err != nil {
				return errors.Join(err, a.Close())
			}
		}
		return a.Close()
	})
}

// insertChunks lets DuckDB ask for the rows.
func (tx *Tx) insertChunks(ctx context.Context, r rows) error {
	all := r.columns
	r.columns = nil
	var names []string
	for _, c := range all {
		if !c.empty(r.n) {
			r.columns, names = append(r.columns, c), append(names, c.name)
		}
	}
	tx.w.pending = &r
	defer func() { tx.w.pending = nil }()
	list := strings.Join(names, ", ")
	_, err := tx.ExecContext(ctx, `INSERT INTO `+r.table+` (`+list+`) SELECT `+list+` FROM `+pendingRows+`()`)
	return err
}

// empty reports whether a column is NULL in every row.
func (c column) empty(n int) bool {
	if c.isNull == nil {
		return false
	}
	for i := range n {
		if !c.isNull(i) {
			return false
		}
	}
	return true
}

// pendingRows is the table function that returns the rows that are to be inserted.
const pendingRows = "syncd_pending_rows"

// offer lets statements of a connection ask for the rows that are pending.
func (w *Warehouse) offer(conn *sql.Conn) error {
	return duckdb.RegisterTableUDF(conn, pendingRows, duckdb.ChunkTableFunction{
		BindArguments: func(map[string]any, ...any) (duckdb.ChunkTableSource, error) {
			if w.pending == nil {
				return nil, errors.New("no rows are pending")
			}
			return newChunks(*w.pending)
		},
	})
}

// chunks hands rows to DuckDB, a chunk at a time.
type chunks struct {
	rows
	infos []duckdb.ColumnInfo
	next  int
}

func newChunks(r rows) (*chunks, error) {
	s := &chunks{rows: r}
	for _, c := range r.columns {
		info, err := duckdb.NewDecimalInfo(18, call.AmountScale)
		if c.kind != duckdb.TYPE_DECIMAL {
			info, err = duckdb.NewTypeInfo(c.kind)
		}
		if err != nil {
			return nil, err
		}
		s.infos = append(s.infos, duckdb.ColumnInfo{Name: c.name, T: info})
	}
	return s, nil
}

// ColumnInfos implements duckdb.ChunkTableSource.
func (s *chunks) ColumnInfos() []duckdb.ColumnInfo { return s.infos }

// Cardinality implements duckdb.ChunkTableSource.
func (s *chunks) Cardinality() *duckdb.CardinalityInfo {
	return &duckdb.CardinalityInfo{Cardinality: uint(s.n), Exact: true} //nolint:gosec // a number of rows
}

// Init implements duckdb.ChunkTableSource.
func (s *chunks) Init() {}

// FillChunk implements duckdb.ChunkTableSource. DuckDB calls it from C++, through which no panic may pass.
func (s *chunks) FillChunk(to duckdb.DataChunk) error {
	return panics.Guard(func() error {
		n := min(s.n-s.next, duckdb.GetDataChunkCapacity())
		if err := s.fill(to, n); err != nil {
			return err
		}
		s.next += n
		return to.SetSize(n)
	})
}

// fill writes the next n rows of a chunk. Its columns have nothing to do with each other, and the reader may leave a processor idle, so two share them.
func (s *chunks) fill(to duckdb.DataChunk, n int) error {
	var taken atomic.Int64
	work := func() error {
		for at := int(taken.Add(1)) - 1; at < len(s.columns); at = int(taken.Add(1)) - 1 {
			if err := s.fillColumn(to, at, n); err != nil {
				return fmt.Errorf("column %s: %w", s.columns[at].name, err)
			}
		}
		return nil
	}
	if n < worthwhile {
		return work()
	}
	other := make(chan error, 1)
	go func() { other <- panics.Guard(work) }()
	mine := panics.Guard(work) // DuckDB may not have the chunk back while the other still writes it
	return errors.Join(mine, <-other)
}

func (s *chunks) fillColumn(to duckdb.DataChunk, at, n int) error {
	c := s.columns[at]
	for row := range n {
		i := s.next + row
		var err error
		if c.isNull != nil && c.isNull(i) {
			err = to.SetValue(at, row, nil)
		} else {
			err = c.put(to, at, row, i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
