//go:build unix

package export

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// lock keeps other exports from a folder until unlock, or until this process ends, however it ends. Who has it stands in the file.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		pid, _ := io.ReadAll(io.LimitReader(f, 20)) // it may not have written it yet
		_ = f.Close()                               // it was only read
		return nil, fmt.Errorf("another export to it goes on%s; wait for it to finish, and export again", process(string(pid)))
	}
	if err == nil {
		err = errors.Join(f.Truncate(0), tellProcess(f))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("keep other exports from the folder: %w", err), f.Close())
	}
	return func() { giveBack(f) }, nil
}

// giveBack gives a lock back. Closing the file alone would not: a process that this one is just starting has it open, too, for a moment.
func giveBack(f *os.File) {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN) // if this fails, the next line does it
	_ = f.Close()                                   // nothing that matters was written
}

func tellProcess(f *os.File) error {
	_, err := fmt.Fprintf(f, "%d\n", os.Getpid())
	return err
}

func process(pid string) string {
	if pid = strings.TrimSpace(pid); pid == "" {
		return ""
	}
	return fmt.Sprintf(" (process %s)", pid)
}

// lockFolder waits until nobody else changes the list of exports in a folder. Where the file system cannot lock a folder, as some of networks cannot, two
// first exports of one warehouse that begin within the same instant are not kept apart.
func lockFolder(dir string) (unlock func()) {
	f, err := os.Open(dir)
	if err != nil {
		return func() {} // writing in it will tell
	}
	for errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX), syscall.EINTR) {
	}
	return func() { giveBack(f) }
}
