package pipeline_test

import (
	"path/filepath"
	"testing"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/pipeline"
	"syncd/internal/transform"
)

// BenchmarkRenormalizeUnchanged rebuilds calls of which nothing changes, told by the list alone.
func BenchmarkRenormalizeUnchanged(b *testing.B) {
	const calls = 20_000
	s := provider(b, fakeapi.Voicy, calls, func(*fakeapi.Options, *extract.Account, *transform.Options) {})
	w := warehouse(b, filepath.Join(b.TempDir(), "calls.duckdb"))
	defer func() { _ = w.Close() }()
	p := newPipeline(w)
	if _, err := p.Sync(b.Context(), s.source, everything); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		told, err := p.Renormalize(b.Context(), s.source, pipeline.RenormalizeOptions{By: "bench"})
		if err != nil || told.Unchanged != calls {
			b.Fatalf("%+v, error %v", told, err)
		}
	}
	b.ReportMetric(float64(b.N)*calls/b.Elapsed().Seconds(), "calls/s")
}
