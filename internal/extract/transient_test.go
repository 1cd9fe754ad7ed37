package extract

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"syncd/internal/extract/httpapi"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A provider that fails at every attempt is transient, and the attempts are counted. The network is in memory, as a real one would keep
// the bubble's clock from running.
func TestProviderThatFailsEveryTimeIsTransient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, err := httpapi.New(httpapi.Config{
			BaseURL: "https://api.example.com",
			Transport: roundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 502, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("bad gateway"))}, nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		l := &list{source: "src", client: client, method: http.MethodGet, path: "/calls"}
		since := time.Now()
		_, err = l.read(Window{Since: since, Until: since.Add(time.Hour)}, "").ask(t.Context(), httpapi.Request{})
		var e *Error
		if !errors.As(err, &e) || e.Class != Transient || e.Status != 502 || e.Excerpt != "bad gateway" || !strings.Contains(e.Reason, "6 times") {
			t.Errorf("error is %v", err)
		}
		if got, want := l.Traffic(), (Traffic{Requests: 6, Retries: 5}); got != want {
			t.Errorf("traffic is %+v, want %+v", got, want)
		}
	})
}
