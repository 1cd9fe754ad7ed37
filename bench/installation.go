package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"syncd/internal/fakeapi"
)

// installation is the real binary with a configuration of one source.
type installation struct {
	binary, config, database, source string
}

// install writes a configuration as a user's, but that no rate limit makes anybody wait, and that calls have no details to be fetched: what is
// measured is the list, and that no copy is made for readers, as no reference makes one.
func (l lab) install(s *server, p fakeapi.Provider) (*installation, error) {
	dir := l.path("site")
	i := &installation{binary: l.Binary, config: filepath.Join(dir, "syncd.yaml"), database: filepath.Join(dir, "calls.duckdb"), source: string(p)}
	since, _ := quarter()
	yaml := fmt.Sprintf("warehouse: {path: calls.duckdb, publish: \"\"}\nserver: {http: \"\"}\nsources:\n"+
		"  - {name: %s, provider: %s, base_url: %q, api_key_file: key, start: %s, details: false, rate_limit: 10000/s}\n",
		p, p, s.URL, since.Format(time.DateOnly))
	return i, errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "key"), []byte(key+"\n"), 0o600),
		os.WriteFile(i.config, []byte(yaml), 0o600))
}

// taken is what a process took as a whole, as the system tells.
type taken struct {
	wall, cpu time.Duration
	peak      int64 // the most bytes of memory that were resident
}

// backfill reads the whole quarter.
func (i *installation) backfill(ctx context.Context, flags ...string) (taken, error) {
	since, until := quarter()
	args := append([]string{"backfill", i.source, "-c", i.config, "--no-progress",
		"--from", since.Format(time.DateOnly), "--to", until.Format(time.DateOnly)}, flags...)
	t, _, err := i.run(ctx, args...)
	return t, err
}

// count is how many calls the warehouse has, as the binary tells.
func (i *installation) count(ctx context.Context) (int64, error) {
	return i.number(ctx, "SELECT count(*) AS n FROM calls")
}

// written is how many rows the last run wrote.
func (i *installation) written(ctx context.Context) (int64, error) {
	return i.number(ctx, "SELECT inserted + updated AS n FROM sync.runs ORDER BY started_at DESC LIMIT 1")
}

func (i *installation) number(ctx context.Context, query string) (int64, error) {
	_, out, err := i.run(ctx, "query", "-c", i.config, "--format", "csv", query)
	if err != nil {
		return 0, err
	}
	lines := strings.Fields(string(out))
	if len(lines) != 2 {
		return 0, fmt.Errorf("syncd query answered %q, where a heading and a number were to be", out)
	}
	return strconv.ParseInt(lines[1], 10, 64)
}

// run runs the binary to its end. The memory that the system tells of a process is at least what its parent had when it was started, so this
// process must stay a small one: see [peakMemory].
func (i *installation) run(ctx context.Context, args ...string) (taken, []byte, error) {
	cmd := exec.CommandContext(ctx, i.binary, args...) //nolint:gosec // the binary that is measured
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(os.Interrupt) }, 30*time.Second
	var out, says bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &says
	began := time.Now()
	err := cmd.Run()
	t := taken{wall: time.Since(began)}
	if err != nil {
		return t, nil, fmt.Errorf("syncd %s: %w\n%s", args[0], err, bytes.TrimSpace(says.Bytes()))
	}
	t.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		t.peak = usage.Maxrss << 10 // Linux tells it in kilobytes
	}
	return t, out.Bytes(), nil
}
