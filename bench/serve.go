package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"syncd/internal/fakeapi"
)

// serving says what a provider's process serves.
type serving struct {
	Provider fakeapi.Provider
	Calls    int
	Delay    time.Duration // the wait before every answer
	Records  string        // the file to write the records into, one a line; "": none
}

// server is a provider in a process of its own, so that the memory and the processor time of what is measured are nobody else's.
type server struct {
	URL  string // as the configuration's base_url takes it
	Host string // before the paths of the provider
	Size int64  // of the file of records

	process *spawned
}

const controlPath = "/bench/questions"

// serve starts a provider.
func serve(ctx context.Context, l lab, o serving) (*server, error) {
	given, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, os.Stderr, l.Dir, serveArgument, string(given))
	if err != nil {
		return nil, fmt.Errorf("start a provider: %w", err)
	}
	s := &server{process: p}
	if err := json.NewDecoder(p.out).Decode(s); err != nil {
		return nil, fmt.Errorf("start a provider: %w", errors.Join(err, p.end()))
	}
	return s, nil
}

func (s *server) close() error { return s.process.end() }

// prepared says that every question has been asked.
func (s *server) prepared(ctx context.Context) error {
	_, err := s.control(ctx, http.MethodPost)
	return err
}

// asked returns what was asked since.
func (s *server) asked(ctx context.Context) (counts, error) { return s.control(ctx, http.MethodGet) }

func (s *server) control(ctx context.Context, method string) (c counts, err error) {
	r, err := http.NewRequestWithContext(ctx, method, s.Host+controlPath, nil)
	if err != nil {
		return c, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return c, fmt.Errorf("ask the provider what it was asked: %w", err)
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	return c, json.NewDecoder(answer.Body).Decode(&c)
}

// runServer is the process of a provider. It prints where it is to be found, and serves until it is stopped.
func runServer(ctx context.Context, given string, out io.Writer) error {
	var o serving
	if err := json.Unmarshal([]byte(given), &o); err != nil {
		return err
	}
	a := newAnswers(o.Provider, o.Calls)
	var told server
	if o.Records != "" {
		var err error
		if told.Size, err = a.write(o.Records); err != nil {
			return fmt.Errorf("write the records: %w", err)
		}
	}
	var lc net.ListenConfig
	at, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	told.Host = "http://" + at.Addr().String()
	told.URL = told.Host + a.base
	served := &http.Server{Handler: a.handler(o.Delay), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = served.Close() })() // Serve tells how it ended
	if err := json.NewEncoder(out).Encode(told); err != nil {
		return errors.Join(err, at.Close())
	}
	if err := served.Serve(at); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// handler is the provider, with a door for whoever measures.
func (a *answers) handler(delay time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+controlPath, func(w http.ResponseWriter, _ *http.Request) { tell(w, a.asked()) })
	mux.HandleFunc("POST "+controlPath, func(w http.ResponseWriter, _ *http.Request) {
		a.prepared()
		tell(w, a.asked())
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(delay)
		a.ServeHTTP(w, r)
	})
	return mux
}

func tell(w http.ResponseWriter, c counts) {
	// Whoever asked notices an answer that did not arrive.
	_ = json.NewEncoder(w).Encode(c)
}
