package query

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
)

// statement is one that the guard let pass.
type statement struct {
	original string // as the user wrote it
	body     string // without the semicolon at its end, and what follows
	node     tree
	columns  []column
}

// wrapped is a statement inside one of ours.
type wrapped struct {
	sql    string
	offset int // bytes of ours before the user's first
}

// selecting wraps the statement so that every column arrives as text in the form that f needs. DuckDB writes the text, so it is exact.
// The user's text stands on lines of its own: a comment at its end must not swallow what follows.
func (q *statement) selecting(f Format, limit int64) wrapped {
	var b strings.Builder
	b.WriteString("SELECT ")
	for i, c := range q.columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.typ.text(ident("c"+strconv.Itoa(i)), f))
	}
	b.WriteString(" FROM (\n")
	w := wrapped{offset: b.Len()}
	b.WriteString(q.body)
	b.WriteString("\n) AS ")
	b.WriteString(ident("q"))
	b.WriteString("(")
	for i := range q.columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(ident("c" + strconv.Itoa(i)))
	}
	b.WriteString(")")
	writeLimit(&b, limit)
	w.sql = b.String()
	return w
}

// renaming wraps the statement so that no two of its columns share a name.
func (q *statement) renaming(limit int64) wrapped {
	var b strings.Builder
	b.WriteString("SELECT * FROM (\n")
	w := wrapped{offset: b.Len()}
	b.WriteString(q.body)
	b.WriteString("\n) AS ")
	b.WriteString(ident("q"))
	b.WriteString("(")
	for i, name := range uniqueNames(q.columns) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(ident(name))
	}
	b.WriteString(")")
	writeLimit(&b, limit)
	w.sql = b.String()
	return w
}

// writeLimit asks for one row more than allowed, which tells a full answer from a cut one.
func writeLimit(b *strings.Builder, limit int64) {
	if limit > 0 {
		b.WriteString(" LIMIT " + strconv.FormatInt(limit+1, 10))
	}
}

// located points an engine error at its place in the user's own text.
func (q *statement) located(err error, offset int) error {
	var e *SQLError
	if errors.As(err, &e) {
		return e.in(q.original, offset)
	}
	return err
}

// withoutEnd cuts a statement at the semicolon that ends it. The caller knows that nothing but comments can follow.
func withoutEnd(sql string) string {
	for i := 0; i < len(sql); {
		if sql[i] == ';' {
			return sql[:i]
		}
		i = skip(sql, i)
	}
	return sql
}

// firstWord is the statement's first keyword in capitals, "" where it starts with something else.
func firstWord(sql string) string {
	i := 0
	for i < len(sql) && (unicode.IsSpace(rune(sql[i])) || sql[i] == ';' || sql[i] == '(' || startsComment(sql[i:])) {
		i = skip(sql, i)
	}
	end := i
	for end < len(sql) && (sql[end] == '_' || unicode.IsLetter(rune(sql[end]))) {
		end++
	}
	return strings.ToUpper(sql[i:end])
}

func startsComment(s string) bool { return strings.HasPrefix(s, "--") || strings.HasPrefix(s, "/*") }

// skip returns where the token at i ends, as far as it matters for finding a semicolon: strings, quoted names and comments are one token.
func skip(sql string, i int) int {
	rest := sql[i:]
	switch {
	case strings.HasPrefix(rest, "--"):
		return i + until(rest, "\n")
	case strings.HasPrefix(rest, "/*"):
		return i + blockComment(rest)
	case rest[0] == '\'':
		return i + quoted(rest, '\'', i > 0 && (sql[i-1] == 'e' || sql[i-1] == 'E'))
	case rest[0] == '"':
		return i + quoted(rest, '"', false)
	case rest[0] == '$':
		return i + dollarQuoted(rest)
	}
	return i + 1
}

func until(s, end string) int {
	if n := strings.Index(s, end); n >= 0 {
		return n + len(end)
	}
	return len(s)
}

// blockComment measures a comment; they nest.
func blockComment(s string) int {
	depth := 0
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "/*"):
			depth++
			i += 2
		case strings.HasPrefix(s[i:], "*/"):
			i += 2
			if depth--; depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return len(s)
}

// quoted measures a string or a quoted name; a doubled quote does not end it, and in an E'…' string neither does one after a backslash.
func quoted(s string, quote byte, escapes bool) int {
	for i := 1; i < len(s); i++ {
		switch {
		case escapes && s[i] == '\\':
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

// dollarQuoted measures $tag$ … $tag$; a lone dollar is one byte.
func dollarQuoted(s string) int {
	end := strings.IndexByte(s[1:], '$')
	if end < 0 {
		return 1
	}
	tag := s[:end+2]
	for _, r := range tag[1 : len(tag)-1] {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return 1
		}
	}
	return len(tag) + until(s[len(tag):], tag)
}

// uniqueNames gives each column a name of its own, whatever its case: DuckDB, and many who read its files, tell none apart by case.
func uniqueNames(columns []column) []string {
	taken := make(map[string]bool, len(columns))
	for _, c := range columns {
		taken[strings.ToLower(c.name)] = true
	}
	used := make(map[string]bool, len(columns))
	names := make([]string, len(columns))
	for i, c := range columns {
		name := c.name
		for n := 1; used[strings.ToLower(name)]; n++ {
			if next := c.name + "_" + strconv.Itoa(n); !taken[strings.ToLower(next)] {
				name = next
			}
		}
		used[strings.ToLower(name)] = true
		names[i] = name
	}
	return names
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
