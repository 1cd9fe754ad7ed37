package fakeapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Listening is a fake that answers on a port of its own.
type Listening struct {
	BaseURL string // what the configuration's base_url takes, without a slash at its end
	handler http.Handler
	address string

	mu     sync.Mutex
	server *http.Server // nil: the port is shut
	done   chan error
}

// Listen serves s on a free port of 127.0.0.1 until Close. The context bounds the opening of the port alone.
func Listen(ctx context.Context, s *Server) (*Listening, error) {
	l := &Listening{handler: s, address: "127.0.0.1:0"}
	if err := l.Open(ctx); err != nil {
		return nil, fmt.Errorf("listen for the local fake of %s: %w", s.opts.Provider, err)
	}
	l.BaseURL = "http://" + l.address + s.BasePath()
	return l, nil
}

// Open listens again after Shut, at the same address. The context bounds the opening alone. What listens already goes on listening.
func (l *Listening) Open(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server != nil {
		return nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", l.address)
	if err != nil {
		return fmt.Errorf("open %s: %w", l.address, err)
	}
	l.address = ln.Addr().String()
	server, done := &http.Server{Handler: l.handler, ReadHeaderTimeout: 10 * time.Second}, make(chan error, 1)
	l.server, l.done = server, done
	go func() { done <- server.Serve(ln) }()
	return nil
}

// Shut cuts every connection and refuses new ones until Open, as a provider does that is down. It returns what made the fake stop earlier, if
// anything did. While the port is shut, another process may take it.
func (l *Listening) Shut() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server == nil {
		return nil
	}
	err := l.server.Close()
	if served := <-l.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	l.server = nil
	if err != nil {
		return fmt.Errorf("close the local fake at %s: %w", l.BaseURL, err)
	}
	return nil
}

// Close cuts every connection and frees the port. It returns what made the fake stop earlier, if anything did.
func (l *Listening) Close() error { return l.Shut() }
