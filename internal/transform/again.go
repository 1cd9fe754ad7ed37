package transform

import (
	"bytes"
	"slices"
	"strings"

	"syncd/internal/call"
	"syncd/internal/extract"
)

// Again is a call as the payloads that are stored of it tell it now, by the meaning and the privacy of today.
type Again struct {
	Call  call.Call
	Alias string // as in an observation
	Drift []call.Drift
	Parts map[call.Part]Payload
}

// Payload is a stored payload after the privacy of today.
type Payload struct {
	Text        string
	ContentHash int64
	Changed     bool // privacy takes out more than it did when the payload was stored
	Unreadable  bool // it tells nothing, and its hash says no more than its bytes
}

// Again reads a call anew from its stored payloads, as the last of them to come was read when it came: from all of them. order names them, the
// newest reading first. Where they do not fit together, the newest that can stand by itself does.
//
// Privacy sees all of them at once, so that what it takes out of one is found in the others. It changes no payload that it has been through
// before, and brings nothing back: what was masked, hashed or dropped when it was stored stays so.
func (t *Transformer) Again(order []call.Part, stored map[call.Part]extract.Record) (Again, *call.Reject) {
	whole := inOrder(stored)
	result := t.derive(whole, indexOfPart(whole, order[0]), true)
	again := Again{Parts: make(map[call.Part]Payload, len(whole))}
	for i := range whole {
		p := &whole[i]
		again.Parts[p.name] = Payload{Text: string(p.payload), ContentHash: contentHash(p, t.provider.volatile),
			Changed: !bytes.Equal(p.payload, p.record.Payload), Unreadable: p.fault != nil}
	}
	rejected := result.Reject
	for _, name := range order[1:] {
		if result.Reject == nil {
			break
		}
		others := inOrder(stored)
		result = t.derive(others, indexOfPart(others, name), true)
	}
	for _, name := range order {
		if result.Reject == nil {
			break
		}
		result = t.derive([]part{{name: name, record: stored[name]}}, 0, true)
	}
	if result.Reject != nil {
		return again, rejected
	}
	o := result.Observation
	again.Call, again.Alias, again.Drift = o.Call, o.Alias, o.Drift
	return again, nil
}

// IsRecord reports whether what was rejected for a reason may be a list element, which tells a call by itself once it can be read. An answer about a
// single call does not: nothing says which call it was about, and it is asked for again.
func IsRecord(reason string) bool { return reason != reasonOtherCall && reason != reasonNoPart }

// inOrder sorts payloads oldest first, so that later ones overlay earlier ones; a detail tells more than a list fetched at the same instant.
func inOrder(parts map[call.Part]extract.Record) []part {
	all := make([]part, 0, len(parts))
	for name, r := range parts {
		all = append(all, part{name: name, record: r})
	}
	slices.SortFunc(all, func(a, b part) int {
		if c := a.record.FetchedAt.Compare(b.record.FetchedAt); c != 0 {
			return c
		}
		return partOrder(a.name) - partOrder(b.name)
	})
	return all
}

func indexOfPart(all []part, name call.Part) int {
	return slices.IndexFunc(all, func(p part) bool { return p.name == name })
}

// Scrub takes out of what is stored of one call beside its payloads what privacy takes out now: of its row, of its turns, and of the values in
// its history. What privacy has been through before it changes no further.
type Scrub struct{ walker }

// Scrub makes the scrub of a stored call, whose own numbers and turns are found wherever else they are written. It is nil where privacy
// keeps everything.
func (t *Transformer) Scrub(c call.Call) *Scrub {
	p := t.opts.Privacy
	if p.keepsNumbers() && !p.dropsTranscripts() {
		return nil
	}
	s := &Scrub{walker{scrubber: &scrubber{policy: p, shape: t.provider.shape}}}
	if !p.keepsNumbers() {
		for _, number := range []string{c.FromNumber, c.ToNumber, c.CustomerNumber} {
			if number = strings.TrimSpace(number); number != "" && !isToken(number) {
				s.known.add(canonicalPhone(number))
			}
		}
	}
	if p.dropsTranscripts() {
		for _, m := range c.Messages {
			s.turns.add(m.Content)
			s.turns.addValue(m.Content)
		}
	}
	return s
}

// Value is what privacy leaves of a value that a call had in a field, named as its column is. Times, amounts and words are never touched.
func (s *Scrub) Value(field, value string) string {
	if value == "" {
		return ""
	}
	switch field {
	case "from_number", "to_number", "customer_number":
		return s.phoneValue(value)
	case "agent_id", "telephony_sid":
		return s.idValue(value)
	case "call_id":
		if s.policy.Numbers != NumbersHash {
			return value // what is masked or dropped could be two calls
		}
		return s.idValue(value)
	case "status_raw":
		if isWord(value) {
			return value
		}
	case "agent_name", "agent_version", "flow_name", "summary", "recording_url", "metadata":
	default:
		return value
	}
	return s.Text(value)
}

// Text is what privacy leaves of a text that stands anywhere.
func (s *Scrub) Text(text string) string {
	clean, _ := s.text(text, hint{})
	return clean
}

func (s *Scrub) phoneValue(value string) string {
	text := strings.TrimSpace(value)
	switch {
	case s.policy.keepsNumbers(), text == "", isToken(text):
		return value
	case s.policy.Numbers == NumbersDrop:
		return ""
	}
	return s.token(canonicalPhone(text))
}

func (s *Scrub) idValue(value string) string {
	id := strings.TrimSpace(value)
	switch {
	case s.policy.keepsNumbers(), !dials(id):
		return value
	case s.policy.Numbers == NumbersHash:
		return s.policy.idToken(id)
	}
	return s.token(canonicalPhone(id))
}

// Fields goes through the fields of a call.
func (s *Scrub) Fields(c *call.Call) {
	for name, value := range map[string]*string{
		"call_id": &c.ID, "agent_id": &c.AgentID, "agent_name": &c.AgentName, "agent_version": &c.AgentVersion, "flow_name": &c.FlowName,
		"from_number": &c.FromNumber, "to_number": &c.ToNumber, "customer_number": &c.CustomerNumber, "telephony_sid": &c.TelephonySID,
		"status_raw": &c.StatusRaw, "summary": &c.Summary, "recording_url": &c.RecordingURL, "metadata": &c.Metadata,
	} {
		*value = s.Value(name, *value)
	}
}

// Spoken goes through the turns and the tool calls of a call, which a dropped transcript takes with it.
func (s *Scrub) Spoken(c *call.Call) {
	if s.policy.dropsTranscripts() {
		c.Messages, c.Functions = nil, nil
		return
	}
	c.Messages, c.Functions = slices.Clone(c.Messages), slices.Clone(c.Functions)
	for i := range c.Messages {
		c.Messages[i].Content = s.Text(c.Messages[i].Content)
	}
	for i := range c.Functions {
		f := &c.Functions[i]
		f.Name, f.Params, f.Result = s.Text(f.Name), s.Text(f.Params), s.Text(f.Result)
	}
}
