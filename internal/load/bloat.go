package load

import (
	"context"
	"fmt"
)

// Bloat is what of a warehouse file holds nothing, in bytes.
type Bloat struct {
	Bytes   int64 `json:"bytes"`   // the file's size
	Log     int64 `json:"log"`     // of its write-ahead log, whose rows are in memory too
	Free    int64 `json:"free"`    // blocks that hold nothing; DuckDB uses them again before the file grows
	Deleted int64 `json:"deleted"` // rows that were deleted and are still in their blocks, as far as can be told: about as much as their share of them
}

// Empty is about what a compaction would give back to the disk.
func (b Bloat) Empty() int64 { return b.Free + b.Deleted }

// Share is how much of the file that is, from 0 to 1.
func (b Bloat) Share() float64 {
	if b.Bytes == 0 {
		return 0
	}
	return float64(b.Empty()) / float64(b.Bytes)
}

// Bloat looks what of the file holds nothing. It reads where rows stand, and no row.
func (w *Warehouse) Bloat(ctx context.Context) (b Bloat, err error) {
	err = w.Write(ctx, func(tx *Tx) error {
		if b, err = w.blocks(ctx); err != nil {
			return err
		}
		b.Log = w.LogSize()
		b.Deleted, err = w.deleted(ctx)
		return err
	})
	if err != nil {
		return b, fmt.Errorf("look what of %s holds nothing: %w", w.path, err)
	}
	return b, nil
}

// blocks tells the size of the file, and how much of it are blocks that hold nothing.
func (w *Warehouse) blocks(ctx context.Context) (b Bloat, err error) {
	err = w.conn.QueryRowContext(ctx, `SELECT block_size * total_blocks, block_size * free_blocks FROM pragma_database_size()
		WHERE database_name = current_database()`).Scan(&b.Bytes, &b.Free)
	if err != nil {
		return b, fmt.Errorf("count the blocks of the file: %w", err)
	}
	b.Bytes += headers
	return b, nil
}

// deleted estimates what rows take that were deleted, and whose row groups are not empty: of each table, so large a share of its blocks as of its rows.
func (w *Warehouse) deleted(ctx context.Context) (bytes int64, err error) {
	counts, err := w.countRows(ctx)
	if err != nil {
		return 0, err
	}
	for table, n := range counts {
		var stand, blocks int64
		if err := w.conn.QueryRowContext(ctx, `SELECT estimated_size FROM duckdb_tables() WHERE database_name = current_database()
			AND schema_name || '.' || table_name = `+literal(table)).Scan(&stand); err != nil {
			return 0, fmt.Errorf("look how many rows of %s stand in the file: %w", table, err)
		}
		if stand <= n {
			continue
		}
		if err := w.conn.QueryRowContext(ctx, `SELECT count(DISTINCT block) * (SELECT block_size FROM pragma_database_size() WHERE database_name = current_database())
			FROM (SELECT unnest(list_append(coalesce(additional_block_ids, []), block_id)) AS block FROM pragma_storage_info(`+literal(quoted(table))+`))
			WHERE block >= 0`).Scan(&blocks); err != nil {
			return 0, fmt.Errorf("look where the rows of %s stand: %w", table, err)
		}
		bytes += blocks / stand * (stand - n)
	}
	return bytes, nil
}
