package transform

import (
	"bytes"
	"slices"
	"sort"
	"strconv"
	"strings"

	"syncd/internal/call"
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
	s.knownIn(sc, false, found)
	sc.shaped(found, h)
	return s.replaceSpans(sc, found)
}

// knownOnly takes the record's own numbers out of a text that is an id or a time, where digits that look like a number are none.
func (s *scrubber) knownOnly(text string) (string, bool) {
	if len(s.known) == 0 {
		return text, false
	}
	sc := scanDigits(text)
	if sc == nil {
		return text, false
	}
	found := &spans{taken: make([]bool, len(sc.groups))}
	s.knownIn(sc, true, found)
	return s.replaceSpans(sc, found)
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
		out.WriteString(s.policy.token(sp.canonical))
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

// knownIn finds the record's own numbers. whole: only in full, not by their ends.
func (s *scrubber) knownIn(sc *scan, whole bool, found *spans) {
	if len(s.known) == 0 {
		return
	}
	for first := 0; first < len(sc.groups); {
		last := first
		for last+1 < len(sc.groups) && sc.groups[last+1].loose {
			last++
		}
		if sc.groups[last].d1-sc.groups[first].d0 >= minPhone {
			s.knownInChain(sc, first, last, whole, found)
		}
		first = last + 1
	}
}

// knownInChain looks for the record's own numbers in groups that only punctuation keeps apart.
func (s *scrubber) knownInChain(sc *scan, first, last int, whole bool, found *spans) {
	from, chain := sc.groups[first].d0, sc.digits[sc.groups[first].d0:sc.groups[last].d1]
	for _, known := range s.known {
		for at := 0; ; at++ {
			i := bytes.Index(chain[at:], []byte(known))
			if i < 0 {
				break
			}
			at += i
			sp := span{first: sc.groupAt(from + at), last: sc.groupAt(from + at + len(known) - 1), canonical: known}
			clean := sc.groups[sp.first].d0 == from+at && sc.groups[sp.last].d1 == from+at+len(known)
			if len(known) < sureLength && !clean {
				continue
			}
			found.add(sc.withPrefix(sp, first))
		}
	}
	if whole {
		return
	}
	for g := first; g <= last; g++ {
		if sp, ok := s.nationalAt(sc, first, g); ok {
			found.add(sp)
		}
	}
}

// groupAt is the group that holds the digit at d.
func (sc *scan) groupAt(d int) int {
	return sort.Search(len(sc.groups), func(i int) bool { return sc.groups[i].d1 > d })
}

// withPrefix takes in the country code in front of a number that the record names without one.
func (sc *scan) withPrefix(sp span, first int) span {
	n := 0
	for g := sp.first; g > first && sc.groups[g].strict && !sc.groups[g].plus; {
		g--
		if n += sc.groups[g].d1 - sc.groups[g].d0; n > 3 {
			return sp
		}
		if sc.groups[g].plus || (sc.groups[g].before == 0 && n > 0 && sc.digits[sc.groups[g].d0] == '0') {
			sp.first = g
			return sp
		}
	}
	return sp
}

// nationalAt finds a number of the record's own, written without its country code, that ends with group g.
func (s *scrubber) nationalAt(sc *scan, first, g int) (span, bool) {
	upto := sc.digits[sc.groups[first].d0:sc.groups[g].d1]
	for _, known := range s.known {
		n := commonSuffix(upto, known)
		if n < minNational || n == len(known) || sc.groups[g].d1 == sc.groups[g].d0 {
			continue
		}
		start := sc.groups[g].d1 - n
		at := sc.groupAt(start)
		// Ahead of it in its group there may be a trunk prefix, but no digits that make it another number.
		if strings.Trim(string(sc.digits[sc.groups[at].d0:start]), "0") != "" || sc.groups[at].plus || sc.international(at, first) {
			continue
		}
		return span{first: at, last: g, canonical: known}, true
	}
	return span{}, false
}

// international reports whether the groups right before at are a country code: then the number is told in full, and is another one.
func (sc *scan) international(at, first int) bool {
	for n := 0; at > first && sc.groups[at].strict; {
		at--
		if n += sc.groups[at].d1 - sc.groups[at].d0; n > 5 {
			return false
		}
		if sc.groups[at].plus {
			return true
		}
	}
	return false
}

func commonSuffix(a []byte, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

// phoneInNumber reports whether a JSON number is a phone number, and which.
func (s *scrubber) phoneInNumber(text string, at place) (string, bool) {
	digits := strings.TrimPrefix(text, "-")
	if len(digits) < minPhone {
		return "", false
	}
	if !allDigits(digits) {
		if len(digits) > maxNumber {
			return "", false
		}
		n, rounded, err := call.ParseScaled(digits, 0)
		if err != nil || rounded {
			return "", false
		}
		digits = strconv.FormatInt(n, 10)
	}
	for _, known := range s.known {
		if digits == known {
			return known, true
		}
		if at.use == 0 && len(digits) >= minNational && strings.HasSuffix(known, digits) {
			return known, true
		}
	}
	n := len(digits)
	switch {
	case at.use == useExempt || at.use == useID || n < minPhone || n > maxPhone:
		return "", false
	case at.hint.phone:
		return canonicalDigits(digits), true
	case n < sureLength || epochDigits(digits, at.hint.time):
		return "", false
	}
	return canonicalDigits(digits), true
}

// epochDigits reports whether digits can be a Unix time, in seconds or milliseconds. Where the name of the field does not say time, only the
// years up to 2033 count: those begin with a 1, as no North American number does.
func epochDigits(digits string, hinted bool) bool {
	if len(digits) != 10 && len(digits) != 13 {
		return false
	}
	return digits[0] == '1' || (hinted && digits[:10] < "4102444800")
}
