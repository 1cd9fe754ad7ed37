//go:build unix

package config

import (
	"os"
	"syscall"
)

// openAtOnce opens a file to be read. A named pipe would keep it waiting for a writer; so it opens without waiting, and what it is can be seen.
func openAtOnce(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}
