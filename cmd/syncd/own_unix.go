//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// restrictFileModes makes every file that syncd creates the user's own: they hold phone numbers and transcripts. DuckDB makes its file and
// its log by itself, so it is the process that is told.
func restrictFileModes() { syscall.Umask(0o077) }

// apart has a command not be told what the terminal tells this process: Ctrl-C is for this one, which tells the other in its own time.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
