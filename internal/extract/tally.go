package extract

import (
	"context"

	"syncd/internal/extract/httpapi"
)

// Tally counts what was sent for one purpose, where an account is asked for several at once.
type Tally = httpapi.Tally

// WithTally counts in t what is sent with the context.
func WithTally(ctx context.Context, t *Tally) context.Context { return httpapi.WithTally(ctx, t) }
