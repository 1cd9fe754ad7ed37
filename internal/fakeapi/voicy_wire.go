package fakeapi

import (
	"fmt"
	"slices"
	"time"
)

// voicyCall is a call as Voicy's list has it.
type voicyCall struct {
	CallID         string      `json:"call_id"`
	CallType       string      `json:"call_type"`
	CallStatus     string      `json:"call_status"`
	Agent          *voicyAgent `json:"agent"`
	FromNumber     *string     `json:"from_number"`
	ToNumber       *string     `json:"to_number"`
	Direction      string      `json:"direction"`
	StartTimestamp int64       `json:"start_timestamp"`
	DurationMS     *int64      `json:"duration_ms"`
	IsTestCall     bool        `json:"is_test_call"`
}

type voicyAgent struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
}

// voicyDetail is a call as Get Call has it.
type voicyDetail struct {
	voicyCall
	Transcript     []voicyTurn    `json:"transcript"`
	Summary        *string        `json:"summary"`
	RecordingURL   *string        `json:"recording_url"`
	DetectedGender *string        `json:"detected_gender"`
	VarsProvided   map[string]any `json:"vars_provided"`
	VarsExtracted  map[string]any `json:"vars_extracted"`
	VarsCollected  map[string]any `json:"vars_collected"`
}

type voicyTurn struct {
	Role        string `json:"role"`
	Content     string `json:"content"`
	TimestampMS int64  `json:"timestamp_ms"` // from the call's start
}

const voicyCalls, voicyAgents = 0x766f696379, 0x766167656e74

func (v voicy) id(n int) string      { return uuid(v.s.opts.Seed^voicyCalls, n) }
func (v voicy) number(id string) int { return uuidNumber(id) }
func (v voicy) agentID(i int) string { return uuid(v.s.opts.Seed^voicyAgents, i) }
func (v voicy) direction(c call) string {
	if c.inbound {
		return "incoming"
	}
	return "outgoing"
}

func (v voicy) outcomes() []outcome {
	return []outcome{
		{"user_hangup", talked, 430}, {"agent_hangup", talked, 270}, {"inactivity", talked, 40}, {"error_inactivity", talked, 10}, {"ended", talked, 50},
		{"no_answer", missed, 110}, {"busy", refused, 40}, {"canceled", refused, 25}, {"error", refused, 25},
	}
}

func (v voicy) ringing(call) []string { return []string{"initiated", "ringing"} }

// talking has both of the words that the vendor lists.
func (v voicy) talking(c call) string {
	if c.n%2 == 0 {
		return "ongoing"
	}
	return "in_progress"
}

func (v voicy) traits(c call, now int64) traits {
	t := traits{status: v.s.status(c, now), direction: v.direction(c)}
	if v.namesAgent(c, now) {
		t.agentID = v.agentID(c.agent)
	}
	return t
}

func (v voicy) brief(c call, now int64) voicyCall {
	b := voicyCall{
		CallID: v.id(c.n), CallType: "phone_call", CallStatus: v.s.status(c, now), Direction: v.direction(c),
		StartTimestamp: c.start / int64(time.Millisecond), IsTestCall: c.test,
	}
	if c.web {
		b.CallType = "web_call"
	} else {
		from, to := c.fromTo()
		b.FromNumber, b.ToNumber = &from, &to
	}
	if v.namesAgent(c, now) {
		b.Agent = &voicyAgent{Name: agents[c.agent].name, Version: c.version}
	}
	if c.ended(now) {
		length := c.duration().Milliseconds()
		b.DurationMS = &length
	}
	return b
}

// namesAgent says whether the agent is told: not where it was deleted since, and where a cost would settle late, not until then.
func (v voicy) namesAgent(c call, now int64) bool {
	return !c.silent && (v.s.opts.Settling.CostAt == 0 || c.settled(now))
}

func (v voicy) list(c call, now int64) []byte { return appendJSON(nil, v.brief(c, now)) }

func (v voicy) record(c call, now int64) Record {
	brief := v.brief(c, now)
	d := voicyDetail{voicyCall: brief, Transcript: []voicyTurn{}, VarsProvided: map[string]any{}, VarsExtracted: map[string]any{}, VarsCollected: map[string]any{}}
	if c.ended(now) && c.answered() {
		v.complete(&d, c, now)
	}
	return Record{At: time.Unix(0, c.start), List: toJSON(brief), Detail: toJSON(d)}
}

// complete adds what a conversation leaves behind: the transcript at once, what is worked out from it a little later.
func (v voicy) complete(d *voicyDetail, c call, now int64) {
	sc := v.s.script(c)
	for _, t := range sc.turns {
		if t.by == byTool || t.text == "" {
			continue
		}
		role := [...]string{byAgent: "agent", byCaller: "caller", bySystem: "system"}[t.by]
		d.Transcript = append(d.Transcript, voicyTurn{Role: role, Content: t.text, TimestampMS: t.at.Milliseconds()})
	}
	d.VarsProvided = map[string]any{"customer_name": sc.name, "campaign": map[string]any{"id": mix(uint64(c.n)) % 1000, "tags": []string{"web", "q3"}}}
	if !c.settled(now) {
		return
	}
	gender := [...]string{"female", "male", "unknown"}[mix(uint64(c.n)^v.s.opts.Seed)%3]
	url := v.signedURL(d.CallID, now)
	d.Summary, d.DetectedGender, d.RecordingURL = &sc.summary, &gender, &url
	d.VarsExtracted = map[string]any{"sentiment": [...]string{"positive", "neutral", "negative"}[mix(uint64(c.n)+1)%3], "callback_wanted": c.n%3 == 0}
	d.VarsCollected = map[string]any{
		"reference": sc.slots["order"],
		"contact":   map[string]any{"name": sc.name, "city": sc.slots["city"], "number": d.customer()},
		"visits":    []any{map[string]any{"date": sc.slots["date"], "time": sc.slots["time"], "options": []int{15, 30, 45}}, []string{"ground floor", "no stairs"}},
	}
}

// customer is the other party's number; nil over the web.
func (d *voicyDetail) customer() *string {
	if d.Direction == "incoming" {
		return d.FromNumber
	}
	return d.ToNumber
}

// signedURL is where a recording can be fetched for an hour. Its signature is never the same twice.
func (v voicy) signedURL(id string, now int64) string {
	return fmt.Sprintf("https://recordings.voicy.example/%s.mp3?expires=%d&signature=%016x", id, now/1e9+3600, mix(v.s.signed.Add(1)))
}

// read finds what the filters and the order need in a hand-made call. What cannot be read is not there.
func (v voicy) read(list []byte) handmade {
	var f struct {
		CallID         any            `json:"call_id"`
		CallStatus     any            `json:"call_status"`
		Agent          map[string]any `json:"agent"`
		Direction      any            `json:"direction"`
		StartTimestamp any            `json:"start_timestamp"`
		IsTestCall     any            `json:"is_test_call"`
	}
	readFields(list, &f)
	h := handmade{id: textOf(f.CallID), test: f.IsTestCall == true}
	h.at, h.dated = parseTime(textOf(f.StartTimestamp), time.Millisecond)
	h.traits = traits{status: textOf(f.CallStatus), direction: textOf(f.Direction)}
	// The list names agents without their ids; the filter takes ids.
	named := func(a agent) bool { return a.name == textOf(f.Agent["name"]) }
	if i := slices.IndexFunc(agents, named); i >= 0 {
		h.traits.agentID = v.agentID(i)
	}
	return h
}
