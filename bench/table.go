package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// row is a line of the table: a figure of each round, and the bar that their median is held against.
type row struct {
	Experiment string
	What       string // what is measured, against what
	Unit       unit
	Figures    samples // one a round
	Bar        *bar    // nil: information alone
	Beside     string  // the absolute medians
}

// bar is what a figure is to be at least, and what is reached for.
type bar struct {
	Least, Reach float64
	More         bool // more is better
}

func atLeast(least, reach float64) *bar { return &bar{Least: least, Reach: reach, More: true} }
func atMost(least, reach float64) *bar  { return &bar{Least: least, Reach: reach} }

// verdict says which of the two is met.
func (b *bar) verdict(figure float64) string {
	met := func(at float64) bool { return b.More && figure >= at || !b.More && figure <= at }
	switch {
	case b == nil:
		return ""
	case met(b.Reach):
		return "reached"
	case met(b.Least):
		return "met"
	}
	return "MISSED"
}

// unit is how a figure is written.
type unit string

const (
	share        unit = "%"  // of 1
	times        unit = "x"  // as long, as large
	megabytes    unit = "MB" // of bytes
	milliseconds unit = "ms"
	countOf      unit = ""
)

func (u unit) format(v float64) string {
	switch u {
	case share:
		if v < 0.1 {
			return fmt.Sprintf("%.2g %%", v*100)
		}
		return fmt.Sprintf("%.0f %%", v*100)
	case times:
		return fmt.Sprintf("%.2fx", v)
	case megabytes:
		return fmt.Sprintf("%.0f MB", v/1e6)
	case milliseconds:
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// figure is the median with its spread.
func (r row) figure() string {
	text := r.Unit.format(r.Figures.median())
	if low, high := r.Figures.ends(); low < high {
		text += " (" + r.Unit.format(low) + " – " + r.Unit.format(high) + ")"
	}
	return text
}

func (r row) cells() []string {
	cells := []string{r.Experiment, r.What, r.figure(), "", "", r.Bar.verdict(r.Figures.median()), r.Beside}
	if r.Bar != nil {
		cells[3], cells[4] = r.Bar.words(r.Bar.Least, r.Unit), r.Bar.words(r.Bar.Reach, r.Unit)
	}
	return cells
}

func (b *bar) words(at float64, u unit) string {
	if b.More {
		return "≥ " + u.format(at)
	}
	return "≤ " + u.format(at)
}

// printTable prints what was measured on what machine, and how.
func printTable(out io.Writer, about []string, o options, rows []row) error {
	about = append(about, fmt.Sprintf("median of %d rounds, least and most in brackets; sizes times %v", o.rounds, o.scale))
	lines := [][]string{{"experiment", "what", "measured", "at least", "reach for", "bar", "medians"}}
	for _, r := range rows {
		lines = append(lines, r.cells())
	}
	if o.markdown {
		return markdown(out, about, lines)
	}
	if _, err := fmt.Fprintln(out, strings.Join(about, "\n")+"\n"); err != nil {
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, line := range lines {
		fmt.Fprintln(t, strings.Join(line, "\t"))
	}
	return t.Flush()
}

func markdown(out io.Writer, about []string, lines [][]string) error {
	rule := make([]string, len(lines[0]))
	for i, title := range lines[0] {
		rule[i] = strings.Repeat("-", utf8.RuneCountInString(title))
	}
	var text strings.Builder
	for _, line := range about {
		fmt.Fprintln(&text, "- "+line)
	}
	fmt.Fprintln(&text)
	for i, line := range lines {
		fmt.Fprintln(&text, "| "+strings.Join(line, " | ")+" |")
		if i == 0 {
			fmt.Fprintln(&text, "| "+strings.Join(rule, " | ")+" |")
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}
