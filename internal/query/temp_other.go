//go:build !unix

package query

import "os"

// makeTemp makes a private directory for what outgrows memory.
func makeTemp(dir string) (temp string, unlock func(), err error) {
	temp, err = os.MkdirTemp(dir, "syncd-query-")
	return temp, func() {}, err
}

// Sweep does nothing here: nobody can tell whether a directory is in use.
func Sweep(string) error { return nil }
