package transform

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// group is a run of digits in a text. The digits of all groups follow one another in scan.digits.
type group struct {
	start, end int  // in the text
	d0, d1     int  // in the digits
	plus       bool // a plus sign stands right before it
	before     rune // the rune right before it; 0 at the start of the text
	after      rune // the rune right after it; 0 at the end
	strict     bool // what lies between the group before and this one is how numbers are written
	loose      bool // it is at least no word
	gap        string
	gapRunes   int
}

// scan is a text taken apart into its groups of digits.
type scan struct {
	text   string
	digits []byte
	groups []group
}

// Between the groups of one number there are no more runes than this.
const maxGap = 4

// scanDigits finds the groups of digits. A text with fewer digits than a number has has none.
func scanDigits(text string) *scan {
	if !mayHoldNumber(text) {
		return nil
	}
	s := &scan{text: text}
	in := false
	gapStart, gapRunes, strict, loose := 0, maxGap+1, false, false
	var prev rune
	for i := 0; i < len(text); {
		r, size := unit(text, i)
		if d, ok := digitOf(r); ok {
			if !in {
				in = true
				s.groups = append(s.groups, group{
					start: i, d0: len(s.digits), plus: prev == '+', before: prev, gap: text[gapStart:i], gapRunes: gapRunes,
					strict: strict && gapRunes <= maxGap, loose: loose && gapRunes <= maxGap,
				})
			}
			s.digits = append(s.digits, d)
			g := &s.groups[len(s.groups)-1]
			g.end, g.d1 = i+size, len(s.digits)
		} else {
			if in {
				in = false
				s.close(r)
				gapStart, gapRunes, strict, loose = i, 0, true, true
			}
			gapRunes++
			strict = strict && separates(r)
			loose = loose && !unicode.IsLetter(r)
		}
		prev = r
		i += size
	}
	if len(s.digits) < minPhone {
		return nil
	}
	return s
}

// close ends the last group. The "(0)" of "+44 (0) 20" is written, not dialled: its digit does not count.
func (sc *scan) close(after rune) {
	g := &sc.groups[len(sc.groups)-1]
	g.after = after
	if g.before == '(' && after == ')' && string(sc.digits[g.d0:g.d1]) == "0" && len(sc.groups) > 1 {
		sc.digits = sc.digits[:g.d0]
		g.d1 = g.d0
	}
}

// mayHoldNumber is a quick look: enough digits, or runes that could be some.
func mayHoldNumber(text string) bool {
	n := 0
	for i := 0; i < len(text); i++ {
		if c := text[i]; (c >= '0' && c <= '9') || c >= 0xc0 {
			if n++; n >= minPhone {
				return true
			}
		}
	}
	return false
}

// unit reads one rune of a text, seeing through the escapes of JSON and URLs that are left in it.
func unit(s string, i int) (rune, int) {
	c := s[i]
	switch {
	case c == '\\' && i+1 < len(s):
		switch s[i+1] {
		case 'n', 'r', 't', 'b', 'f':
			return '\n', 2
		case 'u':
			if r, ok := hexRune(s[i+2:]); ok {
				return r, 6
			}
		}
	case c == '%' && i+2 < len(s) && s[i+1] == '2':
		switch s[i+2] {
		case 'B', 'b':
			return '+', 3
		case '0':
			return ' ', 3
		case '8':
			return '(', 3
		case '9':
			return ')', 3
		case 'D', 'd':
			return '-', 3
		case 'E', 'e':
			return '.', 3
		}
	case c >= utf8.RuneSelf:
		return utf8.DecodeRuneInString(s[i:])
	}
	return rune(c), 1
}

// zeros are the zeros of the scripts whose digits are met in phone numbers.
var zeros = [...]rune{'0', '０', '٠', '۰', '०', '০', '๐'}

// digitOf is the ASCII digit that a rune stands for.
func digitOf(r rune) (byte, bool) {
	if r < utf8.RuneSelf {
		return byte(r & 0x7f), r >= '0' && r <= '9'
	}
	for _, zero := range zeros[1:] {
		if r >= zero && r <= zero+9 {
			return '0' + byte((r-zero)&0xf), true
		}
	}
	return 0, false
}

// separates reports whether numbers are written with the rune between their groups.
func separates(r rune) bool {
	switch r {
	case ' ', '\t', '-', '.', '(', ')', '/', '\u00a0', '\u00ad', '\u00b7', '\u2212', '\ufeff', '－':
		return true
	}
	return (r >= '\u2000' && r <= '\u2015') || r == '\u202f' || r == '\u2060' || (r >= '\u202a' && r <= '\u202e') || (r >= '\u2066' && r <= '\u2069')
}

// dialSchemes may stand before a number in a field that holds nothing else.
var dialSchemes = [...]string{"sips:", "sip:", "tel:", "whatsapp:", "client:", "callto:"}

// canonicalPhone is what one number has in common however it is written: its digits, without the scheme, host and extension around them and
// without leading 00. What is no number ("anonymous", "sip:alice@example.com") is canonical in lower case.
func canonicalPhone(text string) string {
	user := strings.ToLower(strings.TrimSpace(text))
	for _, scheme := range dialSchemes {
		user = strings.TrimPrefix(user, scheme)
	}
	user, _, _ = strings.Cut(user, "@")
	if i := strings.IndexAny(user, ";,#"); i >= 0 {
		user = user[:i]
	}
	number := user
	if i := strings.IndexFunc(user, unicode.IsLetter); i > 0 && (user[i] == 'x' || strings.HasPrefix(user[i:], "ext")) {
		number = user[:i]
	}
	if strings.IndexFunc(number, unicode.IsLetter) >= 0 {
		return "text:" + user
	}
	var digits []byte
	for _, r := range strings.ReplaceAll(number, "(0)", "") {
		if d, ok := digitOf(r); ok {
			digits = append(digits, d)
		}
	}
	if len(digits) == 0 {
		return "text:" + user
	}
	return canonicalDigits(string(digits))
}

// canonicalDigits takes the international prefix off.
func canonicalDigits(digits string) string {
	if rest, ok := strings.CutPrefix(digits, "00"); ok && len(rest) >= minPhone {
		return rest
	}
	return digits
}
