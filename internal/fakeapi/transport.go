package fakeapi

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Transport is a network in memory: an [http.RoundTripper] that hands each request to a handler and waits for its answer on the caller's own
// goroutine. It opens no socket and leaves nothing running, so that it works within a synctest bubble.
//
// A handler that aborts by [http.ErrAbortHandler], or promises more bytes than it writes, is a connection that was cut: an
// [io.ErrUnexpectedEOF] from RoundTrip where nothing had been sent, and from the body where something had. A [Fault] of the connection is what
// net/http's own errors wrap. Any other panic goes up to the caller. A request whose context ends gets the context's error, once the handler has returned.
type Transport struct {
	Handler http.Handler            // answers for every host that Hosts does not name
	Hosts   map[string]http.Handler // by host, as a URL has it: with the port where there is one
	Latency time.Duration           // passes before the handler is asked

	// DisableCompression keeps the transport from asking for gzip, and from unpacking it, where the caller asked for no encoding himself: as the
	// field of this name does in [http.Transport].
	DisableCompression bool
}

// sendsAt is how much of an answer net/http's server holds back before the first bytes leave.
const sendsAt = 4 << 10

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() {
			// The contract of a RoundTripper; a body that cannot be closed was read all the same.
			_ = r.Body.Close()
		}()
	}
	handler := t.Hosts[r.URL.Host]
	if handler == nil {
		handler = t.Handler
	}
	if handler == nil {
		return nil, fmt.Errorf("dial %s: no such host in this transport", r.URL.Host)
	}
	if err := t.travel(r); err != nil {
		return nil, err
	}
	w, in := &response{header: http.Header{}}, arriving(r)
	unpacks := !t.DisableCompression && r.Method != http.MethodHead && r.Header.Get("Accept-Encoding") == "" && r.Header.Get("Range") == ""
	if unpacks {
		in.Header.Set("Accept-Encoding", "gzip")
	}
	aborted := w.serve(handler, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if w.broken != nil {
		return nil, w.broken
	}
	res, err := w.result(r, aborted)
	if err == nil && unpacks && strings.EqualFold(res.Header.Get("Content-Encoding"), "gzip") {
		unpack(res)
	}
	return res, err
}

// unpack does to an answer what [http.Transport] does where it asked for gzip of its own accord.
func unpack(res *http.Response) {
	res.Body = io.NopCloser(&unpacker{from: res.Body})
	res.Header.Del("Content-Encoding")
	res.Header.Del("Content-Length")
	res.ContentLength, res.Uncompressed = -1, true
}

// unpacker unpacks as it is read: the error of what is no gzip is the reader's, not the request's.
type unpacker struct {
	from io.Reader
	zip  *gzip.Reader
}

func (u *unpacker) Read(p []byte) (int, error) {
	if u.zip == nil {
		zip, err := gzip.NewReader(u.from)
		if err != nil {
			return 0, err
		}
		u.zip = zip
	}
	return u.zip.Read(p)
}

// travel waits for the latency, or for the end of the request's context.
func (t *Transport) travel(r *http.Request) error {
	ctx := r.Context()
	if t.Latency > 0 {
		timer := time.NewTimer(t.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

// arriving is a client's request as a server sees it.
func arriving(r *http.Request) *http.Request {
	in := r.Clone(r.Context())
	in.URL = &url.URL{Path: cmp.Or(r.URL.Path, "/"), RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery}
	in.RequestURI = in.URL.RequestURI()
	in.Host = cmp.Or(r.Host, r.URL.Host)
	in.Method = cmp.Or(r.Method, http.MethodGet)
	in.RemoteAddr = "192.0.2.1:1234" // an address for documentation
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if in.Header == nil {
		in.Header = http.Header{}
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if _, named := in.Header["User-Agent"]; !named {
		in.Header.Set("User-Agent", "Go-http-client/1.1")
	}
	return in
}

// response records an answer.
type response struct {
	header  http.Header
	sent    http.Header // header as it was when the status was written; nil before
	status  int
	body    bytes.Buffer
	flushed bool
	stream  io.Reader // the body, made as it is read; nil: it is in body
	broken  error     // what the client's network says in place of an answer
}

func (w *response) Header() http.Header { return w.header }

func (w *response) WriteHeader(status int) {
	if w.sent == nil && status >= 200 { // what is merely informational leads nowhere
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *response) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
		return 0, http.ErrBodyNotAllowed
	}
	return w.body.Write(b)
}

// Flush implements [http.Flusher]: what was written so far arrives, even if the handler aborts.
func (w *response) Flush() {
	w.WriteHeader(http.StatusOK)
	w.flushed = true
}

// serve runs the handler and says whether it cut the connection.
func (w *response) serve(handler http.Handler, r *http.Request) (aborted bool) {
	defer func() {
		reason := recover()
		if err, ok := reason.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			aborted = true
		} else if reason != nil {
			panic(reason)
		}
	}()
	handler.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK)
	return false
}

// result is the answer as a client sees it.
func (w *response) result(r *http.Request, aborted bool) (*http.Response, error) {
	if aborted && !w.flushed && w.body.Len() < sendsAt {
		return nil, io.ErrUnexpectedEOF
	}
	length := int64(w.body.Len())
	w.complete(aborted)
	promised, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64)
	if err != nil {
		promised = -1
	}
	var body io.Reader = &w.body
	switch {
	case r.Method == http.MethodHead:
		body = http.NoBody
	case w.status == http.StatusNoContent || w.status == http.StatusNotModified:
		promised = 0
	case w.stream != nil:
		body = w.stream
	case aborted || promised > length:
		body = io.MultiReader(body, cutOff{})
	}
	return &http.Response{
		Status: strconv.Itoa(w.status) + " " + http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: io.NopCloser(body), ContentLength: promised, Request: r,
	}, nil
}

// complete adds the headers that net/http's server adds to a short answer where the handler left them out.
func (w *response) complete(aborted bool) {
	if date, set := w.sent["Date"]; set && date == nil {
		delete(w.sent, "Date") // a handler's way to send none
	} else if w.sent.Get("Date") == "" {
		w.sent.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
		return
	}
	if _, set := w.sent["Content-Type"]; !set && w.body.Len() > 0 {
		w.sent.Set("Content-Type", http.DetectContentType(w.body.Bytes()))
	}
	if w.sent.Get("Content-Length") == "" && !aborted && !w.flushed {
		w.sent.Set("Content-Length", strconv.Itoa(w.body.Len()))
	}
}

// cutOff is the end of a connection that was cut.
type cutOff struct{}

func (cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
