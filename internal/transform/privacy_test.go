package transform_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/transform"
)

var (
	hashed  = transform.Privacy{Numbers: transform.NumbersHash, HashKey: []byte("a secret of some length")}
	masked  = transform.Privacy{Numbers: transform.NumbersMask}
	dropped = transform.Privacy{Numbers: transform.NumbersDrop}
)

func private(p transform.Privacy) func(*transform.Options) {
	return func(o *transform.Options) { o.Privacy = p }
}

var tokenText = regexp.MustCompile(`tel_[a-p]{32}`)

func TestOneNumberHashesAlikeEverywhere(t *testing.T) {
	tokens := map[string]bool{}
	see := func(text string) {
		t.Helper()
		found := tokenText.FindAllString(text, -1)
		if len(found) == 0 {
			t.Errorf("no token in %q", text)
		}
		for _, f := range found {
			tokens[f] = true
		}
	}
	for _, written := range []string{
		"+15551234567", "15551234567", "+1 (555) 123-4567", "001 555 123 4567", "sip:+15551234567@203.0.113.9:5060;user=phone",
		"tel:+1-555-123-4567", "+1.555.123.4567", "1/555/1234567", "+1 555 123 4567 ext. 12", "１５５５１２３４５６７", "+1 (0) 555 123 4567",
	} {
		see(observe(t, open(t, "voicy", private(hashed)), with("voicy", fmt.Sprintf(`"from_number":%q`, written))).Call.FromNumber)
		see(observe(t, open(t, "burki", private(hashed)), with("burki", fmt.Sprintf(`"to_phone_number":%q`, written))).Call.ToNumber)
		see(observe(t, open(t, "millis", private(hashed)), with("millis", fmt.Sprintf(`"voip":{"to":%q}`, written))).Call.ToNumber)
		o := observe(t, open(t, "voicy", private(hashed)), with("voicy", fmt.Sprintf(`"from_number":"+15551234567","summary":"call %s, please"`, written)))
		see(o.Call.Summary)
	}
	see(observe(t, open(t, "voicy", private(hashed)), with("voicy", `"from_number":15551234567`)).Call.FromNumber)
	// Without its country code, where the record names it in full.
	for _, text := range []string{"555-123-4567", "(555) 123 4567", "05551234567", "5 5 5, 1 2 3, 4 5 6 7", "12-3456 no: 555.123.4567"} {
		see(observe(t, open(t, "voicy", private(hashed)), with("voicy", fmt.Sprintf(`"to_number":"+15551234567","summary":%q`, "it is "+text))).Call.Summary)
	}
	if len(tokens) != 1 {
		t.Errorf("one number has %d tokens: %v", len(tokens), tokens)
	}
	other := observe(t, open(t, "voicy", private(transform.Privacy{Numbers: transform.NumbersHash, HashKey: []byte("another")})), with("voicy", `"from_number":"+15551234567"`))
	if tokens[other.Call.FromNumber] {
		t.Error("the key does not matter")
	}
}

func TestNumbersInTexts(t *testing.T) {
	for _, text := range []string{
		"call +15551234567 now", "call 555-123-4567", "(555) 123-4567", "5551234567", "+44 20 7946 0958", "020 7946 0958", "06.12.34.56.78", "06 12 34 56 78",
		"555.123.4567", "555 123–4567", "tel:5551234567", "sip:5551234567@host", "https://wa.me/15551234567", "https://x.example/?phone=15551234567&a=1",
		"https://x.example/?q=%2B15551234567", "https://x.example/?q=5551234567", "https://x.example/?a=1&query=15551234567", "555\t123\t4567", `{"a":"\u002b15551234567"}`, `["+1 555 123 4567"]`, `"{\"a\":\"\\u002b15551234567\"}"`, `broken {"a":"\u002b15551234567`,
		`line\n15551234567`, "tel15551234567", "15551234567x12", "on 2024-01-15 5551234567", "at 10:30 5551234567", "5551234567 5559876543", "+1 555 123 4567, +1 555 987 6543",
		"電話は09012345678です", "call_me_5551234567", "٠٥٥١٢٣٤٥٦٧", "1\u200b5\u200b5\u200b5\u200b1\u200b2\u200b3\u200b4\u200b5\u200b6\u200b7", "555 - 123 - 4567", "12345678901234", "8765309", "55 51 23 45",
	} {
		for name, p := range map[string]transform.Privacy{"hash": hashed, "mask": masked, "drop": dropped} {
			payload := with("voicy", `"summary":`+quote(text))
			o := observe(t, open(t, "voicy", private(p)), payload)
			if digits := digitsOf(o.Call.Summary); len(digits) >= 7 && !strings.Contains(text, "2024") && !strings.Contains(text, "10:30") {
				t.Errorf("%s leaves %q of %q", name, o.Call.Summary, text)
			}
			if o.Call.Summary == text {
				t.Errorf("%s leaves %q as it is", name, text)
			}
			again := observe(t, open(t, "voicy", private(p)), o.Payload)
			if again.Payload != o.Payload {
				t.Errorf("%s is not idempotent: %q, then %q", name, o.Payload, again.Payload)
			}
			if kept := observe(t, open(t, "voicy"), payload); kept.Call.Summary != text || kept.Payload != payload {
				t.Errorf("keep changes %q to %q", text, kept.Call.Summary)
			}
		}
	}
}

func TestWhatIsNoNumberStays(t *testing.T) {
	for _, text := range []string{
		"on 2024-01-15 at 10:00:00", "2024-01-15T10:00:00.123456Z", "15/01/2024 10:30", "15.01.2024", "20240115T103000Z", "2019-2024", "10:00:00.123456789",
		"550e8400-e29b-41d4-a716-446655440000", "12345678-1234-1234-1234-123456789012", "CA0123456789abcdef0123456789abcdef", "order48213771", "ORD-1234567",
		"https://x.example/calls/123456789/rec?id=12345678901", "at 203.0.113.145 today", "0.123456789", "lat 52.5200066", "12345678901234567890", "1,234,567 calls", "24 hours, 7 days",
		"a3f512345678901b", "page 12 of 345",
	} {
		for name, p := range map[string]transform.Privacy{"hash": hashed, "mask": masked, "drop": dropped} {
			payload := with("voicy", `"from_number":"+15551234567","summary":`+quote(text))
			if o := observe(t, open(t, "voicy", private(p)), payload); o.Call.Summary != text {
				t.Errorf("%s changes %q to %q", name, text, o.Call.Summary)
			}
		}
	}
	// Ids, times and amounts of the record's own are what they are, and so are numbers that no name calls a phone number.
	payload := `{"id":123456789012,"call_sid":"CA1234567890","assistant_id":5551234567,"started_at":"2024-01-15T10:00:00Z","duration":1234567,
		"total_cost":1234567.123456789,"call_meta":{"at":1704067200,"ms":1704067200000,"stamp":"1704067200","ts":"1704067200","n":1234567,"crm":9007199254740993,"rate":0.12345678901}}`
	o := observe(t, open(t, "burki", private(masked)), payload)
	want := strings.Replace(payload, `"stamp":"1704067200"`, `"stamp":"***00"`, 1) // a text of ten digits could be one
	if o.Payload != want {
		t.Errorf("payload %s\nwant %s", o.Payload, want)
	}
	if o.Call.ID != "123456789012" || o.Call.AgentID != "5551234567" || o.Call.TelephonySID != "CA1234567890" {
		t.Errorf("ids were changed: %+v", o.Call)
	}
}

func TestNumbersInNumbersAndNames(t *testing.T) {
	payload := with("burki", `"customer_phone_number":"+15551234567","call_meta":{"a":15551234567,"b":5551234567,"caller":5551234,"hotel":5551234,
		"c":447946095812,"contact":{"value":8675309,"when":1704067200},"15551234567":"x","d":1.5551234567e10,"e":-15551234567,"list":[15551234567],"order_total":8675309}`)
	for name, p := range map[string]transform.Privacy{"hash": hashed, "mask": masked, "drop": dropped} {
		o := observe(t, open(t, "burki", private(p)), payload)
		for _, left := range findDigits(t, o.Payload, "5551234567", "5551234,", "447946095812") {
			t.Errorf("%s leaves %s", name, left)
		}
		var meta map[string]any
		if err := json.Unmarshal([]byte(o.Call.Metadata), &meta); err != nil {
			t.Fatal(err)
		}
		if meta["hotel"] != 5551234.0 || meta["order_total"] != 8675309.0 || meta["caller"] == 5551234.0 || meta["contact"].(map[string]any)["value"] == 8675309.0 {
			t.Errorf("%s gives %v", name, meta)
		}
		if name == "drop" && (meta["a"] != nil || o.Call.CustomerNumber != "") || name == "mask" && (meta["a"] != "***67" || o.Call.CustomerNumber != "***67") {
			t.Errorf("%s gives %v and %q", name, meta["a"], o.Call.CustomerNumber)
		}
	}
}

func TestPhoneFieldsThatHoldNoNumber(t *testing.T) {
	for _, value := range []string{`"anonymous"`, `"sip:alice@example.com"`, `"101"`, `{"display":"Alice"}`, `["anonymous"]`} {
		for name, p := range map[string]transform.Privacy{"hash": hashed, "mask": masked, "drop": dropped} {
			o := observe(t, open(t, "voicy", private(p)), with("voicy", `"from_number":`+value))
			for _, told := range []string{"anonymous", "alice", "Alice", "101"} {
				if strings.Contains(strings.Replace(o.Payload, "v1", "", 1), told) {
					t.Errorf("%s leaves %s", name, o.Payload)
				}
			}
		}
	}
}

func TestIDThatIsANumber(t *testing.T) {
	payload := `{"session_id":"15551234567","voip":{"from":"+15551234567"}}`
	if o := observe(t, open(t, "millis", private(hashed)), payload); !idToken.MatchString(o.Call.ID) {
		t.Errorf("id %q of %q", o.Call.ID, o.Call.FromNumber)
	}
	for _, p := range []transform.Privacy{masked, dropped} {
		r := open(t, "millis", private(p)).Record(record(payload))
		if r.Reject == nil || r.Reject.Reason != "id is a phone number" || strings.Contains(r.Reject.Payload+r.Reject.Detail, "555") {
			t.Errorf("two calls could have this id: %+v", r)
		}
	}
	// As a second name it is only left out.
	o := observe(t, open(t, "millis", private(masked)), `{"session_id":"s","call_id":"15551234567","voip":{"from":"+15551234567"}}`)
	if o.Call.ID != "s" || o.Alias != "" {
		t.Errorf("id %q, alias %q", o.Call.ID, o.Alias)
	}
}

func TestDroppedTranscripts(t *testing.T) {
	p := transform.Privacy{Numbers: transform.NumbersHash, HashKey: []byte("k"), Transcripts: transform.TranscriptsDrop}
	said := []string{"Where is my order", "Hello, this is Nora", "It arrives on Wednesday", "Greet the caller", "Please ring me back", "this is about order",
		"Good morning, Harbour", "move my appointment"}
	check := func(name string, o call.Observation) {
		t.Helper()
		text := o.Payload + fmt.Sprintf("%+v", o.Call) + fmt.Sprint(o.Drift)
		for _, s := range said {
			if strings.Contains(text, s) {
				t.Errorf("%s: %q is still there in %s", name, s, text)
			}
		}
		if len(o.Call.Messages) != 0 || len(o.Drift) != 0 {
			t.Errorf("%s: %d turns, drift %v", name, len(o.Call.Messages), o.Drift)
		}
	}
	millis := rows(t, "millis", "list.json", "histories")[0]
	check("millis", observe(t, open(t, "millis", private(p)), millis))
	quoted := strings.Replace(millis, `"tags": ["vip"]`, `"note": "He said: It arrives on Wednesday. Thanks", "transcript_text": "Caller: Hello there", "chat": "on", "x": "{\"messages\":[{\"role\":\"user\",\"content\":\"Please ring me back, will you\"}]}"`, 1)
	o := observe(t, open(t, "millis", private(p)), quoted)
	check("millis, quoted", o)
	if !strings.Contains(o.Call.Metadata, `"He said: [dropped] Thanks"`) || !strings.Contains(o.Call.Metadata, `"transcript_text": null`) || !strings.Contains(o.Call.Metadata, `"chat": "on"`) {
		t.Errorf("metadata %s", o.Call.Metadata)
	}
	if again := observe(t, open(t, "millis", private(p)), o.Payload); again.Payload != o.Payload {
		t.Errorf("not idempotent: %s\nthen %s", o.Payload, again.Payload)
	}

	voicyParts := map[call.Part]extract.Record{
		call.PartList: record(rows(t, "voicy", "list_sample.json", "calls")[0]), call.PartDetail: record(fixture(t, "voicy", "detail.json")),
	}
	v := accepted(t, open(t, "voicy", private(p)).Parts(call.PartDetail, voicyParts))
	check("voicy", v)
	if !strings.HasPrefix(v.Call.Summary, "The customer asks to be called back at tel_") || v.Call.Summary != "The customer asks to be called back at "+v.Call.ToNumber+"." {
		t.Errorf("the summary is %q", v.Call.Summary)
	}

	burkiParts := map[call.Part]extract.Record{
		call.PartList: record(with("burki", `"call_meta":{"note":"Good morning, Harbour Dental, how can I help you?"}`)), call.PartTranscripts: record(fixture(t, "burki", "transcripts.json")),
	}
	check("burki", accepted(t, open(t, "burki", private(p)).Parts(call.PartTranscripts, burkiParts)))
	check("burki list", accepted(t, open(t, "burki", private(p)).Parts(call.PartList, burkiParts)))

	// The positive control: with keep the same scan finds what was said.
	if o := observe(t, open(t, "millis"), millis); !strings.Contains(o.Payload, said[0]) || len(o.Call.Messages) == 0 {
		t.Error("the scan finds nothing even where everything is kept")
	}
}

func TestPrivacyOfRejects(t *testing.T) {
	broken := `{"session_id":"a","voip":{"from":"+1 (555) 123-4567"},"chat":"[{\"content\":\"call \\u002b15551234567 please\"`
	for _, p := range []transform.Privacy{hashed, masked, dropped} {
		r := open(t, "millis", private(p)).Record(record(broken))
		if r.Reject == nil || r.Reject.Reason != "not json" || strings.Contains(digitsOf(r.Reject.Payload), "5551234567") || !strings.Contains(r.Reject.Payload, "please") {
			t.Errorf("%s: %+v", p.Numbers, r.Reject)
		}
	}
	for _, payload := range []string{broken, `["call me, would you"]`, `"call me, would you please"`} {
		r := open(t, "millis", private(transform.Privacy{Transcripts: transform.TranscriptsDrop})).Record(record(payload))
		if r.Reject == nil || strings.Contains(r.Reject.Payload, "please") || strings.Contains(r.Reject.Payload, "call me") || !json.Valid([]byte(r.Reject.Payload)) {
			t.Errorf("%+v", r.Reject)
		}
	}
	r := open(t, "millis", private(hashed)).Record(record(`{"voip":{"from":"+15551234567"},"metadata":{"p":"555 123 4567"}}`))
	if r.Reject == nil || r.Reject.Reason != "no id" || strings.Contains(digitsOf(r.Reject.Payload), "5551234567") {
		t.Errorf("%+v", r.Reject)
	}
}

func TestNumbersOfOnePartAreFoundInTheOthers(t *testing.T) {
	parts := map[call.Part]extract.Record{
		call.PartList:        record(with("burki", `"customer_phone_number":"+4915123456789"`)),
		call.PartTranscripts: record(`[{"id":1,"call_id":1,"content":"0151, 23 45, 67 89","speaker":"user"}]`),
	}
	o := accepted(t, open(t, "burki", private(hashed)).Parts(call.PartTranscripts, parts))
	same(t, o.Call.Messages[0].Content, o.Call.CustomerNumber)
}

func TestNewRefusesUnusableOptions(t *testing.T) {
	for _, o := range []transform.Options{
		{Source: "a", Provider: "nobody"}, {Provider: "millis"},
		{Source: "a", Provider: "millis", Privacy: transform.Privacy{Numbers: "shred"}},
		{Source: "a", Provider: "millis", Privacy: transform.Privacy{Numbers: transform.NumbersHash}},
		{Source: "a", Provider: "millis", Privacy: transform.Privacy{Transcripts: "burn"}},
		{Source: "a", Provider: "millis", Credit: transform.CreditValue{Amount: "0.01"}},
		{Source: "a", Provider: "millis", Credit: transform.CreditValue{Amount: "a penny", Currency: "GBP"}},
	} {
		if _, err := transform.New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

// A hostile text must not take for ever: the work grows with its length, not with its square.
func TestPrivacyOfHugeTexts(t *testing.T) {
	const size = 1 << 16
	for _, unit := range []string{
		"5551234567 ", "+15551234567,", "1a", "http://x/1234567 ", "(0)", "2024-01-15 ", "1.2.3.4.", "a-1234567", "1 ", "[", "{\\\"a\\\":", "Thank you for calling us. ", "٥",
	} {
		text := strings.Repeat(unit, size/len(unit))
		payload := `{"call_id":"v","to_number":"+15551234567","transcript":[{"role":"agent","content":"Thank you for calling us."}],"summary":"` + text + `"}`
		start := time.Now()
		open(t, "voicy", private(transform.Privacy{Numbers: transform.NumbersMask, Transcripts: transform.TranscriptsDrop})).Record(record(payload))
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("64 kB of %q takes %v", unit, took)
		}
	}
}
