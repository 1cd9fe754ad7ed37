package transform

import (
	"sort"
	"strconv"
	"strings"

	"syncd/internal/call"
)

const (
	maxKnown     = 20 // digits of the longest number that is remembered; what has more is no number, or several
	maxNamesakes = 8  // how many of the record's numbers with the same end are told apart where only the end is written
)

// knownNumbers are a record's own numbers by their canonical digits, indexed so that a text is searched for all of them at once: a record may
// name very many.
type knownNumbers struct {
	exact  map[string]bool
	starts map[[minPhone]byte]uint32      // the lengths, as bits, of the numbers that start so
	ends   map[[minNational]byte][]string // the numbers that end so
}

// add remembers a number, if it is long enough to be told from other digits.
func (k *knownNumbers) add(canonical string) {
	if len(canonical) < minPhone || len(canonical) > maxKnown || !allDigits(canonical) || k.exact[canonical] {
		return
	}
	if k.exact == nil {
		k.exact, k.starts, k.ends = map[string]bool{}, map[[minPhone]byte]uint32{}, map[[minNational]byte][]string{}
	}
	k.exact[canonical] = true
	k.starts[[minPhone]byte([]byte(canonical))] |= 1 << len(canonical)
	if len(canonical) < minNational {
		return
	}
	end := [minNational]byte([]byte(canonical[len(canonical)-minNational:]))
	if len(k.ends[end]) < maxNamesakes {
		k.ends[end] = append(k.ends[end], canonical)
	}
}

// endingLike are the numbers whose end could be the end of the digits.
func (k *knownNumbers) endingLike(digits []byte) []string {
	if len(digits) < minNational {
		return nil
	}
	return k.ends[[minNational]byte(digits[len(digits)-minNational:])]
}

// knownIn finds the record's own numbers.
func (s *scrubber) knownIn(sc *scan, found *spans) {
	if len(s.known.exact) == 0 {
		return
	}
	for first := 0; first < len(sc.groups); {
		last := first
		for last+1 < len(sc.groups) && sc.groups[last+1].loose {
			last++
		}
		if sc.groups[last].d1-sc.groups[first].d0 >= minPhone {
			s.knownInChain(sc, first, last, found)
		}
		first = last + 1
	}
}

// knownInChain looks for the record's own numbers in groups that only punctuation keeps apart.
func (s *scrubber) knownInChain(sc *scan, first, last int, found *spans) {
	from, to := sc.groups[first].d0, sc.groups[last].d1
	for at := from; at+minPhone <= to; {
		sp, ok := s.knownAt(sc, at, to)
		if !ok {
			at++
			continue
		}
		found.add(sc.withPrefix(sp, first))
		at = sc.groups[sp.last].d1
	}
	for g := first; g <= last; g++ {
		if sp, ok := s.nationalAt(sc, first, g); ok {
			found.add(sp)
		}
	}
}

// knownAt finds the longest of the record's numbers that begins with the digit at d and ends before end.
func (s *scrubber) knownAt(sc *scan, d, end int) (span, bool) {
	lengths := s.known.starts[[minPhone]byte(sc.digits[d:d+minPhone])]
	if lengths == 0 {
		return span{}, false
	}
	for n := min(maxKnown, end-d); n >= minPhone; n-- {
		if lengths&(1<<n) == 0 || !s.known.exact[string(sc.digits[d:d+n])] {
			continue
		}
		sp := span{first: sc.groupAt(d), last: sc.groupAt(d + n - 1), canonical: string(sc.digits[d : d+n])}
		clean := sc.groups[sp.first].d0 == d && sc.groups[sp.last].d1 == d+n
		if n >= sureLength || clean {
			return sp, true
		}
	}
	return span{}, false
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
	for _, known := range s.known.endingLike(upto) {
		n := commonSuffix(upto, known)
		if n < minNational || n == len(known) || sc.groups[g].d1 == sc.groups[g].d0 {
			continue
		}
		start := sc.groups[g].d1 - n
		at := sc.groupAt(start)
		// Ahead of it in its group there may be a trunk prefix, but no digits that make it another number.
		if !onlyZeros(sc.digits[sc.groups[at].d0:start]) || sc.groups[at].plus || sc.international(at, first) {
			continue
		}
		return span{first: at, last: g, canonical: known}, true
	}
	return span{}, false
}

func onlyZeros(digits []byte) bool {
	for _, d := range digits {
		if d != '0' {
			return false
		}
	}
	return true
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
	if len(digits) < minPhone || at.use == useID {
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
	if s.known.exact[digits] {
		return digits, true
	}
	if at.use == 0 {
		for _, known := range s.known.endingLike([]byte(digits)) {
			if strings.HasSuffix(known, digits) {
				return known, true
			}
		}
	}
	n := len(digits)
	switch {
	case at.use == useTime || at.use == useAmount || n < minPhone || n > maxPhone:
		return "", false
	case at.hint.phone:
		return canonicalDigits(digits), true
	case n < sureLength || epochDigits(digits, at.hint.time):
		return "", false
	}
	return canonicalDigits(digits), true
}
