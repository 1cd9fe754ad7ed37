package growth

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"syncd/internal/load"
)

// Reopened is what it took to go on with a warehouse whose process was killed.
type Reopened struct {
	Log    int64         // bytes of the write-ahead log that was left
	Open   time.Duration // until the warehouse was open
	Commit time.Duration // the first commit of 100 calls
	CPU    time.Duration // of both
}

// Total is the time until the first commit was durable.
func (r Reopened) Total() time.Duration { return r.Open + r.Commit }

const firstCommit = 100

// childArgument is the first argument of a child process.
const childArgument = "growth-child"

// Child is the child process that [Reopen] starts from the same binary and kills. A main or a TestMain calls it with its arguments before it
// does anything else, and ends with what it returns where the process is indeed a child.
func Child(ctx context.Context, args []string) (isChild bool, err error) {
	if len(args) != 3 || args[0] != childArgument {
		return false, nil
	}
	bytes, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return true, fmt.Errorf("growth child: %w", err)
	}
	if err := fillLog(ctx, args[1], bytes); err != nil {
		return true, fmt.Errorf("growth child: %w", err)
	}
	if _, err := fmt.Println("ready"); err != nil {
		return true, err
	}
	_, err = io.Copy(io.Discard, os.Stdin) // until it is killed, or whoever was to kill it is gone
	return true, err
}

// fillLog commits until the write-ahead log is so long, a tenth of the calls being changed ones.
func fillLog(ctx context.Context, path string, bytes int64) error {
	s, err := open(ctx, path)
	if err != nil {
		return err
	}
	for {
		if _, err := s.commit(ctx, Batch{Size: 1_000, Updated: 0.1}); err != nil {
			return err
		}
		if n, err := sizeOf(path + ".wal"); err != nil || n >= bytes {
			return err
		}
	}
}

// Reopen has a child process leave each warehouse with a write-ahead log of so many bytes, and measures how soon it can be written again: as
// often as there are rounds, in turns. It returns the measurements of each warehouse in the order in which they were made.
func Reopen(ctx context.Context, paths []string, bytes int64, rounds int) ([][]Reopened, error) {
	all := make([][]Reopened, len(paths))
	for range rounds {
		for i, path := range paths {
			r, err := reopen(ctx, path, bytes)
			if err != nil {
				return nil, fmt.Errorf("reopen %s: %w", path, err)
			}
			all[i] = append(all[i], r)
		}
	}
	return all, nil
}

func reopen(ctx context.Context, path string, bytes int64) (r Reopened, err error) {
	if err := leaveLog(ctx, path, bytes); err != nil {
		return r, err
	}
	if r.Log, err = sizeOf(path + ".wal"); err != nil {
		return r, err
	}
	began, used := time.Now(), processorTime()
	w, err := load.Open(ctx, load.Options{Path: path})
	if err != nil {
		return r, err
	}
	r.Open, r.CPU = time.Since(began), processorTime()-used
	s := &session{w: w}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.findEnd(ctx); err != nil {
		return r, err
	}
	c, err := s.commit(ctx, Batch{Size: firstCommit})
	r.Commit, r.CPU = c.wall, r.CPU+c.cpu
	return r, err
}

// leaveLog runs the child, and kills it once it has committed.
func leaveLog(ctx context.Context, path string, bytes int64) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, binary, childArgument, path, strconv.FormatInt(bytes, 10)) //nolint:gosec // this very binary
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	killed := cmd.Process.Kill()
	_ = cmd.Wait() // that it was killed is no news
	_ = in.Close()
	if err != nil || line != "ready\n" {
		return fmt.Errorf("the child said %q; does this binary's main call growth.Child? %w", line, errors.Join(err, killed))
	}
	return killed
}

func sizeOf(path string) (int64, error) {
	info, err := os.Stat(path) //nolint:gosec // whoever measures names the file
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
