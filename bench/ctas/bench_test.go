package ctas_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"syncd/bench/ctas"
	"syncd/internal/fakeapi"
)

// BenchmarkLoad tells how long the reference takes per provider, in seconds for a million calls, and what of it goes into each part.
func BenchmarkLoad(b *testing.B) {
	for _, c := range []struct {
		provider fakeapi.Provider
		calls    int
	}{{fakeapi.Millis, 20_000}, {fakeapi.Burki, 100_000}, {fakeapi.Voicy, 200_000}} {
		b.Run(string(c.provider), func(b *testing.B) {
			dir := b.TempDir()
			ndjson := writeList(b, newFake(c.provider, c.calls, 90, fakeapi.Settling{}), dir)
			info, err := os.Stat(ndjson)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(info.Size())
			var sum ctas.Timing
			runs := 0
			for b.Loop() {
				database := filepath.Join(dir, strconv.Itoa(runs)+".duckdb")
				t, err := ctas.Load(b.Context(), ctas.Options{Provider: string(c.provider), Source: "bench", NDJSON: ndjson, Database: database})
				if err != nil {
					b.Fatal(err)
				}
				if err := os.Remove(database); err != nil {
					b.Fatal(err)
				}
				sum = ctas.Timing{Read: sum.Read + t.Read, Tables: sum.Tables + t.Tables, Checkpoint: sum.Checkpoint + t.Checkpoint}
				runs++
			}
			perMillion := func(d time.Duration) float64 { return d.Seconds() / float64(runs) / float64(c.calls) * 1e6 }
			b.ReportMetric(perMillion(sum.Total()), "s/Mcalls")
			b.ReportMetric(perMillion(sum.Read), "read-s/Mcalls")
			b.ReportMetric(perMillion(sum.Tables), "tables-s/Mcalls")
			b.ReportMetric(perMillion(sum.Checkpoint), "checkpoint-s/Mcalls")
		})
	}
}
