package main

import "context"

// turn has a holder do one chore at a time. What chores have put aside in files beside the warehouse no transaction guards: while one writes such a file,
// another must not replace it.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take waits until nobody else has the turn, or ctx ends. Before it waits it has that told.
func (t turn) take(ctx context.Context, tell func() error) error {
	select {
	case t <- struct{}{}:
		return nil
	default:
	}
	if err := tell(); err != nil {
		return err
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }

// untilLeaving is a ctx that ends when its holder begins to leave, too: the holder's own work then comes to rest first, which may take a while, and what
// others handed over must not go on until then.
func (h *holder) untilLeaving(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-h.leaving:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// isLeaving reports whether the holder has begun to leave.
func (h *holder) isLeaving() bool {
	select {
	case <-h.leaving:
		return true
	default:
		return false
	}
}
