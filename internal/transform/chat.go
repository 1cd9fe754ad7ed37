package transform

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/call"
	"syncd/internal/rawjson"
)

// chat is a transcript in the form that language models use: turns, some of which ask for tools, and some of which answer.
type chat struct {
	messages []call.Message
	asked    []toolCall
	answers  map[string]string // by the id of the tool call
}

type toolCall struct {
	id       string
	function call.Function
}

// readChat reads an array of turns. Only what is asked for is looked at: a turn is free to have more.
func readChat(raw jsontext.Value, n *notes) chat {
	c := chat{answers: map[string]string{}}
	for _, e := range rawjson.Elements(raw) {
		turn := nested(e, "chat[]", n)
		if turn == nil {
			n.addValue("chat[]: "+kindName(e.Kind())+" for an object", e)
			if text := anyText(e); text != "" {
				c.messages = append(c.messages, call.Message{Content: text})
			}
			continue
		}
		m := call.Message{Role: turn.role("role"), Content: turn.content("content")}
		c.messages = append(c.messages, m)
		c.asked = append(c.asked, turn.toolCalls()...)
		if id := turn.label("tool_call_id"); id != "" {
			c.answers[id] = m.Content
		}
	}
	return c
}

// content reads what was said: a text, or the texts of an array of parts. Anything else is kept as JSON, with drift.
func (o *object) content(name string) string {
	raw := o.raw(name)
	switch raw.Kind() {
	case '"':
		return plainText(unquote(raw))
	case '[':
		var texts []string
		for _, e := range rawjson.Elements(raw) {
			p := nested(e, "", o.notes)
			if p == nil || p.find("text").Kind() != '"' {
				o.odd(name, raw, "a text")
				return plainText(string(raw))
			}
			texts = append(texts, plainText(unquote(p.find("text"))))
		}
		return strings.Join(texts, "\n")
	case '{', '0', 't', 'f':
		o.odd(name, raw, "a text")
		return plainText(string(raw))
	}
	return ""
}

// toolCalls reads the tools that a turn asks for.
func (o *object) toolCalls() []toolCall {
	var list []toolCall
	for _, t := range o.objects("tool_calls") {
		f := t
		if inner := t.find("function"); inner.Kind() == '{' {
			f = nested(inner, t.at("function"), t.notes)
		}
		list = append(list, toolCall{
			id:       t.label("id"),
			function: call.Function{Name: f.text("name"), Params: anyText(f.raw("arguments"))},
		})
	}
	return list
}

// functions joins the tools asked for with their answers.
func (c chat) functions() []call.Function {
	var list []call.Function
	for _, t := range c.asked {
		f := t.function
		if t.id != "" {
			f.Result = c.answers[t.id]
		}
		list = append(list, f)
	}
	return list
}
