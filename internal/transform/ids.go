package transform

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
)

// idPrefix begins what stands in the place of an id that has the form of a phone number.
const idPrefix = "id_"

// id deals with a text that is an id. It is judged by itself alone: did another field of the record decide, one call could have two ids, and
// did an id get the token of a number in it, two calls could have one.
func (w *walker) id(text string, start, end int, at place) {
	if w.policy.keepsNumbers() {
		return
	}
	id := strings.TrimSpace(text)
	if !dials(id) {
		return
	}
	if w.policy.Numbers == NumbersHash {
		w.replace(start, end, w.policy.idToken(id))
		return
	}
	w.spoil(at)
	w.replace(start, end, w.policy.token(canonicalPhone(id)))
}

// spoil remembers an id that no longer identifies: two calls could have the same mask.
func (w *walker) spoil(at place) {
	if w.ids == nil {
		w.ids = map[string]bool{}
	}
	w.ids[at.path] = true
}

// dials reports whether a text as a whole is a phone number and nothing else.
func dials(text string) bool {
	text = strings.ToLower(text)
	for _, scheme := range dialSchemes {
		if rest, ok := strings.CutPrefix(text, scheme); ok {
			text, _, _ = strings.Cut(rest, "@")
			break
		}
	}
	n, zeros, plus := 0, 0, false
	for i := 0; i < len(text); {
		r, size := unit(text, i)
		d, digit := digitOf(r)
		switch {
		case digit:
			if n == zeros && zeros < 2 && d == '0' && !plus {
				zeros++
			}
			n++
		case r == '+' && n == 0 && !plus:
			plus = true
		case !separates(r):
			return false
		}
		i += size
	}
	if zeros == 2 && n-zeros >= minPhone {
		n -= zeros // the international prefix
	}
	return n >= minPhone && n <= maxPhone
}

// idToken stands in the place of an id. Another spelling of the number in it is another id.
func (p Privacy) idToken(id string) string {
	mac := hmac.New(sha256.New, p.HashKey)
	mac.Write([]byte("id\x00"))
	mac.Write([]byte(id))
	return letters(idPrefix, mac.Sum(nil))
}

// OwnID reports whether a call's id is the provider's: one that privacy has put a token in the place of can be asked for nowhere.
func (t *Transformer) OwnID(id string) bool {
	token, ok := strings.CutPrefix(id, idPrefix)
	return t.opts.Privacy.Numbers != NumbersHash || !ok || len(token) != hashLetters || strings.Trim(token, "abcdefghijklmnop") != ""
}

// letters writes half of a sum behind a prefix, in letters and not in hexadecimal digits: digits could look like a number.
func letters(prefix string, sum []byte) string {
	token := make([]byte, 0, len(prefix)+hashLetters)
	token = append(token, prefix...)
	for _, b := range sum[:hashLetters/2] {
		token = append(token, 'a'+b>>4, 'a'+b&15)
	}
	return string(token)
}
