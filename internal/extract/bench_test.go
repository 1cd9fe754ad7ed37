package extract_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
)

func BenchmarkPageMillis(b *testing.B) { benchmarkPage(b, fakeapi.Millis, 100) }
func BenchmarkPageBurki(b *testing.B)  { benchmarkPage(b, fakeapi.Burki, 1000) }
func BenchmarkPageVoicy(b *testing.B)  { benchmarkPage(b, fakeapi.Voicy, 1000) }

// benchmarkPage fetches one full page, the same bytes each time and from memory: what is left is the client's way around a request, and the
// decoding of its answer.
func benchmarkPage(b *testing.B, p fakeapi.Provider, calls int) {
	fake := fakeapi.New(fakeapi.Options{
		Provider: p, Seed: 3, Key: testKey, Calls: calls, Since: contractSince, Until: contractUntil, Now: func() time.Time { return contractNow },
	})
	var recorded *httptest.ResponseRecorder
	src, err := extract.New(extract.Account{Source: "src", Provider: string(p), Key: testKey, BaseURL: "http://provider.test" + fake.BasePath(),
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if recorded == nil {
				recorded = httptest.NewRecorder()
				if r.Body == nil {
					r.Body = http.NoBody
				}
				fake.ServeHTTP(recorded, r)
			}
			return &http.Response{StatusCode: recorded.Code, Header: recorded.Header().Clone(), Body: io.NopCloser(bytes.NewReader(recorded.Body.Bytes())),
				ContentLength: int64(recorded.Body.Len()), Request: r}, nil
		})})
	if err != nil {
		b.Fatal(err)
	}
	w := extract.Window{Since: contractSince, Until: contractUntil}
	if page, err := src.Fetch(b.Context(), w, ""); err != nil || len(page.Records) != calls {
		b.Fatalf("a page of %d records, %v; want %d", len(page.Records), err, calls)
	}
	b.SetBytes(int64(recorded.Body.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := src.Fetch(b.Context(), w, ""); err != nil {
			b.Fatal(err)
		}
	}
}
