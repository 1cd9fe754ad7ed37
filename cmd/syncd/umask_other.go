//go:build !unix

package main

// restrictFileModes does nothing where files have no modes: there the folder's own permissions decide.
func restrictFileModes() {}
