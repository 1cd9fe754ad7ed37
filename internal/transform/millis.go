package transform

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/call"
)

// millis reads Millis AI. Its list and its detail are the same object, and each of its fields may be null.
var millis = provider{
	name: "millis",
	ids:  []string{"session_id", "call_id"},
	shape: shape{
		"session_id": useID, "call_id": useID, "agent_id": useID,
		"ts": useTime, "duration": useAmount, "chars_used": useAmount, "call_status": useWord,
		"chat": useTranscript,
		"voip": useContainer, "voip.from": usePhone, "voip.to": usePhone, "voip.from_number": usePhone, "voip.to_number": usePhone,
		"voip.call_sid": useID, "voip.sid": useID,
		"cost_breakdown": useContainer, "cost_breakdown[]": useContainer, "cost_breakdown[].credit": useAmount,
		"cost_breakdown[].prompt_tokens": useAmount, "cost_breakdown[].completion_tokens": useAmount,
	},
	volatile: map[string]volatility{"recording": volatileQueries},
	read:     readMillis,
}

var millisStatuses = map[string]meaning{
	"registered":        {call.Queued, ""},
	"queued":            {call.Queued, ""},
	"dispatching":       {call.Queued, ""},
	"provider_queued":   {call.Queued, ""},
	"initiated":         {call.Ringing, ""},
	"ringing":           {call.Ringing, ""},
	"in-progress":       {call.InProgress, ""},
	"user-ended":        {call.Completed, call.EndedByUser},
	"agent-ended":       {call.Completed, call.EndedByAgent},
	"api-ended":         {call.Completed, call.EndedByAPI},
	"timeout":           {call.Completed, call.EndedByTimeout},
	"chat_completion":   {call.Completed, ""},
	"voicemail-hangup":  {call.Voicemail, call.EndedByVoicemail},
	"voicemail-message": {call.Voicemail, call.EndedByVoicemail},
	"no-answer":         {call.NoAnswer, ""},
	"busy":              {call.Busy, ""},
	"canceled":          {call.Canceled, ""},
	"failed":            {call.Failed, ""},
	"error":             {call.Failed, call.EndedByError},
	"unknown":           {call.Unknown, ""},
}

func readMillis(r *reading) call.Call {
	var c call.Call
	r.status("call_status", millisStatuses, &c)
	c.AgentID = r.text("agent_id")
	c.StartedAt = r.epoch("ts", unixSeconds)
	c.DurationMS = r.lasting("duration", 3)
	c.Metadata = r.json("metadata")
	r.raw("chars_used")
	r.millisAgent(&c)
	r.millisParties(&c)
	r.millisCosts(&c)
	c.RecordingURL = r.millisRecording()
	chat := r.millisChat()
	c.Messages = chat.messages
	if c.Functions = r.functionCalls("function_calls"); r.find("function_calls").Kind() != '[' {
		c.Functions = chat.functions()
	}
	finish(&c)
	return c
}

// millisAgent reads the agent's name and version where its configuration, which is free in form, happens to tell them.
func (r *reading) millisAgent(c *call.Call) {
	if config := r.object.object("agent_config"); config != nil {
		c.AgentName = scalarText(config.find("name"))
		c.AgentVersion = scalarText(config.find("version"))
	}
}

// scalarText is the text of a value in a free-form place; "" for what is neither text nor number.
func scalarText(raw jsontext.Value) string {
	if k := raw.Kind(); k == '"' || k == '0' {
		return rawText(raw)
	}
	return ""
}

// millisParties reads who talked and over what. A session without a carrier is a web session.
func (r *reading) millisParties(c *call.Call) {
	c.Channel, c.Direction = call.ChannelWeb, call.DirectionUnknown
	if raw := r.find("voip"); raw != nil && raw.Kind() != 'n' && raw.Kind() != '{' {
		c.Channel = call.ChannelUnknown
	}
	if voip := r.object.object("voip"); voip != nil && len(voip.fields) > 0 {
		c.Channel = call.ChannelPhone
		c.FromNumber = firstText(voip, "from", "from_number")
		c.ToNumber = firstText(voip, "to", "to_number")
		c.TelephonySID = firstText(voip, "call_sid", "sid")
		voip.direction("direction", c)
		voip.raw("provider")
		voip.unknown()
	}
	if c.StatusRaw == "chat_completion" {
		c.Channel = call.ChannelChat
	}
}

// firstText reads the first of several names that tells something. All of them are known.
func firstText(o *object, names ...string) string {
	found := ""
	for _, name := range names {
		if text := o.label(name); found == "" {
			found = text
		}
	}
	return found
}

// millisRecording reads where the recording lies. The object is free in form.
func (r *reading) millisRecording() string {
	recording := r.object.object("recording")
	if recording == nil {
		return ""
	}
	for _, name := range []string{"url", "recording_url"} {
		if url := recording.find(name); url.Kind() == '"' && len(url) > 2 {
			return unquote(url)
		}
	}
	return ""
}

// millisCosts reads the priced components. There is no total: it is their sum, which is unknown where none of them has an amount.
func (r *reading) millisCosts(c *call.Call) {
	currency := "credit"
	if r.opts.Credit.Currency != "" {
		currency = r.opts.Credit.Currency
	}
	for _, row := range r.objects("cost_breakdown") {
		cost := call.Cost{
			Component:    row.component("type"),
			Vendor:       row.text("provider"),
			Amount:       row.credits(r.opts.Credit.Amount),
			InputTokens:  row.count("prompt_tokens"),
			OutputTokens: row.count("completion_tokens"),
		}
		if cost.Amount != nil {
			cost.Currency = currency
		}
		row.unknown()
		c.Costs = append(c.Costs, cost)
	}
	if c.Cost = r.sum("cost_breakdown", c.Costs); c.Cost != nil {
		c.CostCurrency = currency
	}
}

// credits reads an amount of credits, or what it is worth.
func (o *object) credits(value string) *call.Amount {
	if value == "" {
		return o.amount("credit")
	}
	text := o.number("credit")
	if text == "" {
		return nil
	}
	return o.exact("credit", text, func() (call.Amount, bool, error) { return call.ParseProduct(text, value) })
}

// sum adds up the amounts that are told; nil where there is none, or where the sum is out of range.
func (o *object) sum(name string, costs []call.Cost) *call.Amount {
	var total *call.Amount
	for _, cost := range costs {
		if cost.Amount == nil {
			continue
		}
		if total == nil {
			total = new(call.Amount)
		}
		sum, err := total.Add(*cost.Amount)
		if err != nil {
			o.notes.add(o.at(name)+": sum out of range", sum.String())
			return nil
		}
		*total = sum
	}
	return total
}

// functionCalls reads the tools the agent used.
func (o *object) functionCalls(name string) []call.Function {
	var list []call.Function
	for _, f := range o.objects(name) {
		list = append(list, call.Function{
			Name:   f.text("name"),
			Params: anyText(f.raw("params")),
			Result: anyText(f.raw("result")),
		})
	}
	return list
}

// anyText is a string's own text, and any other value's JSON; "" for null.
func anyText(raw jsontext.Value) string {
	if raw == nil || raw.Kind() == 'n' {
		return ""
	}
	return plainText(rawText(raw))
}

// millisChat reads the transcript: a string that holds a JSON array of turns, or any other text.
func (r *reading) millisChat() chat {
	raw := r.raw("chat")
	switch raw.Kind() {
	case '"':
	case '[':
		r.odd("chat", raw, "a text")
		return readChat(raw, r.notes)
	case '{', '0', 't', 'f':
		r.odd("chat", raw, "a text")
		return chat{}
	default:
		return chat{}
	}
	text := unquote(raw)
	if strings.TrimSpace(text) == "" {
		return chat{}
	}
	inner := jsontext.Value(strings.TrimSpace(string(sanitise([]byte(text)))))
	if inner.Kind() == '[' && checkJSON(inner) == nil {
		return readChat(inner, r.notes)
	}
	// Whose words they are is not told, so the turn has no role.
	return chat{messages: []call.Message{{Content: plainText(text)}}}
}
