package transform

import (
	"math/bits"
	"unicode"
	"unicode/utf8"
)

// finder looks through a text, JSON or not, for the digits of given numbers. It takes JSON as it is written and does not decode it: it sees through
// escapes, also where JSON stands in a text of JSON, and through those of URLs.
//
// Digits that follow one another are a group; groups with at most four characters between them, of those that numbers are written with, are a
// chain, in which numbers are looked for. A number is whole groups from one to another: 94155550100 is not 4155550100 with something ahead of
// it, but another number. So is one
//
//   - after a plus sign, 00 or 011 and a country code that is not its own: +44 415 555 0100;
//   - written in several groups, where a hyphen, dot or slash joins a further group of at most four digits to them, and all together could be
//     one number: 415-555-0100-22.
//
// A zero that is dialled within a country may stand ahead of a number without its country code, or after the code, also in brackets. A JSON number
// that is no text is a number without its country code only if it has ten digits or more, and is not a time in seconds.
//
// Numbers in words are not found, nor those that are cut in two by a letter.
type finder struct {
	full, short uint32                                     // the lengths, as bits, of the numbers with and without their country codes
	is          func(digits []byte, withCountry bool) bool // whether digits are one of the numbers
}

// chainGroup is a group of a chain.
type chainGroup struct {
	from, to int  // in the chain's digits
	plus     bool // a plus sign stands before it
	tight    bool // nothing but a hyphen, a dot or a slash is between the group before and this one
	bare     bool // it is in no text, but a JSON number
}

// chain is a chain while it is read.
type chain struct {
	digits  []byte
	groups  []chainGroup
	open    bool // its last group goes on
	bracket bool // its last group stands behind an opening bracket

	// What came after its last group so far.
	gap          int
	comma, space bool
	tight        bool
}

// in reports whether the text holds one of the numbers.
func (f *finder) in(text string) bool {
	var (
		room       [64]byte
		groups     [16]chainGroup
		c          = chain{digits: room[:0], groups: groups[:0]}
		json       = len(text) > 0 && (text[0] == '{' || text[0] == '[')
		inText     = !json
		plus       = false
		prev, last rune // the rune before, and the last one that was no digit
	)
	for i := 0; i < len(text); {
		b := text[i]
		if len(c.groups) == 0 && b < utf8.RuneSelf && (b < '0' || b > '9') && b != '\\' && b != '%' && b != '+' && b != '"' {
			plus = plus && (b == ' ' || b == '(')
			prev, last = rune(b), rune(b)
			i++
			continue
		}
		if c.open && b >= '0' && b <= '9' { // most digits follow others
			c.digits = append(c.digits, b)
			c.groups[len(c.groups)-1].to++
			prev = rune(b)
			i++
			continue
		}
		r, size, escaped := rune(b), 1, false
		if b == '\\' || b == '%' || b >= utf8.RuneSelf {
			r, size, escaped = written(text, i)
		}
		i += size
		if r == '"' && json && !escaped {
			inText = !inText
		}
		if d, ok := digitOf(r); ok {
			if !c.open {
				if !c.joins(plus) && f.among(&c) {
					return true
				}
				c.begin(plus, last == '(', !inText)
				plus = false
			}
			c.digits = append(c.digits, d)
			c.groups[len(c.groups)-1].to = len(c.digits)
			prev = r
			continue
		}
		plus = plus && (r == ' ' || r == '(') || r == '+' && !unicode.IsLetter(prev) && !unicode.IsDigit(prev) // in a URL it is a space
		if len(c.groups) > 0 && !c.between(r) {
			if f.among(&c) {
				return true
			}
			c.reset()
		}
		prev, last = r, r
	}
	return f.among(&c)
}

// written reads the rune at a place of a text as it is meant, and tells how long it is there, and whether it is escaped. The backslashes of JSON within JSON
// double with every level; all of them belong to the rune behind.
func written(text string, i int) (r rune, size int, escaped bool) {
	switch b := text[i]; {
	case b == '\\':
		n := 1
		for i+n < len(text) && text[i+n] == '\\' {
			n++
		}
		if i+n == len(text) {
			return '\\', n, true
		}
		switch next := text[i+n]; next {
		case 'n', 'r', 't', 'b', 'f':
			return '\n', n + 1, true
		case '"':
			return '"', n + 1, n%2 == 1
		case 'u':
			if r, ok := hexRune(text[i+n+1:]); ok {
				return r, n + 5, true
			}
		}
		return '\\', n, true
	case b == '%' && i+2 < len(text):
		if hi, lo := hexDigit(text[i+1]), hexDigit(text[i+2]); hi >= 0 && lo >= 0 && hi < 8 {
			return rune(hi<<4 | lo), 3, true //nolint:gosec // below 128
		}
		return '%', 1, false
	case b >= utf8.RuneSelf:
		r, size := utf8.DecodeRuneInString(text[i:])
		return r, size, false
	}
	return rune(text[i]), 1, false
}

// hexDigit is the value of a hexadecimal digit, -1 for anything else.
func hexDigit(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b >= 'a' && b <= 'f':
		return int(b-'a') + 10
	case b >= 'A' && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

// reset forgets the chain.
func (c *chain) reset() {
	c.digits, c.groups, c.open = c.digits[:0], c.groups[:0], false
}

// joins reports whether a group that begins now goes on with the chain, and forgets the chain where it does not, once whoever asks has looked through it.
func (c *chain) joins(plus bool) bool {
	return len(c.groups) == 0 || !plus && (!c.comma || c.space)
}

// begin begins a group.
func (c *chain) begin(plus, bracket, bare bool) {
	if !c.joins(plus) {
		c.reset()
	}
	c.groups = append(c.groups, chainGroup{from: len(c.digits), to: len(c.digits), plus: plus, tight: c.tight && len(c.groups) > 0, bare: bare})
	c.open, c.bracket = true, bracket
}

// between takes a rune after a group, and reports whether the chain may go on behind it.
func (c *chain) between(r rune) bool {
	if c.open {
		c.open = false
		c.gap, c.comma, c.space = 0, false, false
		c.dropZero(r)
	}
	c.gap++
	if c.gap > maxGap {
		return false
	}
	c.tight = c.gap == 1 && (r == '-' || r == '.' || r == '/')
	switch r {
	case '\n', ' ':
		c.space = true
	case ',':
		c.comma = true
	case '+':
	default:
		return separates(r)
	}
	return true
}

// dropZero takes the "(0)" of "+44 (0) 20" out: it is written, not dialled.
func (c *chain) dropZero(after rune) {
	g := c.groups[len(c.groups)-1]
	if c.bracket && after == ')' && len(c.groups) == 2 && g.to == g.from+1 && c.digits[g.from] == '0' && isCountryCode(c.digits[:g.from]) {
		c.groups, c.digits = c.groups[:1], c.digits[:g.from]
	}
}

// among reports whether one of the numbers is in the chain.
func (f *finder) among(c *chain) bool {
	if len(c.digits) < bits.TrailingZeros32(f.full|f.short) {
		return false
	}
	longest := bits.Len32(f.full|f.short) + len("011")
	for i := range c.groups {
		for j := i; j < len(c.groups) && c.groups[j].to-c.groups[i].from < longest; j++ {
			if f.isNumber(c, i, j) {
				return true
			}
		}
	}
	return false
}

// isNumber reports whether the groups from i to j are one of the numbers.
func (f *finder) isNumber(c *chain, i, j int) bool {
	g := c.groups[i]
	digits := c.digits[g.from:c.groups[j].to]
	if i < j && (c.leads(j, len(digits)) || c.follows(i, len(digits))) {
		return false
	}
	if f.isFull(digits) && (g.plus || !c.foreign(i)) || f.isFull(c.withoutZero(i, j)) {
		return true
	}
	if g.plus || c.foreign(i) {
		return false
	}
	switch {
	case starts(digits, "00") && f.isFull(digits[2:]), starts(digits, "011") && f.isFull(digits[3:]):
		return true
	}
	return !g.chance(digits) && (f.isShort(digits) || digits[0] == '0' && f.isShort(digits[1:]))
}

func (f *finder) isFull(digits []byte) bool {
	return len(digits) < 32 && f.full&(1<<len(digits)) != 0 && f.is(digits, true)
}

func (f *finder) isShort(digits []byte) bool {
	return len(digits) < 32 && f.short&(1<<len(digits)) != 0 && f.is(digits, false)
}

func starts(digits []byte, with string) bool {
	return len(digits) > len(with) && string(digits[:len(with)]) == with
}

// chance reports whether digits that are no text would be a number without its country code by chance too often: an amount, an id, a time.
func (g chainGroup) chance(digits []byte) bool {
	return g.bare && (len(digits) < sureLength || len(digits) == sureLength && digits[0] == '1')
}

// leads reports whether the group after j makes another number of those before it.
func (c *chain) leads(j, n int) bool {
	if j+1 >= len(c.groups) {
		return false
	}
	next := c.groups[j+1]
	return next.tight && next.to-next.from <= 4 && n+next.to-next.from <= maxPhone
}

// follows reports whether the group before i makes another number of those after it. Zeros do not: they are dialled ahead of any.
func (c *chain) follows(i, n int) bool {
	if i == 0 || !c.groups[i].tight {
		return false
	}
	before := c.groups[i-1]
	return before.to-before.from <= 4 && n+before.to-before.from <= maxPhone && !onlyZeros(c.digits[before.from:before.to])
}

// foreign reports whether a country code stands right before group i: the number is told in full then, and begins there.
func (c *chain) foreign(i int) bool {
	for n := 0; i > 0; {
		i--
		g := c.groups[i]
		if n += g.to - g.from; n > 6 {
			return false
		}
		if digits := c.digits[g.from:g.to]; g.plus || starts(digits, "00") || starts(digits, "011") {
			return true
		}
	}
	return false
}

// withoutZero is a number in full whose part after the country code was written with the zero that is dialled within the country; nil where the
// groups from i to j are none.
func (c *chain) withoutZero(i, j int) []byte {
	g := c.groups[i]
	at := g.to
	if i == j || c.digits[at] != '0' || !isCountryCode(c.digits[g.from:at]) || c.foreign(i) {
		return nil
	}
	all := c.digits[g.from:c.groups[j].to]
	if len(all) > maxPhone+1 {
		return nil
	}
	return append(append(make([]byte, 0, maxPhone), c.digits[g.from:at]...), c.digits[at+1:c.groups[j].to]...)
}
