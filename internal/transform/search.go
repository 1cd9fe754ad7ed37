package transform

import (
	"slices"
	"strings"
)

// maxEffort is how many bytes one record's texts are compared with turns. Only a text made for it needs more, and is then dropped whole.
const maxEffort = 1 << 26

// turnIndex finds the longest turn that a text begins with, however many turns begin alike.
type turnIndex struct {
	texts   []string // in order, so that those with the same beginning stand together
	shorter []int    // by turn: the longest other one that it begins with; -1: none
	starts  map[[minTurn]byte]stretch
}

// stretch is texts[from:to].
type stretch struct{ from, to int }

func indexTurns(seen map[string]bool) *turnIndex {
	x := &turnIndex{texts: make([]string, 0, len(seen)), shorter: make([]int, len(seen)), starts: map[[minTurn]byte]stretch{}}
	for text := range seen {
		x.texts = append(x.texts, text)
	}
	slices.Sort(x.texts)
	last := -1
	for i, text := range x.texts {
		for last >= 0 && !strings.HasPrefix(text, x.texts[last]) {
			last = x.shorter[last]
		}
		x.shorter[i], last = last, i
		key := [minTurn]byte([]byte(text[:minTurn]))
		s, met := x.starts[key]
		if !met {
			s.from = i
		}
		s.to = i + 1
		x.starts[key] = s
	}
	return x
}

// replace takes the words of every turn out of a text.
func (t *turns) replace(text string) (string, bool) {
	if len(t.seen) == 0 || len(text) < minTurn {
		return text, false
	}
	if t.index == nil {
		t.index = indexTurns(t.seen)
	}
	var out strings.Builder
	from := 0
	for i := 0; i+minTurn <= len(text); {
		s, met := t.index.starts[[minTurn]byte([]byte(text[i:i+minTurn]))]
		if !met {
			i++
			continue
		}
		if t.effort > maxEffort {
			return droppedTurn, true
		}
		said, effort := t.index.at(text[i:], s)
		t.effort += effort
		if said == 0 {
			i++
			continue
		}
		out.WriteString(text[from:i])
		out.WriteString(droppedTurn)
		i += said
		from = i
	}
	if from == 0 {
		return text, false
	}
	out.WriteString(text[from:])
	return out.String(), true
}

// at is the length of the longest turn that the text begins with, 0 where it begins with none, and what it cost to find.
func (x *turnIndex) at(text string, s stretch) (said, effort int) {
	// Every turn that the text begins with begins the last one that is not greater than the text.
	from, to, best, alike := s.from, s.to, -1, 0
	for from < to {
		mid := (from + to) / 2
		n := commonPrefix(text, x.texts[mid])
		effort += n
		if n == len(x.texts[mid]) || (n < len(text) && x.texts[mid][n] < text[n]) {
			best, alike, from = mid, n, mid+1
		} else {
			to = mid
		}
	}
	for best >= 0 && len(x.texts[best]) > alike {
		best = x.shorter[best]
		effort++
	}
	if best < 0 {
		return 0, effort
	}
	return len(x.texts[best]), effort
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
