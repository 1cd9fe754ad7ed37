package fakeapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
	"syncd/internal/fakeapi/openapitest"
)

// TestADaysWorkInABubble asks each provider every hour of a day that passes at once, through an ordinary client with a timeout, each answer
// held against the vendor's document. A goroutine left behind, or anything that waits for a real socket, would stop the bubble.
func TestADaysWorkInABubble(t *testing.T) {
	for _, p := range all {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			fake := fakeapi.New(fakeapi.Options{Provider: p, Seed: 7, Key: key, Calls: 200, Since: began, Until: began.Add(24 * time.Hour)})
			client := http.Client{Timeout: time.Minute, Transport: &fakeapi.Transport{
				Hosts: map[string]http.Handler{"provider.example": openapitest.Handler(t, p, fake)}, Latency: 250 * time.Millisecond,
			}}
			for hour := 1; hour <= 24; hour++ {
				time.Sleep(time.Until(began.Add(time.Duration(hour) * time.Hour)))
				method, path, body, _ := page(p, 20)
				r, err := http.NewRequestWithContext(t.Context(), method, "http://provider.example"+path, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", authorization(p, key))
				r.Header.Set("Content-Type", "application/json")
				sent := time.Now()
				res, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := io.ReadAll(res.Body)
				if err := errors.Join(err, res.Body.Close()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(sent); took != 250*time.Millisecond {
					t.Errorf("%s: the request took %s of the bubble's time, want the latency", p, took)
				}
				if got, want := len(decode(t, p, string(answer)).ids), min(len(fake.All()), 20); got != want || res.ContentLength != int64(len(answer)) {
					t.Errorf("%s: %d calls after %d hours, want %d; Content-Length %d of %d", p, got, hour, want, res.ContentLength, len(answer))
				}
			}
			if n := len(fake.All()); n != 200 || fake.Busiest(time.Hour) != 1 {
				t.Errorf("%s: %d calls at the day's end, want 200; %d requests in an hour, want 1", p, n, fake.Busiest(time.Hour))
			}
		})
	}
}

// seenRequest is what a handler sees of a request, and a client of the answer.
type seenRequest struct {
	Method, Host, URI, Body, UserAgent, Extra string
	Length                                    int64
}

// TestTheTransportIsFaithful sends the same requests over a socket and through memory.
func TestTheTransportIsFaithful(t *testing.T) {
	var got []seenRequest
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, seenRequest{r.Method, r.Host, r.RequestURI, string(body), r.UserAgent(), r.Header.Get("X-Extra"), r.ContentLength})
		w.Header()["X-Many"] = []string{"a", "b"}
		if r.URL.Path != "/teapot" { // whose type the server must find out
			w.Header().Set("Content-Type", "application/json")
		}
		w.Header().Set("Date", "Sun, 02 Mar 2025 00:00:00 GMT")
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/teapot":
			w.WriteHeader(http.StatusTeapot)
			w.Header().Set("X-Late", "too late")
			io.WriteString(w, "short and stout")
		case "/flushed":
			io.WriteString(w, "one")
			http.NewResponseController(w).Flush()
			io.WriteString(w, "two")
		case "/empty":
		default:
			io.WriteString(w, strings.Repeat("x", 1500))
		}
	})
	server := httptest.NewServer(h)
	defer server.Close()
	network := server.Client().Transport
	memory := &fakeapi.Transport{Handler: h}
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/a%2Fb?x=1&y=%20", ""}, {"POST", "/", `{"limit":1}`}, {"GET", "/none", ""}, {"GET", "/teapot", ""}, {"HEAD", "/", ""},
		{"GET", "/flushed", ""}, {"GET", "/empty", ""}, {"GET", "", ""},
	} {
		got = nil
		var answers [2]string
		for i, rt := range []http.RoundTripper{network, memory} {
			r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Extra", "kept")
			res, err := rt.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			var head strings.Builder
			if err := res.Header.Write(&head); err != nil {
				t.Fatal(err)
			}
			answers[i] = strings.Join([]string{res.Status, res.Proto, head.String(), string(body)}, "\n")
			if want, length := int64(len(body)), res.ContentLength; c.method == "GET" && c.path != "/flushed" && length != want {
				t.Errorf("%s %s: ContentLength %d, want %d", c.method, c.path, length, want)
			}
			if r.URL.String() != server.URL+c.path || r.RequestURI != "" {
				t.Errorf("the caller's request was changed to %s", r.URL)
			}
		}
		if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
			t.Errorf("%s %s: the answers differ (socket −, memory +): %s", c.method, c.path, diff)
		}
		if diff := cmp.Diff(got[0], got[1]); diff != "" {
			t.Errorf("%s %s: the requests differ (socket −, memory +): %s", c.method, c.path, diff)
		}
	}
}

// TestACutConnectionIsAnError where nothing was sent, and a body that breaks off where something was.
func TestACutConnectionIsAnError(t *testing.T) {
	abort := func(before func(w http.ResponseWriter)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			before(w)
			panic(http.ErrAbortHandler)
		})
	}
	write := func(w io.Writer, text string) {
		if _, err := io.WriteString(w, text); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		handler http.Handler
		body    string // "": no answer at all
	}{
		"at once":       {abort(func(http.ResponseWriter) {}), ""},
		"before a send": {abort(func(w http.ResponseWriter) { write(w, "lost") }), ""},
		"after a flush": {abort(func(w http.ResponseWriter) {
			write(w, "half")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		}), "half"},
		"short of its promise": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			write(w, "four")
		}), "four"},
	} {
		res, err := (&fakeapi.Transport{Handler: c.handler}).RoundTrip(httptest.NewRequestWithContext(t.Context(), "GET", "http://provider.example/", nil))
		var body []byte
		if err == nil {
			body, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != c.body {
			t.Errorf("%s: %q and %v; want %q and an unexpected EOF", name, body, err, c.body)
		}
	}
}

// TestTheTransportHeedsTheContext while the request travels, and while the handler works.
func TestTheTransportHeedsTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		slow := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			asked++
			<-r.Context().Done()
		})
		for latency, want := range map[time.Duration]int{time.Hour: 0, time.Second: 1} {
			asked = 0
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			began := time.Now()
			r := httptest.NewRequestWithContext(ctx, "GET", "http://provider.example/", nil)
			_, err := (&fakeapi.Transport{Handler: slow, Latency: latency}).RoundTrip(r)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute || asked != want {
				t.Errorf("with a latency of %s: %v after %s, asked %d times; want the deadline after a minute, %d", latency, err, time.Since(began), asked, want)
			}
			cancel()
		}
	})
}

func TestAHostThatNobodyAnswersForIsAnError(t *testing.T) {
	network := &fakeapi.Transport{Hosts: map[string]http.Handler{"known.example": http.NotFoundHandler()}}
	if _, err := network.RoundTrip(httptest.NewRequestWithContext(t.Context(), "GET", "http://unknown.example/", nil)); err == nil {
		t.Error("an unknown host answers")
	}
}
