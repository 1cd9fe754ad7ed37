package query

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// Rows are held back to measure the columns, until there are this many or this much of them.
const (
	measuredRows  = 10_000
	measuredBytes = 16 << 20
)

// minColumn is the least that a column of text is cut to.
const minColumn = 8

// tableEncoder writes an aligned table.
type tableEncoder struct {
	w       *bufio.Writer
	columns []column
	names   []string
	width   int // of the terminal; 0: nothing is cut
	widths  []int
	held    [][]string
	bytes   int
	rows    int64
	started bool
	line    strings.Builder
}

func newTable(w io.Writer, columns []column, width int) *tableEncoder {
	t := &tableEncoder{w: newBuffered(w), columns: columns, width: width, widths: make([]int, len(columns))}
	for i, c := range columns {
		t.names = append(t.names, printable(c.name))
		t.widths[i] = textWidth(t.names[i])
	}
	return t
}

func (t *tableEncoder) row(cells []cell) error {
	t.rows++
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = t.show(i, c)
	}
	if t.started {
		return t.writeRow(texts)
	}
	for i, s := range texts {
		t.widths[i] = max(t.widths[i], textWidth(s))
		t.bytes += len(s)
	}
	t.held = append(t.held, texts)
	if len(t.held) >= measuredRows || t.bytes >= measuredBytes {
		return t.start()
	}
	return nil
}

func (t *tableEncoder) show(i int, c cell) string {
	if c.null {
		return "NULL"
	}
	text := t.columns[i].typ.digits(c.text)
	if t.width > 0 && len(text) > 16*t.width {
		// It will be cut far shorter: no need to hold, escape and measure the whole of a long transcript. No character that is seen has more bytes.
		text = strings.ToValidUTF8(text[:16*t.width], "") + "…"
	}
	return printable(text)
}

// start settles the widths and writes what was held back.
func (t *tableEncoder) start() error {
	t.started = true
	t.fit()
	if len(t.columns) > 0 {
		if err := t.writeRow(t.names); err != nil {
			return err
		}
		rule := make([]string, len(t.widths))
		for i, n := range t.widths {
			rule[i] = strings.Repeat("-", n)
		}
		if err := t.writeRow(rule); err != nil {
			return err
		}
	}
	for _, texts := range t.held {
		if err := t.writeRow(texts); err != nil {
			return err
		}
	}
	t.held = nil
	return nil
}

// fit narrows the widest columns of text until the table fits the terminal. Numbers are never cut: part of a number is another number.
func (t *tableEncoder) fit() {
	if t.width <= 0 || len(t.widths) == 0 {
		return
	}
	room := t.width - 2*(len(t.widths)-1)
	var texts []int
	for i, n := range t.widths {
		if t.numeric(i) {
			room -= n
		} else {
			texts = append(texts, i)
		}
	}
	slices.SortFunc(texts, func(a, b int) int { return t.widths[a] - t.widths[b] })
	for k, i := range texts {
		share := max(room/(len(texts)-k), minColumn)
		t.widths[i] = min(t.widths[i], share)
		room -= t.widths[i]
	}
}

func (t *tableEncoder) numeric(i int) bool {
	return t.columns[i].typ.kind == number || t.columns[i].typ.kind == float
}

func (t *tableEncoder) writeRow(texts []string) error {
	t.line.Reset()
	for i, s := range texts {
		if i > 0 {
			t.line.WriteString("  ")
		}
		n := textWidth(s)
		if t.width > 0 && n > t.widths[i] && !t.numeric(i) {
			s = measure().Truncate(s, t.widths[i], "…")
			n = textWidth(s)
		}
		pad := strings.Repeat(" ", max(t.widths[i]-n, 0))
		if t.numeric(i) {
			t.line.WriteString(pad + s)
		} else {
			t.line.WriteString(s + pad)
		}
	}
	if _, err := t.w.WriteString(strings.TrimRight(t.line.String(), " ")); err != nil {
		return err
	}
	return t.w.WriteByte('\n')
}

func (t *tableEncoder) finish(more bool) error {
	if !t.started {
		if err := t.start(); err != nil {
			return err
		}
	}
	noun := "rows"
	if t.rows == 1 {
		noun = "row"
	}
	tail := ""
	if more {
		tail = ", more were left out"
	}
	if _, err := fmt.Fprintf(t.w, "(%d %s%s)\n", t.rows, noun, tail); err != nil {
		return err
	}
	return t.w.Flush()
}

// measure counts columns alike on every machine: the library's own default looks at the locale.
func measure() *runewidth.Condition { return &runewidth.Condition{StrictEmojiNeutral: true} }

// textWidth is the number of columns that s takes. Most text is ASCII, for which the full measure is many times slower.
func textWidth(s string) int {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return measure().StringWidth(s)
		}
	}
	return len(s)
}

// printable escapes what would move the cursor, colour the terminal or turn the text around: the words in a transcript are a stranger's.
func printable(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !unprintable(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
	}
	return b.String()
}

// unprintable spares the joiner that many emoji are made with.
func unprintable(r rune) bool { return r != ' ' && r != '\u200d' && !unicode.IsPrint(r) }
