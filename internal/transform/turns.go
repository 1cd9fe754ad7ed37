package transform

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// minTurn is how many characters of a turn make it recognisable elsewhere. Shorter ones ("yes, please") are in every text.
const minTurn = 12

// transcriptNames are the names under which transcripts are kept, without their separators.
var transcriptNames = map[string]bool{
	"chat": true, "chathistory": true, "messages": true, "turns": true, "utterances": true,
	"conversation": true, "dialog": true, "dialogue": true, "transcription": true, "transcriptions": true,
}

// talkWords are the words in longer names under which transcripts are kept.
var talkWords = map[string]bool{
	"chat": true, "chats": true, "message": true, "messages": true, "turns": true, "utterance": true, "utterances": true, "history": true,
	"conversation": true, "conversations": true, "dialog": true, "dialogs": true, "dialogue": true, "dialogues": true,
	"transcription": true, "transcriptions": true,
}

// minTalk is how many characters a text has at least that is taken for what was said because of a word in its name. An error_message is shorter.
const minTalk = 40

// said reports whether a field holds what was said, or may.
func (u use) said() bool { return u == useTranscript || u == useTalk }

// transcriptNamed is what a field of this name is taken for: useTranscript, useTalk or 0.
func transcriptNamed(name string) use {
	list := words(name)
	whole := strings.Join(list, "")
	if transcriptNames[whole] || strings.Contains(whole, "transcript") {
		return useTranscript
	}
	for _, word := range list {
		if talkWords[word] {
			return useTalk
		}
	}
	return 0
}

// unlikeID reports whether ids and addresses have no such rune.
func unlikeID(r rune) bool { return unicode.IsSpace(r) || r >= utf8.RuneSelf }

// isWord reports whether a text is one word as providers write them in a status: there is no number in it, and nothing that was said.
func isWord(text string) bool {
	return len(text) < minTalk && strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz_-") == ""
}

// turnLabels are the fields of a turn that say nothing themselves.
var turnLabels = map[string]bool{
	"role": true, "speaker": true, "id": true, "call_id": true, "tool_call_id": true, "name": true, "type": true,
	"timestamp": true, "created_at": true, "language": true,
}

// turns are the texts of dropped transcripts.
type turns struct {
	seen   map[string]bool
	values map[string]bool // those that are JSON: what tools answered, without white space
	index  *turnIndex      // of seen; nil where it must be made anew
	effort int             // what searching has cost so far
}

// learn remembers what is said in a transcript: the texts of its turns, or a plain text by its lines.
func (t *turns) learn(v jsontext.Value) {
	if v.Kind() == '"' { // a transcript in a text, as Millis has it
		if inner := strings.TrimSpace(unquote(v)); jsonInside(inner) != "" && checkJSON([]byte(inner)) == nil {
			v = jsontext.Value(inner)
		}
	}
	dec := lenient(v)
	for {
		kind := dec.PeekKind()
		if kind != '"' {
			if _, err := dec.ReadToken(); err != nil {
				return
			}
			continue
		}
		container, n := dec.StackIndex(dec.StackDepth())
		raw, err := dec.ReadValue()
		if err != nil {
			return
		}
		text := unquote(raw)
		if container == '{' && n%2 == 0 {
			// A name. Its value is a label, or a tool call, which goes with the transcript but is not said.
			if turnLabels[text] || text == "tool_calls" {
				if err := dec.SkipValue(); err != nil {
					return
				}
			}
			continue
		}
		t.add(text)
		t.addValue(text)
		for line := range strings.Lines(text) {
			t.add(line)
			if _, said, found := strings.Cut(line, ": "); found {
				t.add(said)
			}
		}
	}
}

func (t *turns) add(text string) {
	text = strings.TrimFunc(text, unicode.IsSpace)
	if utf8.RuneCountInString(text) < minTurn || t.seen[text] || timeForm(text) {
		return
	}
	if t.seen == nil {
		t.seen = map[string]bool{}
	}
	t.seen[text] = true
	t.index = nil
}

// addValue remembers a turn that is JSON, which elsewhere may be no text but the value itself.
func (t *turns) addValue(text string) {
	if jsonInside(text) == "" || len(text) < minTurn {
		return
	}
	v := jsontext.Value(text)
	if err := v.Compact(); err != nil {
		return
	}
	if t.values == nil {
		t.values = map[string]bool{}
	}
	t.values[string(v)] = true
}

// holdValue reports whether src begins with an object or array that a turn consists of.
func (t *turns) holdValue(src []byte) bool {
	raw, err := lenient(src).ReadValue()
	if err != nil {
		return false
	}
	v := raw.Clone()
	return v.Compact() == nil && t.values[string(v)]
}

// are reports whether a text is a turn as a whole.
func (t *turns) are(text string) bool {
	return len(t.seen) > 0 && t.seen[strings.TrimFunc(text, unicode.IsSpace)]
}
