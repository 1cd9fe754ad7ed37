package fakeapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Listening is a fake that answers on a port of its own.
type Listening struct {
	BaseURL string // what the configuration's base_url takes, without a slash at its end
	server  *http.Server
	done    chan error
}

// Listen serves s on a free port of 127.0.0.1 until Close. The context bounds the opening of the port alone.
func Listen(ctx context.Context, s *Server) (*Listening, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the local fake of %s: %w", s.opts.Provider, err)
	}
	l := &Listening{
		BaseURL: "http://" + ln.Addr().String() + s.BasePath(),
		server:  &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second},
		done:    make(chan error, 1),
	}
	go func() { l.done <- l.server.Serve(ln) }()
	return l, nil
}

// Close cuts every connection and frees the port. It returns what made the fake stop earlier, if anything did.
func (l *Listening) Close() error {
	err := l.server.Close()
	if served := <-l.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if err != nil {
		return fmt.Errorf("close the local fake at %s: %w", l.BaseURL, err)
	}
	return nil
}
