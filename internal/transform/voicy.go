package transform

import (
	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/call"
)

// voicy reads Voicy. Its detail is the list's object with transcript, summary, recording and variables besides.
var voicy = provider{
	name: "voicy",
	ids:  []string{"call_id"},
	shape: shape{
		"call_id": useID, "call_type": useWord, "call_status": useWord, "direction": useWord,
		"start_timestamp": useTime, "duration_ms": useAmount,
		"from_number": usePhone, "to_number": usePhone,
		"agent":     useContainer,
		"call_cost": useContainer, "call_cost.combined_cost": useAmount,
		"transcript": useTranscript,
	},
	volatile: map[string]volatility{"recording_url": volatileWhole},
	read:     readVoicy,
}

var voicyStatuses = map[string]meaning{
	"initiated":        {call.Ringing, ""},
	"ringing":          {call.Ringing, ""},
	"ongoing":          {call.InProgress, ""},
	"in_progress":      {call.InProgress, ""},
	"user_hangup":      {call.Completed, call.EndedByUser},
	"agent_hangup":     {call.Completed, call.EndedByAgent},
	"inactivity":       {call.Completed, call.EndedByInactivity},
	"error_inactivity": {call.Completed, call.EndedByInactivity},
	"ended":            {call.Completed, ""},
	"voicemail":        {call.Voicemail, call.EndedByVoicemail},
	"no_answer":        {call.NoAnswer, ""},
	"busy":             {call.Busy, ""},
	"canceled":         {call.Canceled, ""},
	"error":            {call.Failed, call.EndedByError},
}

var voicyChannels = map[string]call.Channel{
	"phone_call": call.ChannelPhone,
	"web_call":   call.ChannelWeb,
}

func readVoicy(r *reading) call.Call {
	var c call.Call
	r.status("call_status", voicyStatuses, &c)
	c.Channel = r.voicyChannel()
	c.FromNumber = r.text("from_number")
	c.ToNumber = r.text("to_number")
	r.direction("direction", &c)
	if agent := r.object.object("agent"); agent != nil {
		c.AgentName = agent.text("name")
		c.AgentVersion = agent.label("version")
		agent.unknown()
	}
	c.StartedAt = r.epoch("start_timestamp", unixMilliseconds)
	c.DurationMS = r.lasting("duration_ms", 0)
	c.IsTest = r.boolean("is_test_call")
	c.Summary = r.text("summary")
	c.RecordingURL = r.text("recording_url")
	// What the API told of costs before it stopped telling any.
	if cost := r.object.object("call_cost"); cost != nil {
		c.Cost = cost.amount("combined_cost")
		if currency := cost.text("currency"); c.Cost != nil {
			c.CostCurrency = currency
		}
		cost.unknown()
	}
	c.Metadata = r.voicyVariables()
	c.Messages = r.voicyTranscript(&c)
	finish(&c)
	return c
}

func (r *reading) voicyChannel() call.Channel {
	text := r.text("call_type")
	if text == "" {
		return call.ChannelUnknown
	}
	channel, ok := voicyChannels[text]
	if !ok {
		r.notes.add(r.at("call_type"), text)
		return call.ChannelUnknown
	}
	return channel
}

// voicyVariables gathers what the detail tells besides the call itself into one JSON object, each value as it came; "" where it tells none.
func (r *reading) voicyVariables() string {
	var out []byte
	for _, name := range []string{"vars_provided", "vars_extracted", "vars_collected", "detected_gender"} {
		raw := r.raw(name)
		if raw == nil {
			continue
		}
		lead := `,"`
		if out == nil {
			lead = `{"`
		}
		out = append(append(append(append(out, lead...), name...), `":`...), raw...)
	}
	if out == nil {
		return ""
	}
	return string(append(out, '}'))
}

// voicyTranscript reads the turns.
func (r *reading) voicyTranscript(c *call.Call) []call.Message {
	raw := r.raw("transcript")
	if raw.Kind() == '"' && len(raw) > 2 {
		r.odd("transcript", jsontext.Value(`""`), "an array")
		return []call.Message{{Content: unquote(raw)}}
	}
	var list []call.Message
	for _, turn := range r.objects("transcript") {
		list = append(list, call.Message{
			Role:     turn.role("role"),
			Content:  turn.content("content"),
			OffsetMS: turn.offsetFrom("timestamp_ms", c.StartedAt),
		})
		turn.unknown()
	}
	return list
}
