package fakeapi

import (
	"cmp"
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

// take counts one request and returns how many were made in this minute.
func (l *limiter) take(now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m := now.Unix() / 60; m != l.minute {
		l.minute, l.used = m, 0
	}
	l.used++
	return l.used
}

// limited enforces Options.RateLimit, and tells the limit in headers where the provider does so: Voicy always, Burki by
// Retry-After, Millis not at all.
func (s *Server) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := s.opts.Now()
		used := s.limiter.take(now)
		limit := cmp.Or(s.opts.RateLimit, documentedLimit)
		remaining := limit - used
		if s.opts.RateLimit == 0 {
			remaining = max(1, remaining) // nobody has to wait where nothing is enforced
		}
		s.tellLimit(w, remaining, now)
		if s.opts.RateLimit == 0 || used <= limit {
			next.ServeHTTP(w, r)
			return
		}
		s.tooMany(w, now)
	})
}

// tellLimit tells the limit in the headers that Voicy documents.
func (s *Server) tellLimit(w http.ResponseWriter, remaining int, now time.Time) {
	if s.opts.Provider == Voicy {
		w.Header().Set("X-RateLimit-Limit", strconv.Itoa(cmp.Or(s.opts.RateLimit, documentedLimit)))
		w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(max(0, remaining)))
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt((now.Unix()/60+1)*60, 10))
	}
}

// tooMany answers 429. Where a test sets no Retry-After, Burki alone tells one: until the next minute.
func (s *Server) tooMany(w http.ResponseWriter, now time.Time) {
	s.tellLimit(w, 0, now)
	wait := int64((s.opts.RetryAfter + time.Second - 1) / time.Second)
	if wait == 0 && s.opts.Provider == Burki {
		wait = 60 - now.Unix()%60
	}
	if wait > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(wait, 10))
	}
	s.vendor.fail(w, http.StatusTooManyRequests, "Rate limit exceeded. Please retry after 30 seconds.")
}
