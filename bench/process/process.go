// Package process measures the real binary as a person and a machine meet it: how soon a command has answered, and what the daemon costs while it
// has nothing to do.
//
// It owns the site around the binary: a folder, a configuration, providers faked by this process, and what the system tells of a process. It
// refuses to look inside: the binary is started as anybody starts it, and nothing is measured that it says of itself. It refuses to judge, too:
// it returns figures, and whoever prints them knows the bars.
//
// What the daemon costs is read from /proc, so on Linux alone.
package process

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"time"
)

// Started is what a command took from its start to its end.
type Started struct {
	Median, Fastest time.Duration
	CPU             time.Duration // the median of the processor time, which a busy machine tells more truly
}

// Start runs a command n times, and once before, so that its file is in memory. A command that fails is an error.
func Start(ctx context.Context, n int, binary string, args ...string) (Started, error) {
	var walls, cpus []time.Duration
	for i := range n + 1 {
		cmd := exec.CommandContext(ctx, binary, args...) //nolint:gosec // the binary that is measured
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return Started{}, fmt.Errorf("run %v: %w\n%s", cmd.Args, err, said.String())
		}
		if i > 0 {
			walls, cpus = append(walls, time.Since(began)), append(cpus, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		}
	}
	slices.Sort(walls)
	slices.Sort(cpus)
	return Started{Median: walls[len(walls)/2], Fastest: walls[0], CPU: cpus[len(cpus)/2]}, nil
}
