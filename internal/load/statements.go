package load

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// statement is a piece of a text that ends with a semicolon, or with the text.
type statement struct {
	text string
	line int // of the text, from 1, in which it begins
}

// statementsOf cuts a text at its semicolons. What stands before a statement, space and comments, belongs to none. It tells the place of an error
// and no more: whether a piece truly is one statement is for DuckDB to say.
func statementsOf(text string) (all []statement) {
	begin := -1 // of the statement at hand; -1: nothing of it yet
	line := 1
	for i := 0; i < len(text); {
		end := tokenEnd(text, i)
		switch {
		case text[i] == ';':
			if begin >= 0 {
				all = append(all, statement{text[begin:i], line})
			}
			begin = -1
		case begin < 0 && !isGap(text[i:]):
			begin, line = i, 1+strings.Count(text[:i], "\n")
		}
		i = end
	}
	if begin >= 0 {
		all = append(all, statement{text[begin:], line})
	}
	return all
}

// isGap reports whether a text begins with space or a comment.
func isGap(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return unicode.IsSpace(r) || strings.HasPrefix(text, "--") || strings.HasPrefix(text, "/*")
}

// tokenEnd is where the token ends that begins at i, as far as that matters for finding semicolons: strings, quoted names, comments and words are
// one token each, and so is every other character.
func tokenEnd(text string, i int) int {
	rest := text[i:]
	switch c := rest[0]; {
	case strings.HasPrefix(rest, "--"):
		return after(text, i, "\n")
	case strings.HasPrefix(rest, "/*"):
		return commentEnd(text, i)
	case c == '\'' || c == '"':
		return after(text, i+1, rest[:1]) // one that is doubled begins the next token, which is its other half
	case (c == 'e' || c == 'E') && strings.HasPrefix(rest[1:], "'"):
		return escapedEnd(text, i+2)
	case c == '$':
		if tag := dollarTag(rest); tag != "" {
			return after(text, i+len(tag), tag)
		}
		return i + 1
	}
	n := strings.IndexFunc(rest, func(r rune) bool { return !inWord(r) })
	switch {
	case n < 0:
		return len(text)
	case n > 0:
		return i + n
	}
	_, size := utf8.DecodeRuneInString(rest)
	return i + size
}

// after is where the next mark from i on ends, or the text.
func after(text string, i int, mark string) int {
	if n := strings.Index(text[i:], mark); n >= 0 {
		return i + n + len(mark)
	}
	return len(text)
}

// commentEnd is where a comment ends that may hold others.
func commentEnd(text string, i int) int {
	depth := 0
	for i < len(text) {
		switch {
		case strings.HasPrefix(text[i:], "/*"):
			depth++
			i += 2
		case strings.HasPrefix(text[i:], "*/"):
			depth--
			i += 2
			if depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return i
}

// escapedEnd is where a string ends in which a backslash goes before what is not to end it.
func escapedEnd(text string, i int) int {
	for i < len(text) {
		switch text[i] {
		case '\\':
			i += 2
		case '\'':
			return i + 1
		default:
			i++
		}
	}
	return len(text)
}

// dollarTag is what a text in dollars begins and ends with; "" where none begins here.
func dollarTag(text string) string {
	n := strings.IndexFunc(text[1:], func(r rune) bool { return !inWord(r) || r == '$' })
	if n < 0 || text[1+n] != '$' || n > 0 && unicode.IsDigit(rune(text[1])) {
		return ""
	}
	return text[:n+2]
}

func inWord(r rune) bool { return r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r) }
