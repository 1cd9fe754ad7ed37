package transform

import (
	"errors"
	"strings"
)

// Number is one phone number in full, given by a person who wants whoever it belongs to forgotten. However it is printed, it says [number].
//
// It is the same number wherever its digits are written with its country code, or without: "+1 415 555 0100", "14155550100", "(415) 555-0100" and
// "4155550100" are one. What counts as written is said at finder.
type Number struct {
	country, national string
}

// Bounds of a number that can be looked for.
const (
	minForgotten = minPhone    // digits with the country code
	minShort     = minNational // digits without it: fewer than these are met by chance
)

// ParseNumber reads a number with its country code: +14155550100, +1 (415) 555-0100, 0044 20 7946 0999. Without one nobody could tell whose it
// is, so that is an error. No error quotes what was given.
func ParseNumber(text string) (Number, error) {
	text = strings.TrimSpace(text)
	plus := false
	if strings.HasPrefix(text, "+") {
		plus, text = true, text[1:]
	}
	var digits []byte
	for _, r := range strings.ReplaceAll(text, "(0)", "") {
		switch d, ok := digitOf(r); {
		case ok:
			digits = append(digits, d)
		case !separates(r):
			return Number{}, errors.New("it holds something other than digits, spaces and what numbers are written with; give it as +14155550100")
		}
	}
	all := string(digits)
	if rest, ok := strings.CutPrefix(all, "00"); ok && !plus {
		plus, all = true, rest
	}
	switch {
	case len(all) < minForgotten:
		return Number{}, errors.New("it has fewer than 7 digits, which too many others share; give it in full, as +14155550100")
	case len(all) > maxPhone:
		return Number{}, errors.New("it has more than 15 digits, which no phone number has")
	case !plus:
		return Number{}, errors.New("it has no country code, so nobody can tell whose it is; give it as +14155550100")
	case all[0] == '0':
		return Number{}, errors.New("no country code begins with 0; give it as +14155550100")
	}
	n := countryDigits(all)
	return Number{country: all[:n], national: all[n:]}, nil
}

// String says that there is a number, and not which.
func (Number) String() string { return droppedNum }

// GoString is as String.
func (Number) GoString() string { return droppedNum }

// full is the number with its country code.
func (n Number) full() string { return n.country + n.national }

// short is the number without its country code, "" where that is too short to be told from other digits.
func (n Number) short() string {
	if len(n.national) < minShort {
		return ""
	}
	return n.national
}

// twoDigitCountries are the country codes of two digits (E.164). 1 and 7 are codes by themselves, and all others have three.
const twoDigitCountries = "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98"

// countryDigits is how many digits of a number are its country code.
func countryDigits(full string) int {
	switch {
	case full[0] == '1' || full[0] == '7':
		return 1
	case strings.Contains(twoDigitCountries, full[:2]):
		return 2
	}
	return 3
}

// isCountryCode reports whether digits are as long as the country code that they begin with.
func isCountryCode(digits []byte) bool {
	return len(digits) > 0 && countryDigits(string(digits)+"0") == len(digits)
}

// Tokens are what stands in the place of the number in what was stored with its hash, by this key: for each way in which it may have been written.
// A number that was masked or dropped left nothing by which it could be found.
func (p Privacy) Tokens(n Number) []string {
	if p.Numbers != NumbersHash {
		return nil
	}
	var tokens []string
	for _, digits := range []string{n.full(), n.short(), "0" + n.short(), "011" + n.full()} {
		if len(digits) >= minPhone {
			tokens = append(tokens, p.token(digits))
		}
	}
	for _, id := range []string{"+" + n.full(), n.full(), "00" + n.full(), n.short()} {
		if id != "" {
			tokens = append(tokens, p.idToken(id))
		}
	}
	return tokens
}

// Tokens are what stands in the place of a number where this source's numbers are hashed.
func (t *Transformer) Tokens(n Number) []string { return t.opts.Privacy.Tokens(n) }

// NumberFinder looks for one number in texts.
type NumberFinder struct {
	finder finder
	tokens []string
}

// NewNumberFinder looks for a number, and for the tokens that may stand in its place.
func NewNumberFinder(n Number, tokens []string) *NumberFinder {
	full, short := n.full(), n.short()
	return &NumberFinder{tokens: tokens, finder: finder{
		full: 1 << len(full), short: lengthBit(short),
		is: func(digits []byte, withCountry bool) bool {
			return withCountry && string(digits) == full || !withCountry && string(digits) == short
		},
	}}
}

// lengthBit is a set of lengths with one in it, or none.
func lengthBit(digits string) uint32 {
	if digits == "" {
		return 0
	}
	return 1 << len(digits)
}

// Holds reports whether a text holds the number, or what stands in its place.
func (f *NumberFinder) Holds(text string) bool {
	for _, token := range f.tokens {
		if strings.Contains(text, token) {
			return true
		}
	}
	return f.finder.in(text)
}
