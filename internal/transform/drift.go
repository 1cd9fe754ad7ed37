package transform

import (
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/call"
)

// Limits on what one record can say about drift, so that a provider with a thousand new fields does not drown the others.
const (
	maxDrift  = 100 // notes of one record
	maxPath   = 200 // runes
	maxSample = 120 // runes
)

// notes gathers the drift of one record. The same oddity counts once.
type notes struct{ list []call.Drift }

func (n *notes) add(path, sample string) {
	d := call.Drift{Path: shorten(path, maxPath), Sample: shorten(plainText(sample), maxSample)}
	if len(n.list) >= maxDrift {
		return
	}
	for _, known := range n.list {
		if known == d {
			return
		}
	}
	n.list = append(n.list, d)
}

// addValue notes a raw JSON value: a string's text, anything else as it is written.
func (n *notes) addValue(path string, raw jsontext.Value) {
	n.add(path, rawText(raw))
}

// rawText is a string's text, and any other value's JSON.
func rawText(raw jsontext.Value) string {
	if raw.Kind() == '"' {
		return unquote(raw)
	}
	return string(raw)
}

// shorten cuts a text after so many runes, and says that it did.
func shorten(s string, limit int) string {
	if len(s) <= limit || utf8.RuneCountInString(s) <= limit {
		return s
	}
	var b strings.Builder
	for i, r := range []rune(s[:min(len(s), limit*utf8.UTFMax)]) {
		if i == limit {
			break
		}
		b.WriteRune(r)
	}
	return strings.ToValidUTF8(b.String(), "") + "…"
}
