package httpapi

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// telling is how many characters of a secret in a row are hidden wherever they stand: who shortens a key, or breaks it in two, shows no more.
	telling = 8
	// ending is how many of a secret's first characters are hidden at the end of a text, which may break off in it.
	ending = 4
)

// hide replaces secrets, whole or in part, and however they are escaped: a server that echoes a header writes it as JSON, HTML or a URL does,
// and what reads as a key there is one.
func hide(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = hideOne(text, s)
		}
	}
	return text
}

func hideOne(text, secret string) string {
	var out strings.Builder
	kept := 0
	for at := 0; at < len(text); {
		end := secretAt(text, at, secret)
		if end == at {
			at++
			continue
		}
		out.WriteString(text[kept:at])
		out.WriteString(hidden)
		at, kept = end, end
	}
	if kept == 0 {
		return text
	}
	out.WriteString(text[kept:])
	return out.String()
}

// secretAt returns where the part of a secret ends that begins at a place in a text, and the place itself where none does.
func secretAt(text string, at int, secret string) int {
	first, _, ok := written(text, at)
	if !ok {
		return at
	}
	longest := at
	for from := range len(secret) {
		if secret[from] != first {
			continue
		}
		end, matched := common(text, at, secret[from:])
		tells := matched >= telling || matched == len(secret) || from == 0 && matched >= ending && end == len(text)
		if tells && end > longest {
			longest = end
		}
	}
	return longest
}

// common reports how many of a secret's first characters stand in a text from a place on, and where they end. What shows nothing between two
// of them does not count: the tag at which a browser may break a long word, a soft hyphen, a space of no width.
func common(text string, at int, secret string) (end, matched int) {
	end = at
	for matched < len(secret) {
		c, next, ok := written(text, at)
		switch {
		case ok && c == secret[matched]:
			matched++
			at, end = next, next
		case matched > 0 && unshown(text, at) > 0:
			at += unshown(text, at)
		default:
			return end, matched
		}
	}
	return end, matched
}

// longestMark is how long a tag or an escape may be.
const longestMark = 64

// unshown is how many bytes of a text at a place are not seen.
func unshown(text string, at int) int {
	rest := text[at:min(len(text), at+longestMark)]
	for _, mark := range []string{"\u00ad", "\u200b", "\u2060", "\ufeff"} {
		if strings.HasPrefix(rest, mark) {
			return len(mark)
		}
	}
	if strings.HasPrefix(rest, "<") {
		return strings.IndexByte(rest, '>') + 1
	}
	return 0
}

// written reads one byte of a text as it is meant: itself, or the ASCII character that \u0041, \x41, %41, &#65;, &#x41; or a backslash before it
// stand for, however many backslashes there are, and also where the ampersand or the percent sign is escaped in its turn.
func written(text string, at int) (c byte, next int, ok bool) {
	if at >= len(text) {
		return 0, at, false
	}
	c, next = backslashed(text, at)
	rest := text[next:min(len(text), next+longestMark)]
	switch c {
	case '%':
		if len(rest) >= 2 {
			if c, ok := ascii(rest[:2], 16); ok {
				return c, next + 2, true
			}
		}
	case '&':
		if end := strings.IndexByte(rest, ';'); end > 1 && rest[0] == '#' {
			digits, base := rest[1:end], 10
			if digits[0] == 'x' || digits[0] == 'X' {
				digits, base = digits[1:], 16
			}
			if c, ok := ascii(digits, base); ok {
				return c, next + end + 1, true
			}
		}
	}
	return c, next, true
}

// backslashed reads one byte of a text, or what stands for one behind a backslash.
func backslashed(text string, at int) (c byte, next int) {
	rest := text[at:min(len(text), at+longestMark)]
	bare := strings.TrimLeft(rest, `\`)
	slashes := len(rest) - len(bare)
	if slashes == 0 || bare == "" {
		return text[at], at + 1
	}
	digits := map[byte]int{'u': 4, 'x': 2}[bare[0]]
	if digits > 0 && len(bare) > digits {
		if c, ok := ascii(bare[1:1+digits], 16); ok {
			return c, at + slashes + 1 + digits
		}
	}
	if strings.IndexByte(`/"'`, bare[0]) >= 0 {
		return bare[0], at + slashes + 1
	}
	return text[at], at + 1
}

// ascii reads the code of an ASCII character.
func ascii(digits string, base int) (byte, bool) {
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || n >= utf8.RuneSelf {
		return 0, false
	}
	return byte(n), true
}
