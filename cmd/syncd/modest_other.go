//go:build !linux

package main

import "os"

// beModest does nothing here.
func beModest() {}

// boundMemory does nothing here.
func boundMemory(int64) {}

// executable is this program.
func executable() (string, error) { return os.Executable() }
