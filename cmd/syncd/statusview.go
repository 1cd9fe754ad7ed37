package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"syncd/internal/load"
)

// printStatus prints a status for people: one line a source, and below it, for each that has something to say, what that is.
func printStatus(to io.Writer, r statusReport, columns int) error {
	if columns == 0 {
		columns = 80
	}
	p := &statusPrinter{to: to, report: r, columns: columns}
	p.head()
	p.table()
	for _, s := range r.Sources {
		p.source(s)
	}
	return p.err
}

// statusPrinter keeps the first error of writing.
type statusPrinter struct {
	to      io.Writer
	report  statusReport
	columns int
	err     error
}

func (p *statusPrinter) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.to, format, args...)
	}
}

// head tells who holds the file, and what it is.
func (p *statusPrinter) head() {
	w := p.report.Warehouse
	if !w.Exists {
		p.line("", "%s is not there yet: the first sync makes it", w.Path)
	} else {
		p.line("", "%s, %s calls, %s", w.Path, thousands(w.Calls), bytesText(w.SizeBytes+w.WALBytes))
	}
	switch holder := p.report.Process; {
	case holder == nil:
		p.line("", "no daemon runs: 'syncd run' is one, 'syncd sync' does what is due once")
	case holder.Daemon:
		p.line("", "the daemon runs since %s (process %d, version %s)", ago(p.report.At, &holder.StartedAt), holder.PID, holder.Version)
	default:
		p.line("", "a command is at work since %s (process %d)", ago(p.report.At, &holder.StartedAt), holder.PID)
	}
	p.copy()
}

// copy tells of the copy for readers.
func (p *statusPrinter) copy() {
	c := p.report.Copy
	if c == nil {
		return
	}
	name := c.Path
	if filepath.Dir(name) == filepath.Dir(p.report.Warehouse.Path) {
		name = filepath.Base(name)
	}
	switch at := ago(p.report.At, c.PublishedAt); {
	case c.PublishedAt == nil && p.report.Warehouse.Exists:
		p.line("", "copy for readers: %s is not there yet", name)
	case c.PublishedAt == nil:
	case c.Behind:
		p.line("", "copy for readers: %s, as of %s; the warehouse has changed since", name, at)
	default:
		p.line("", "copy for readers: %s, as of %s", name, at)
	}
	if c.Error != "" {
		p.line("", "the last copy could not be made (%s): %s", ago(p.report.At, c.FailedAt), c.Error)
	}
	if took := seconds(c.TookSeconds); took > 0 && shareOfTime*took >= seconds(c.IntervalSeconds) {
		p.line("", "copies are made no sooner than %s after one another, as one takes %.1f s", spanText(seconds(c.IntervalSeconds)), c.TookSeconds)
	}
	for _, problem := range c.ViewErrors {
		p.line("", "a view of your own is left out: %s", problem)
	}
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// line prints a line, broken where it is too wide.
func (p *statusPrinter) line(indent, format string, args ...any) {
	p.printf("%s\n", wrap(fmt.Sprintf(format, args...), p.columns, indent))
}

// table is one line a source. Names that make it too wide are cut: below it, each stands in full.
func (p *statusPrinter) table() {
	if len(p.report.Sources) == 0 || p.err != nil {
		return
	}
	longest := 0
	for _, s := range p.report.Sources {
		longest = max(longest, len(s.Source))
	}
	text := p.tableText(longest)
	widest := 0
	for line := range strings.Lines(text) {
		widest = max(widest, len([]rune(line))-1)
	}
	if widest > p.columns {
		text = p.tableText(max(longest-(widest-p.columns), shortestName))
	}
	p.printf("\n%s", text)
}

// shortestName is what is always shown of a name.
const shortestName = 8

func (p *statusPrinter) tableText(name int) string {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SOURCE\tSTATE\tFRESH TO\tCOVERED FROM\tMISSING\tUNSETTLED\tCALLS")
	for _, s := range p.report.Sources {
		short := s.Source
		if len(short) > name {
			short = short[:name-1] + "…" // names are ASCII
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", short, stateText(s), ago(p.report.At, s.FreshUntil), dayText(s.CoveredSince),
			missingText(s), thousands(s.UnsettledCalls), thousands(s.Calls))
	}
	_ = t.Flush() // a builder takes everything
	return text.String()
}

// stateText is a source's state in a word.
func stateText(s load.SourceStatus) string {
	switch {
	case !s.Configured:
		return "removed"
	case s.State == "parked":
		return "parked"
	case s.LastRun == nil:
		return "new"
	case s.Problem != "":
		return "trouble"
	}
	return "ok"
}

func missingText(s load.SourceStatus) string {
	if !s.Configured || s.Missing.Seconds == 0 {
		return "-"
	}
	return spanText(time.Duration(s.Missing.Seconds * float64(time.Second)))
}

// source tells what there is to say of a source beyond its line.
func (p *statusPrinter) source(s load.SourceStatus) {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	if !s.Configured {
		add("not in the configuration (removed, or renamed): its rows stay, and nothing is asked for it")
	}
	if s.Configured && s.Problem != "" {
		add("%s", s.Problem)
		if s.Advice != "" {
			add("→ %s", s.Advice)
		}
	}
	if s.Configured {
		for i, g := range s.Missing.Newest {
			if i == shownGaps {
				add("and %s more stretches; 'FROM sync.gaps' names them", thousands(s.Missing.Stretches-shownGaps))
				break
			}
			why := because(g.Error)
			if g.Error == s.Problem {
				why = "" // it stands above
			}
			add("missing %s to %s%s", minuteText(g.Since), minuteText(g.Until), why)
		}
	}
	if s.Rejects > 0 {
		add("rejected records: %s; 'FROM sync.rejects' tells why", thousands(s.Rejects))
	}
	if s.Drift > 0 {
		add("oddities met: %s; 'FROM sync.drift' names them", thousands(s.Drift))
	}
	if n := s.DetailsFailed; n > 0 {
		add("details that could not be had: %s; 'FROM sync.details' tells why", thousands(n))
	}
	if s.ProviderTotal != nil && s.WarehouseTotal != nil {
		add("the provider has %s calls in all, the warehouse %s (%s)", thousands(*s.ProviderTotal), thousands(*s.WarehouseTotal), ago(p.report.At, s.ReconciledAt))
	}
	if run := s.LastRun; run != nil && run.FinishedAt != nil {
		add("last run %s: %s, %s; %s new, %s changed", ago(p.report.At, run.FinishedAt), run.Kind, run.Outcome, thousands(run.Inserted), thousands(run.Updated))
	}
	lines = append(lines, p.running(s.Source)...)
	if len(lines) == 0 {
		return
	}
	p.printf("\n%s\n", s.Source)
	for _, line := range lines {
		p.line("  ", "%s", line)
	}
}

// shownGaps is how many missing stretches a person is shown of a source.
const shownGaps = 5

// running tells what is being done for a source now.
func (p *statusPrinter) running(source string) []string {
	if p.report.Process == nil {
		return nil
	}
	var lines []string
	for _, now := range p.report.Process.Running {
		if now.Source != source {
			continue
		}
		line := fmt.Sprintf("now: %s, %s records in %s requests", now.Kind, thousands(now.Records), thousands(now.Requests))
		switch {
		case now.DetailsDue > 0:
			line += fmt.Sprintf(", details %s of %s", thousands(now.Details), thousands(now.DetailsDue))
		case now.Covered < 1:
			line += fmt.Sprintf(", %.0f %% covered", 100*now.Covered)
		}
		lines = append(lines, line)
	}
	return lines
}

func because(err string) string {
	if err == "" {
		return ""
	}
	return ": " + err
}

// wrap breaks a line between words, and a word that is wider than the terminal within it, so that no line is wider.
func wrap(line string, columns int, indent string) string {
	var b strings.Builder
	deeper := indent + "  "
	b.WriteString(indent)
	width, begun := len(indent), false
	for _, word := range strings.Fields(line) {
		rest := []rune(word)
		switch {
		case !begun:
		case width+1+len(rest) > columns:
			b.WriteString("\n" + deeper)
			width = len(deeper)
		default:
			b.WriteByte(' ')
			width++
		}
		for begun = true; width+len(rest) > columns && columns > width; width = len(deeper) {
			b.WriteString(string(rest[:columns-width]) + "\n" + deeper)
			rest = rest[columns-width:]
		}
		b.WriteString(string(rest))
		width += len(rest)
	}
	return b.String()
}

// ago is how long before a time another was, in the largest unit that tells enough.
func ago(now time.Time, t *time.Time) string {
	if t == nil {
		return "never"
	}
	d := now.Sub(*t)
	if d < time.Second {
		return "now"
	}
	return spanText(d) + " ago"
}

// spanText writes a length of time in two units at most.
func spanText(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

func dayText(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

func minuteText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

func bytesText(n int64) string {
	switch {
	case n < 1e6:
		return fmt.Sprintf("%d kB", (n+999)/1000)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}
