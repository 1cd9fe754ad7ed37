// Package server is what syncd shows over HTTP to this machine: whether it is alive, whether it is ready, its status, and answers to SQL.
//
// It owns the addresses it may listen at, who may ask, the headers of each answer, and a quiet end. It refuses any address but loopback, any
// request that names another host, and any that would change something; and it knows no warehouse: what it shows, a [Source] tells.
//
// A browser is a reader too, and any page it has open can make it ask. So a name that was made to point at this machine is refused, no other origin
// may read an answer, and a question must come as JSON, which a browser does not send for another origin without asking first.
package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Source tells what is shown. Both methods are called by several requests at the same time.
type Source interface {
	// Ready returns why the process cannot do its work yet, or any more, in words that may be shown, and nil where it can.
	Ready(ctx context.Context) error
	// Status returns the state of the sources as JSON.
	Status(ctx context.Context) (json.RawMessage, error)
	// Query answers one read-only SQL text with the rows as JSON. What who asked should know of an error is a *Failure.
	Query(ctx context.Context, sql string) (json.RawMessage, error)
}

// Failure is an error that is shown to who asked.
type Failure struct {
	Code    int // the HTTP status
	Message string
}

func (f *Failure) Error() string { return f.Message }

// Server answers at one address. Set Report, Listen, then Serve.
type Server struct {
	// Report is told of errors that are not shown to who asked. Requests call it at the same time. It is required.
	Report func(error)

	addr     string
	source   Source
	listener net.Listener

	answerTime time.Duration // how long a source may take for an answer
	queryTime  time.Duration // and for one to SQL
	stopTime   time.Duration // how long requests may take that are under way when the server is told to stop
}

// New makes a server for host:port, and says how long a source takes for an answer to SQL. It refuses an address that is not this machine's alone:
// nothing here asks who is there.
func New(addr string, s Source, queryTime time.Duration) (*Server, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("serve http at %q: want host:port such as 127.0.0.1:8080: %w", addr, err)
	}
	if !loopback(host) {
		return nil, fmt.Errorf("serve http at %s: want an address of this machine alone, such as 127.0.0.1:8080", addr)
	}
	return &Server{addr: addr, source: s, answerTime: 10 * time.Second, queryTime: queryTime + 10*time.Second, stopTime: 5 * time.Second}, nil
}

// loopback reports whether a host can be nothing but this machine.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// Listen takes the port. Requests that come before Serve wait for it.
func (s *Server) Listen(ctx context.Context) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("serve http at %s: the port is in use, perhaps by another syncd; stop that, or set server.http to another port: %w", s.addr, err)
	}
	if err != nil {
		return fmt.Errorf("serve http at %s: %w", s.addr, err)
	}
	// What localhost means is for the machine's own settings to say.
	if at, ok := l.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
		return errors.Join(fmt.Errorf("serve http at %s: that is %s here, which others can reach; write 127.0.0.1 in server.http", s.addr, l.Addr()), l.Close())
	}
	s.listener = l
	return nil
}

// Addr is where the server listens once Listen has returned, the port included that was chosen for port 0.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Serve answers until ctx ends. Requests under way then have five seconds; what takes longer is cut off.
func (s *Server) Serve(ctx context.Context) error {
	if s.listener == nil || s.Report == nil {
		return errors.New("serve http: set Report and call Listen before Serve")
	}
	h := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      max(s.answerTime, s.queryTime) + 20*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		// The end of ctx must not end an answer that is being made: it has its five seconds.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		ErrorLog:    log.New(reporter{s}, "", 0),
	}
	var served error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		served = h.Serve(s.listener)
	}()
	select {
	case <-ended:
		return fmt.Errorf("serve http at %s: %w", s.addr, served)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.stopTime)
	defer cancel()
	err := h.Shutdown(stopping)
	if errors.Is(err, context.DeadlineExceeded) {
		s.Report(fmt.Errorf("serve http at %s: requests that took longer than %s were cut off", s.addr, s.stopTime))
		err = h.Close()
	}
	<-ended
	if err != nil {
		return fmt.Errorf("stop serving http at %s: %w", s.addr, err)
	}
	return nil
}

// reporter takes what net/http has to say beside its answers, such as that no connection could be accepted for a while.
type reporter struct{ s *Server }

func (r reporter) Write(line []byte) (int, error) {
	r.s.Report(fmt.Errorf("serve http at %s: %s", r.s.addr, strings.TrimSpace(string(line))))
	return len(line), nil
}
