package transform_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/transform"
)

var fetched = time.Date(2024, 1, 20, 12, 0, 0, 0, time.UTC)

// open makes a transformer; change may set more options.
func open(t testing.TB, provider string, change ...func(*transform.Options)) *transform.Transformer {
	t.Helper()
	o := transform.Options{Source: "acme", Provider: provider}
	for _, f := range change {
		f(&o)
	}
	tr, err := transform.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func record(payload string) extract.Record {
	return extract.Record{Payload: []byte(payload), FetchedAt: fetched}
}

// observe reads a record that must become a call.
func observe(t testing.TB, tr *transform.Transformer, payload string) call.Observation {
	t.Helper()
	return accepted(t, tr.Record(record(payload)))
}

func accepted(t testing.TB, r transform.Result) call.Observation {
	t.Helper()
	if r.Reject != nil {
		t.Fatalf("rejected: %s: %s", r.Reject.Reason, r.Reject.Detail)
	}
	return r.Observation
}

// fixture reads a file of the providers' answers.
func fixture(t testing.TB, provider, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", provider, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// rows are the elements of a fixture's list, byte for byte.
func rows(t testing.TB, provider, name, key string) []string {
	t.Helper()
	var envelope map[string]json.RawMessage
	if err := json.Unmarshal([]byte(fixture(t, provider, name)), &envelope); err != nil {
		t.Fatal(err)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(envelope[key], &list); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range list {
		out = append(out, string(r))
	}
	return out
}

func at(s string) *time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return &t
}

func amount(s string) *call.Amount {
	a, _, err := call.ParseAmount(s)
	if err != nil {
		panic(err)
	}
	return &a
}

func ptr[T any](v T) *T { return &v }

func same(t testing.TB, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("got differs from want (-want +got):\n%s", diff)
	}
}

func TestVoicyListSample(t *testing.T) {
	list := rows(t, "voicy", "list_sample.json", "calls")
	tr := open(t, "voicy")
	o := observe(t, tr, list[0])
	first := call.Call{
		Key:      call.Key{Source: "acme", ID: "550e8400-e29b-41d4-a716-446655440000"},
		Provider: "voicy", AgentName: "Customer Support Agent", AgentVersion: "2",
		Channel: call.ChannelPhone, Direction: call.Outbound,
		FromNumber: "+15551234567", ToNumber: "+15559876543", CustomerNumber: "+15559876543",
		Status: call.Completed, StatusRaw: "user_hangup", EndReason: call.EndedByUser,
		StartedAt: at("2024-01-01T00:00:00Z"), EndedAt: at("2024-01-01T00:02:00Z"), DurationMS: ptr(int64(120000)),
	}
	same(t, o.Call, first)
	same(t, o.Drift, []call.Drift{})
	if o.Part != call.PartList || o.Payload != list[0] || o.ContentHash == 0 || !o.FetchedAt.Equal(fetched) || o.Alias != "" {
		t.Errorf("the observation does not describe the list record: %+v", o)
	}
	second := first
	second.ID, second.AgentVersion = "550e8400-e29b-41d4-a716-446655440002", "1"
	second.Direction, second.StatusRaw, second.EndReason = call.Inbound, "agent_hangup", call.EndedByAgent
	second.FromNumber, second.ToNumber, second.CustomerNumber = "+15559876543", "+15551234567", "+15559876543"
	second.StartedAt, second.EndedAt, second.DurationMS = at("2023-12-31T23:00:00Z"), at("2023-12-31T23:03:00Z"), ptr(int64(180000))
	same(t, observe(t, tr, list[1]).Call, second)
}

func TestVoicyDetail(t *testing.T) {
	list := rows(t, "voicy", "list_sample.json", "calls")[0]
	detail := fixture(t, "voicy", "detail.json")
	tr := open(t, "voicy")
	// The list is fetched again after the detail: it must not erase what the detail brought.
	reread := record(list)
	reread.FetchedAt = fetched.Add(time.Hour)
	o := accepted(t, tr.Parts(call.PartList, map[call.Part]extract.Record{call.PartList: reread, call.PartDetail: record(detail)}))
	c := o.Call
	same(t, c.Messages, []call.Message{
		{Role: call.RoleSystem, Content: "Greet the caller by name.", OffsetMS: ptr(int64(0))},
		{Role: call.RoleAgent, Content: "Hello Ms Okafor, this is about order 48213.", OffsetMS: ptr(int64(1250))},
		{Role: call.RoleCustomer, Content: "Please ring me back on (555) 987-6543 instead.", OffsetMS: ptr(int64(6400))},
	})
	same(t, c.Summary, "The customer asks to be called back at +1 555 987 6543.")
	same(t, c.RecordingURL, "https://recordings.voicy.example/550e8400-e29b-41d4-a716-446655440000.mp3?expires=1704070800&signature=ab12cd34")
	same(t, c.IsTest, ptr(false))
	same(t, c.Metadata, `{"vars_provided":{"customer_name": "Ms Okafor", "campaign": {"id": 7, "tags": ["web", "q3"]}},`+
		`"vars_extracted":{"sentiment": "neutral", "callback_wanted": true},`+
		`"vars_collected":{"visits": [{"date": "2024-01-15", "options": [15, 30, 45]}, ["ground floor", "no stairs"]], "contact": {"number": "+15559876543"}},`+
		`"detected_gender":"female"}`)
	same(t, o.Drift, []call.Drift{})
	if o.Part != call.PartList || o.Payload != list || o.ContentHash != observe(t, tr, list).ContentHash {
		t.Error("the observation does not describe the part that was read")
	}
	fresh := accepted(t, tr.Parts(call.PartDetail, map[call.Part]extract.Record{call.PartList: record(list), call.PartDetail: record(detail)}))
	if fresh.Part != call.PartDetail || fresh.Payload != detail {
		t.Error("the observation does not describe the detail that was read")
	}
	same(t, fresh.Call, c)
}

func TestBurkiListSample(t *testing.T) {
	o := observe(t, open(t, "burki"), rows(t, "burki", "list_sample.json", "items")[0])
	same(t, o.Call, call.Call{
		Key: call.Key{Source: "acme", ID: "101"}, Provider: "burki", AgentID: "123",
		Channel: call.ChannelUnknown, Direction: call.DirectionUnknown,
		ToNumber: "+15551234567", CustomerNumber: "+15559876543", TelephonySID: "CA5f0c2d9e8b7a41638d5e6f7081920a3b",
		Status: call.Completed, StatusRaw: "completed", StartedAt: at("2024-01-15T10:00:00Z"), DurationMS: ptr(int64(180000)),
		Cost: amount("0.05"), CostCurrency: "USD",
		EndedAt: nil,
		Costs: []call.Cost{
			{Component: call.LLM, Amount: amount("0.02"), Currency: "USD"},
			{Component: call.TTS, Amount: amount("0.01"), Currency: "USD"},
			{Component: call.STT, Amount: amount("0.01"), Currency: "USD"},
			{Component: call.Telephony, Amount: amount("0.01"), Currency: "USD"},
		},
	})
	same(t, o.Drift, []call.Drift{})
}

func TestBurkiParts(t *testing.T) {
	list := rows(t, "burki", "list_sample.json", "items")[0]
	parts := map[call.Part]extract.Record{
		call.PartList: record(list), call.PartTranscripts: record(fixture(t, "burki", "transcripts.json")), call.PartCosts: record(fixture(t, "burki", "costs.json")),
	}
	o := accepted(t, open(t, "burki").Parts(call.PartTranscripts, parts))
	same(t, o.Call.Messages, []call.Message{
		{Role: call.RoleAgent, Content: "Good morning, Harbour Dental, how can I help you?", OffsetMS: ptr(int64(480))},
		{Role: call.RoleCustomer, Content: "Hi, I would like to move my appointment. My number is 555 987 6543.", OffsetMS: ptr(int64(4200))},
		{Content: "Done."},
	})
	same(t, o.Call.Costs, []call.Cost{
		{Component: call.LLM, Vendor: "openai", Amount: amount("0.012"), Currency: "USD", InputTokens: ptr(int64(1200))},
		{Component: call.LLM, Vendor: "openai", Amount: amount("0.008"), Currency: "USD", OutputTokens: ptr(int64(400))},
		{Component: call.TTS, Vendor: "elevenlabs", Amount: amount("0.01"), Currency: "USD"},
		{Component: call.STT, Vendor: "deepgram", Amount: amount("0.01"), Currency: "USD"},
		{Component: call.Telephony, Vendor: "twilio", Amount: amount("0.01"), Currency: "USD"},
	})
	same(t, o.Call.Cost, amount("0.05"))
	same(t, o.Drift, []call.Drift{})
	if o.Part != call.PartTranscripts || o.Payload != fixture(t, "burki", "transcripts.json") {
		t.Error("the observation does not describe the transcripts that were read")
	}
}

func TestMillisList(t *testing.T) {
	list := rows(t, "millis", "list.json", "histories")
	tr := open(t, "millis")
	o := observe(t, tr, list[0])
	same(t, o.Call, call.Call{
		Key: call.Key{Source: "acme", ID: "0e9d1c1a-6c1d-4a55-9a2f-3d5b7c9e1f20"}, Provider: "millis", AgentID: "-OAgentA1b2C3d4E5f6",
		Channel: call.ChannelPhone, Direction: call.Inbound, FromNumber: "+15559876543", ToNumber: "+15551234567", CustomerNumber: "+15559876543",
		TelephonySID: "CA0123456789abcdef0123456789abcdef", Status: call.Completed, StatusRaw: "user-ended", EndReason: call.EndedByUser,
		StartedAt: at("2024-01-01T00:00:00.123456Z"), EndedAt: at("2024-01-01T00:01:02.468456Z"), DurationMS: ptr(int64(62345)),
		Cost: amount("0.973456789"), CostCurrency: "credit",
		RecordingURL: "https://recordings.millis.example/0e9d1c1a.mp3?X-Amz-Expires=3600&X-Amz-Signature=deadbeef",
		Metadata:     `{"crm_id": 9007199254740993, "tags": ["vip"]}`,
		Costs: []call.Cost{
			{Component: call.LLM, Vendor: "openai", Amount: amount("0.123456789"), Currency: "credit", InputTokens: ptr(int64(812)), OutputTokens: ptr(int64(96))},
			{Component: call.TTS, Vendor: "elevenlabs", Amount: amount("0.25"), Currency: "credit"},
			{Component: call.STT, Vendor: "deepgram", Amount: amount("0.1"), Currency: "credit"},
			{Component: call.Telephony, Vendor: "twilio", Amount: amount("0.5"), Currency: "credit"},
			{Component: call.Platform, Vendor: "millis", Amount: amount("0"), Currency: "credit"},
		},
		Messages: []call.Message{
			{Role: call.RoleSystem, Content: "You are Nora."},
			{Role: call.RoleAgent, Content: "Hello, this is Nora. How can I help?"},
			{Role: call.RoleCustomer, Content: "Where is my order? You can text me at +1 (555) 987-6543."},
			{Role: call.RoleAgent},
			{Role: call.RoleTool, Content: `{"order":"48213","eta":"2024-01-03"}`},
			{Role: call.RoleAgent, Content: "It arrives on Wednesday."},
		},
		Functions: []call.Function{{Name: "find_order", Params: `{"phone": "+15559876543"}`, Result: `{"order": "48213", "eta": "2024-01-03"}`}},
	})
	same(t, o.Drift, []call.Drift{})
	same(t, o.Alias, "call_7f3a2b")

	same(t, observe(t, tr, list[1]).Call, call.Call{
		Key: call.Key{Source: "acme", ID: "5b0a9f2c-11de-4b6f-8c3a-7e1f20d94b6a"}, Provider: "millis", AgentID: "-OAgentA1b2C3d4E5f6",
		Channel: call.ChannelWeb, Direction: call.DirectionUnknown, Status: call.InProgress, StatusRaw: "in-progress", StartedAt: at("2023-12-31T23:58:20Z"),
	})
}
