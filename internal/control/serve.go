package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"syncd/internal/panics"
)

// partingTime is how long clients may take to hear the end once the work has been told to stop.
const partingTime = 5 * time.Second

// Serve hands the work of clients to h until ctx ends. Then it removes the socket, ends the ctx of the work in hand and waits for it. It
// serves once.
func (l *Listener) Serve(ctx context.Context, h Handler) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+workPath, func(w http.ResponseWriter, r *http.Request) { l.work(ctx, h, w, r) })
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, r *http.Request) { l.status(h, w, r) })
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          log.New(reporter{l}, "", 0),
	}
	var served error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		served = server.Serve(admitting{l})
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	stop()
	// Each client of a piece of work is told how it ended. One that does not read, or never finished its question, is not waited for.
	polite, done := context.WithTimeout(context.WithoutCancel(ctx), l.parting)
	defer done()
	err := l.remove()
	if server.Shutdown(polite) != nil {
		err = errors.Join(err, server.Close())
	}
	l.inHand.Wait() // it has been told to stop, and nobody keeps it any more
	<-ended
	if !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(fmt.Errorf("serve control socket %s: %w", l.path, served), err)
	}
	return err
}

// admitting is the socket, closed to other users even where its file is not: of their connections, nothing is read.
type admitting struct{ l *Listener }

func (a admitting) Accept() (net.Conn, error) {
	for {
		conn, err := a.l.socket.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, known, err := peer(conn)
		if err == nil && (!known || mayAsk(a.l.own, uid)) {
			return conn, nil
		}
		if err == nil {
			err = fmt.Errorf("a process of user %d was turned away", uid)
		}
		a.l.report(errors.Join(err, conn.Close()))
	}
}

func (a admitting) Close() error   { return a.l.socket.Close() }
func (a admitting) Addr() net.Addr { return a.l.socket.Addr() }

func (l *Listener) report(err error) {
	if l.Report != nil {
		l.Report(fmt.Errorf("control socket %s: %w", l.path, err))
	}
}

// reporter takes what net/http has to say beside its answers, such as that no connection could be accepted for a while.
type reporter struct{ l *Listener }

func (r reporter) Write(line []byte) (int, error) {
	r.l.report(errors.New(strings.TrimSpace(string(line))))
	return len(line), nil
}

// read reads a request for work.
func (l *Listener) read(w http.ResponseWriter, r *http.Request) (asked Work, err error) {
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(l.patience)); err != nil {
		return Work{}, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err == nil {
		err = json.Unmarshal(body, &asked)
	}
	// A deadline that stayed would pass for a client that left.
	return asked, errors.Join(err, rc.SetReadDeadline(time.Time{}))
}

// work answers a request for work: it is the whole life of that work.
func (l *Listener) work(serving context.Context, h Handler, w http.ResponseWriter, r *http.Request) {
	asked, err := l.read(w, r)
	if err != nil {
		fail(w, http.StatusBadRequest, &Failure{"the request for work could not be read: " + err.Error(), ordinaryFailure})
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	w.Header().Set("Content-Type", "application/x-ndjson")
	s := newStream(w, l.patience, cancel)
	stop := s.keepAlive(l.sign)
	l.inHand.Add(1)
	err = panics.Guard(func() error { return h.Work(ctx, asked, s.emit) })
	l.inHand.Done()
	stop()
	switch {
	case errors.Is(err, ErrRefused):
		s.last(end{Refused: true})
	case err != nil && serving.Err() != nil && errors.Is(err, context.Canceled):
		s.last(end{Failure: failure(ErrStopped)})
	default:
		s.last(end{Failure: failure(err)})
	}
}

// status answers with the holder's state.
func (l *Listener) status(h Handler, w http.ResponseWriter, r *http.Request) {
	var state json.RawMessage
	err := panics.Guard(func() (err error) {
		state, err = h.Status(r.Context())
		return err
	})
	if err == nil && !json.Valid(state) {
		err = errors.New("the status is not JSON")
	}
	if r.Context().Err() != nil && errors.Is(err, r.Context().Err()) {
		panic(http.ErrAbortHandler) // that the holder ends is no failure of the question: to the client it has gone away
	}
	if err != nil {
		fail(w, http.StatusInternalServerError, failure(err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// A client that left while this was worked out needs no answer.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(l.patience))
	_, _ = w.Write(state)
}

// failure is what a client is told of an error: its text, and the code that the error carries.
func failure(err error) *Failure {
	if err == nil {
		return nil
	}
	told := &Failure{Message: err.Error(), Code: ordinaryFailure}
	if f := (*Failure)(nil); errors.As(err, &f) {
		told.Code = f.Code
	}
	return told
}

// fail answers with a failure where no stream has begun.
func fail(w http.ResponseWriter, status int, f *Failure) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(f) // a client that left needs no answer
}
