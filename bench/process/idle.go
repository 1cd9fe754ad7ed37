package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"syscall"
	"time"
)

// Idle is what the daemon cost while its providers had nothing new.
type Idle struct {
	Sources  int
	For      time.Duration
	Requests int64 // that its ticks sent meanwhile

	RSS, Peak int64   // bytes of memory: at the end, and the most there ever was, its start included
	CPU       float64 // the share of one processor, ticks included
	Quiet     float64 // the share of one processor in the seconds without a request, of which there were QuietFor
	QuietFor  time.Duration
}

// quietAfter is how long after a request the daemon may still be at work on it.
const quietAfter = 2 * time.Second

// MeasureIdle starts the daemon on a site that was synced before, waits until it is well and for as long as it takes to come to rest (its first ticks
// read what the sync has just left to settle), and watches it for a while. The daemon is then told to stop, and must.
func MeasureIdle(ctx context.Context, binary string, s *Site, rest, d time.Duration) (_ Idle, err error) {
	cmd := exec.Command(binary, "run", "-c", s.Config) //nolint:gosec,noctx // it is told to stop below, and not killed
	var said lastWords
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return Idle{}, err
	}
	defer func() {
		told := cmd.Process.Signal(syscall.SIGTERM)
		defer time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }).Stop() // and then Wait tells that it was
		if ended := cmd.Wait(); ended != nil || told != nil {
			err = errors.Join(err, fmt.Errorf("the daemon ended with %w\n%s", errors.Join(told, ended), said.text))
		}
	}()
	if err := s.isWell(ctx); err != nil {
		return Idle{}, err
	}
	if err := sleep(ctx, rest); err != nil {
		return Idle{}, err
	}
	return s.watch(ctx, cmd.Process.Pid, d)
}

// isWell waits until the daemon says that it is.
func (s *Site) isWell(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.health, nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body) // its status tells all
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("the daemon is not well within a minute: %w", err)
		}
	}
}

// watch looks at the process every second.
func (s *Site) watch(ctx context.Context, pid int, d time.Duration) (Idle, error) {
	if err := sleep(ctx, quietAfter); err != nil {
		return Idle{}, err
	}
	first, err := look(pid)
	if err != nil {
		return Idle{}, err
	}
	var quiet time.Duration // of processor time
	i := Idle{Sources: len(s.served)}
	asked, began := s.asked.Load(), first.at
	last, lastAsked, busyUntil := first, asked, first.at
	for time.Since(began) < d {
		if err := sleep(ctx, min(time.Second, d-time.Since(began))); err != nil {
			return Idle{}, err
		}
		now, err := look(pid)
		if err != nil {
			return Idle{}, err
		}
		n := s.asked.Load()
		if n != lastAsked {
			busyUntil = now.at.Add(quietAfter)
		} else if last.at.After(busyUntil) {
			i.QuietFor += now.at.Sub(last.at)
			quiet += now.cpu - last.cpu
		}
		last, lastAsked = now, n
	}
	i.For, i.Requests = last.at.Sub(began), lastAsked-asked
	i.RSS, i.Peak = last.rss, last.peak
	i.CPU = float64(last.cpu-first.cpu) / float64(i.For)
	if i.QuietFor > 0 {
		i.Quiet = float64(quiet) / float64(i.QuietFor)
	}
	return i, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lastWords keeps the end of what a process says, for whoever must be told why it ended.
type lastWords struct{ text []byte }

func (l *lastWords) Write(b []byte) (int, error) {
	l.text = append(l.text, b...)
	if len(l.text) > 4096 {
		l.text = l.text[len(l.text)-2048:]
	}
	return len(b), nil
}
