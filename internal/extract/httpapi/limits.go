package httpapi

import "sync"

// Limits gives the clients of one account one rate limit: a provider counts by the account, however many clients ask for it. It is safe for
// concurrent use.
type Limits struct {
	mu       sync.Mutex
	accounts map[string]*limiter
}

// NewLimits makes a set of limits that knows no account yet.
func NewLimits() *Limits { return &Limits{accounts: map[string]*limiter{}} }

// of returns the limiter of an account, which from now on keeps this rate too. Where two rates differ both hold, so that the stricter one
// does, whichever that is: 1 a second and 60 a minute allow the same in an hour and not the same at once.
func (l *Limits) of(account string, r Rate) *limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit, known := l.accounts[account]
	if !known {
		limit = newLimiter(r)
		l.accounts[account] = limit
		return limit
	}
	limit.tighten(r)
	return limit
}
