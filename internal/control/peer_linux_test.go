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

	"syncd/internal/control"
)

func TestAnotherUserIsTurnedAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("becoming another user takes root")
	}
	path := socketPath(t)
	l := listen(t, path)
	told := make(chan error, 1)
	l.Report = func(err error) { told <- err }
	serve(t, l, holder{})
	// With the doors open, the kernel's word of who is there is the only guard left.
	if err := errors.Join(os.Chmod(path, 0o666), os.Chmod(filepath.Dir(path), 0o755)); err != nil {
		t.Fatal(err)
	}
	got := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread, which alone is another user, ends with this function
		const nobody = 65534
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
			got <- fmt.Errorf("become another user: %w", errno)
			return
		}
		conn, err := net.Dial("unix", path)
		if err == nil {
			_, _ = io.WriteString(conn, "GET /v1/status HTTP/1.1\r\nHost: syncd\r\n\r\n")
			answer, _ := io.ReadAll(conn)
			err = fmt.Errorf("answered %q", answer)
		}
		got <- err
	}()
	if err := <-got; err.Error() != `answered ""` {
		t.Error(err)
	}
	if err := <-told; !strings.Contains(err.Error(), "user 65534 was turned away") {
		t.Errorf("reported: %v", err)
	}
	if _, err := (control.Client{Path: path}).Status(t.Context()); err != nil {
		t.Errorf("and then this user: %v", err)
	}
}
