package transform

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/call"
	"syncd/internal/rawjson"
)

// burki reads Burki. Its detail is the list's object again; transcripts and itemised costs are parts of their own.
var burki = provider{
	name: "burki",
	ids:  []string{"id"},
	shape: shape{
		"id": useID, "call_sid": useID, "assistant_id": useID, "status": useWord,
		"started_at": useTime, "ended_at": useTime, "duration": useAmount,
		"total_cost": useAmount, "llm_cost": useAmount, "tts_cost": useAmount, "stt_cost": useAmount, "telephony_cost": useAmount,
		"to_phone_number": usePhone, "customer_phone_number": usePhone, "from_phone_number": usePhone,

		// The transcripts: an array of segments.
		"[]": useContainer, "[].id": useID, "[].call_id": useID, "[].segment_start": useTime, "[].segment_end": useTime,
		"[].confidence": useAmount, "[].created_at": useTime,

		// The costs.
		"call_summary": useContainer, "call_summary.call_id": useID, "call_summary.call_sid": useID,
		"call_summary.total_cost": useAmount, "call_summary.llm_cost": useAmount, "call_summary.tts_cost": useAmount,
		"call_summary.stt_cost": useAmount, "call_summary.telephony_cost": useAmount, "call_summary.duration_minutes": useAmount,
		"call_summary.started_at": useTime, "call_summary.ended_at": useTime,
		"detailed_entries": useContainer, "detailed_entries[]": useContainer, "detailed_entries[].id": useID,
		"detailed_entries[].usage_amount": useAmount, "detailed_entries[].unit_cost": useAmount, "detailed_entries[].total_cost": useAmount,
		"detailed_entries[].timestamp": useTime,
	},
	read: readBurki,
}

var burkiStatuses = map[string]meaning{
	"queued":      {call.Queued, ""},
	"ringing":     {call.Ringing, ""},
	"initiated":   {call.Ringing, ""},
	"ongoing":     {call.InProgress, ""},
	"in-progress": {call.InProgress, ""},
	"completed":   {call.Completed, ""},
	"voicemail":   {call.Voicemail, call.EndedByVoicemail},
	"no_answer":   {call.NoAnswer, ""},
	"no-answer":   {call.NoAnswer, ""},
	"busy":        {call.Busy, ""},
	"canceled":    {call.Canceled, ""},
	"failed":      {call.Failed, ""},
}

func readBurki(r *reading) call.Call {
	// Neither the channel nor the direction is told, and neither is guessed.
	c := call.Call{Channel: call.ChannelUnknown, Direction: call.DirectionUnknown}
	r.status("status", burkiStatuses, &c)
	c.AgentID = r.label("assistant_id")
	c.AgentName = r.text("assistant_name")
	// Renamed in April 2026; a server of either age is read.
	c.FlowName = firstText(r.object, "flow_name", "assistant_graph_name")
	c.ToNumber = r.text("to_phone_number")
	c.CustomerNumber = r.text("customer_phone_number")
	c.TelephonySID = r.text("call_sid")
	c.StartedAt = r.iso("started_at")
	c.EndedAt = r.iso("ended_at")
	c.DurationMS = r.lasting("duration", 3)
	c.Metadata = r.json("call_meta")
	r.burkiCosts(&c)
	c.Messages = r.burkiTranscript()
	return c
}

// burkiCosts reads the total and its components: itemised where the costs were fetched, else as the list has them.
func (r *reading) burkiCosts(c *call.Call) {
	c.Cost = r.amount("total_cost")
	currency := r.text("cost_currency")
	components := r.burkiComponents(r.object, currency)
	if costs := r.part(call.PartCosts); costs != nil && costs.object != nil {
		summary := costs.object.object("call_summary")
		if summary != nil {
			if total := summary.amount("total_cost"); c.Cost == nil {
				c.Cost = total
			}
			if currency == "" {
				currency = summary.text("currency")
			}
			if priced := r.burkiComponents(summary, currency); len(components) == 0 {
				components = priced
			}
		}
		if items := r.burkiItems(costs.object, currency); len(items) > 0 {
			components = items
		}
	}
	c.Costs = components
	for i := range c.Costs {
		c.Costs[i].Currency = currency
	}
	if c.Cost != nil {
		c.CostCurrency = currency
	}
}

// burkiComponents reads the four prices that the list and the summary name alike. A null is not known; a zero is.
func (r *reading) burkiComponents(o *object, currency string) []call.Cost {
	var list []call.Cost
	for _, p := range []struct {
		component call.Component
		field     string
	}{
		{call.LLM, "llm_cost"}, {call.TTS, "tts_cost"}, {call.STT, "stt_cost"}, {call.Telephony, "telephony_cost"},
	} {
		if a := o.amount(p.field); a != nil {
			list = append(list, call.Cost{Component: p.component, Amount: a, Currency: currency})
		}
	}
	return list
}

// burkiItems reads the itemised costs.
func (r *reading) burkiItems(o *object, currency string) []call.Cost {
	var list []call.Cost
	for _, e := range o.objects("detailed_entries") {
		cost := call.Cost{
			Component: e.component("service_type"),
			Vendor:    e.text("provider"),
			Amount:    e.amount("total_cost"),
			Currency:  currency,
		}
		switch usage := strings.ToLower(e.text("usage_type")); {
		case !strings.Contains(usage, "token"):
		case strings.Contains(usage, "input"), strings.Contains(usage, "prompt"):
			cost.InputTokens = e.count("usage_amount")
		case strings.Contains(usage, "output"), strings.Contains(usage, "completion"):
			cost.OutputTokens = e.count("usage_amount")
		}
		for _, documented := range []string{"id", "model", "usage_amount", "unit_cost", "timestamp", "metadata"} {
			e.raw(documented)
		}
		e.unknown()
		list = append(list, cost)
	}
	return list
}

// burkiTranscript reads the segments of the transcript, in the provider's order. A segment that says it is not final is what the recogniser
// thought before the speaker was done: the final one says it again, so only the payload keeps it.
func (r *reading) burkiTranscript() []call.Message {
	p := r.part(call.PartTranscripts)
	if p == nil {
		return nil
	}
	raw := jsontext.Value(p.payload)
	if p.object != nil {
		// An envelope is not documented, but the list had none once and has one now.
		raw = p.object.find("items")
	}
	if raw.Kind() != '[' {
		if k := raw.Kind(); k != 'n' {
			r.notes.add("transcripts: "+kindName(k)+" for an array", "")
		}
		return nil
	}
	var list []call.Message
	for _, e := range rawjson.Elements(raw) {
		s := nested(e, "transcripts[]", r.notes)
		if s == nil {
			r.notes.addValue("transcripts[]: "+kindName(e.Kind())+" for an object", e)
			continue
		}
		m := call.Message{Content: s.content("content"), OffsetMS: s.offset("segment_start", 3)}
		if s.text("speaker") != "" {
			m.Role = s.role("speaker")
		}
		for _, documented := range []string{"id", "call_id", "segment_end", "confidence", "stt_timestamps", "created_at"} {
			s.raw(documented)
		}
		final := s.boolean("is_final")
		s.unknown()
		if final != nil && !*final {
			continue
		}
		list = append(list, m)
	}
	return list
}

// offset reads how far into the call something was said, in milliseconds.
func (o *object) offset(name string, scale int32) *int64 {
	return o.lasting(name, scale)
}

// offsetFrom is offset for a provider that may mean an instant: nothing is said three years into a call, so that the two cannot be taken
// for each other. Without a start, an instant tells no offset.
func (o *object) offsetFrom(name string, start *time.Time) *int64 {
	n := o.scaled(name, 0)
	if n == nil {
		return nil
	}
	at := *n
	if plausible(time.UnixMilli(at)) && start != nil {
		at -= start.UnixMilli()
	}
	if at < 0 || at > maxDuration.Milliseconds() {
		o.notes.addValue(o.at(name)+": implausible", o.find(name))
		return nil
	}
	return &at
}
