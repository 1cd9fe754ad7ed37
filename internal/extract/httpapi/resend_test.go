package httpapi

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// dyingServer answers the first request of a connection and closes it on the second, which it has read by then. Each request is counted.
func dyingServer(t *testing.T) (url string, received *atomic.Int64) {
	t.Helper()
	received = new(atomic.Int64)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed by the test
			}
			go func() {
				defer conn.Close() //nolint:errcheck // the client finds out
				in := bufio.NewReader(conn)
				for n := 1; ; n++ {
					req, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					if _, err := io.Copy(io.Discard, req.Body); err != nil {
						return
					}
					received.Add(1)
					if n == 2 {
						return
					}
					if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String(), received
}

// net/http sends a GET again on its own when a connection that it kept dies. Each request that arrives must have been counted.
func TestNothingIsSentThatIsNotCounted(t *testing.T) {
	for _, req := range []Request{
		{Method: "GET", Path: "/calls", Once: true},
		{Method: "POST", Path: "/calls", JSON: []byte(`{"limit":1}`), Once: true},
	} {
		t.Run(req.Method, func(t *testing.T) {
			url, received := dyingServer(t)
			c := newClient(t, url, Config{})
			failed := 0
			for range 6 {
				if _, err := c.Do(t.Context(), req); err != nil {
					failed++
				}
			}
			if got := received.Load(); got != c.Requests() || got != 6 {
				t.Errorf("the server received %d requests, and the client counted %d: want 6", got, c.Requests())
			}
			if failed == 0 {
				t.Error("no connection died: the test shows nothing")
			}
		})
	}
}

// Without Once, the request that met a dead connection is sent again, as a retry that is counted.
func TestDeadConnectionIsRetriedAndCounted(t *testing.T) {
	url, received := dyingServer(t)
	c := newClient(t, url, Config{})
	for range 2 {
		if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "/calls"}); err != nil {
			t.Fatal(err)
		}
	}
	if c.Requests() != 3 || c.Retries() != 1 || received.Load() != 3 {
		t.Errorf("%d requests and %d retries were counted, %d received: want 3, 1 and 3", c.Requests(), c.Retries(), received.Load())
	}
}

// What keeps the transport from sending twice adds nothing to what is sent.
func TestGETIsSentWithoutABody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // nothing is written to it
	head := make(chan []string, 1)
	go func() {
		defer close(head)
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close() //nolint:errcheck // the answer is whole
		var lines []string
		for in := bufio.NewScanner(conn); in.Scan() && in.Text() != ""; {
			name, _, _ := strings.Cut(in.Text(), ":")
			lines = append(lines, name)
		}
		head <- lines
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"); err != nil {
			t.Error(err)
		}
	}()
	if _, err := newClient(t, "http://"+l.Addr().String(), Config{}).Do(t.Context(), Request{Method: "GET", Path: "/calls"}); err != nil {
		t.Fatal(err)
	}
	got := <-head
	slices.Sort(got)
	if want := []string{"Accept", "Accept-Encoding", "Authorization", "GET /calls HTTP/1.1", "Host", "User-Agent"}; !slices.Equal(got, want) {
		t.Errorf("the head is %q, want %q", got, want)
	}
}

// A server that offers HTTP/2 is spoken to in HTTP/1.1, where net/http sends nothing again.
func TestHTTP2IsNotSpoken(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Proto", r.Proto)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	transport := newTransport()
	transport.TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	resp, err := newClient(t, s.URL, Config{Transport: transport}).Do(t.Context(), Request{Method: "GET", Path: "/", Once: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("X-Proto"); got != "HTTP/1.1" {
		t.Errorf("the server was spoken to in %s", got)
	}
}
