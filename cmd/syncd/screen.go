package main

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// terminal is where a command writes: results go to out, everything else to err.
type terminal struct {
	out io.Writer
	err *screen
}

// screen is the writer for all that is no result. While bars are drawn on it, whatever else is written goes through them, and so stands above
// them and not in their midst.
type screen struct {
	to io.Writer

	mu   sync.Mutex
	bars io.Writer // nil: none are drawn
}

// Write implements io.Writer.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bars != nil {
		// A terminal that has just echoed ^C stands two columns in, and so would the line.
		n, err := s.bars.Write(append([]byte("\r"), p...))
		return max(n-1, 0), err
	}
	return s.to.Write(p)
}

// draw has what is written go through the bars, until it is told nil.
func (s *screen) draw(bars io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bars = bars
}

// width is the number of columns of a writer that is a terminal, 0 for any other.
func width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 80
	}
	return columns
}
