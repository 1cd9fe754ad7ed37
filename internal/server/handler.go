package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"syncd/internal/panics"
)

// handler is all that is served, behind what guards it.
func (s *Server) handler() http.Handler {
	type page struct {
		methods string
		takes   time.Duration
		show    http.HandlerFunc
	}
	const read = http.MethodGet + ", " + http.MethodHead
	pages := map[string]page{
		"/healthz":    {read, s.answerTime, func(w http.ResponseWriter, _ *http.Request) { text(w, "ok") }},
		"/readyz":     {read, s.answerTime, s.ready},
		"/api/status": {read, s.answerTime, s.status},
		"/api/query":  {http.MethodPost, s.queryTime, s.query},
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
		case !slices.Contains(strings.Split(page.methods, ", "), r.Method):
			w.Header().Set("Allow", page.methods)
			fail(w, http.StatusMethodNotAllowed, "this page is for "+page.methods+" alone")
		default:
			ctx, cancel := context.WithTimeout(r.Context(), page.takes)
			defer cancel()
			// net/http would print what a page panicked with.
			if err := panics.Guard(func() error { page.show(w, r.WithContext(ctx)); return nil }); err != nil {
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

// maxQuestion bounds what is sent to ask a question, in bytes.
const maxQuestion = 2 << 20

// query answers {"sql": "SELECT …"} with {"rows": […]}.
func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, `send {"sql": "SELECT …"} with Content-Type: application/json`)
		return
	}
	var q struct {
		SQL string `json:"sql"`
	}
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion))
	in.DisallowUnknownFields()
	err := in.Decode(&q)
	// The end of what was sent is waited for: only then does net/http notice that who asked has left.
	if err != nil || q.SQL == "" || in.Decode(new(any)) != io.EOF {
		fail(w, http.StatusBadRequest, `want {"sql": "SELECT …"}, and nothing else`)
		return
	}
	rows, err := s.source.Query(r.Context(), q.SQL)
	told := (*Failure)(nil)
	switch {
	case errors.As(err, &told):
		fail(w, told.Code, told.Message)
	case err != nil:
		if !errors.Is(r.Context().Err(), context.Canceled) { // who asked is still there
			s.Report(fmt.Errorf("serve http: answer a question: %w", err))
		}
		fail(w, http.StatusServiceUnavailable, "the question cannot be answered now; the log says why")
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, "{\"rows\":%s}\n", bytes.TrimSpace(rows)) // who left needs no answer
	}
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
