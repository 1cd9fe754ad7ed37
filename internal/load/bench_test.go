package load_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"syncd/internal/call"
	"syncd/internal/load"
)

// batchSize is how many calls the benchmarks of a batch write or look up: five full pages of the larger lists.
const batchSize = 5_000

// fromBatch makes the observations of a batch, which start a second apart, and tells how many bytes their payloads have.
func fromBatch(w *load.Warehouse, n int) (all []call.Observation, bytes int64) {
	reading := w.NextReading()
	for i := n * batchSize; i < (n+1)*batchSize; i++ {
		o := observation(fmt.Sprintf("call-%08d", i), int64(i), noon.Add(time.Duration(i)*time.Second))
		o.Payload = fmt.Sprintf(`{"call_id":%q,"call_type":"phone_call","call_status":"ongoing","from_number":"+15550100%04d","start_timestamp":%d}`,
			o.Call.ID, i%10_000, o.Call.StartedAt.UnixMilli())
		o.Reading = reading
		all, bytes = append(all, o), bytes+int64(len(o.Payload))
	}
	w.EndReading(reading)
	return all, bytes
}

// filled is a warehouse that has some batches.
func filled(b *testing.B, batches int) *load.Warehouse {
	b.Helper()
	w, err := load.Open(b.Context(), load.Options{Path: filepath.Join(b.TempDir(), "calls.duckdb")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := w.Close(); err != nil {
			b.Error(err)
		}
	})
	for n := range batches {
		all, _ := fromBatch(w, n)
		if err := w.Write(b.Context(), func(tx *load.Tx) error {
			_, err := tx.Upsert(b.Context(), "s", all)
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Checkpoint(b.Context()); err != nil {
		b.Fatal(err)
	}
	return w
}

// A batch that is read again and has not changed is staged and looked up, and nothing is written.
func BenchmarkBatchUnchanged(b *testing.B) {
	const batches = 20
	w := filled(b, batches)
	var again [batches][]call.Observation
	var bytes int64
	for n := range again {
		again[n], bytes = fromBatch(w, n)
	}
	b.SetBytes(bytes)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if err := w.Write(b.Context(), func(tx *load.Tx) error {
			counts, err := tx.Upsert(b.Context(), "s", again[n%batches])
			if err == nil && counts.Unchanged != batchSize {
				err = fmt.Errorf("%+v, want all unchanged", counts)
			}
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
}

// A batch of new calls is looked up and written; what its commit takes is another benchmark's.
func BenchmarkBatchNew(b *testing.B) {
	insert(b, func(upsert func()) {
		b.StartTimer()
		upsert()
		b.StopTimer()
	})
}

// The commit of a batch of new calls, from the end of its writing until it is durable.
func BenchmarkCommit(b *testing.B) {
	insert(b, func(upsert func()) {
		upsert()
		b.StartTimer()
	})
}

// insert commits a new batch in every turn. The timer stands still while within is called, and runs again afterwards.
func insert(b *testing.B, within func(upsert func())) {
	w := filled(b, 1)
	b.ReportAllocs()
	for n := 1; b.Loop(); n++ {
		b.StopTimer()
		all, bytes := fromBatch(w, n)
		b.SetBytes(bytes)
		err := w.Write(b.Context(), func(tx *load.Tx) (err error) {
			var counts load.Counts
			within(func() { counts, err = tx.Upsert(b.Context(), "s", all) })
			if err == nil && counts.Inserted != batchSize {
				err = fmt.Errorf("%+v, want all inserted", counts)
			}
			return err
		})
		b.StartTimer()
		if err != nil {
			b.Fatal(err)
		}
	}
}
