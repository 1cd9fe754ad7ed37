package transform

import (
	"strings"
	"unicode"
)

// hint is what the name of a field says about digits in it.
type hint struct {
	phone bool // they are a phone number, if they can be one
	time  bool // they are a time, if they can be one
}

var (
	phoneParts = []string{"phone", "mobile", "msisdn", "whatsapp", "caller", "callee", "cellular", "telefon", "handy"}
	phoneWords = map[string]bool{
		"tel": true, "number": true, "numbers": true, "num": true, "contact": true, "contacts": true, "cell": true, "fax": true, "sms": true,
		"from": true, "to": true, "ani": true, "dnis": true, "telephone": true, "callback": true, "dial": true, "dialed": true,
	}
	timeWords = map[string]bool{
		"ts": true, "time": true, "timestamp": true, "timestamps": true, "date": true, "datetime": true, "epoch": true, "at": true, "ms": true, "expires": true,
		"expiry": true, "exp": true, "iat": true, "created": true, "updated": true, "started": true, "ended": true, "since": true, "until": true,
	}
)

// under is the hint for what stands under a name. One that says nothing passes on what the names around it said.
func (h hint) under(name string) hint {
	name = withoutTokens(name)
	var own hint
	for _, word := range words(name) {
		if word == "by" && own.time { // created_by is who, not when
			own.time, h.time = false, false
			continue
		}
		own.phone = own.phone || phoneWords[word]
		own.time = own.time || timeWords[word]
		for _, p := range phoneParts {
			own.phone = own.phone || strings.Contains(word, p)
		}
	}
	if own == (hint{}) {
		return h
	}
	return hint{phone: own.phone, time: own.time && !own.phone}
}

// withoutTokens takes out of a name what privacy put there, which means nothing.
func withoutTokens(name string) string {
	name = strings.ReplaceAll(name, droppedNum, " ")
	for {
		i := strings.Index(name, hashPrefix)
		if i < 0 || len(name) < i+len(hashPrefix)+hashLetters || !isToken(name[i:i+len(hashPrefix)+hashLetters]) {
			return name
		}
		name = name[:i] + " " + name[i+len(hashPrefix)+hashLetters:]
	}
}

// words splits a name at separators and at capitals, in lower case.
func words(name string) []string {
	if strings.IndexFunc(name, func(r rune) bool { return unicode.IsUpper(r) }) >= 0 {
		var b strings.Builder
		lower := false
		for _, r := range name {
			if unicode.IsUpper(r) && lower {
				b.WriteByte('_')
			}
			lower = unicode.IsLower(r)
			b.WriteRune(unicode.ToLower(r))
		}
		name = b.String()
	}
	return strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) })
}
