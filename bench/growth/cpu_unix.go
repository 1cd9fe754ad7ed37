//go:build unix

package growth

import (
	"syscall"
	"time"
)

// processorTime is what this process has used so far, DuckDB's threads included.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
