package transform_test

import (
	"testing"

	"syncd/internal/transform"
)

func BenchmarkRecordMillis(b *testing.B) { benchmark(b, "millis", "list.json", "histories") }
func BenchmarkRecordBurki(b *testing.B)  { benchmark(b, "burki", "list_sample.json", "items") }
func BenchmarkRecordVoicy(b *testing.B)  { benchmark(b, "voicy", "list_sample.json", "calls") }

func benchmark(b *testing.B, provider, file, key string) {
	r := record(rows(b, provider, file, key)[0])
	for name, p := range map[string]transform.Privacy{
		"keep": {}, "private": {Numbers: transform.NumbersHash, HashKey: []byte("key"), Transcripts: transform.TranscriptsDrop},
	} {
		tr := open(b, provider, private(p))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(r.Payload)))
			b.ReportAllocs()
			for b.Loop() {
				if tr.Record(r).Reject != nil {
					b.Fatal("rejected")
				}
			}
		})
	}
}
