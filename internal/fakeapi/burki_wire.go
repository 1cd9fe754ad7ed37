package fakeapi

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// burkiCall is Burki's CallResponse. FlowName and GraphName are the two names of one field: only one is ever written.
type burkiCall struct {
	ID                  int64           `json:"id"`
	CallSID             string          `json:"call_sid"`
	AssistantID         int64           `json:"assistant_id"`
	AssistantName       string          `json:"assistant_name"`
	FlowName            json.RawMessage `json:"flow_name,omitempty"`
	GraphName           json.RawMessage `json:"assistant_graph_name,omitempty"`
	ToPhoneNumber       string          `json:"to_phone_number"`
	CustomerPhoneNumber string          `json:"customer_phone_number"`
	Status              string          `json:"status"`
	Duration            *int64          `json:"duration"`
	StartedAt           string          `json:"started_at"`
	EndedAt             *string         `json:"ended_at"`
	CallMeta            map[string]any  `json:"call_meta"`
	TotalCost           *nanos          `json:"total_cost"`
	LLMCost             *nanos          `json:"llm_cost"`
	TTSCost             *nanos          `json:"tts_cost"`
	STTCost             *nanos          `json:"stt_cost"`
	TelephonyCost       *nanos          `json:"telephony_cost"`
	CostCurrency        *string         `json:"cost_currency"`
}

type burkiTranscript struct {
	ID            int64          `json:"id"`
	CallID        int64          `json:"call_id"`
	Content       string         `json:"content"`
	IsFinal       bool           `json:"is_final"`
	Speaker       string         `json:"speaker"`
	SegmentStart  seconds        `json:"segment_start"`
	SegmentEnd    seconds        `json:"segment_end"`
	Confidence    nanos          `json:"confidence"`
	STTTimestamps map[string]any `json:"stt_timestamps"`
	CreatedAt     string         `json:"created_at"`
}

type burkiRecording struct {
	ID              int64   `json:"id"`
	CallID          int64   `json:"call_id"`
	RecordingSID    string  `json:"recording_sid"`
	FilePath        string  `json:"file_path"`
	RecordingURL    string  `json:"recording_url"`
	Duration        seconds `json:"duration"`
	Format          string  `json:"format"`
	RecordingType   string  `json:"recording_type"`
	RecordingSource string  `json:"recording_source"`
	Status          string  `json:"status"`
	CreatedAt       string  `json:"created_at"`
}

// The first id, so that ids have the size that an account of some age has.
const burkiFirstID, burkiFirstAssistant = 100_001, 120

func (v burki) id(n int) string { return strconv.Itoa(burkiFirstID + n) }

func (v burki) number(id string) int {
	n, err := strconv.Atoi(id)
	if err != nil {
		return -1
	}
	return n - burkiFirstID
}

func (v burki) outcomes() []outcome {
	return []outcome{
		{"completed", talked, 760}, {"voicemail", machine, 60}, {"no_answer", missed, 70}, {"no-answer", missed, 30},
		{"busy", refused, 30}, {"canceled", refused, 15}, {"failed", refused, 35},
	}
}

func (v burki) ringing(c call) []string {
	if c.inbound {
		return []string{"initiated", "ringing"}
	}
	return []string{"queued", "initiated", "ringing"}
}

// talking has both of the words that were seen; most servers say the documented one.
func (v burki) talking(c call) string {
	if c.silent {
		return "in-progress"
	}
	return "ongoing"
}

func (v burki) traits(c call, now int64) traits {
	return traits{
		agentID: strconv.Itoa(burkiFirstAssistant + c.agent), agentName: agents[c.agent].name, status: v.s.status(c, now),
		sid: carrierSID(v.s.opts.Seed, "CA", c.n), customer: c.other, seconds: int64(c.duration() / time.Second), ended: c.ended(now),
	}
}

func (v burki) list(c call, now int64) []byte {
	a := agents[c.agent]
	b := burkiCall{
		ID: int64(burkiFirstID + c.n), CallSID: carrierSID(v.s.opts.Seed, "CA", c.n),
		AssistantID: int64(burkiFirstAssistant + c.agent), AssistantName: a.name, ToPhoneNumber: c.line, CustomerPhoneNumber: c.other,
		Status: v.s.status(c, now), StartedAt: isoTime(c.start, v.s.opts.Legacy), CallMeta: v.meta(c),
	}
	flow := json.RawMessage("null")
	if a.flow != "" {
		flow = appendJSON(nil, a.flow)
	}
	if v.s.opts.Legacy {
		b.GraphName = flow
	} else {
		b.FlowName = flow
	}
	if c.ended(now) {
		length, ended := int64(c.duration()/time.Second), isoTime(c.end(), v.s.opts.Legacy)
		b.Duration, b.EndedAt = &length, &ended
	}
	if v.priced(c, now) {
		u := v.s.knownUsage(c)
		llm, tts, stt, telephony := u.llm(), u.tts(), u.stt(), u.telephony()+c.surcharge
		total, currency := llm+tts+stt+telephony, "USD"
		b.TotalCost, b.LLMCost, b.TTSCost, b.STTCost, b.TelephonyCost, b.CostCurrency = &total, &llm, &tts, &stt, &telephony, &currency
	}
	return appendJSON(make([]byte, 0, 768), b)
}

// priced says whether the costs are known: they come a little after the end, and never for an assistant whose cost tracking is off.
func (v burki) priced(c call, now int64) bool { return c.settled(now) && !agents[c.agent].unpriced }

func (v burki) meta(c call) map[string]any {
	h := mix(v.s.opts.Seed ^ 0x6d657461 ^ mix(uint64(c.n)))
	if h%3 == 0 {
		return nil
	}
	return map[string]any{"campaign": [...]string{"spring", "autumn", "winback"}[h>>8%3], "customer_ref": fmt.Sprintf("C-%05d", h>>16%100_000)}
}

func (v burki) record(c call, now int64) Record {
	r := Record{At: time.Unix(0, c.start), List: string(v.list(c, now)), Transcripts: "[]", Recordings: "[]"}
	if c.ended(now) && c.answered() {
		r.Transcripts = toJSON(v.transcripts(c))
	}
	if c.settled(now) && c.answered() {
		r.Recordings = toJSON(v.recordings(c))
	}
	if v.priced(c, now) {
		r.Costs = toJSON(v.costs(c))
	}
	return r
}

// transcripts are the segments of a call as recognised, each of the customer's first in an interim form.
func (v burki) transcripts(c call) []burkiTranscript {
	out := []burkiTranscript{}
	for i, t := range v.s.script(c).turns {
		if t.text == "" || t.by == byTool {
			continue
		}
		b := burkiTranscript{
			ID: int64(burkiFirstID+c.n)*200 + int64(2*i), CallID: int64(burkiFirstID + c.n), Content: t.text, IsFinal: true, Speaker: "assistant",
			SegmentStart: seconds(t.at), SegmentEnd: seconds(t.at + t.length), Confidence: 1_000_000_000,
			CreatedAt: isoTime(c.start+int64(t.at+t.length), v.s.opts.Legacy),
		}
		if t.by == byCaller {
			b.Speaker, b.Confidence = "user", nanos(870_000_000+int64(mix(uint64(b.ID))%120)*1_000_000)
			first := b
			first.ID--
			first.IsFinal, first.Content = false, t.text[:len(t.text)/2]
			for len(first.Content) > 0 && t.text[len(first.Content)]&0xc0 == 0x80 { // not within a rune
				first.Content = first.Content[:len(first.Content)-1]
			}
			out = append(out, first)
		}
		out = append(out, b)
	}
	return out
}

func (v burki) recordings(c call) []burkiRecording {
	sid := carrierSID(v.s.opts.Seed^1, "RE", c.n)
	return []burkiRecording{{
		ID: int64(burkiFirstID + c.n), CallID: int64(burkiFirstID + c.n), RecordingSID: sid, FilePath: "recordings/" + sid + ".wav",
		RecordingURL: "https://recordings.burki.example/" + sid + ".wav", Duration: seconds(c.length - c.ring), Format: "wav",
		RecordingType: "full", RecordingSource: "twilio", Status: "completed", CreatedAt: isoTime(c.end(), v.s.opts.Legacy),
	}}
}

// read finds what the filters and the order need in a hand-made call. What cannot be read is not there.
func (v burki) read(list []byte) handmade {
	var f struct {
		ID, Status          any
		AssistantID         any `json:"assistant_id"`
		AssistantName       any `json:"assistant_name"`
		CallSID             any `json:"call_sid"`
		CustomerPhoneNumber any `json:"customer_phone_number"`
		Duration            any
		StartedAt           any `json:"started_at"`
	}
	readFields(list, &f)
	h := handmade{id: textOf(f.ID)}
	if at, ok := parseISO(textOf(f.StartedAt)); ok {
		h.at, h.dated = at.UnixNano(), true
	}
	length, known := parseSeconds(textOf(f.Duration))
	h.traits = traits{
		agentID: textOf(f.AssistantID), agentName: textOf(f.AssistantName), status: textOf(f.Status), sid: textOf(f.CallSID),
		customer: textOf(f.CustomerPhoneNumber), seconds: length / 1e9, ended: known,
	}
	return h
}
