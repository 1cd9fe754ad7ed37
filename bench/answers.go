package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"time"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
)

// quarter is the stretch of time over which the calls of every experiment are spread evenly. It is long over, so that nothing changes while it
// is read.
func quarter() (since, until time.Time) {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
}

const key = "bench-key"

// answers is a provider whose every answer can be prepared: a question that was asked before is answered at once with the same bytes, so that
// what a provider takes to think is in no measurement. It answers over a port and, as a RoundTripper, in memory.
type answers struct {
	provider fakeapi.Provider
	base     string // the path of its base URL

	mu     sync.RWMutex
	fake   *fakeapi.Server // nil: everything is prepared
	known  map[string]*answer
	counts counts
}

// counts are the questions that were asked since all were prepared, or since the beginning.
type counts struct {
	Asked      int `json:"asked"`
	Unprepared int `json:"unprepared"` // that had not been asked before
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// newAnswers makes a provider with so many calls.
func newAnswers(p fakeapi.Provider, calls int) *answers {
	since, until := quarter()
	now := until.AddDate(0, 5, 0)
	fake := fakeapi.New(fakeapi.Options{
		Provider: p, Seed: 5, Key: key, Calls: calls, Since: since, Until: until, Now: func() time.Time { return now },
	})
	return &answers{provider: p, base: fake.BasePath(), fake: fake, known: map[string]*answer{}}
}

// write writes the records into a file, one a line and newest first, as the provider lists them. It returns the size of the file.
func (a *answers) write(path string) (size int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	for _, id := range a.fake.All() {
		record, ok := a.fake.Call(id)
		if !ok {
			return 0, fmt.Errorf("the fake lists the call %s and does not know it", id)
		}
		n, err := fmt.Fprintln(w, record.List)
		if err != nil {
			return 0, err
		}
		size += int64(n)
	}
	return size, w.Flush()
}

// errUnprepared is a question of which a measurement would tell how fast the fake is.
var errUnprepared = errors.New("the question was not prepared")

// ask returns the answer to a question.
func (a *answers) ask(r *http.Request) (*answer, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, fmt.Errorf("read the question: %w", err)
		}
	}
	question := r.Method + " " + r.URL.RequestURI() + "\n" + string(body)
	a.mu.Lock()
	got, fake := a.known[question], a.fake
	a.counts.Asked++
	if got == nil {
		a.counts.Unprepared++
	}
	a.mu.Unlock()
	if got != nil {
		return got, nil
	}
	if fake == nil {
		return nil, errUnprepared
	}
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	w := httptest.NewRecorder()
	fake.ServeHTTP(w, again)
	got = &answer{status: w.Code, header: w.Header(), body: bytes.Clone(w.Body.Bytes())} // the recorder's own buffer is up to twice as long
	got.header.Set("Content-Length", strconv.Itoa(len(got.body)))
	a.mu.Lock()
	a.known[question] = got
	a.mu.Unlock()
	return got, nil
}

// prepared says that every question has been asked: one that was not is an error from here on. The fake's own records are let go, because
// the garbage collector would look through them during the measurement.
func (a *answers) prepared() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fake, a.counts = nil, counts{}
}

// asked returns what was asked so far.
func (a *answers) asked() counts {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.counts
}

// check fails where a question was not prepared: what was measured is not what was meant to be.
func (c counts) check() error {
	if c.Unprepared > 0 {
		return fmt.Errorf("%d of %d questions were not prepared: the figures tell of the fake provider", c.Unprepared, c.Asked)
	}
	return nil
}

// ServeHTTP answers over a port.
func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	got, err := a.ask(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotImplemented)
		return
	}
	for name, values := range got.header {
		w.Header()[name] = values
	}
	w.WriteHeader(got.status)
	// A client that has gone needs no answer.
	_, _ = w.Write(got.body)
}

// RoundTrip answers in memory.
func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	got, err := a.ask(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: http.StatusText(got.status), StatusCode: got.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: got.header.Clone(),
		Body: io.NopCloser(bytes.NewReader(got.body)), ContentLength: int64(len(got.body)), Request: r,
	}, nil
}

// account is how syncd asks this provider in memory.
func (a *answers) account() extract.Account {
	return extract.Account{
		Source: string(a.provider), Provider: string(a.provider), Key: key, BaseURL: "http://provider.test" + a.base, Transport: a,
	}
}
