// Package smalldisk gives a test a disk of its own that is small enough to be filled: a tmpfs in a mount namespace that ends with the test.
//
// It owns the namespace and the mount. It refuses to know what is written there.
package smalldisk

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

const inside = "SYNCD_TEST_SMALL_DISK"

// Run runs a test once more in a process of its own, in which dir is a disk of so many bytes, and fails where that fails. The test must do
// nothing of weight before it calls Run, as it does that twice.
func Run(t *testing.T, bytes int, test func(t *testing.T, dir string)) {
	t.Helper()
	if os.Getenv(inside) == t.Name() {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", bytes)); err != nil {
			t.Fatalf("mount a small disk: %v", err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Errorf("unmount the small disk: %v", err)
			}
		})
		test(t, dir)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v") //nolint:gosec // it is this very test
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 { // whoever is not root may mount in a user namespace of their own
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("on a small disk: %v\n%s", err, out)
	}
}

// Fill leaves so many bytes of room on the disk. It returns what makes room again.
func Fill(t *testing.T, dir string, leave int64) (empty func()) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp(dir, "ballast-*")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	block := make([]byte, st.Bsize)
	for free := int64(st.Bavail) * st.Bsize; free-leave >= st.Bsize; free -= st.Bsize { //nolint:gosec // a test's disk is small
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(f.Name()); err != nil {
			t.Error(err)
		}
	}
}
