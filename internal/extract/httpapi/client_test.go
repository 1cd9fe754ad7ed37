package httpapi

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// These tests run over real sockets.

const key = "sk_live_4f9a2c71d0e84b"

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func newClient(t *testing.T, base string, c Config) *Client {
	t.Helper()
	c.BaseURL, c.AuthHeader, c.Key = base, "Authorization", key
	if c.AuthScheme == "" {
		c.AuthScheme = "Bearer"
	}
	client, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestRequestIsWhatWasAsked(t *testing.T) {
	type seen struct{ method, path, query, auth, accept, agent, kind, body string }
	var got seen
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		h := r.Header
		got = seen{r.Method, r.URL.Path, r.URL.RawQuery, h.Get("Authorization"), h.Get("Accept"), h.Get("User-Agent"), h.Get("Content-Type"), string(body)}
	})
	for _, tt := range []struct {
		config Config
		base   string
		req    Request
		want   seen
	}{
		{
			Config{UserAgent: "syncd/1.2.3"}, "/functions/v1", Request{Method: "POST", Path: "/call-list", JSON: []byte(`{"limit":1}`)},
			seen{"POST", "/functions/v1/call-list", "", "Bearer " + key, "application/json", "syncd/1.2.3", "application/json", `{"limit":1}`},
		},
		{
			Config{AuthScheme: " "}, "/", Request{Method: "GET", Path: "/call-logs", Query: url.Values{"limit": {"1"}, "a": {"x y"}}},
			seen{"GET", "/call-logs", "a=x+y&limit=1", key, "application/json", "syncd", "", ""},
		},
	} {
		if _, err := newClient(t, s.URL+tt.base, tt.config).Do(t.Context(), tt.req); err != nil {
			t.Fatal(err)
		}
		if got != tt.want {
			t.Errorf("the server saw %+v, want %+v", got, tt.want)
		}
	}
}

func TestRedirectToAnotherHostNeverCarriesTheKey(t *testing.T) {
	var reached atomic.Int64
	other := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", other.URL+"/calls?phone=%2B15551234567")
			w.WriteHeader(status)
		})
		c := newClient(t, s.URL, Config{})
		_, err := c.Do(t.Context(), Request{Method: "GET", Path: "/calls"})
		e := wantError(t, err, Redirected)
		if !strings.Contains(err.Error(), strings.TrimPrefix(other.URL, "http://")) || e.Status != status {
			t.Errorf("error does not name the host %s: %v", other.URL, err)
		}
		if strings.Contains(err.Error(), "15551234567") || strings.Contains(err.Error(), key) {
			t.Errorf("error shows what it must not: %v", err)
		}
		if c.Requests() != 1 {
			t.Errorf("status %d: %d requests were sent, want 1", status, c.Requests())
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the other host was asked %d times", n)
	}
}

func TestRedirectOnTheSameHostKeepsMethodBodyAndKey(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/calls" {
			http.Redirect(w, r, "/calls/?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL, r.Header.Get("Authorization"), body)
	})
	resp, err := newClient(t, s.URL, Config{}).Do(t.Context(), Request{Method: "POST", Path: "/calls", Query: url.Values{"a": {"1"}}, JSON: []byte(`{"b":2}`)})
	if want := "POST /calls/?a=1 Bearer " + key + ` {"b":2}`; err != nil || string(resp.Body) != want {
		t.Errorf("answer %q, error %v, want %q", resp.Body, err, want)
	}
}

func TestRedirectsThatAreNotFollowed(t *testing.T) {
	loop := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) })
	c := newClient(t, loop.URL, Config{})
	_, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"})
	wantError(t, err, Redirected)
	if c.Requests() != 6 {
		t.Errorf("%d requests, want the first and five redirects", c.Requests())
	}
	_, err = newClient(t, loop.URL, Config{}).Do(t.Context(), Request{Method: "POST", Path: "/", JSON: []byte("{}")})
	if e := wantError(t, err, Redirected); !strings.Contains(e.Reason, "GET") {
		t.Errorf("reason is %q: want a word on the POST that would become a GET", e.Reason)
	}
	up := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://"+r.Host+"/")
		w.WriteHeader(http.StatusPermanentRedirect)
	})
	_, err = newClient(t, up.URL, Config{}).Do(t.Context(), Request{Method: "GET", Path: "/"})
	wantError(t, err, Redirected)
	nowhere := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusFound) })
	if resp, err := newClient(t, nowhere.URL, Config{}).Do(t.Context(), Request{Method: "GET", Path: "/"}); err != nil || resp.Status != 302 {
		t.Errorf("a redirect without Location: status %d, error %v, want it as it came", resp.Status, err)
	}
}

func TestClockIsNeverLaterThanTheProviders(t *testing.T) {
	theirs := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	for name, tt := range map[string]struct {
		date string
		ours bool
	}{"date": {theirs.Format(http.TimeFormat), false}, "none": {"", true}, "unreadable": {"yesterday", true}} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(30 * time.Millisecond)
				w.Header()["Date"] = []string{tt.date}
			})
			before := time.Now()
			resp, err := newClient(t, s.URL, Config{}).Do(t.Context(), Request{Method: "GET", Path: "/"})
			if err != nil {
				t.Fatal(err)
			}
			if resp.SentAt.Before(before.UTC()) || !resp.ReceivedAt.After(resp.SentAt) {
				t.Errorf("sent %s, received %s, begun %s", resp.SentAt, resp.ReceivedAt, before)
			}
			if tt.ours {
				if !resp.Clock.Equal(resp.SentAt) {
					t.Errorf("clock is %s, want ours when the request was sent, %s", resp.Clock, resp.SentAt)
				}
				return
			}
			if early := theirs.Add(-30 * time.Millisecond).Sub(resp.Clock); early < 0 || early > 5*time.Second {
				t.Errorf("clock is %s, want a little before %s", resp.Clock, theirs)
			}
		})
	}
}

func TestBodyLimitIsAnErrorAndHoldsAfterDecompression(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, err := io.CopyN(z, zeros{}, 1<<20)
		if err == nil {
			err = z.Close()
		}
		if err != nil && r.Context().Err() == nil {
			t.Log(err)
		}
	})
	c := newClient(t, s.URL, Config{MaxBody: 1<<20 - 1})
	_, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"})
	wantError(t, err, Unusable)
	if c.Requests() != 1 {
		t.Errorf("a too large answer was asked for %d times", c.Requests())
	}
	resp, err := newClient(t, s.URL, Config{MaxBody: 1 << 20}).Do(t.Context(), Request{Method: "GET", Path: "/"})
	if err != nil || len(resp.Body) != 1<<20 {
		t.Errorf("%d bytes, error %v, want the whole MiB", len(resp.Body), err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// raw serves bytes that net/http would not send.
func raw(t *testing.T, reply func(n int) string) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for n := 1; ; n++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.WriteString(conn, reply(n))
			}
			_ = conn.Close()
		}
	}()
	return "http://" + ln.Addr().String()
}

func TestContentLengthThatLiesIsTriedAgain(t *testing.T) {
	base := raw(t, func(n int) string {
		if n == 1 {
			return "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":"
		}
		return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
	})
	c := newClient(t, base, Config{})
	if resp, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"}); err != nil || string(resp.Body) != "{}" || c.Retries() != 1 {
		t.Errorf("answer %q, error %v, %d retries", resp.Body, err, c.Retries())
	}
}

func TestTimeoutCoversTheBody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "{")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	})
	_, err := newClient(t, s.URL, Config{Timeout: 50 * time.Millisecond, Attempts: 1}).Do(t.Context(), Request{Method: "GET", Path: "/"})
	e := wantError(t, err, Unavailable)
	if !strings.Contains(e.Reason, "50ms") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v: want the attempt's own timeout, not to be taken for the caller's", err)
	}
}

func TestErrorsHoldNothingThatMustNotBeShown(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, base := range map[string]string{
		"refused":           closed.URL,
		"unknown host":      "http://no-such-host.invalid",
		"no HTTP":           raw(t, func(int) string { return "hello, my number is 15551234567 and the key is " + key + "\r\n\r\n" }),
		"bad header":        raw(t, func(int) string { return "HTTP/1.1 200 OK\r\ntranscript of 15551234567 " + key + "\r\n\r\n" }),
		"bad length":        raw(t, func(int) string { return "HTTP/1.1 200 OK\r\nContent-Length: 15551234567" + key + "\r\n\r\n" }),
		"closed at once":    raw(t, func(int) string { return "" }),
		"error echoes all":  serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); fmt.Fprint(w, r.URL, r.Header) }).URL,
		"TLS asked of none": strings.Replace(raw(t, func(int) string { return "HTTP/1.1 400 Bad Request\r\n\r\n" }), "http:", "https:", 1),
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, base, Config{Attempts: 1, Timeout: 5 * time.Second})
			_, err := c.Do(t.Context(), Request{Method: "GET", Path: "/calls", Query: url.Values{"phone": {"+15551234567"}}})
			wantError(t, err, Unavailable)
			for _, secret := range []string{key, "15551234567", "hello", "transcript"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("error holds %q: %v", secret, err)
				}
			}
		})
	}
}

// net/http's own errors hold the URL, and so the query.
func TestURLErrorsLoseTheirQuery(t *testing.T) {
	c := bubbleClient(t, Config{Attempts: 1}, func(r *http.Request) (*http.Response, error) {
		return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: errors.New("proxy says no")}
	})
	_, err := c.Do(t.Context(), Request{Method: "GET", Path: "/", Query: url.Values{"phone": {"555"}}})
	if e := wantError(t, err, Unavailable); e.Reason != "proxy says no" {
		t.Errorf("reason is %q", e.Reason)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	good := Config{BaseURL: "https://api.example.com", AuthHeader: "Authorization", Key: key}
	for name, change := range map[string]func(*Config){
		"no URL":         func(c *Config) { c.BaseURL = "" },
		"no scheme":      func(c *Config) { c.BaseURL = "api.example.com" },
		"other scheme":   func(c *Config) { c.BaseURL = "ftp://api.example.com" },
		"user in it":     func(c *Config) { c.BaseURL = "https://me:" + key + "@api.example.com" },
		"query in it":    func(c *Config) { c.BaseURL = "https://api.example.com?key=" + key },
		"no key":         func(c *Config) { c.Key = "" },
		"key of 2 lines": func(c *Config) { c.Key = key + "\n" },
		"half a rate":    func(c *Config) { c.Rate.Requests = 3 },
		"negative rate":  func(c *Config) { c.Rate = Rate{-1, time.Minute} },
	} {
		t.Run(name, func(t *testing.T) {
			c := good
			change(&c)
			if _, err := New(c); err == nil || strings.Contains(err.Error(), key) {
				t.Errorf("error is %v", err)
			}
		})
	}
	if _, err := New(good); err != nil {
		t.Errorf("a good configuration is refused: %v", err)
	}
}
