//go:build !unix

package config

import "os"

// openAtOnce opens a file to be read. Where there are no named pipes among the files, nothing keeps it waiting.
func openAtOnce(path string) (*os.File, error) { return os.Open(path) }
