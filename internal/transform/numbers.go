package transform

import (
	"slices"
	"strings"
)

const (
	minPhone    = 7  // digits of the shortest number that is looked for
	maxPhone    = 15 // digits of the longest that E.164 allows
	minNational = 8  // digits that a number's end must have to be the number without its prefix
	sureLength  = 10 // digits from which a run of them is a number, not a code that looks like one
)

// span is a stretch of groups that is one number.
type span struct {
	first, last int // groups, inclusive
	canonical   string
}

// spans are the numbers found in a text so far. No group is in two of them.
type spans struct {
	list  []span
	taken []bool // by group
}

// add keeps a span, unless it meets one that is there.
func (s *spans) add(sp span) {
	for g := sp.first; g <= sp.last; g++ {
		if s.taken[g] {
			return
		}
	}
	for g := sp.first; g <= sp.last; g++ {
		s.taken[g] = true
	}
	s.list = append(s.list, sp)
}

// numbers takes every phone number out of a text: the record's own however they are written, and whatever else looks like one.
func (s *scrubber) numbers(text string, h hint) (string, bool) {
	sc := scanDigits(text)
	if sc == nil {
		return text, false
	}
	found := &spans{taken: make([]bool, len(sc.groups))}
	s.knownIn(sc, found)
	sc.shaped(found, h)
	return s.replaceSpans(sc, found)
}

// token is the policy's token.
func (s *scrubber) token(canonical string) string {
	token, made := s.tokens[canonical]
	if !made {
		if s.tokens == nil {
			s.tokens = map[string]string{}
		}
		token = s.policy.token(canonical)
		s.tokens[canonical] = token
	}
	return token
}

// replaceSpans puts a token in the place of each span.
func (s *scrubber) replaceSpans(sc *scan, found *spans) (string, bool) {
	if len(found.list) == 0 {
		return sc.text, false
	}
	slices.SortFunc(found.list, func(a, b span) int { return a.first - b.first })
	var out strings.Builder
	from := 0
	for _, sp := range found.list {
		start := sc.spanStart(sp, from)
		out.WriteString(sc.text[from:start])
		out.WriteString(s.token(sp.canonical))
		from = sc.groups[sp.last].end
	}
	out.WriteString(sc.text[from:])
	return out.String(), true
}

// spanStart is where a number begins, with its plus sign and the parenthesis that closes within it.
func (sc *scan) spanStart(sp span, from int) int {
	g := sc.groups[sp.first]
	start := g.start
	closes := strings.Count(sc.text[start:sc.groups[sp.last].end], ")") > strings.Count(sc.text[start:sc.groups[sp.last].end], "(")
	for start > from {
		switch c := sc.text[start-1]; {
		case c == '+', c == '(' && closes:
			start--
		default:
			return start
		}
	}
	return start
}

// epochDigits reports whether digits can be a Unix time, in seconds or milliseconds. Where the name of the field does not say time, only the
// years up to 2033 count: those begin with a 1, as no North American number does.
func epochDigits(digits string, hinted bool) bool {
	if len(digits) != 10 && len(digits) != 13 {
		return false
	}
	return digits[0] == '1' || (hinted && digits[:10] < "4102444800")
}
