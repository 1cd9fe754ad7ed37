package httpapi

import "context"

// Urgency says which of the requests that wait for the rate limit goes first.
type Urgency int

// The urgencies, the highest first.
const (
	// Live is what people wait for, and what a request is where nothing else is said.
	Live Urgency = iota
	// Later is work that keeps: it goes when no Live request waits.
	Later
)

// urgencyKey is where a context keeps its urgency.
type urgencyKey struct{}

// WithUrgency returns a context whose requests have the urgency, their retries included.
func WithUrgency(ctx context.Context, u Urgency) context.Context {
	return context.WithValue(ctx, urgencyKey{}, u)
}

func urgencyOf(ctx context.Context) Urgency {
	u, _ := ctx.Value(urgencyKey{}).(Urgency) // without one it is the zero Urgency, Live
	return u
}
