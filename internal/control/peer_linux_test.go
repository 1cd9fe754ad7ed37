package control_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"syncd/internal/control"
)

// TestAnotherUserIsTurnedAway has the user of the test stand before a socket that is not theirs. Root may ask anybody, and so becomes another user first.
func TestAnotherUserIsTurnedAway(t *testing.T) {
	path := socketPath(t)
	l := listen(t, path)
	told := make(chan error, 2)
	l.Report = func(err error) { told <- err }
	uid, become := os.Geteuid(), func() error { return nil }
	if uid == 0 {
		uid, become = nobody, becomeNobody
		// With the doors open, the kernel's word of who is there is the only guard left.
		if err := errors.Join(os.Chmod(path, 0o666), os.Chmod(filepath.Dir(path), 0o755)); err != nil {
			t.Fatal(err)
		}
	} else {
		l.GiveTo(uid + 1)
	}
	serve(t, l, holder{})
	for range 2 { // whom it turns away does not end it
		if err := <-asked(path, become); err == nil || err.Error() != `answered ""` {
			t.Error(err)
		}
		select {
		case err := <-told:
			if !strings.Contains(err.Error(), fmt.Sprintf("user %d was turned away", uid)) {
				t.Errorf("reported: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("nobody is told that user %d was turned away", uid)
		}
	}
	if _, err := (control.Client{Path: path}).Status(t.Context()); os.Geteuid() == 0 && err != nil {
		t.Errorf("and then this user: %v", err)
	}
}

const nobody = 65534

// becomeNobody makes the thread at hand another user's.
func becomeNobody() error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
		return fmt.Errorf("become another user: %w", errno)
	}
	return nil
}

// asked asks for the status as another user, and tells what came of it.
func asked(path string, become func() error) <-chan error {
	got := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread, which alone is another user, ends with this function
		if err := become(); err != nil {
			got <- err
			return
		}
		conn, err := net.Dial("unix", path)
		if err == nil {
			_, _ = io.WriteString(conn, "GET /v1/status HTTP/1.1\r\nHost: syncd\r\nConnection: close\r\n\r\n")
			answer, _ := io.ReadAll(conn)
			err = fmt.Errorf("answered %q", answer)
		}
		got <- err
	}()
	return got
}
