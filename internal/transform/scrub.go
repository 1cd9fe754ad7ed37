package transform

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/call"
)

// use is what privacy must know of a documented field.
type use int

const (
	useContainer  use = iota + 1 // an object or array whose fields are documented too
	usePhone                     // a phone number, whatever it looks like
	useID                        // an id: judged by itself alone
	useTime                      // a time: a JSON number, or a text in the form of one
	useAmount                    // an amount, a length, a count: a JSON number
	useWord                      // a word of the provider's own: a text without digits or spaces
	useTranscript                // what was said
	useTalk                      // what was said, by the words in its name
)

// shape is the documented part of a record, by path: "voip.from", "cost_breakdown[].credit".
type shape map[string]use

// Strings may hold JSON, in which strings may hold JSON. Deeper than this they are read as text.
const maxNesting = 8

// scrubber applies a policy to the parts of one call.
type scrubber struct {
	policy Privacy
	shape  shape
	known  knownNumbers
	turns  turns             // what was said
	tokens map[string]string // by what they stand for: a record names its few numbers often
	ids    map[string]bool
}

// learn finds the numbers and the turns that a payload names, and reports whether it is JSON.
func (s *scrubber) learn(p *part) bool {
	if s.policy.dropsTranscripts() && wholeTranscript(p.name) {
		if checkJSON(p.payload) != nil {
			return false
		}
		s.turns.learn(p.payload)
		return true
	}
	w := walker{scrubber: s, learning: true, src: p.payload}
	return w.walk(place{documented: true})
}

// rewrite takes out of a payload what the policy says.
func (s *scrubber) rewrite(p *part) {
	drops := s.policy.dropsTranscripts()
	switch {
	case p.fault != nil && drops:
		p.payload = withhold(p.payload, "not JSON")
		return
	case p.fault != nil:
		if text, changed := s.numbers(string(p.payload), hint{}); changed {
			p.payload = []byte(text)
		}
		return
	case drops && wholeTranscript(p.name):
		p.payload = []byte("null")
		return
	case drops && (p.name == call.PartList || p.name == call.PartDetail) && jsontext.Value(bytes.TrimSpace(p.payload)).Kind() != '{':
		kind := kindName(jsontext.Value(bytes.TrimSpace(p.payload)).Kind())
		p.fault = &fault{reasonNotAnObject, "a call is a JSON object, and this is " + kind}
		p.payload = withhold(p.payload, kind+" and not an object")
		return
	}
	w := walker{scrubber: s, src: p.payload}
	w.walk(place{documented: true})
	p.payload = w.result()
}

// place is where a value stands, as far as privacy cares.
type place struct {
	path       string // where documented
	documented bool   // the fields of this object or array are in the shape
	use        use    // of the value itself; of an object or array only a phone number's goes on inside it
	hint       hint
}

// member is the place of an object's field.
func (p place) member(name string, s *scrubber, learning bool) place {
	var m place
	if !learning { // nothing is learned from hints
		m.hint = p.hint.under(name)
	}
	if p.use == usePhone {
		m.use = usePhone
	}
	if p.documented {
		m.path = name
		if p.path != "" {
			m.path = p.path + "." + name
		}
		m.settle(s)
	}
	if m.use == 0 && s.policy.dropsTranscripts() {
		m.use = transcriptNamed(name)
	}
	return m
}

// element is the place of an array's elements.
func (p place) element(s *scrubber) place {
	e := place{hint: p.hint}
	if p.use == usePhone || p.use.said() {
		e.use = p.use
	}
	if p.documented {
		e.path = p.path + "[]"
		e.settle(s)
	}
	return e
}

func (p *place) settle(s *scrubber) {
	if u := s.shape[p.path]; u == useContainer {
		p.documented, p.use = true, 0
	} else if u != 0 {
		p.use = u
	}
}

// edit replaces src[start:end].
type edit struct {
	start, end int
	text       []byte
}

// walker goes through one JSON text, to learn from it or to rewrite it.
type walker struct {
	*scrubber
	learning bool
	nesting  int // how many strings around src hold JSON
	src      []byte
	edits    []edit
}

// frame is an object or array that the walker is in.
type frame struct {
	at     place
	object bool
	inner  place // of the next value
	named  bool  // inner has been set by a name, and its value comes next
}

// walk goes through src, whose outermost value stands at the place. It reports whether src is one JSON value.
func (w *walker) walk(at place) bool {
	dec := lenient(w.src)
	stack := []frame{{inner: at, named: true}}
	for {
		top := &stack[len(stack)-1]
		kind := dec.PeekKind()
		switch {
		case kind == '}' || kind == ']':
			if _, err := dec.ReadToken(); err != nil {
				return false
			}
			stack = stack[:len(stack)-1]
		case top.object && !top.named && kind == '"':
			name, err := dec.ReadValue()
			if err != nil {
				return false
			}
			text := unquote(name)
			w.key(text, len(name), dec)
			top.inner, top.named = top.at.member(text, w.scrubber, w.learning), true
			continue
		case (kind == '{' || kind == '[') && !w.takes(top.inner) && !w.repeats(dec, len(stack)):
			if _, err := dec.ReadToken(); err != nil {
				return false
			}
			at := top.inner
			top.named = false
			f := frame{at: at, object: kind == '{'}
			if !f.object {
				f.inner = at.element(w.scrubber)
			}
			stack = append(stack, f)
			continue
		default:
			v, err := dec.ReadValue()
			if err != nil {
				return false
			}
			end := int(dec.InputOffset())
			w.value(v, end-len(v), end, top.inner)
		}
		if len(stack) == 1 {
			return atEnd(dec) == nil
		}
		stack[len(stack)-1].named = false
	}
}

// takes reports whether an object or array is dealt with as a whole: a transcript, or what has nothing to learn from.
func (w *walker) takes(at place) bool {
	if w.policy.dropsTranscripts() {
		return at.use.said()
	}
	return w.learning && !at.documented && at.use != usePhone
}

// repeats reports whether the object or array that comes next is word for word a turn that is dropped: what a tool answered.
func (w *walker) repeats(dec *jsontext.Decoder, depth int) bool {
	if w.learning || len(w.turns.values) == 0 || depth > maxNesting {
		return false
	}
	at := int(dec.InputOffset())
	at += bytes.IndexAny(w.src[at:], "{[")
	return w.turns.holdValue(w.src[at:])
}

// key rewrites the name of a field.
func (w *walker) key(text string, size int, dec *jsontext.Decoder) {
	if w.learning {
		return
	}
	if clean, changed := w.text(text, hint{}); changed {
		end := int(dec.InputOffset())
		w.replace(end-size, end, clean)
	}
}

// value deals with a value that has been read whole.
func (w *walker) value(v jsontext.Value, start, end int, at place) {
	kind := v.Kind()
	if at.use.said() && w.policy.dropsTranscripts() {
		w.transcript(v, start, end, at)
		return
	}
	switch {
	case (kind == '{' || kind == '[') && !w.learning:
		w.edits = append(w.edits, edit{start, end, []byte("null")})
	case kind != '"' && kind != '0':
	case at.use == usePhone:
		w.phone(v, start, end)
	case kind == '0' && !w.learning:
		w.number(string(v), start, end, at)
	case kind == '"':
		w.string(unquote(v), start, end, at)
	}
}

// transcript drops what was said. A short text under a name that only might mean a transcript is a label, and stays.
func (w *walker) transcript(v jsontext.Value, start, end int, at place) {
	switch kind := v.Kind(); {
	case kind == '{' || kind == '[', kind == '"' && w.tells(v, at):
		if w.learning {
			w.turns.learn(v)
			return
		}
		w.edits = append(w.edits, edit{start, end, []byte("null")})
	case kind == '"':
		w.string(unquote(v), start, end, place{hint: at.hint})
	case kind == '0' && !w.learning:
		w.number(string(v), start, end, place{hint: at.hint})
	}
}

// tells reports whether a text is long enough for what was said: in an undocumented field it may be a label or an id.
func (w *walker) tells(v jsontext.Value, at place) bool {
	switch {
	case w.shape[at.path] == useTranscript:
		return true
	case at.use == useTranscript:
		return len(v) >= minTurn+2
	}
	text := unquote(v)
	return utf8.RuneCountInString(text) >= minTalk && (strings.IndexFunc(text, unlikeID) >= 0 || jsonInside(text) != "")
}

// phone deals with the value of a phone field.
func (w *walker) phone(v jsontext.Value, start, end int) {
	if w.policy.keepsNumbers() {
		return
	}
	text := strings.TrimSpace(rawText(v))
	if text == "" || isToken(text) {
		return
	}
	canonical := canonicalPhone(text)
	switch {
	case w.learning:
		w.known.add(canonical)
	case w.policy.Numbers == NumbersDrop:
		w.edits = append(w.edits, edit{start, end, []byte("null")})
	default:
		w.replace(start, end, w.token(canonical))
	}
}

// number deals with a JSON number that is in no phone field.
func (w *walker) number(text string, start, end int, at place) {
	if w.policy.keepsNumbers() {
		return
	}
	canonical, found := w.phoneInNumber(text, at)
	if !found {
		return
	}
	if w.policy.Numbers == NumbersDrop {
		w.edits = append(w.edits, edit{start, end, []byte("null")})
		return
	}
	w.replace(start, end, w.token(canonical))
}

// string deals with a text that is in no phone field.
func (w *walker) string(text string, start, end int, at place) {
	if w.learning {
		if inner := jsonInside(text); inner != "" && w.nesting < maxNesting && w.policy.dropsTranscripts() {
			n := walker{scrubber: w.scrubber, learning: true, nesting: w.nesting + 1, src: []byte(inner)}
			n.walk(place{hint: at.hint})
		}
		return
	}
	switch {
	case at.use == useID:
		w.id(text, start, end, at)
		return
	case at.use == useTime && timeForm(text), at.use == useWord && isWord(text):
		return
	}
	if clean, changed := w.text(text, at.hint); changed {
		w.replace(start, end, clean)
	}
}

// text takes out of a text what the policy says, in the JSON that it may hold as well.
func (w *walker) text(text string, h hint) (string, bool) {
	changed := false
	if w.turns.are(text) {
		return droppedTurn, true
	}
	if inner := jsonInside(text); inner != "" && w.nesting < maxNesting {
		n := walker{scrubber: w.scrubber, nesting: w.nesting + 1, src: []byte(inner)}
		if n.walk(place{hint: h}) {
			return string(n.result()), len(n.edits) > 0
		}
	}
	if clean, found := w.turns.replace(text); found {
		text, changed = clean, true
	}
	if w.policy.keepsNumbers() {
		return text, changed
	}
	clean, found := w.numbers(text, h)
	return clean, changed || found
}

// jsonInside returns the text if it looks like JSON that may hold further texts, else "".
func jsonInside(text string) string {
	t := strings.TrimLeft(text, " \t\r\n")
	if len(t) < 2 || (t[0] != '{' && t[0] != '[' && t[0] != '"') {
		return ""
	}
	return text
}

// replace puts a text in the place of a value.
func (w *walker) replace(start, end int, text string) {
	quoted, err := jsontext.AppendQuote(nil, strings.ToValidUTF8(text, "\uFFFD"))
	if err != nil {
		panic(fmt.Sprintf("valid text that cannot be quoted: %v", err))
	}
	w.edits = append(w.edits, edit{start, end, quoted})
}

// result is src with the edits made, which are in order. Without any it is src itself.
func (w *walker) result() []byte {
	if len(w.edits) == 0 {
		return w.src
	}
	out := make([]byte, 0, len(w.src))
	at := 0
	for _, e := range w.edits {
		out = append(append(out, w.src[at:e.start]...), e.text...)
		at = e.end
	}
	return append(out, w.src[at:]...)
}
