package fakeapi

import (
	"net/http"
	"sync/atomic"
	"time"
)

// Failure is how the provider fails in an outage.
type Failure int

// The failures.
const (
	ByTurns     Failure = iota // Unavailable and Cut, one after the other
	Unavailable                // 503 with the vendor's error body
	Cut                        // the connection is closed without an answer
	Throttled                  // 429, as beyond a rate limit
)

// Outage is a time, [Since, Until) by the provider's clock, in which every request fails.
type Outage struct {
	Since, Until time.Time
	How          Failure
}

// failing lets nothing through while an outage lasts.
func (s *Server) failing(next http.Handler) http.Handler {
	if len(s.opts.Outages) == 0 {
		return next
	}
	var failed atomic.Uint64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := s.opts.Now()
		for _, o := range s.opts.Outages {
			if now.Before(o.Since) || !now.Before(o.Until) {
				continue
			}
			how := o.How
			if how == ByTurns {
				how = Unavailable
				if failed.Add(1)%2 == 0 {
					how = Cut
				}
			}
			s.failAs(w, how, now)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) failAs(w http.ResponseWriter, how Failure, now time.Time) {
	switch how {
	case Unavailable:
		s.vendor.fail(w, http.StatusServiceUnavailable, "Service Unavailable")
	case Throttled:
		s.tooMany(w, now)
	default:
		panic(http.ErrAbortHandler)
	}
}
