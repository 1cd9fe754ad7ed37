package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxExcerpt = 200      // bytes of a JSON excerpt, give or take its last value
	maxText    = 120      // bytes of a text that is shown
	maxMessage = 1 << 10  // bytes of a text that may be an error message
	maxScanned = 64 << 10 // bytes of a text that are looked at
	hidden     = "…"

	shortestNumber = 5 // digits that may be a phone number, or enough of one; an id that is shorter is none
)

// Excerpt returns the beginning of an answer with nothing in it that must not be seen: no secret, no phone number, no turn of a transcript.
//
// What a provider says with a status of 400 or more is about the request; with any other it is, or may be, calls, whatever it looks
// like: {"message": …, "role": "user"} is a turn. So of a success only the structure is shown: the keys of JSON, the title of an HTML page,
// and of any other text how long it is.
//
// Of a refusal in JSON, keys, structure and small numbers are kept. A string is shown only where every key above it is a word of error
// messages ("detail", "msg" …), so that an error object can be read and a record cannot: the keys of a record do not hold only such
// words. Of an HTML page or a short text the visible text is kept up to where data may begin. JSON that breaks off, or turns out to be
// none, is shown up to there.
func Excerpt(status int, body []byte, secrets ...string) string {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	refusal := status >= 400
	switch size := len(body); {
	case size == 0:
		return ""
	case strings.IndexByte(`{["`, body[0]) >= 0:
		return jsonExcerpt(body, refusal, secrets)
	case !refusal:
		return outline(body, secrets)
	case size > maxMessage && !htmlPage.Match(body):
		return fmt.Sprintf("text of %d bytes", size) // no error message is as long
	}
	return textExcerpt(body[:min(len(body), maxScanned)], secrets)
}

// spoken are the keys under which providers write their errors.
var spoken = map[string]bool{
	"error": true, "errors": true, "detail": true, "message": true, "msg": true, "code": true, "type": true, "loc": true, "title": true,
}

// plainName is a key that is a word of a program and not of a person.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,39}$`)

// excerpt writes tokens as they may be shown.
type excerpt struct {
	out     strings.Builder
	refusal bool // messages may be shown
	secrets []string
	levels  []level
}

// level is an array or object that is open.
type level struct {
	object  bool
	speaks  bool // every key above is a word of error messages
	members int  // names and values so far
	name    bool // of an object: the last name was such a word
}

func jsonExcerpt(body []byte, refusal bool, secrets []string) string {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
	e := excerpt{refusal: refusal, secrets: secrets}
	for e.out.Len() < maxExcerpt {
		token, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return e.out.String()
		}
		if err != nil {
			break
		}
		if len(e.levels) == 0 && e.out.Len() > 0 {
			break // an answer is one value: what follows it is none of ours
		}
		e.write(token)
	}
	return e.out.String() + hidden
}

func (e *excerpt) write(t jsontext.Token) {
	kind := t.Kind()
	if kind == '}' || kind == ']' {
		e.levels = e.levels[:len(e.levels)-1]
		e.out.WriteByte(byte(kind))
		return
	}
	isName, speaks := e.place()
	switch kind {
	case '{', '[':
		// What is outside every object is no error that a provider documents: a bare array is a list.
		e.levels = append(e.levels, level{object: kind == '{', speaks: speaks || e.refusal && len(e.levels) == 0 && kind == '{'})
		e.out.WriteByte(byte(kind))
	case '"':
		e.string(t.String(), isName, speaks)
	case '0':
		text := t.String()
		if !e.refusal || digits(text) >= shortestNumber {
			text = hidden
		}
		e.out.WriteString(text)
	default:
		e.out.WriteString(t.String())
	}
}

// place writes what separates the next token from the last, and tells whether it is a name, and whether a value here may be shown.
func (e *excerpt) place() (isName, speaks bool) {
	if len(e.levels) == 0 {
		return false, false
	}
	l := &e.levels[len(e.levels)-1]
	isName = l.object && l.members%2 == 0
	switch {
	case l.object && !isName:
		e.out.WriteByte(':')
	case l.members > 0:
		e.out.WriteByte(',')
	}
	l.members++
	return isName, l.speaks && (!l.object || l.name)
}

func (e *excerpt) string(text string, isName, speaks bool) {
	shown := hidden
	switch {
	case isName:
		e.levels[len(e.levels)-1].name = spoken[text]
		if plainName.MatchString(text) && mask(text, e.secrets) == text {
			shown = text
		}
	case speaks:
		shown = shorten(mask(shorten(text, maxScanned), e.secrets), maxText)
	}
	quoted, err := jsontext.AppendQuote(nil, shown)
	if err != nil {
		quoted = []byte(`"` + hidden + `"`)
	}
	e.out.Write(quoted)
}

var (
	// unseen is what a browser would not show: scripts, styles, comments, tags; what is not closed goes on to the end.
	unseen = regexp.MustCompile(`(?is)<script\b.*?(?:</script\s*>|$)|<style\b.*?(?:</style\s*>|$)|<!--.*?(?:-->|$)|<[^>]*(?:>|$)`)
	// data is where text that a person wrote for people may end.
	data  = regexp.MustCompile(`[{\[]|"\s*:|\bdata:`)
	email = regexp.MustCompile(`[^\s@<>"']+@[^\s@<>"']+`)
	// number is five digits and more, whatever stands between them: a phone number may be written in many ways.
	number = regexp.MustCompile(`\p{Nd}(?:[^\p{L}\p{Nd}]{0,3}\p{Nd}){4,}`)
)

var (
	htmlPage = regexp.MustCompile(`(?is)^\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head)\b`)
	// title is that of the page; one below the head is of something on it.
	title = regexp.MustCompile(`(?is)<title\b[^>]*>([^<]{1,1000})</title\s*>`)
	below = regexp.MustCompile(`(?i)<body\b`)
)

// outline is what may be seen of a text that is no refusal.
func outline(body []byte, secrets []string) string {
	head := body[:min(len(body), maxScanned)]
	if !htmlPage.Match(head) {
		return fmt.Sprintf("text of %d bytes", len(body))
	}
	if at := below.FindIndex(head); at != nil {
		head = head[:at[0]]
	}
	if m := title.FindSubmatch(head); m != nil {
		return fmt.Sprintf("HTML of %d bytes with the title %s", len(body), textExcerpt(m[1], secrets))
	}
	return fmt.Sprintf("HTML of %d bytes", len(body))
}

func textExcerpt(body []byte, secrets []string) string {
	text := hide(string(body), secrets)
	text = html.UnescapeString(unseen.ReplaceAllString(text, " "))
	text = strings.Join(strings.Fields(text), " ")
	cut := false
	if at := data.FindStringIndex(text); at != nil {
		text, cut = text[:at[0]], true
	}
	text = shorten(mask(text, secrets), maxText)
	if cut && !strings.HasSuffix(text, hidden) {
		text += hidden
	}
	return text
}

// mask hides secrets, addresses and numbers in a text.
func mask(text string, secrets []string) string {
	text = hide(text, secrets)
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = hide(text, secrets)
	text = email.ReplaceAllString(text, hidden)
	return number.ReplaceAllString(text, hidden)
}

// shorten cuts a text to n bytes at most, at a rune, and shows that it did.
func shorten(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + hidden
}

func digits(text string) int {
	n := 0
	for _, r := range text {
		if unicode.IsDigit(r) {
			n++
		}
	}
	return n
}
