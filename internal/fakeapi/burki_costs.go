package fakeapi

// burkiReceipt is Burki's DetailedCostResponse.
type burkiReceipt struct {
	Summary burkiCostSummary `json:"call_summary"`
	Entries []burkiCostEntry `json:"detailed_entries"`
}

type burkiCostSummary struct {
	CallID          int64   `json:"call_id"`
	CallSID         string  `json:"call_sid"`
	TotalCost       nanos   `json:"total_cost"`
	LLMCost         nanos   `json:"llm_cost"`
	TTSCost         nanos   `json:"tts_cost"`
	STTCost         nanos   `json:"stt_cost"`
	TelephonyCost   nanos   `json:"telephony_cost"`
	Currency        string  `json:"currency"`
	DurationMinutes seconds `json:"duration_minutes"`
	StartedAt       string  `json:"started_at"`
	EndedAt         string  `json:"ended_at"`
}

type burkiCostEntry struct {
	ID          int64          `json:"id"`
	ServiceType string         `json:"service_type"`
	Provider    string         `json:"provider"`
	Model       *string        `json:"model"`
	UsageType   string         `json:"usage_type"`
	UsageAmount seconds        `json:"usage_amount"`
	UnitCost    nanos          `json:"unit_cost"`
	TotalCost   nanos          `json:"total_cost"`
	Timestamp   string         `json:"timestamp"`
	Metadata    map[string]any `json:"metadata"`
}

// costs is the itemised receipt of a call. Its entries add up to the costs that the list tells.
func (v burki) costs(c call) burkiReceipt {
	u := v.s.knownUsage(c)
	known, telephony := isoTime(c.settledAt, v.s.opts.Legacy), u.telephony()+c.surcharge
	out := burkiReceipt{Summary: burkiCostSummary{
		CallID: int64(burkiFirstID + c.n), CallSID: carrierSID(v.s.opts.Seed, "CA", c.n),
		TotalCost: u.llm() + u.tts() + u.stt() + telephony, LLMCost: u.llm(), TTSCost: u.tts(), STTCost: u.stt(), TelephonyCost: telephony,
		Currency: "USD", DurationMinutes: seconds(c.duration() / 60),
		StartedAt: isoTime(c.start, v.s.opts.Legacy), EndedAt: isoTime(c.end(), v.s.opts.Legacy),
	}}
	entry := func(service, provider, model, usage string, amount, unit int64, total nanos) {
		e := burkiCostEntry{
			ID: int64(burkiFirstID+c.n)*10 + int64(len(out.Entries)), ServiceType: service, Provider: provider, UsageType: usage,
			UsageAmount: seconds(amount), UnitCost: nanos(unit), TotalCost: total, Timestamp: known,
		}
		if model != "" {
			e.Model = &model
		}
		out.Entries = append(out.Entries, e)
	}
	const one = 1_000_000_000
	p := u.prices
	entry("llm", "openai", "gpt-4o-mini", "input_tokens", u.promptTokens*one, p.promptToken, nanos(u.promptTokens*p.promptToken))
	entry("llm", "openai", "gpt-4o-mini", "output_tokens", u.completionTokens*one, p.completionToken, nanos(u.completionTokens*p.completionToken))
	entry("tts", "elevenlabs", "eleven_turbo_v2_5", "characters", u.characters*one, p.character, u.tts())
	entry("stt", "deepgram", "nova-2", "seconds", int64(u.talk), p.second, u.stt())
	entry("telephony", "twilio", "", "minutes", u.minutes*one, p.minute, u.telephony())
	if c.surcharge != 0 {
		entry("telephony", "twilio", "", "adjustments", one, int64(c.surcharge), c.surcharge)
	}
	return out
}
