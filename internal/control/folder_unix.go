//go:build unix

package control

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// ownedByUser reports whether a file is this user's.
func ownedByUser(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// lockFolder waits until no other Listen is at work in a folder. Where the file system cannot lock a folder, as NFS cannot, the warehouse's
// own lock is what sees to it that one process listens.
func lockFolder(dir string) (unlock func()) {
	f, err := os.Open(dir)
	if err != nil {
		return func() {} // making a socket in it will tell
	}
	for errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX), syscall.EINTR) {
	}
	return func() { _ = f.Close() } // which unlocks it; it was only read
}
