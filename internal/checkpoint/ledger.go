package checkpoint

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tx is what the ledger needs of the caller's transaction. Everything it writes is in it: the caller commits the rows and the
// position that leads past them together, or neither.
type Tx interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Window is a stretch of time that is being read. Its bounds are fixed when it opens: calls that come later never shift it.
type Window struct {
	ID int64 // the row's id; 0 while it has no row, as a window of one page never has
	Span
	ReadAt   time.Time // the provider's clock at the first request of this reading; zero before it
	Position string    // the extractor's, opaque; "" at the start
	Pages    int       // of this reading
	Total    *int64    // what the provider said last of how many match; nil where it does not tell
	Attempt  int       // how many of its readings, in any process, ended with a count that disagreed
	Failures int       // in a row
	RetryAt  time.Time // when it may be tried again, after a failure; zero: at once
	Error    string    // why it is still open; "" while nothing is wrong
}

// Book is what the ledger knows of one source.
type Book struct {
	Facts []Fact
	Open  []Window
}

// LoadTx reads the book of a source.
func LoadTx(ctx context.Context, tx Tx, source string) (Book, error) {
	rows, err := tx.QueryContext(ctx, `SELECT window_id, state, since, until, read_at, age_ms, coalesce(position, ''), coalesce(pages, 0),
		total, attempt, failures, retry_at, coalesce(error, '') FROM sync.windows WHERE source = ? ORDER BY since, until, window_id`, source)
	if err != nil {
		return Book{}, fmt.Errorf("read the ledger of %s: %w", source, err)
	}
	defer rows.Close()
	var b Book
	for rows.Next() {
		var (
			w      Window
			state  string
			readAt sql.NullTime
			retry  sql.NullTime
			ageMS  sql.NullInt64
			total  sql.NullInt64
		)
		if err := rows.Scan(&w.ID, &state, &w.Since, &w.Until, &readAt, &ageMS, &w.Position, &w.Pages, &total,
			&w.Attempt, &w.Failures, &retry, &w.Error); err != nil {
			return Book{}, fmt.Errorf("read the ledger of %s: %w", source, err)
		}
		w.Since, w.Until, w.ReadAt = w.Since.UTC(), w.Until.UTC(), readAt.Time.UTC()
		if state == "closed" {
			b.Facts = append(b.Facts, Fact{ID: w.ID, Span: w.Span, ReadAt: w.ReadAt, Age: time.Duration(ageMS.Int64) * time.Millisecond})
			continue
		}
		if !readAt.Valid {
			w.ReadAt = time.Time{}
		}
		if retry.Valid {
			w.RetryAt = retry.Time.UTC()
		}
		if total.Valid {
			w.Total = &total.Int64
		}
		b.Open = append(b.Open, w)
	}
	if err := rows.Err(); err != nil {
		return Book{}, fmt.Errorf("read the ledger of %s: %w", source, err)
	}
	return b, nil
}

// SaveTx writes an open window with its position, and returns it with its id. seen are the ids that this reading returned since it was
// last saved, hashed; they are kept until the window closes, because the count at the end must hold for the whole reading, however
// often it was interrupted. They are needed only where the provider tells a total.
//
// If the process dies after the commit, the next one goes on from this position; if it dies before, from the one saved before.
func SaveTx(ctx context.Context, tx Tx, source string, w Window, seen []uint64) (Window, error) {
	var err error
	if w.ID == 0 {
		ids, err := nextIDs(ctx, tx, 1)
		if err != nil {
			return w, fmt.Errorf("open window %s of %s: %w", w.Span, source, err)
		}
		w.ID = ids[0]
	} else if _, err = tx.ExecContext(ctx, `DELETE FROM sync.windows WHERE window_id = ?`, w.ID); err != nil {
		return w, fmt.Errorf("save window %s of %s: %w", w.Span, source, err)
	}
	if _, err = tx.ExecContext(ctx, `INSERT INTO sync.windows (source, window_id, state, since, until, read_at, position, pages, total,
		attempt, failures, retry_at, error) VALUES (?, ?, 'open', ?, ?, ?, nullif(?, ''), ?, ?, ?, ?, ?, nullif(?, ''))`,
		source, w.ID, w.Since, w.Until, nullTime(w.ReadAt), w.Position, w.Pages, w.Total, w.Attempt, w.Failures, nullTime(w.RetryAt), w.Error); err != nil {
		return w, fmt.Errorf("save window %s of %s: %w", w.Span, source, err)
	}
	if len(seen) == 0 {
		return w, nil
	}
	var list strings.Builder
	for i, id := range seen {
		if i > 0 {
			list.WriteByte(',')
		}
		list.WriteString(strconv.FormatUint(id, 10))
	}
	if _, err = tx.ExecContext(ctx, `INSERT INTO sync.window_ids SELECT ?, unnest(string_split(?, ','))::UBIGINT`, w.ID, list.String()); err != nil {
		return w, fmt.Errorf("save the ids of window %s of %s: %w", w.Span, source, err)
	}
	return w, nil
}

// SeenTx returns the hashed ids that earlier processes saved for this reading of an open window.
func SeenTx(ctx context.Context, tx Tx, w Window) (map[uint64]struct{}, error) {
	seen := make(map[uint64]struct{})
	if w.ID == 0 {
		return seen, nil
	}
	rows, err := tx.QueryContext(ctx, `SELECT id_hash FROM sync.window_ids WHERE window_id = ?`, w.ID)
	if err != nil {
		return nil, fmt.Errorf("read the ids of window %s: %w", w.Span, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uint64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read the ids of window %s: %w", w.Span, err)
		}
		seen[id] = struct{}{}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the ids of window %s: %w", w.Span, err)
	}
	return seen, nil
}

// RestartTx puts an open window back to its start: the position and what the reading has returned so far are forgotten. The rows it
// brought stay; a new reading proves the window anew.
func RestartTx(ctx context.Context, tx Tx, source string, w Window) (Window, error) {
	if err := forgetSeenTx(ctx, tx, w); err != nil {
		return w, err
	}
	w.Position, w.Pages, w.Total, w.ReadAt = "", 0, nil, time.Time{}
	return SaveTx(ctx, tx, source, w, nil)
}

// HalveTx puts two windows in the place of one that cannot be read, to find out which half of it is at fault, and returns the book with them.
// What the window brought stays; both halves are read from their starts.
func HalveTx(ctx context.Context, tx Tx, source string, b Book, w Window) (Book, bool, error) {
	older, newer, ok := Halves(w.Span)
	if !ok {
		return b, false, nil
	}
	if err := dropTx(ctx, tx, w); err != nil {
		return b, false, fmt.Errorf("halve window %s of %s: %w", w.Span, source, err)
	}
	next := b.without(w)
	for _, half := range []Span{older, newer} {
		h, err := SaveTx(ctx, tx, source, Window{Span: half, Failures: w.Failures - 1, Error: w.Error}, nil)
		if err != nil {
			return b, false, err
		}
		next.Open = append(next.Open, h)
	}
	return next, true, nil
}

// dropTx deletes the row of an open window and what was kept for it.
func dropTx(ctx context.Context, tx Tx, w Window) error {
	if w.ID == 0 {
		return nil
	}
	if err := forgetSeenTx(ctx, tx, w); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM sync.windows WHERE window_id = ?`, w.ID)
	return err
}

// without is the book without an open window.
func (b Book) without(w Window) Book {
	next := Book{Facts: b.Facts}
	for _, o := range b.Open {
		if o.ID != w.ID {
			next.Open = append(next.Open, o)
		}
	}
	return next
}

// With is the book with an open window as it is now.
func (b Book) With(w Window) Book {
	next := b.without(w)
	next.Open = append(next.Open, w)
	return next
}

// CloseTx turns a window that was read to its end into facts, compacts the ledger of its source, and returns the book as it will be
// once the caller has committed. It writes only the rows that change.
//
// If the process dies before the commit, the window is still open at its last saved position and its last pages are read again.
func CloseTx(ctx context.Context, tx Tx, source string, b Book, w Window, ages []time.Duration) (Book, error) {
	if err := dropTx(ctx, tx, w); err != nil {
		return b, fmt.Errorf("close window %s of %s: %w", w.Span, source, err)
	}
	next := b.without(w)
	next.Facts = Compact(append(slices.Clone(b.Facts), Read(w.Span, w.ReadAt, ages)...), ages)
	_, err := replaceFactsTx(ctx, tx, source, b.Facts, next.Facts)
	return next, err
}

// CompactTx brings the ledger of a source into the form that its ages allow, and returns how many of its facts it dropped. It claims no more than
// they did.
func CompactTx(ctx context.Context, tx Tx, source string, ages []time.Duration) (dropped int64, err error) {
	b, err := LoadTx(ctx, tx, source)
	if err != nil {
		return 0, err
	}
	return replaceFactsTx(ctx, tx, source, b.Facts, Compact(slices.Clone(b.Facts), ages))
}

// replaceFactsTx writes the rows that differ between the facts as they were and as they will be.
func replaceFactsTx(ctx context.Context, tx Tx, source string, was, will []Fact) (int64, error) {
	var added []*Fact
	kept := make(map[int64]bool)
	for i, f := range will {
		if f.ID == 0 {
			added = append(added, &will[i])
		}
		kept[f.ID] = true
	}
	var dropped []string
	for _, f := range was {
		if !kept[f.ID] {
			dropped = append(dropped, strconv.FormatInt(f.ID, 10))
		}
	}
	if len(dropped) > 0 {
		if _, err := tx.ExecContext(ctx, `DELETE FROM sync.windows WHERE window_id IN (`+strings.Join(dropped, ", ")+`)`); err != nil {
			return 0, fmt.Errorf("compact the ledger of %s: %w", source, err)
		}
	}
	return int64(len(dropped)), insertFactsTx(ctx, tx, source, added)
}

// insertFactsTx gives facts their ids and writes their rows.
func insertFactsTx(ctx context.Context, tx Tx, source string, facts []*Fact) error {
	if len(facts) == 0 {
		return nil
	}
	ids, err := nextIDs(ctx, tx, len(facts))
	if err != nil {
		return fmt.Errorf("record what was read of %s: %w", source, err)
	}
	var values []any
	for i, f := range facts {
		f.ID = ids[i]
		values = append(values, source, f.ID, f.Since, f.Until, f.ReadAt, f.Age.Milliseconds())
	}
	rows := strings.TrimSuffix(strings.Repeat("(?, ?, 'closed', ?, ?, ?, ?, 0, 0), ", len(facts)), ", ")
	if _, err := tx.ExecContext(ctx, `INSERT INTO sync.windows (source, window_id, state, since, until, read_at, age_ms, attempt, failures) VALUES `+rows, values...); err != nil {
		return fmt.Errorf("record what was read of %s: %w", source, err)
	}
	return nil
}

func forgetSeenTx(ctx context.Context, tx Tx, w Window) error {
	if w.ID == 0 {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM sync.window_ids WHERE window_id = ?`, w.ID); err != nil {
		return fmt.Errorf("forget the ids of window %s: %w", w.Span, err)
	}
	return nil
}

// nextIDs takes the next ids. Ids are never used again, so that a row's id means one row for ever.
func nextIDs(ctx context.Context, tx Tx, n int) ([]int64, error) {
	rows, err := tx.QueryContext(ctx, `SELECT nextval('sync.window_id') FROM range(?)`, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	ids := make([]int64, 0, n)
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func nullTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// String writes the span for people.
func (s Span) String() string {
	return fmt.Sprintf("[%s, %s)", s.Since.UTC().Format(time.RFC3339), s.Until.UTC().Format(time.RFC3339))
}

// AgesTx reads at which ages the calls of each source are read again, as it was last recorded.
func AgesTx(ctx context.Context, tx Tx) (map[string][]time.Duration, error) {
	rows, err := tx.QueryContext(ctx, `SELECT source, coalesce(reread, '') FROM sync.sources`)
	if err != nil {
		return nil, fmt.Errorf("read the ages at which calls are read again: %w", err)
	}
	defer rows.Close()
	all := make(map[string][]time.Duration)
	for rows.Next() {
		var source, reread string
		if err := rows.Scan(&source, &reread); err != nil {
			return nil, fmt.Errorf("read the ages at which calls are read again: %w", err)
		}
		all[source] = nil
		for text := range strings.SplitSeq(reread, ", ") {
			if text == "" {
				continue
			}
			age, err := time.ParseDuration(text)
			if err != nil {
				return nil, fmt.Errorf("source %s: reread: %w", source, err)
			}
			all[source] = append(all[source], age)
		}
	}
	return all, rows.Err()
}
