//go:build unix

package query

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

const (
	tempPrefix = "syncd-query-"
	tempLock   = "lock" // a file in it, locked for as long as it is in use
)

// makeTemp makes a private directory for what outgrows memory, in dir or where the system keeps such things, and first removes those that processes have
// left there which were killed: what was put aside is as private as the warehouse.
func makeTemp(dir string) (temp string, unlock func(), err error) {
	if err := Sweep(dir); err != nil {
		return "", nil, err
	}
	if temp, err = os.MkdirTemp(dir, tempPrefix); err != nil {
		return "", nil, err
	}
	f, err := os.OpenFile(filepath.Join(temp, tempLock), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(temp))
	}
	return temp, func() { _ = f.Close() }, nil // nothing was written to it
}

// Sweep removes the directories with temporary data of questions that nobody asks any more. Those of other users are left alone.
func Sweep(dir string) error {
	if dir == "" {
		dir = os.TempDir()
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() || len(e.Name()) <= len(tempPrefix) || e.Name()[:len(tempPrefix)] != tempPrefix {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // it has just gone
		}
		if own, ok := info.Sys().(*syscall.Stat_t); !ok || int(own.Uid) != os.Getuid() {
			continue
		}
		if temp := filepath.Join(dir, e.Name()); isAbandoned(temp) {
			if err := os.RemoveAll(temp); err != nil {
				return err
			}
		}
	}
	return nil
}

// isAbandoned reports whether a directory's process has ended. One without its file is just being made, or removed.
func isAbandoned(temp string) bool {
	f, err := os.Open(filepath.Join(temp, tempLock))
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // nothing was written to it
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
