package extract_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"syncd/internal/extract"
)

// A provider that fails at every attempt is transient, and the attempts are counted. The network is in memory, as a real one would keep
// the bubble's clock from running.
func TestProviderThatFailsEveryTimeIsTransient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 502, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("bad gateway"))}, nil
		})
		src, err := extract.New(extract.Account{Source: "src", Provider: "burki", Key: testKey, Transport: network})
		if err != nil {
			t.Fatal(err)
		}
		since := time.Now()
		ctx, stop := context.WithTimeout(t.Context(), 2*time.Hour) // whoever asks without end is heard of
		defer stop()
		_, err = src.Fetch(ctx, extract.Window{Since: since, Until: since.Add(time.Hour)}, "")
		var e *extract.Error
		if !errors.As(err, &e) || e.Class != extract.Transient || e.Status != 502 || e.Excerpt != "bad gateway" || !strings.Contains(e.Reason, "6 times") {
			t.Errorf("error is %v", err)
		}
		if got, want := src.Traffic(), (extract.Traffic{Requests: 6, Retries: 5}); got != want {
			t.Errorf("traffic is %+v, want %+v", got, want)
		}
	})
}
