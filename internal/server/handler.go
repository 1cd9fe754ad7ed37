package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"syncd/internal/panics"
)

// handler is all that is served, behind what guards it.
func (s *Server) handler() http.Handler {
	pages := map[string]http.HandlerFunc{
		"/healthz":    func(w http.ResponseWriter, _ *http.Request) { text(w, "ok") },
		"/readyz":     s.ready,
		"/api/status": s.status,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Cache-Control":                "no-store",
			"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Referrer-Policy":              "no-referrer",
			"X-Content-Type-Options":       "nosniff",
		} {
			w.Header().Set(name, value)
		}
		page, known := pages[r.URL.Path]
		switch {
		case !loopbackName(r.Host):
			fail(w, http.StatusForbidden, "this server answers to localhost, 127.0.0.1 and [::1] alone")
		case !known:
			fail(w, http.StatusNotFound, "there is no such page")
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			fail(w, http.StatusMethodNotAllowed, "this page can only be read")
		default:
			ctx, cancel := context.WithTimeout(r.Context(), s.answerTime)
			defer cancel()
			// net/http would print what a page panicked with.
			if err := panics.Guard(func() error { page(w, r.WithContext(ctx)); return nil }); err != nil {
				s.Report(fmt.Errorf("serve http: %w", err))
				fail(w, http.StatusInternalServerError, "internal error; the log says more")
			}
		}
	})
}

// loopbackName reports whether a request was meant for this machine by name. A page can have its own name point at 127.0.0.1 once a browser has
// opened it, and would then read answers as its own; but the browser still sends that name.
func loopbackName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return loopback(name)
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	return loopback(host)
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if err := s.source.Ready(r.Context()); err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	text(w, "ok")
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	state, err := s.source.Status(r.Context())
	if err == nil && !json.Valid(state) {
		err = errors.New("it is not JSON")
	}
	if err != nil {
		if !errors.Is(r.Context().Err(), context.Canceled) { // who asked is still there
			s.Report(fmt.Errorf("serve http: tell the status: %w", err))
		}
		fail(w, http.StatusServiceUnavailable, "the status cannot be told now; the log says why")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(state) // who left needs no answer
}

func text(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, body) // who left needs no answer
}

// fail answers with an error.
func fail(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": message}) // who left needs no answer
}
