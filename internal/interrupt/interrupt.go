// Package interrupt has calls into DuckDB end soon after their context does.
//
// It owns how a running call is told to stop. It refuses to know statements, files and what a stopped call means.
package interrupt

import (
	"context"
	"time"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// every is how often a running call is told to stop once its context ended: DuckDB forgets an interrupt that comes between two steps.
const every = 50 * time.Millisecond

// Heed makes a call on a connection that ends soon after ctx does. What the call itself tells of being stopped is its caller's to look at; where ctx has
// ended before, nothing is called and its error is returned.
func Heed(ctx context.Context, conn bindings.Connection, call func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			bindings.Interrupt(conn)
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
	call()
	close(done)
	<-watched
	return nil
}
