package growth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"syncd/internal/call"
	"syncd/internal/checkpoint"
	"syncd/internal/load"
)

// session writes a warehouse as a run of the pipeline does.
type session struct {
	w    *load.Warehouse
	rand *rand.Rand

	calls  population
	next   int64 // the number of the next new call
	day    int64 // how many calls start in a day
	run    load.Run
	window checkpoint.Window
}

// open opens a built warehouse, and finds out where its calls end.
func open(ctx context.Context, path string) (*session, error) {
	w, err := load.Open(ctx, load.Options{Path: path})
	if err != nil {
		return nil, err
	}
	s := &session{w: w, rand: rand.New(rand.NewPCG(1, 1))} //nolint:gosec // a run that can be repeated
	if err := s.findEnd(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("look where the calls of %s end: %w", path, err), w.Close())
	}
	return s, nil
}

func (s *session) findEnd(ctx context.Context) error {
	var count, spanMS int64
	if err := s.w.Write(ctx, func(tx *load.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT count(*), (epoch_us(max(started_at)) - epoch_us(min(started_at))) // 1000 FROM calls`)
		if err != nil {
			return err
		}
		defer rows.Close()
		rows.Next()
		return errors.Join(rows.Scan(&count, &spanMS), rows.Err())
	}); err != nil {
		return err
	}
	if count < 2 {
		return fmt.Errorf("it has %d calls: want a warehouse that Build has made, with at least 2", count)
	}
	s.next, s.calls.step = count, time.Duration(spanMS/(count-1))*time.Millisecond
	s.day = max(1, min(count, int64(24*time.Hour/s.calls.step)))
	now := s.calls.start(count)
	s.run = load.Run{ID: "growth-" + strconv.FormatInt(count, 10), Source: source, Kind: "live", StartedAt: now, Outcome: "running"}
	s.window = checkpoint.Window{Span: checkpoint.Span{Since: now, Until: now.AddDate(1, 0, 0)}, ReadAt: now.AddDate(1, 0, 0)}
	return nil
}

// commit writes a batch of calls, the position that leads past it and the run's counts, in one transaction. Only that is timed: the calls were
// there before, as they are when the pipeline comes to commit them.
func (s *session) commit(ctx context.Context, b Batch) (cost, error) {
	reading := s.w.NextReading()
	defer s.w.EndReading(reading)
	batch, added := s.batch(b, reading)
	seen := make([]uint64, len(batch))
	for i := range batch {
		seen[i] = uint64(batch[i].ContentHash) //nolint:gosec // as good a hash of the id as any
	}
	record, window := s.run, s.window
	window.Position = `{"pagination_key":"` + batch[len(batch)-1].Call.ID + `"}`
	window.Pages++
	began, used := time.Now(), processorTime()
	err := s.w.Write(ctx, func(tx *load.Tx) error {
		counts, err := tx.Upsert(ctx, source, batch) // a list alone tells these calls: there is no other part to combine
		if err != nil {
			return err
		}
		if window, err = checkpoint.SaveTx(ctx, tx, source, window, seen); err != nil {
			return err
		}
		record.Requests, record.Pages, record.Records = record.Requests+1, record.Pages+1, record.Records+int64(b.Size)
		record.Inserted, record.Updated, record.Unchanged = record.Inserted+counts.Inserted, record.Updated+counts.Updated, record.Unchanged+counts.Unchanged
		return tx.SaveRun(ctx, record)
	})
	took := cost{time.Since(began), processorTime() - used}
	if err != nil {
		return cost{}, err
	}
	if record.Unchanged != 0 || record.Inserted-s.run.Inserted != added {
		return cost{}, fmt.Errorf("of %d calls %d were to be new; the run counts %d inserted, %d updated, %d unchanged", b.Size, added,
			record.Inserted-s.run.Inserted, record.Updated-s.run.Updated, record.Unchanged)
	}
	s.run, s.window = record, window
	s.next += added
	return took, nil
}

// batch makes the observations of a commit, of which the last are new.
func (s *session) batch(b Batch, reading int64) (batch []call.Observation, added int64) {
	old := min(int64(float64(b.Size)*b.Updated+0.5), s.day)
	added = int64(b.Size) - old
	for _, n := range s.choose(old, b.Together) {
		batch = append(batch, s.calls.observation(n, reading, reading))
	}
	for i := range added {
		batch = append(batch, s.calls.observation(s.next+i, 0, reading))
	}
	return batch, added
}

// choose picks different calls of the last day.
func (s *session) choose(count int64, together bool) []int64 {
	var chosen []int64
	if together {
		first := s.next - s.day + s.rand.Int64N(s.day-count+1)
		for n := range count {
			chosen = append(chosen, first+n)
		}
		return chosen
	}
	known := make(map[int64]bool)
	for int64(len(chosen)) < count {
		if n := s.next - 1 - s.rand.Int64N(s.day); !known[n] {
			known[n] = true
			chosen = append(chosen, n)
		}
	}
	return chosen
}

// close brings everything into the file.
func (s *session) close(ctx context.Context) error {
	return errors.Join(s.w.Checkpoint(ctx), s.w.Close())
}
