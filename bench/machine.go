package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// describe says on what was measured, and with what.
func describe(ctx context.Context) ([]string, error) {
	duckdb, err := duckdbVersion(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask DuckDB for its version: %w", err)
	}
	return []string{
		time.Now().UTC().Format(time.DateOnly) + ", " + runtime.Version() + ", DuckDB " + duckdb + ", Node.js " + said(ctx, "node", "--version"),
		fmt.Sprintf("%s, %d cores, %.1f GB of memory, %s %s", processor(), runtime.NumCPU(), float64(memory("MemTotal:"))/1e9, runtime.GOOS,
			said(ctx, "uname", "-r")),
	}, nil
}

// duckdbVersion asks the library that is linked in. The driver is registered by the warehouse's own import of it.
func duckdbVersion(ctx context.Context) (version string, err error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return version, db.QueryRowContext(ctx, "SELECT version()").Scan(&version)
}

// said is what a command answers, or that there is none.
func said(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output() //nolint:gosec // a name of ours
	if err != nil {
		return "(unknown)"
	}
	return string(bytes.TrimSpace(out))
}

// processor is the model as Linux tells it.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// memory is a line of what Linux tells of its memory, such as MemAvailable:, in bytes; 0 where it tells nothing.
func memory(name string) int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				return n << 10
			}
		}
	}
	return 0
}
