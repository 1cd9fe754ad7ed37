package control

import "time"

// Hasten makes a listener's waits short.
func (l *Listener) Hasten(patience, sign time.Duration) { l.patience, l.sign = patience, sign }

// Hasty returns the client with a short patience.
func (c Client) Hasty(patience time.Duration) Client {
	c.patience = patience
	return c
}
