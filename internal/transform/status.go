package transform

import "syncd/internal/call"

// meaning is what a provider's status says: the state, and who or what ended the call.
type meaning struct {
	status call.Status
	end    call.EndReason
}

// status reads the provider's status from a field. An unlisted value is unknown, keeps its text, and is drift; so is a wrong type.
func (o *object) status(name string, known map[string]meaning, c *call.Call) {
	c.Status = call.Unknown
	c.StatusRaw = o.text(name)
	if c.StatusRaw == "" {
		return
	}
	m, ok := known[c.StatusRaw]
	if !ok {
		o.notes.add(o.at(name), c.StatusRaw)
		return
	}
	c.Status, c.EndReason = m.status, m.end
}

// directions are the words for who called whom.
var directions = map[string]call.Direction{
	"inbound":  call.Inbound,
	"incoming": call.Inbound,
	"outbound": call.Outbound,
	"outgoing": call.Outbound,
}

// direction reads who called whom, and with it which of the two numbers is the customer's.
func (o *object) direction(name string, c *call.Call) {
	c.Direction = call.DirectionUnknown
	text := o.text(name)
	if text == "" {
		return
	}
	d, ok := directions[text]
	if !ok {
		o.notes.add(o.at(name), text)
		return
	}
	c.Direction = d
	if d == call.Inbound {
		c.CustomerNumber = c.FromNumber
	} else {
		c.CustomerNumber = c.ToNumber
	}
}

// components are the words for what a price pays for.
var components = map[string]call.Component{
	"llm":       call.LLM,
	"tts":       call.TTS,
	"stt":       call.STT,
	"asr":       call.STT,
	"telephony": call.Telephony,
	"voip":      call.Telephony,
	"phone":     call.Telephony,
	"platform":  call.Platform,
	"millis":    call.Platform,
}

// component reads what a price pays for. An unknown word is other, and drift.
func (o *object) component(name string) call.Component {
	text := o.text(name)
	if c, ok := components[text]; ok {
		return c
	}
	o.notes.add(o.at(name), text)
	return call.Other
}

// roles are the words for who speaks.
var roles = map[string]call.Role{
	"agent":     call.RoleAgent,
	"assistant": call.RoleAgent,
	"bot":       call.RoleAgent,
	"user":      call.RoleCustomer,
	"customer":  call.RoleCustomer,
	"caller":    call.RoleCustomer,
	"human":     call.RoleCustomer,
	"system":    call.RoleSystem,
	"tool":      call.RoleTool,
	"function":  call.RoleTool,
}

// role reads who speaks. An unknown word leaves the role empty, and is drift.
func (o *object) role(name string) call.Role {
	text := o.text(name)
	r, ok := roles[text]
	if !ok {
		o.notes.add(o.at(name), text)
	}
	return r
}
