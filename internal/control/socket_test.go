//go:build unix

package control_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"syncd/internal/control"
)

func TestTheSocketIsThisUsersAloneFromItsFirstMoment(t *testing.T) {
	// Without a mask, a socket is open to all until its mode is set.
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := socketPath(t)
	watched, seen := make(chan struct{}), make(chan fs.FileMode, 1)
	go func() {
		defer close(seen)
		for {
			if info, err := os.Lstat(path); err == nil {
				seen <- info.Mode()
				return
			}
			select {
			case <-watched:
				return
			default:
			}
		}
	}()
	defer close(watched)
	listen(t, path)
	mode, ok := <-seen
	if !ok || mode != fs.ModeSocket|0o600 {
		t.Errorf("mode %v, want a socket of 0600", mode)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
}

func TestASecondListenerIsAnErrorAndHurtsNotTheFirst(t *testing.T) {
	path := socketPath(t)
	l := listen(t, path)
	if _, err := control.Listen(path); !errors.Is(err, control.ErrBusy) {
		t.Errorf("error is %v, want ErrBusy", err)
	}
	serve(t, l, holder{})
	if _, err := (control.Client{Path: path}).Status(t.Context()); err != nil {
		t.Error(err)
	}
}

// leaveDead leaves a socket at which nobody listens.
func leaveDead(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestADeadSocketIsNobodyAndIsReplaced(t *testing.T) {
	path := socketPath(t)
	c := control.Client{Path: path}
	nobody := func(when string) {
		t.Helper()
		_, err := c.Status(t.Context())
		for _, err := range []error{err, c.Do(t.Context(), control.Work{Command: "sync"}, ignore)} {
			if !errors.Is(err, control.ErrNobody) {
				t.Errorf("%s: error is %v, want ErrNobody", when, err)
			}
		}
	}
	nobody("without a socket")
	leaveDead(t, path)
	nobody("at a dead socket")
	serve(t, listen(t, path), holder{})
	if _, err := c.Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOfManyThatReplaceADeadSocketOneListens(t *testing.T) {
	for range 20 {
		path := socketPath(t)
		leaveDead(t, path)
		var won atomic.Int32
		var winner atomic.Pointer[control.Listener]
		var trying sync.WaitGroup
		for range 8 {
			trying.Go(func() {
				l, err := control.Listen(path)
				switch {
				case err == nil:
					won.Add(1)
					winner.Store(l)
				case !errors.Is(err, control.ErrBusy):
					t.Error(err)
				}
			})
		}
		trying.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of 8 listen", won.Load())
		}
		stop := serve(t, winner.Load(), holder{})
		if _, err := (control.Client{Path: path}).Status(t.Context()); err != nil {
			t.Error(err)
		}
		stop()
	}
}

func TestWhatIsNoSocketIsLeftAlone(t *testing.T) {
	path := socketPath(t)
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := control.Listen(path); err == nil {
		l.Close()
		t.Error("a file was replaced")
	}
	if text, err := os.ReadFile(path); string(text) != "mine" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

func TestALateCloseLeavesASocketThatIsNotItsOwn(t *testing.T) {
	path := socketPath(t)
	first := listen(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	serve(t, listen(t, path), holder{})
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if _, err := (control.Client{Path: path}).Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLeftoversOfADeathAreSweptOnceOld(t *testing.T) {
	path := socketPath(t)
	old, young := filepath.Join(filepath.Dir(path), ".syncd-1234"), filepath.Join(filepath.Dir(path), ".syncd-5678")
	for _, dir := range []string{old, young} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		leaveDead(t, filepath.Join(dir, "s"))
	}
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	listen(t, path)
	if _, err := os.Lstat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an old leftover is still there: %v", err)
	}
	if _, err := os.Lstat(young); err != nil {
		t.Errorf("one that may be in use is gone: %v", err)
	}
}
