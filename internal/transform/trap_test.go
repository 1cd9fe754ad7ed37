package transform_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/transform"
)

func TestTrapAllNullMillisRecord(t *testing.T) {
	payload := rows(t, "millis", "list.json", "histories")[2]
	r := open(t, "millis").Record(record(payload))
	if r.Reject == nil {
		t.Fatal("a record without any id became a call")
	}
	if r.Reject.Reason != "no id" || r.Reject.Payload != payload || r.Reject.Source != "acme" || !r.Reject.FetchedAt.Equal(fetched) || r.Reject.Detail == "" {
		t.Errorf("the reject does not keep the record: %+v", r.Reject)
	}
	// With an id and nothing else it is a call.
	o := observe(t, open(t, "millis"), strings.Replace(payload, `"call_id": null`, `"call_id": "c1"`, 1))
	if o.Call.ID != "c1" || o.Alias != "" || o.Call.StartedAt != nil || o.Call.Cost != nil || o.Call.Status != call.Unknown || len(o.Drift) != 0 {
		t.Errorf("an id alone gives %+v", o)
	}
}

func TestTrapFlowNameAndAssistantGraphName(t *testing.T) {
	for fields, want := range map[string]string{
		`"flow_name":"Booking"`:                                  "Booking",
		`"assistant_graph_name":"Booking"`:                       "Booking",
		`"flow_name":null,"assistant_graph_name":"Old"`:          "Old",
		`"flow_name":"New","assistant_graph_name":"Old"`:         "New",
		`"assistant_graph_name":"Old","flow_name":"New"`:         "New",
		`"flow_name":"","assistant_graph_name":null`:             "",
		`"flow_name":null`:                                       "",
		`"assistant_name":"Ada","assistant_id":9007199254740993`: "",
	} {
		o := observe(t, open(t, "burki"), with("burki", fields))
		if o.Call.FlowName != want || len(o.Drift) != 0 {
			t.Errorf("%s: flow %q, drift %v; want %q", fields, o.Call.FlowName, o.Drift, want)
		}
	}
}

func TestTrapNullAgent(t *testing.T) {
	for _, agent := range []string{`null`, `{}`, `{"name":null,"version":null}`} {
		o := observe(t, open(t, "voicy"), with("voicy", `"agent":`+agent))
		if o.Call.AgentName != "" || o.Call.AgentVersion != "" || len(o.Drift) != 0 {
			t.Errorf("agent %s: %q %q, drift %v", agent, o.Call.AgentName, o.Call.AgentVersion, o.Drift)
		}
	}
	o := observe(t, open(t, "voicy"), with("voicy", `"agent":{"name":"A","version":3,"locale":"de"}`))
	same(t, o.Drift, []call.Drift{{Path: "agent.locale", Sample: "de"}})
}

func TestTrapNestedVars(t *testing.T) {
	vars := `{"a":[1,[2,{"b":[]}],{"c":{"d":9007199254740993}}],"e":null}`
	o := observe(t, open(t, "voicy"), with("voicy", `"vars_collected":`+vars+`,"vars_provided":null`))
	same(t, o.Call.Metadata, `{"vars_collected":`+vars+`}`)
	same(t, o.Drift, []call.Drift{})
}

func TestTrapNumberAbove2To53(t *testing.T) {
	const big = "9007199254740993"
	o := observe(t, open(t, "burki"), `{"id":`+big+`,"assistant_id":`+big+`,"call_meta":{"n":`+big+`}}`)
	if o.Call.ID != big || o.Call.AgentID != big || o.Call.Metadata != `{"n":`+big+`}` || !strings.Contains(o.Payload, `"id":`+big) {
		t.Errorf("a number above 2^53 was changed: %+v", o)
	}
	o = observe(t, open(t, "millis"), with("millis", `"cost_breakdown":[{"type":"llm","prompt_tokens":`+big+`}]`))
	same(t, o.Call.Costs[0].InputTokens, ptr(int64(9007199254740993)))
}

func TestTrapCostWithNineDecimals(t *testing.T) {
	o := observe(t, open(t, "burki"), with("burki", `"total_cost":0.123456789,"llm_cost":12345678.000000001,"tts_cost":0,"stt_cost":null,"cost_currency":"EUR"`))
	same(t, o.Call.Cost, amount("0.123456789"))
	same(t, o.Call.Costs, []call.Cost{
		{Component: call.LLM, Amount: amount("12345678.000000001"), Currency: "EUR"},
		{Component: call.TTS, Amount: amount("0"), Currency: "EUR"},
	})
	same(t, o.Drift, []call.Drift{})
	// Without a currency none is guessed.
	o = observe(t, open(t, "burki"), with("burki", `"total_cost":1,"llm_cost":1`))
	if o.Call.CostCurrency != "" || o.Call.Costs[0].Currency != "" {
		t.Errorf("a currency was made up: %q", o.Call.CostCurrency)
	}
}

func TestTrapCostWithTwelveDecimals(t *testing.T) {
	for _, c := range []struct{ provider, fields, want, path string }{
		{"burki", `"total_cost":0.123456789012`, "0.123456789", "total_cost: more than nine decimals"},
		{"burki", `"total_cost":0.000000001500`, "0.000000002", "total_cost: more than nine decimals"},
		{"burki", `"total_cost":0.000000000500`, "0", "total_cost: more than nine decimals"},
		{"burki", `"total_cost":"0.25"`, "0.25", "total_cost: a text for a number"},
		{"millis", `"cost_breakdown":[{"type":"llm","credit":0.123456789012}]`, "0.123456789", "cost_breakdown[].credit: more than nine decimals"},
		{"voicy", `"call_cost":{"combined_cost":0.123456789012,"currency":"USD"}`, "0.123456789", "call_cost.combined_cost: more than nine decimals"},
	} {
		o := observe(t, open(t, c.provider), with(c.provider, c.fields))
		same(t, o.Call.Cost, amount(c.want))
		if len(o.Drift) != 1 || o.Drift[0].Path != c.path {
			t.Errorf("%s: drift %v, want one at %q", c.fields, o.Drift, c.path)
		}
	}
	for _, fields := range []string{`"total_cost":1000000000`, `"total_cost":1e99`, `"total_cost":"much"`, `"total_cost":true`} {
		o := observe(t, open(t, "burki"), with("burki", fields))
		if o.Call.Cost != nil || len(o.Drift) != 1 {
			t.Errorf("%s gives %v with drift %v; want none, with drift", fields, o.Call.Cost, o.Drift)
		}
	}
}

func TestCredits(t *testing.T) {
	costs := `"cost_breakdown":[{"type":"llm","credit":0.1},{"type":"tts","credit":0.2},{"type":"stt","credit":null},{"type":"karma","credit":1e-9}]`
	o := observe(t, open(t, "millis"), with("millis", costs))
	same(t, o.Call.Cost, amount("0.300000001"))
	same(t, o.Call.CostCurrency, "credit")
	same(t, o.Call.Costs[3].Component, call.Other)
	same(t, o.Drift, []call.Drift{{Path: "cost_breakdown[].type", Sample: "karma"}})

	worth := func(o *transform.Options) { o.Credit = transform.CreditValue{Amount: "0.01", Currency: "USD"} }
	o = observe(t, open(t, "millis", worth), with("millis", costs))
	same(t, o.Call.Cost, amount("0.003"))
	same(t, o.Call.CostCurrency, "USD")
	same(t, o.Call.Costs[0].Amount, amount("0.001"))
	if o.Call.Costs[2].Amount != nil || o.Call.Costs[2].Currency != "" {
		t.Errorf("an unknown amount became %v %q", o.Call.Costs[2].Amount, o.Call.Costs[2].Currency)
	}

	for _, none := range []string{`"cost_breakdown":null`, `"cost_breakdown":[]`, `"cost_breakdown":[{"type":"llm","credit":null}]`} {
		if o := observe(t, open(t, "millis"), with("millis", none)); o.Call.Cost != nil || o.Call.CostCurrency != "" {
			t.Errorf("%s has a total of %v %s", none, o.Call.Cost, o.Call.CostCurrency)
		}
	}
	o = observe(t, open(t, "millis"), with("millis", `"cost_breakdown":[{"type":"llm","credit":999999999},{"type":"llm","credit":999999999}]`))
	if o.Call.Cost != nil || len(o.Drift) != 1 {
		t.Errorf("a sum out of range became %v, drift %v", o.Call.Cost, o.Drift)
	}
}

func TestTrapNaiveISOTimes(t *testing.T) {
	for text, want := range map[string]string{
		`"2024-01-15T10:00:00"`:            "2024-01-15T10:00:00Z",
		`"2024-01-15T10:00:00.123456"`:     "2024-01-15T10:00:00.123456Z",
		`"2024-01-15T10:00:00.123456789Z"`: "2024-01-15T10:00:00.123456Z",
		`"2024-01-15 10:00:00"`:            "2024-01-15T10:00:00Z",
		`"2024-01-15T10:00:00+02:00"`:      "2024-01-15T08:00:00Z",
		`"2024-01-15T10:00:00-0530"`:       "2024-01-15T15:30:00Z",
		`"2024-01-15T10:00Z"`:              "2024-01-15T10:00:00Z",
	} {
		o := observe(t, open(t, "burki"), `{"id":1,"started_at":`+text+`}`)
		if o.Call.StartedAt == nil || !o.Call.StartedAt.Equal(*at(want)) || o.Call.StartedAt.Location() != time.UTC || len(o.Drift) != 0 {
			t.Errorf("%s is %v, drift %v; want %s", text, o.Call.StartedAt, o.Drift, want)
		}
	}
	for _, text := range []string{`"yesterday"`, `"2024-01-15"`, `"1970-01-01T00:00:00Z"`, `"2100-01-01T00:00:00Z"`, `"2024-13-45T10:00:00"`, `true`, `{}`, `7`} {
		o := observe(t, open(t, "burki"), `{"id":1,"started_at":`+text+`}`)
		if o.Call.StartedAt != nil || len(o.Drift) != 1 {
			t.Errorf("%s is %v, drift %v; want none, with drift", text, o.Call.StartedAt, o.Drift)
		}
	}
	o := observe(t, open(t, "burki"), `{"id":1,"started_at":1704067200}`)
	if o.Call.StartedAt == nil || !o.Call.StartedAt.Equal(*at("2024-01-01T00:00:00Z")) || len(o.Drift) != 1 {
		t.Errorf("a Unix time in an ISO field is %v, drift %v", o.Call.StartedAt, o.Drift)
	}
}

func TestTrapFractionalTs(t *testing.T) {
	for text, want := range map[string]string{
		"1704067200":           "2024-01-01T00:00:00Z",
		"1704067200.5":         "2024-01-01T00:00:00.5Z",
		"1704067200.123456":    "2024-01-01T00:00:00.123456Z",
		"1704067200.123456789": "2024-01-01T00:00:00.123457Z",
		"1.7040672001e9":       "2024-01-01T00:00:00.1Z",
	} {
		o := observe(t, open(t, "millis"), `{"session_id":"s","ts":`+text+`,"duration":0.0015,"call_status":"timeout"}`)
		if o.Call.StartedAt == nil || !o.Call.StartedAt.Equal(*at(want)) || len(o.Drift) != 0 {
			t.Errorf("ts %s is %v, drift %v; want %s", text, o.Call.StartedAt, o.Drift, want)
		}
		same(t, o.Call.DurationMS, ptr(int64(2)))
	}
	for _, text := range []string{"0", "-1", "1704067200000", "1e300", `"soon"`} {
		o := observe(t, open(t, "millis"), `{"session_id":"s","ts":`+text+`}`)
		if o.Call.StartedAt != nil || len(o.Drift) == 0 {
			t.Errorf("ts %s is %v, drift %v; want none, with drift", text, o.Call.StartedAt, o.Drift)
		}
	}
}

func TestEndIsStartAndDurationOnceOver(t *testing.T) {
	for _, c := range []struct {
		fields string
		ended  bool
	}{
		{`"duration":10,"call_status":"user-ended"`, true},
		{`"duration":0,"call_status":"no-answer"`, true},
		{`"duration":10,"call_status":"unknown"`, true},
		{`"duration":10,"call_status":"in-progress"`, false},
		{`"duration":null,"call_status":"user-ended"`, false},
		{`"duration":-5,"call_status":"user-ended"`, false},
	} {
		if o := observe(t, open(t, "millis"), with("millis", c.fields)); (o.Call.EndedAt != nil) != c.ended {
			t.Errorf("%s: ended at %v", c.fields, o.Call.EndedAt)
		}
	}
}

func TestTrapChatThatIsNoJSON(t *testing.T) {
	for chat, want := range map[string][]call.Message{
		`"Agent: hello\nCaller: hi [inaudible]"`: {{Content: "Agent: hello\nCaller: hi [inaudible]"}},
		`"[inaudible]"`:                          {{Content: "[inaudible]"}},
		`"{\"role\":\"user\"}"`:                  {{Content: `{"role":"user"}`}},
		`"[{\"role\":\"user\""`:                  {{Content: `[{"role":"user"`}},
		`""`:                                     nil,
		`"[]"`:                                   nil,
		`null`:                                   nil,
		`"[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}]"`: {{Role: call.RoleCustomer, Content: "a\nb"}},
	} {
		o := observe(t, open(t, "millis"), with("millis", `"chat":`+chat))
		same(t, o.Call.Messages, want)
		same(t, o.Drift, []call.Drift{})
	}
	o := observe(t, open(t, "millis"), with("millis", `"chat":"[{\"role\":\"narrator\",\"content\":\"x\"},\"loose\"]"`))
	same(t, o.Call.Messages, []call.Message{{Content: "x"}, {Content: "loose"}})
	same(t, o.Drift, []call.Drift{{Path: "chat[].role", Sample: "narrator"}, {Path: "chat[]: a text for an object", Sample: "loose"}})
}

func TestToolCallsOfTheChatStandInForFunctionCalls(t *testing.T) {
	list := rows(t, "millis", "list.json", "histories")[0]
	none := strings.Replace(list, `"function_calls": [`, `"function_calls": null, "metadata": [`, 1)
	o := observe(t, open(t, "millis"), none)
	same(t, o.Call.Functions, []call.Function{{Name: "find_order", Params: `{"phone":"+15559876543"}`, Result: `{"order":"48213","eta":"2024-01-03"}`}})
}

func TestTrapThreeMegabyteTranscript(t *testing.T) {
	turn := `{"role":"user","content":"` + strings.Repeat("words and more words, ", 50) + `"}`
	n := 3<<20/len(turn) + 1
	chat, err := json.Marshal("[" + strings.TrimSuffix(strings.Repeat(turn+",", n), ",") + "]")
	if err != nil {
		t.Fatal(err)
	}
	payload := with("millis", `"chat":`+string(chat))
	for name, p := range map[string]transform.Privacy{
		"keep": {}, "hash": {Numbers: transform.NumbersHash, HashKey: []byte("k")}, "drop": {Transcripts: transform.TranscriptsDrop},
	} {
		o := observe(t, open(t, "millis", func(o *transform.Options) { o.Privacy = p }), payload)
		if want := n; name == "drop" && len(o.Call.Messages) != 0 || name != "drop" && len(o.Call.Messages) != want {
			t.Errorf("%s: %d turns of %d", name, len(o.Call.Messages), want)
		}
	}
}

func TestTrapInvalidUTF8(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"bytes":          {"a\xff\xfeb", "a\uFFFDb"},
		"NUL":            {`a\u0000b`, "a\uFFFDb"},
		"high surrogate": {`a\ud83db`, "a\uFFFDb"},
		"low surrogate":  {`a\ude00b`, "a\uFFFDb"},
		"swapped":        {`\ude00\ud83d`, "\uFFFD\uFFFD"},
		"pair":           {`\ud83d\ude00`, "😀"},
		"escaped escape": {`\\u0000 \\ud83d`, `\u0000 \ud83d`},
	} {
		o := observe(t, open(t, "voicy"), with("voicy", `"summary":"`+c.content+`","agent":{"name":"`+c.content+`"}`))
		if o.Call.Summary != c.want || o.Call.AgentName != c.want {
			t.Errorf("%s: %q, want %q", name, o.Call.Summary, c.want)
		}
		if !utf8.ValidString(o.Payload) || !json.Valid([]byte(o.Payload)) {
			t.Errorf("%s: the payload is no valid text: %q", name, o.Payload)
		}
	}
	// JSON in a string has escapes of its own.
	o := observe(t, open(t, "millis"), with("millis", `"chat":"[{\"role\":\"user\",\"content\":\"a\\u0000b\\ud83d\"}]"`))
	same(t, o.Call.Messages, []call.Message{{Role: call.RoleCustomer, Content: "a\uFFFDb\uFFFD"}})
	r := open(t, "millis").Record(record("{\"session_id\":\"a\x00\xff"))
	if r.Reject == nil || r.Reject.Payload != "{\"session_id\":\"a\uFFFD\uFFFD" {
		t.Errorf("the bytes of a broken record are not kept as text: %+v", r.Reject)
	}
}

func TestRejects(t *testing.T) {
	for _, c := range []struct{ provider, payload, reason string }{
		{"millis", ``, "not json"},
		{"millis", `{"session_id":"a"`, "not json"},
		{"millis", `{"session_id":"a"} x`, "not json"},
		{"millis", `<html>`, "not json"},
		{"millis", `null`, "not an object"},
		{"millis", `[{"session_id":"a"}]`, "not an object"},
		{"millis", `"a"`, "not an object"},
		{"millis", `{}`, "no id"},
		{"millis", `{"session_id":"","call_id":" "}`, "no id"},
		{"millis", `{"session_id":{"a":1}}`, "unusable id"},
		{"millis", `{"session_id":["a"],"call_id":"b"}`, "unusable id"},
		{"burki", `{"id":1.5}`, "unusable id"},
		{"burki", `{"id":1e3}`, "unusable id"},
		{"burki", `{"id":true}`, "unusable id"},
		{"voicy", `{"call_id":"` + strings.Repeat("x", 513) + `"}`, "unusable id"},
	} {
		r := open(t, c.provider).Record(record(c.payload))
		if r.Reject == nil {
			t.Errorf("%s became a call", c.payload)
			continue
		}
		if r.Reject.Reason != c.reason || r.Reject.Detail == "" || r.Reject.Payload != c.payload {
			t.Errorf("%s is rejected as %q (%s) with %q, want %q and its bytes", c.payload, r.Reject.Reason, r.Reject.Detail, r.Reject.Payload, c.reason)
		}
	}
}

func TestUnknownFieldsAreDrift(t *testing.T) {
	o := observe(t, open(t, "millis"), with("millis", `"novelty":{"a":1},"metadata":{"anything":1},"recording":{"any":1},"agent_config":{"any":1},
		"cost_breakdown":[{"type":"llm","margin":2},{"type":"llm","margin":2}],"duration":"12","agent_id":"a","agent_id":"b"`))
	same(t, o.Drift, []call.Drift{
		{Path: "agent_id: named twice", Sample: "a"},
		{Path: "duration: a text for a number", Sample: "12"},
		{Path: "cost_breakdown[].margin", Sample: "2"},
		{Path: "novelty", Sample: `{"a":1}`},
	})
	same(t, o.Call.AgentID, "b")
	same(t, o.Call.DurationMS, ptr(int64(12000)))
	var many strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&many, `"f%d":%d,`, i, i)
	}
	if o := observe(t, open(t, "millis"), with("millis", many.String()+`"z":1`)); len(o.Drift) > 100 {
		t.Errorf("one record says %d times that it drifts", len(o.Drift))
	}
}

func TestPartsOfOtherCallsAreNotMixed(t *testing.T) {
	tr := open(t, "millis")
	parts := func(list, detail string) transform.Result {
		return tr.Parts(call.PartDetail, map[call.Part]extract.Record{call.PartList: record(list), call.PartDetail: record(detail)})
	}
	if r := parts(`{"session_id":"a"}`, `{"session_id":"b"}`); r.Reject == nil || r.Reject.Reason != "part of another call" {
		t.Errorf("two calls became one: %+v", r.Observation.Call)
	}
	// A call first known by its call_id alone is the same one.
	o := accepted(t, parts(`{"session_id":null,"call_id":"c"}`, `{"session_id":"b","call_id":"c"}`))
	if o.Call.ID != "b" || o.Alias != "c" {
		t.Errorf("id %q, alias %q", o.Call.ID, o.Alias)
	}
	// A detail that cannot be read takes nothing from the list.
	r := tr.Parts(call.PartList, map[call.Part]extract.Record{call.PartList: record(`{"session_id":"a"}`), call.PartDetail: record(`oops`)})
	if o := accepted(t, r); len(o.Drift) != 1 || o.Drift[0].Path != "detail: not readable" {
		t.Errorf("drift %v", o.Drift)
	}
	if r := open(t, "burki").Parts(call.PartTranscripts, map[call.Part]extract.Record{call.PartTranscripts: record(`[]`)}); r.Reject == nil {
		t.Error("a transcript alone became a call")
	}
	if r := tr.Parts(call.PartDetail, map[call.Part]extract.Record{call.PartList: record(`{"session_id":"a"}`)}); r.Reject == nil {
		t.Error("a part that was not given was read")
	}
}

func TestContentHashLeavesOutWhatIsVolatile(t *testing.T) {
	hash := func(provider, payload string) int64 {
		return observe(t, open(t, provider), payload).ContentHash
	}
	signed := func(sig string) string {
		return with("millis", `"recording":{"recording_url":"https://r.example/a.mp3?sig=`+sig+`","duration":1}`)
	}
	if hash("millis", signed("a")) != hash("millis", signed("b")) {
		t.Error("a new signature changes the hash")
	}
	if hash("millis", signed("a")) == hash("millis", strings.Replace(signed("a"), "a.mp3", "b.mp3", 1)) {
		t.Error("another recording does not change the hash")
	}
	if hash("voicy", with("voicy", `"recording_url":"https://a","summary":"s"`)) != hash("voicy", with("voicy", `"summary":"s"`)) {
		t.Error("a volatile field changes the hash")
	}
	if hash("voicy", with("voicy", `"summary":"s"`)) == hash("voicy", with("voicy", `"summary":"t"`)) {
		t.Error("a new summary does not change the hash")
	}
	// Hashes are stored: what they were once they must always be.
	if got := hash("burki", `{"id":101,"status":"completed"}`); got != goldenHash {
		t.Errorf("the hash of a known record is %d, and was %d", got, goldenHash)
	}
}

const goldenHash = 1472449005238834754
