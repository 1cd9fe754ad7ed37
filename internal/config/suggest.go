package config

import (
	"strconv"
	"strings"
)

// didYouMean is what follows the word for something unknown: the nearest known word where there is one, and a mark after which what is
// allowed can be listed.
func didYouMean(near string) string {
	if near == "" {
		return ";"
	}
	return "; did you mean " + strconv.Quote(near) + "?"
}

// nearest returns the known word that differs from what was written by the fewest slips, letter case aside, or "" where every one
// differs by more than a third of its letters. A word of which the other is a beginning is near too: api_key for api_key_env.
func nearest(found string, known []string) string {
	found = strings.ToLower(found)
	best, fewest := "", -1
	for _, k := range known {
		slips := distance(found, k)
		near := slips <= max(1, len(k)/3) || len(found) >= 3 && (strings.HasPrefix(k, found) || strings.HasPrefix(found, k))
		// One slip in a word of one or two letters makes any word of any other.
		if len(found) < 3 && slips > 0 {
			near = false
		}
		if near && (fewest < 0 || slips < fewest) {
			best, fewest = k, slips
		}
	}
	return best
}

// distance counts the slips between two words: a letter too many, too few or wrong, or two neighbours exchanged.
func distance(a, b string) int {
	// A word this long is no slip of any of ours, and must not cost time.
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	s, t := []rune(a), []rune(b)
	before, last := make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := range s {
		row := make([]int, len(t)+1)
		row[0] = i + 1
		for j := range t {
			change := 1
			if s[i] == t[j] {
				change = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+change)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(t)]
}
