package fakeapi

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// speaker is who has a turn; each provider has words of its own for it.
type speaker int

const (
	byAgent speaker = iota
	byCaller
	bySystem
	byTool
)

// turn is one turn of a conversation.
type turn struct {
	by     speaker
	text   string
	at     time.Duration // from the call's start
	tool   *toolUse      // on the agent's turn that calls it, and on the tool's answer
	length time.Duration // until the next turn
}

// toolUse is one use of a tool.
type toolUse struct {
	id     string
	name   string
	params map[string]any
	result map[string]any
}

// script is what was said in a call.
type script struct {
	turns   []turn
	tool    *toolUse // nil: none was used
	summary string
	name    string // the customer's
	slots   map[string]string
}

// script makes the conversation of an answered call; an unanswered one has none.
func (s *Server) script(c call) script {
	if !c.answered() {
		return script{}
	}
	r := s.chance(c.n, textStream)
	sc := scenes[agents[c.agent].scene]
	out := script{slots: slots(r, c)}
	out.name = out.slots["name"]
	fill := filler(out.slots)
	if c.outcome.kind == machine {
		out.say(byCaller, fill(voicemailGreeting))
		out.say(byAgent, fill(voicemailMessage))
		out.summary = fill("Voicemail; a message about {order} was left for {name}.")
		out.pace(c)
		return out
	}
	if r.IntN(3) == 0 {
		out.tool = useTool(r, sc.tool, out.slots)
	}
	out.say(byAgent, fill(sc.opening))
	out.talk(r, sc, int((c.length-c.ring)/(16*time.Second)), fill)
	out.summary = fill(sc.summary)
	out.pace(c)
	return out
}

// talk adds as many exchanges as the call has time for.
func (sc *script) talk(r *rand.Rand, about scene, exchanges int, fill func(string) string) {
	exchanges = min(max(exchanges, 1), 60)
	sc.turns = slices.Grow(sc.turns, 2*exchanges+4)
	shift := r.IntN(len(common))
	for i := range exchanges {
		var said [2]string
		if i < len(about.exchanges) {
			said = about.exchanges[i]
		} else {
			said = common[(shift+i)%len(common)]
		}
		sc.say(byCaller, fill(said[0]))
		if sc.tool != nil && i == min(exchanges, 4)-1 {
			sc.turns = append(sc.turns, turn{by: byAgent, tool: sc.tool}, turn{by: byTool, text: toJSON(sc.tool.result), tool: sc.tool})
		}
		sc.say(byAgent, fill(said[1]))
	}
	sc.say(byCaller, closingCustomer)
	sc.say(byAgent, fill(closingAgent))
}

func (sc *script) say(by speaker, text string) { sc.turns = append(sc.turns, turn{by: by, text: text}) }

// pace spreads the turns over the time between the call's answer and its end, longer texts taking longer.
func (sc *script) pace(c call) {
	total := 0
	for _, t := range sc.turns {
		total += 20 + len(t.text)
	}
	said := 0
	for i := range sc.turns {
		t := &sc.turns[i]
		share := c.length - c.ring
		t.at = (c.ring + share*time.Duration(said)/time.Duration(total)).Truncate(time.Millisecond)
		t.length = (share * time.Duration(20+len(t.text)) / time.Duration(total) * 9 / 10).Truncate(time.Millisecond)
		said += 20 + len(t.text)
	}
}

// slots draws what the lines leave open.
func slots(r *rand.Rand, c call) map[string]string {
	day := time.Unix(0, c.start).UTC().AddDate(0, 0, r.IntN(21)-7)
	return map[string]string{
		"name":   firstNames[r.IntN(len(firstNames))] + " " + lastNames[r.IntN(len(lastNames))],
		"date":   day.Format("Monday, 2 January"),
		"time":   fmt.Sprintf("%d:%02d", 8+r.IntN(10), 15*r.IntN(4)),
		"order":  fmt.Sprintf("%c%c-%06d", 'A'+rune(r.IntN(26)), 'A'+rune(r.IntN(26)), r.IntN(1_000_000)),
		"amount": fmt.Sprintf("$%d.%02d", 12+r.IntN(480), r.IntN(100)),
		"city":   cities[r.IntN(len(cities))],
	}
}

// filler fills slots in. It is most of the work of making a call, and a strings.Replacer would double it.
func filler(slots map[string]string) func(string) string {
	return func(line string) string {
		before, rest, open := strings.Cut(line, "{")
		if !open {
			return line
		}
		var filled strings.Builder
		filled.Grow(len(line) + 32)
		for open {
			filled.WriteString(before)
			name, after, _ := strings.Cut(rest, "}")
			filled.WriteString(slots[name])
			before, rest, open = strings.Cut(after, "{")
		}
		filled.WriteString(before)
		return filled.String()
	}
}

func useTool(r *rand.Rand, name string, slots map[string]string) *toolUse {
	return &toolUse{
		id:     fmt.Sprintf("call_%016x", r.Uint64()),
		name:   name,
		params: map[string]any{"customer_name": slots["name"], "reference": slots["order"], "date": slots["date"]},
		result: map[string]any{"ok": true, "reference": slots["order"], "eta_minutes": 5 + r.IntN(90)},
	}
}
