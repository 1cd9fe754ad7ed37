package export_test

import (
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// file opens a Parquet file with a reader that shares nothing with DuckDB.
func file(t *testing.T, path string) *parquet.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	p, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return p
}

// rows returns all rows of a file, each value by its column's name.
func rows(t *testing.T, p *parquet.File) (all []map[string]parquet.Value) {
	t.Helper()
	columns := p.Schema().Columns()
	for _, group := range p.RowGroups() {
		read := group.Rows()
		buffer := make([]parquet.Row, 64)
		for {
			n, err := read.ReadRows(buffer)
			for _, row := range buffer[:n] {
				values := make(map[string]parquet.Value)
				for _, v := range row {
					values[columns[v.Column()][0]] = v.Clone()
				}
				all = append(all, values)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := read.Close(); err != nil {
			t.Error(err)
		}
	}
	return all
}

func TestAReaderThatIsNotDuckDBFindsTheSameTypesAndValues(t *testing.T) {
	t.Parallel()
	path, dir := warehouse(t, 600), t.TempDir()
	run(t, options(path, dir))
	db, err := sql.Open("duckdb", path+"?access_mode=READ_ONLY")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var counted int64
	for name := range files(t, dir) {
		counted += file(t, filepath.Join(dir, name)).NumRows()
	}
	var want int64
	if err := db.QueryRow(`SELECT sum(n)::BIGINT FROM (SELECT count(*) AS n FROM calls UNION ALL SELECT count(*) FROM call_costs UNION ALL SELECT count(*) FROM call_messages
		UNION ALL SELECT count(*) FROM call_functions UNION ALL SELECT count(*) FROM call_revisions UNION ALL SELECT count(*) FROM raw_calls)`).Scan(&want); err != nil {
		t.Fatal(err)
	}
	if counted != want {
		t.Errorf("%d rows, want %d", counted, want)
	}

	calls := file(t, filepath.Join(dir, "calls", "source=millis-us", "month=2025-02", "calls.parquet"))
	types := make(map[string]string)
	for _, e := range calls.Metadata().Schema {
		switch {
		case e.LogicalType.Value != nil:
			types[e.Name] = e.Type.V.String() + " " + e.LogicalType.String()
		case e.ConvertedType.Valid && e.ConvertedType.V == deprecated.UTF8: // how DuckDB says that it is text, which every reader takes for it
			types[e.Name] = e.Type.V.String() + " UTF8"
		}
	}
	for column, want := range map[string]string{
		"call_id": "BYTE_ARRAY UTF8", "started_at": "INT64 TIMESTAMP(isAdjustedToUTC=true,unit=MICROS)", "changed_at": "INT64 TIMESTAMP(isAdjustedToUTC=true,unit=MICROS)",
		"cost": "INT64 DECIMAL(18,9)", "source": "", "month": "",
	} {
		if types[column] != want {
			t.Errorf("%s is %q, want %q", column, types[column], want)
		}
	}
	for _, c := range calls.Metadata().RowGroups[0].Columns {
		if c.MetaData.Codec != format.Zstd {
			t.Errorf("%v is compressed by %v", c.MetaData.PathInSchema, c.MetaData.Codec)
		}
	}

	compared, before := 0, int64(0)
	for _, row := range rows(t, calls) {
		var summary, cost, duration *string
		var started int64
		id := row["call_id"].String()
		if err := db.QueryRow(`SELECT summary, (cost::DECIMAL(38,9) * 1000000000)::HUGEINT::VARCHAR, duration_ms::VARCHAR, epoch_us(started_at) FROM calls
			WHERE source = 'millis-us' AND call_id = ? AND started_at >= '2025-02-01 00:00:00+00' AND started_at < '2025-03-01 00:00:00+00'`, id).
			Scan(&summary, &cost, &duration, &started); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		text := func(column string) *string {
			v := row[column]
			if v.IsNull() {
				return nil
			}
			s := strings.Clone(v.String())
			return &s
		}
		if diff := cmp.Diff([]*string{summary, cost, duration}, []*string{text("summary"), text("cost"), text("duration_ms")}); diff != "" || row["started_at"].Int64() != started {
			t.Errorf("%s (-warehouse +file), started at %d and %d:\n%s", id, started, row["started_at"].Int64(), diff)
		}
		if row["started_at"].Int64() < before {
			t.Errorf("%s is not in the order of the starts", id)
		}
		before = row["started_at"].Int64()
		compared++
	}
	if compared < 50 {
		t.Errorf("only %d calls were compared", compared)
	}
}
