package httpapi

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// roundTripper is a network in memory.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func bubbleClient(t testing.TB, c Config, network roundTripper) *Client {
	t.Helper()
	c.BaseURL, c.Transport = "https://api.example.com/v1", network
	client, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// answer makes a response; an empty header value leaves the header out.
func answer(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] != "" {
			h.Set(header[i], header[i+1])
		}
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}
