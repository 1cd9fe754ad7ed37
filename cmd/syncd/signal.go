package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal returns a context that ends at the first SIGINT or SIGTERM: whatever runs finishes or rolls back the page at hand. A second
// signal exits at once, with 130 or 143; the warehouse is then as its last commit left it.
func untilSignal(parent context.Context, say io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		for first := true; ; first = false {
			select {
			case s := <-signals:
				if !first {
					number, _ := s.(syscall.Signal)
					os.Exit(128 + int(number))
				}
				fmt.Fprintln(say, "syncd: stopping; once more to stop at once")
				cancel()
			case <-parent.Done():
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}
