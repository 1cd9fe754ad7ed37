package fakeapi

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// documentedLimit is what Voicy's headers speak of where no limit is enforced: its enterprise plan, requests a minute.
const documentedLimit = 600

// limiter counts the requests of the current minute of the provider's clock.
type limiter struct {
	mu     sync.Mutex
	minute int64 // Unix minutes
	used   int
}

// take counts one request and returns how many were made in this minute, and when the next begins in Unix seconds.
func (l *limiter) take(now time.Time) (used int, reset int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := now.Unix() / 60; m != l.minute {
		l.minute, l.used = m, 0
	}
	l.used++
	return l.used, (l.minute + 1) * 60
}

// limited enforces Options.RateLimit, and tells the limit in headers where the provider does so: Voicy always, Burki by
// Retry-After, Millis not at all.
func (s *Server) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := s.opts.Now()
		used, reset := s.limiter.take(now)
		limit := s.opts.RateLimit
		if limit == 0 {
			limit = documentedLimit
		}
		if s.opts.Provider == Voicy {
			w.Header().Set("X-RateLimit-Limit", strconv.Itoa(limit))
			w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(max(0, limit-used)))
			w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(reset, 10))
		}
		if s.opts.RateLimit == 0 || used <= limit {
			next.ServeHTTP(w, r)
			return
		}
		if s.opts.Provider == Burki {
			w.Header().Set("Retry-After", strconv.FormatInt(max(1, reset-now.Unix()), 10))
		}
		s.vendor.fail(w, http.StatusTooManyRequests, "Rate limit exceeded. Please retry after 30 seconds.")
	})
}
