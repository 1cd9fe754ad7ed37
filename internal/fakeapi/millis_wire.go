package fakeapi

import "fmt"

// millisCall is Millis' CallHistory, in the order of its schema. Every property may be null.
type millisCall struct {
	AgentID       string           `json:"agent_id"`
	AgentConfig   *millisConfig    `json:"agent_config"`
	Duration      *seconds         `json:"duration"`
	TS            seconds          `json:"ts"`
	Chat          *string          `json:"chat"` // JSON in a string
	CharsUsed     *int64           `json:"chars_used"`
	SessionID     string           `json:"session_id"`
	CallID        *string          `json:"call_id"`
	CostBreakdown []millisCost     `json:"cost_breakdown"`
	Voip          *millisVoip      `json:"voip"`
	Recording     *millisRecording `json:"recording"`
	Metadata      map[string]any   `json:"metadata"`
	FunctionCalls []millisFunction `json:"function_calls"`
	CallStatus    string           `json:"call_status"`
}

type millisConfig struct {
	Prompt string            `json:"prompt"`
	Voice  map[string]string `json:"voice"`
	LLM    string            `json:"llm"`
	Flow   map[string]any    `json:"flow"`
}

type millisTurn struct {
	Role       string       `json:"role"`
	Content    *string      `json:"content"`
	ToolCalls  []millisTool `json:"tool_calls"`
	ToolCallID *string      `json:"tool_call_id"`
	Name       *string      `json:"name"`
}

type millisTool struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

type millisCost struct {
	Type             string `json:"type"`
	Provider         string `json:"provider"`
	Credit           nanos  `json:"credit"`
	PromptTokens     *int64 `json:"prompt_tokens"`
	CompletionTokens *int64 `json:"completion_tokens"`
}

type millisVoip struct {
	From      string `json:"from"`
	To        string `json:"to"`
	Direction string `json:"direction,omitempty"`
	Provider  string `json:"provider"`
	CallSID   string `json:"call_sid"`
}

type millisRecording struct {
	URL      string  `json:"recording_url"`
	Duration seconds `json:"duration"`
}

type millisFunction struct {
	Name   string         `json:"name"`
	Params map[string]any `json:"params"`
	Result map[string]any `json:"result"`
}

// list writes a call. The detail is the same object.
func (v millis) list(c call, now int64) []byte {
	a := agents[c.agent]
	m := millisCall{
		AgentID: v.agentID(c.agent), AgentConfig: millisAgentConfig(a), TS: seconds(c.start), SessionID: v.id(c.n),
		Metadata: v.metadata(c), CallStatus: v.s.status(c, now),
	}
	if !c.web {
		m.Voip = v.voip(c)
		callID := "call_" + uuid(v.s.opts.Seed^millisCalls, c.n)[:18]
		m.CallID = &callID
	}
	if !c.ended(now) {
		return appendJSON(nil, m)
	}
	length := seconds(c.duration())
	m.Duration = &length
	sc := v.s.script(c)
	u := v.s.usage(c, sc)
	if c.answered() {
		chat := toJSON(millisChat(a, sc))
		m.Chat, m.CharsUsed = &chat, &u.characters
	}
	m.FunctionCalls = []millisFunction{}
	if sc.tool != nil {
		m.FunctionCalls = append(m.FunctionCalls, millisFunction{Name: sc.tool.name, Params: sc.tool.params, Result: sc.tool.result})
	}
	if c.settled(now) {
		m.CostBreakdown = millisCosts(c, u)
		if c.answered() && c.outcome.kind != typed {
			m.Recording = &millisRecording{URL: fmt.Sprintf("https://recordings.millis.example/%s.mp3", m.SessionID), Duration: seconds(c.length - c.ring)}
		}
	}
	return appendJSON(nil, m)
}

func millisAgentConfig(a agent) *millisConfig {
	return &millisConfig{
		Prompt: fmt.Sprintf("You are %s, a friendly voice agent. Keep your answers short, ask one question at a time, and confirm names, dates "+
			"and numbers by repeating them. Never promise what the tools have not confirmed. If the caller is upset, apologise once and "+
			"offer a call back by a colleague. Topic: %s.", a.name, scenes[a.scene].topic),
		Voice: map[string]string{"provider": "elevenlabs", "voice_id": "EXAVITQu4vr4xnSDxMaL", "model": "eleven_turbo_v2_5"},
		LLM:   "gpt-4o",
		Flow:  map[string]any{"user_start_first": false, "interruption": map[string]any{"allowed": true, "keep_interruption_message": true}, "response_delay": 0},
	}
}

func (v millis) voip(c call) *millisVoip {
	from, to := c.fromTo()
	direction := "outbound"
	if c.inbound {
		direction = "inbound"
	}
	if c.silent {
		direction = ""
	}
	return &millisVoip{From: from, To: to, Direction: direction, Provider: "twilio", CallSID: carrierSID(v.s.opts.Seed, "CA", c.n)}
}

// metadata is what the account's own software attached: some of it nested, some of it a number beyond what a float can hold.
func (v millis) metadata(c call) map[string]any {
	h := mix(v.s.opts.Seed ^ 0x6d657461 ^ mix(uint64(c.n)))
	switch h % 4 {
	case 0:
		return nil
	case 1:
		return map[string]any{"crm_id": 9_007_199_254_740_993 + h>>16%1_000_000, "priority": h>>8%3 + 1}
	default:
		return map[string]any{
			"campaign": [...]string{"spring", "autumn", "winback", "none"}[h>>8%4], "customer_ref": fmt.Sprintf("C-%05d", h>>16%100_000),
			"tags": []string{"vip", "new", "returning"}[:h>>32%3], "source": map[string]any{"page": "/contact", "ab_test": h>>40%2 == 0},
		}
	}
}

// millisChat writes a conversation as OpenAI's message list, which Millis keeps as it was sent to the model.
func millisChat(a agent, sc script) []millisTurn {
	system := "You are " + a.name + ". The customer's local time is " + sc.slots["time"] + "."
	turns := []millisTurn{{Role: "system", Content: &system}}
	for i := range sc.turns {
		t := &sc.turns[i]
		m := millisTurn{Role: [...]string{byAgent: "assistant", byCaller: "user", bySystem: "system", byTool: "tool"}[t.by], Content: &t.text}
		switch {
		case t.by == byTool:
			m.ToolCallID, m.Name = &t.tool.id, &t.tool.name
		case t.tool != nil:
			use := millisTool{ID: t.tool.id, Type: "function"}
			use.Function.Name, use.Function.Arguments = t.tool.name, toJSON(t.tool.params)
			m.Content, m.ToolCalls = nil, []millisTool{use}
		}
		turns = append(turns, m)
	}
	return turns
}

func millisCosts(c call, u usage) []millisCost {
	platform := millisCost{Type: "platform", Provider: "millis", Credit: u.platform() + c.surcharge}
	switch {
	case !c.answered() && c.surcharge == 0:
		return []millisCost{}
	case !c.answered():
		return []millisCost{platform}
	}
	costs := []millisCost{{Type: "llm", Provider: "openai", Credit: u.llm(), PromptTokens: &u.promptTokens, CompletionTokens: &u.completionTokens}}
	if c.outcome.kind != typed {
		costs = append(costs, millisCost{Type: "tts", Provider: "elevenlabs", Credit: u.tts()}, millisCost{Type: "stt", Provider: "deepgram", Credit: u.stt()})
	}
	if !c.web {
		costs = append(costs, millisCost{Type: "telephony", Provider: "twilio", Credit: u.telephony()})
	}
	return append(costs, platform)
}

// carrierSID is a telephony carrier's id for call n: two letters and 32 hexadecimal digits.
func carrierSID(seed uint64, prefix string, n int) string {
	h := mix(seed ^ 0x736964 ^ mix(uint64(n)))
	return fmt.Sprintf("%s%016x%016x", prefix, h, mix(h))
}
