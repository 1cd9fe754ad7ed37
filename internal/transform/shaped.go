package transform

import (
	"regexp"
	"strings"
	"unicode"
)

// shaped finds what looks like a phone number outside the spans already found.
func (sc *scan) shaped(found *spans, h hint) {
	if h.time && !h.phone && len(sc.groups) == 1 && len(sc.digits) == len(strings.TrimSpace(sc.text)) && epochDigits(string(sc.digits), true) {
		return
	}
	free := make([]bool, len(sc.groups))
	for g := range sc.groups {
		free[g] = !found.taken[g] && sc.mayDial(g)
	}
	if sc.chains(free, func(int, int) {}) == 0 {
		return
	}
	sc.exemptTimes(free, h)
	sc.exemptAddresses(free)
	sc.chains(free, func(first, last int) { sc.split(first, last, h, found) })
}

// chains calls do for all free groups that stand together as the groups of a number do and have digits enough for one. It counts them.
func (sc *scan) chains(free []bool, do func(first, last int)) int {
	n := 0
	for first := 0; first < len(sc.groups); first++ {
		if !free[first] {
			continue
		}
		last := first
		for last+1 < len(sc.groups) && free[last+1] && sc.groups[last+1].strict {
			last++
		}
		if sc.groups[last].d1-sc.groups[first].d0 >= minPhone {
			n++
			do(first, last)
		}
		first = last
	}
	return n
}

// split cuts a chain of groups into numbers. A group that is long enough by itself is one, with the country code before it; the others are
// gathered as far as a number goes.
func (sc *scan) split(first, last int, h hint, found *spans) {
	flush := func(a, b int) {
		if a > b {
			return
		}
		n := sc.groups[b].d1 - sc.groups[a].d0
		if n >= minPhone && (h.phone || !sc.decimal(a, b)) && !sc.code(a, n) {
			found.add(span{a, b, canonicalDigits(string(sc.digits[sc.groups[a].d0:sc.groups[b].d1]))})
		}
	}
	from := first
	for g := first; g <= last; g++ {
		size, pending := sc.groups[g].d1-sc.groups[g].d0, sc.groups[g].d0-sc.groups[from].d0
		switch {
		case size >= sureLength:
			if !(sc.groups[from].plus && pending <= 3 && pending+size <= maxPhone) {
				flush(from, g-1)
				from = g
			}
			flush(from, g)
			from = g + 1
		case pending+size > maxPhone:
			flush(from, g-1)
			from = g
		}
	}
	flush(from, last)
}

// decimal reports whether two groups are a number with a fraction: a measure, a coordinate.
func (sc *scan) decimal(a, b int) bool {
	if b != a+1 || sc.groups[b].gap != "." || sc.groups[a].plus {
		return false
	}
	whole := string(sc.digits[sc.groups[a].d0:sc.groups[a].d1])
	return whole == "0" || (len(whole) <= 2 && sc.groups[b].d1-sc.groups[a].d0 <= 9)
}

// code reports whether few digits hang on a word, as in ORD-1234567.
func (sc *scan) code(a, n int) bool {
	g := sc.groups[a]
	if n >= sureLength || g.plus || g.start < 2 || (g.before != '-' && g.before != '_') {
		return false
	}
	word := wordBefore(sc.text, g.start-1)
	return word != "" && !dialWords[strings.ToLower(word)]
}

// dialWords may stand right before a number, without a space.
var dialWords = map[string]bool{
	"tel": true, "phone": true, "mobile": true, "cell": true, "fax": true, "call": true, "whatsapp": true, "sms": true, "sip": true,
	"number": true, "num": true, "no": true, "from": true, "to": true, "caller": true, "callee": true, "contact": true, "ph": true, "m": true,
}

// wordBefore is the run of ASCII letters that ends at i.
func wordBefore(text string, i int) string {
	start := i
	for start > 0 && asciiLetter(rune(text[start-1])) {
		start--
	}
	return text[start:i]
}

func asciiLetter(r rune) bool { return (r|0x20 >= 'a' && r|0x20 <= 'z') && r < 0x80 }

// mayDial reports whether a group can be part of a number by what stands right beside it.
func (sc *scan) mayDial(i int) bool {
	g := sc.groups[i]
	switch n := g.d1 - g.d0; {
	case n == 0:
		return true // the "(0)" within a number
	case n > maxPhone:
		return false
	case g.plus:
		return true
	case n == 2 && strings.HasSuffix(sc.text[:g.start], maskPrefix):
		return false // masked before
	}
	if unicode.IsLetter(g.before) && g.before < 0x250 {
		word := wordBefore(sc.text, g.start)
		// An extension is no number of its own.
		if !dialWords[strings.ToLower(word)] && !strings.EqualFold(word, "x") && !strings.EqualFold(word, "ext") {
			return false
		}
	}
	if unicode.IsLetter(g.after) && g.after < 0x250 {
		rest := strings.ToLower(sc.text[g.end:min(len(sc.text), g.end+4)])
		if !(len(rest) > 1 && rest[0] == 'x' && rest[1] >= '0' && rest[1] <= '9') && !strings.HasPrefix(rest, "ext") {
			return false
		}
	}
	return !inUUID(sc.text, g.start, g.end)
}

// inUUID reports whether text[start:end] lies in a UUID.
func inUUID(text string, start, end int) bool {
	const size = 36
	for at := max(0, end-size); at <= start && at+size <= len(text); at++ {
		if text[at+8] != '-' || text[at+13] != '-' || text[at+18] != '-' || text[at+23] != '-' {
			continue
		}
		if strings.Trim(text[at:at+size], "0123456789abcdefABCDEF-") == "" && strings.Count(text[at:at+size], "-") == 4 &&
			!hexAt(text, at-1) && !hexAt(text, at+size) {
			return true
		}
	}
	return false
}

func hexAt(text string, i int) bool {
	return i >= 0 && i < len(text) && strings.IndexByte("0123456789abcdefABCDEF", text[i]) >= 0
}

// timeText is a date, a time, both, or a span of years, at the start of a text.
var timeText = regexp.MustCompile(`^(?:` +
	`(?:(?:19|20)\d\d(?:-\d{1,2}-\d{1,2}|/\d{1,2}/\d{1,2}|\.\d{1,2}\.\d{1,2})|\d{1,2}(?:-\d{1,2}-|/\d{1,2}/|\.\d{1,2}\.)(?:19|20)\d\d)` +
	`(?:(?:[T_]|, | at | )` + clock + `)?` +
	`|` + clock +
	`|(?:19|20)\d\d ?[-–/] ?(?:19|20)\d\d)`)

const clock = `\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?`

// compactTime is a date without separators, with or without a time.
var compactTime = regexp.MustCompile(`^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[T_-]?(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?Z?)?`)

// exemptTimes frees no group that belongs to a time.
func (sc *scan) exemptTimes(free []bool, h hint) {
	for g := 0; g < len(sc.groups); g++ {
		gr := sc.groups[g]
		if !free[g] || gr.plus {
			continue
		}
		rest := sc.text[gr.start:min(len(sc.text), gr.start+48)]
		end := len(timeText.FindString(rest))
		if end == 0 && !h.phone {
			end = len(compactTime.FindString(rest))
		}
		end += gr.start
		// A match that stops within a group has taken a longer number for a time.
		covered := g
		for covered < len(sc.groups) && sc.groups[covered].end <= end {
			covered++
		}
		if covered == g || (covered < len(sc.groups) && (sc.groups[covered].start < end || sc.groups[covered].gap == ".")) {
			continue
		}
		for ; g < covered; g++ {
			free[g] = false
		}
		g--
	}
}

// urlText is a URL, but for the schemes that dial.
var urlText = regexp.MustCompile(`(?i)\b(?:[a-z][a-z0-9+.-]*://|www\.)[^\s"'<>]+`)

// dialScheme begins a URL whose path is a number, dialName is what stands right before one in any other.
var (
	dialScheme = regexp.MustCompile(`(?i)^(?:tel|sips?|callto|sms|whatsapp|facetime)://`)
	dialName   = regexp.MustCompile(`(?i)(?:wa\.me/|[?&;/](?:[a-z_-]*(?:phone|mobile|msisdn|caller|callee|number|tel)[a-z_-]*|from|to|ani|dnis|q|query)(?:=|/))$`)
)

// maxDialName is how far before a number its name in a URL begins at most.
const maxDialName = 48

// exemptAddresses frees no group that belongs to an IP address or to the path of a URL.
func (sc *scan) exemptAddresses(free []bool) {
	for g := range sc.groups {
		if free[g] && sc.ipAt(g) {
			for i := g; i < g+4; i++ {
				free[i] = false
			}
		}
	}
	if !strings.Contains(sc.text, "://") && !strings.Contains(sc.text, "www.") {
		return
	}
	g := 0
	for _, u := range urlText.FindAllStringIndex(sc.text, -1) {
		if dialScheme.MatchString(sc.text[u[0]:u[1]]) {
			continue
		}
		for g < len(sc.groups) && sc.groups[g].start < u[0] {
			g++
		}
		for named := false; g < len(sc.groups) && sc.groups[g].end <= u[1]; g++ {
			gr := sc.groups[g]
			if !free[g] || gr.plus {
				named = gr.plus
				continue
			}
			// What a name or a plus sign begins goes on as long as its groups do.
			named = named && gr.strict || dialName.MatchString(sc.text[max(u[0], gr.start-maxDialName):gr.start])
			free[g] = named
		}
	}
}

// ipAt reports whether four groups from g on are an IPv4 address.
func (sc *scan) ipAt(g int) bool {
	if g+4 > len(sc.groups) || sc.groups[g].plus || (g > 0 && sc.groups[g].gap == ".") || (g+4 < len(sc.groups) && sc.groups[g+4].gap == ".") {
		return false
	}
	for i := g; i < g+4; i++ {
		d := string(sc.digits[sc.groups[i].d0:sc.groups[i].d1])
		if (i > g && sc.groups[i].gap != ".") || len(d) == 0 || len(d) > 3 || (len(d) == 3 && d > "255") || (len(d) > 1 && d[0] == '0') {
			return false
		}
	}
	return true
}
