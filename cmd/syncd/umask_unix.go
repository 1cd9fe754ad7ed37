//go:build unix

package main

import "syscall"

// restrictFileModes makes every file that syncd creates the user's own: they hold phone numbers and transcripts. DuckDB makes its file and
// its log by itself, so it is the process that is told.
func restrictFileModes() { syscall.Umask(0o077) }
