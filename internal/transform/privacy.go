package transform

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"syncd/internal/call"
)

// NumberPolicy is what becomes of phone numbers.
type NumberPolicy string

// The policies for phone numbers. Whatever the policy, it holds for every text of a record, however the number is written there.
const (
	NumbersKeep NumberPolicy = "keep"
	NumbersMask NumberPolicy = "mask" // "***" and the last two digits
	NumbersHash NumberPolicy = "hash" // a token that is the same for the same number everywhere, and tells nothing without the key
	NumbersDrop NumberPolicy = "drop" // null, or "[number]" within a text
)

// TranscriptPolicy is what becomes of what was said.
type TranscriptPolicy string

// The policies for transcripts. A dropped transcript takes its tool calls with it, and wherever else the words of one of its turns (twelve
// characters or more) are found, "[dropped]" stands in their place; so too where a tool's result repeats its turn word for word. A summary is no transcript, and is kept.
const (
	TranscriptsKeep TranscriptPolicy = "keep"
	TranscriptsDrop TranscriptPolicy = "drop"
)

// Privacy is what is taken out of a record before anything else looks at it. The zero value keeps everything.
//
// It errs on the side of taking out: digits that look like a phone number are one, unless they are part of a time, a UUID, an identifier, an
// IP address or the path of a URL. Numbers spelled out in words are not found. An id (of the call, the agent, the carrier) stays as it is
// unless the whole of it is written as a phone number: then hash gives it a token of its own, and mask and drop leave it no id. An id that is a
// JSON number stays in any case.
type Privacy struct {
	Numbers     NumberPolicy
	HashKey     []byte // for hash: secret, the same for every source and for as long as hashes are to agree
	Transcripts TranscriptPolicy
}

// check refuses a policy that is not known, and a hash without a key.
func (p Privacy) check() error {
	switch p.Numbers {
	case "", NumbersKeep, NumbersMask, NumbersDrop:
	case NumbersHash:
		if len(p.HashKey) == 0 {
			return errors.New("privacy: hashing phone numbers needs a key")
		}
	default:
		return fmt.Errorf("privacy: unknown policy %q for phone numbers; use keep, mask, hash or drop", p.Numbers)
	}
	switch p.Transcripts {
	case "", TranscriptsKeep, TranscriptsDrop:
		return nil
	}
	return fmt.Errorf("privacy: unknown policy %q for transcripts; use keep or drop", p.Transcripts)
}

func (p Privacy) keepsNumbers() bool     { return p.Numbers == "" || p.Numbers == NumbersKeep }
func (p Privacy) dropsTranscripts() bool { return p.Transcripts == TranscriptsDrop }

// The marks that stand in the place of what was taken out.
const (
	hashPrefix  = "tel_"
	hashLetters = 2 * 16
	maskPrefix  = "***"
	droppedNum  = "[number]"
	droppedTurn = "[dropped]"
)

// token is what stands in the place of a number, given by its canonical digits. No token looks like a number itself, so that privacy applied
// twice is privacy applied once.
func (p Privacy) token(canonical string) string {
	switch p.Numbers {
	case NumbersHash:
		mac := hmac.New(sha256.New, p.HashKey)
		mac.Write([]byte(canonical))
		return letters(hashPrefix, mac.Sum(nil))
	case NumbersMask:
		if len(canonical) < 5 || !allDigits(canonical) {
			return maskPrefix // two digits of so few would tell too much
		}
		return maskPrefix + canonical[len(canonical)-2:]
	}
	return droppedNum
}

// isToken reports whether a text is what token has made of a number before.
func isToken(s string) bool {
	if rest, ok := strings.CutPrefix(s, hashPrefix); ok {
		return len(rest) == hashLetters && strings.Trim(rest, "abcdefghijklmnop") == ""
	}
	if rest, ok := strings.CutPrefix(s, maskPrefix); ok {
		return rest == "" || (len(rest) == 2 && allDigits(rest))
	}
	return s == droppedNum
}

func allDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// scrubbed tells what privacy did that the reader must know of.
type scrubbed struct {
	ids map[string]bool // id fields that no longer identify, because what was in them was masked or dropped
}

// apply rewrites the payloads of a call's parts. Numbers and turns that one part names are found in all of them.
func (p Privacy) apply(s *shape, parts []part) scrubbed {
	if p.keepsNumbers() && !p.dropsTranscripts() {
		return scrubbed{}
	}
	w := &scrubber{policy: p, shape: *s}
	for i := range parts {
		if !w.learn(&parts[i]) {
			parts[i].fault = notJSON(parts[i].payload, checkJSON(parts[i].payload))
		}
	}
	for i := range parts {
		w.rewrite(&parts[i])
	}
	return scrubbed{ids: w.ids}
}

// withhold takes the place of a payload in which a transcript could not be told from the rest.
func withhold(payload []byte, what string) []byte {
	return fmt.Appendf(nil, `{"withheld":"%d kB, %s, and privacy.transcripts is drop"}`, (len(payload)+999)/1000, what)
}

// wholeTranscript reports whether a part is nothing but a transcript.
func wholeTranscript(p call.Part) bool { return p == call.PartTranscripts }
