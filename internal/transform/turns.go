package transform

import (
	"slices"
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

// namesTranscript reports whether a field of this name holds what was said.
func namesTranscript(name string) bool {
	name = strings.ToLower(name)
	if strings.ContainsAny(name, "_- ") {
		name = strings.Map(func(r rune) rune {
			if r == '_' || r == '-' || r == ' ' {
				return -1
			}
			return r
		}, name)
	}
	return transcriptNames[name] || strings.Contains(name, "transcript")
}

// turnLabels are the fields of a turn that say nothing themselves.
var turnLabels = map[string]bool{
	"role": true, "speaker": true, "id": true, "call_id": true, "tool_call_id": true, "name": true, "type": true,
	"timestamp": true, "created_at": true, "language": true,
}

// turns are the texts of dropped transcripts, by their first bytes, so that a text is searched for all of them at once.
type turns struct {
	seen     map[string]bool
	values   map[string]bool // those that are JSON: what tools answered, without white space
	byPrefix map[[minTurn]byte][]string
	sorted   bool
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
	if utf8.RuneCountInString(text) < minTurn || t.seen[text] {
		return
	}
	if t.seen == nil {
		t.seen, t.byPrefix = map[string]bool{}, map[[minTurn]byte][]string{}
	}
	t.seen[text] = true
	key := [minTurn]byte([]byte(text[:minTurn]))
	t.byPrefix[key] = append(t.byPrefix[key], text)
	t.sorted = false
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

// sort puts the longest turns first: one may begin with the words of another.
func (t *turns) sort() {
	if t.sorted {
		return
	}
	for _, list := range t.byPrefix {
		slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	}
	t.sorted = true
}

// replace takes the words of every turn out of a text.
func (t *turns) replace(text string) (string, bool) {
	if len(t.seen) == 0 || len(text) < minTurn {
		return text, false
	}
	t.sort()
	var out strings.Builder
	from := 0
	for i := 0; i+minTurn <= len(text); {
		said := t.at(text[i:])
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

// at is the length of the turn that the text begins with; 0 where it begins with none.
func (t *turns) at(text string) int {
	for _, said := range t.byPrefix[[minTurn]byte([]byte(text[:minTurn]))] {
		if strings.HasPrefix(text, said) {
			return len(said)
		}
	}
	return 0
}
