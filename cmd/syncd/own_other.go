//go:build !unix

package main

import "os/exec"

// restrictFileModes does nothing where files have no modes: there the folder's own permissions decide.
func restrictFileModes() {}

// apart does nothing here.
func apart(*exec.Cmd) {}
