package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Error is one thing wrong with a configuration: where it stands, what was found there and what is allowed.
type Error struct {
	File    string // as the user named it; "" where the error is about no file
	Line    int    // from 1; 0 where the error is about the file as a whole
	Column  int    // from 1, in characters; 0 where Line is
	Path    string // the way to the value, such as sources[0].schedule; "" at the top
	Message string // never holds a secret
}

// Error writes "file:line:column: path: message", leaving out what is not known.
func (e Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			b.WriteString(":" + strconv.Itoa(e.Line) + ":" + strconv.Itoa(e.Column))
		}
		b.WriteString(": ")
	}
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Message)
	return b.String()
}

// Errors is everything wrong, in the order of the file, never empty. Every error this package returns is one, so that whoever gets it
// knows that the configuration is at fault (exit code 2).
type Errors []Error

// Error writes one line for each.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// inOrder sorts by position, keeping the order found in where two stand at the same place.
func inOrder(errs []Error) Errors {
	slices.SortStableFunc(errs, func(a, b Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return errs
}
