package transform_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"syncd/internal/transform"
)

var idToken = regexp.MustCompile(`^id_[a-p]{32}$`)

// Two calls are two calls under every policy, however much their ids look like the numbers that the records name.
func TestHashKeepsIDsApart(t *testing.T) {
	tr := open(t, "voicy", private(hashed))
	for _, ids := range [][]string{
		{"155512345671705312800", "155512345671705399999"},
		{"001-2025550123", "002-2025550123", "2025550123", "+2025550123"},
		{"15551234567", "0015551234567", "+15551234567", "1-555-123-4567"},
		{"sip:+15551234567@a", "tel:+15551234567"},
		{"15551234567-a", "15551234567-b"},
	} {
		seen := map[string]string{}
		for _, id := range ids {
			o := observe(t, tr, fmt.Sprintf(`{"call_id":%q,"from_number":"+15551234567","to_number":"2025550123"}`, id))
			if other, twice := seen[o.Call.ID]; twice {
				t.Errorf("%q and %q are both %q", other, id, o.Call.ID)
			}
			seen[o.Call.ID] = id
			if again := observe(t, tr, o.Payload); again.Call.ID != o.Call.ID || again.Payload != o.Payload {
				t.Errorf("%q becomes %q, then %q", id, o.Call.ID, again.Call.ID)
			}
		}
	}
}

// One call is one call, whatever else its record tells at the time.
func TestIDsDoNotDependOnOtherFields(t *testing.T) {
	for id, hidden := range map[string]bool{
		"+15551234567": true, "15551234567": true, "0015551234567": true, "(555) 123-4567": true, "tel:+1-555-123-4567": true, "+1.555.123.4567": true,
		"155512345671705312800": false, "call-15551234567": false, "CA0123456789abcdef0123456789abcdef": false, "990001": false,
		"550e8400-e29b-41d4-a716-446655440000": false, "1704067200.15551234567": false, "c_15551234567": false,
	} {
		for name, p := range map[string]transform.Privacy{"hash": hashed, "mask": masked, "drop": dropped} {
			tr := open(t, "voicy", private(p))
			var keys []string
			for _, from := range []string{`null`, `"+15551234567"`, `"5551234567"`, `15551234567`} {
				r := tr.Record(record(fmt.Sprintf(`{"call_id":%q,"from_number":%s}`, id, from)))
				switch {
				case r.Reject == nil:
					keys = append(keys, r.Observation.Call.ID)
				case r.Reject.Reason == "id is a phone number":
					keys = append(keys, "")
				default:
					t.Fatalf("%s: %+v", id, r.Reject)
				}
			}
			for _, key := range keys {
				if key != keys[0] || (key == id) == hidden || (name == "hash" && hidden && !idToken.MatchString(key)) || (name != "hash" && hidden && key != "") {
					t.Errorf("%s: id %q becomes %q", name, id, keys)
				}
			}
		}
	}
}

// The ids of agents and carriers are judged as the call's own, and numbers in JSON stay what they are.
func TestOtherIDs(t *testing.T) {
	o := observe(t, open(t, "millis", private(hashed)), `{"session_id":"s","agent_id":"+15551234567","voip":{"from":"+15551234567","call_sid":"+15551234567","sid":null}}`)
	if !idToken.MatchString(o.Call.AgentID) || o.Call.TelephonySID != o.Call.AgentID || strings.Contains(o.Payload, "555") {
		t.Errorf("agent %q, carrier %q in %s", o.Call.AgentID, o.Call.TelephonySID, o.Payload)
	}
	for _, id := range []string{"990001", "9007199254740993", "15551234567"} {
		o := observe(t, open(t, "burki", private(hashed)), `{"id":`+id+`,"assistant_id":`+id+`,"customer_phone_number":"+15551234567"}`)
		if o.Call.ID != id || o.Call.AgentID != id {
			t.Errorf("id %q and agent %q of %s", o.Call.ID, o.Call.AgentID, id)
		}
	}
	// What is no id at all is no exemption.
	o = observe(t, open(t, "millis", private(masked)), `{"session_id":"s","agent_id":["+15550001111"],"voip":{"sid":{"a":"+15550001111"}}}`)
	if len(findDigits(t, everything(t, transform.Result{Observation: o}), "5550001111")) > 0 {
		t.Errorf("left in %s", o.Payload)
	}
}

// A documented field is exempt only where it holds what is documented.
func TestNoFieldLetsNumbersThrough(t *testing.T) {
	values := []string{`"transferred to +15550001111"`, `"+15550001111"`, `{"to":"+15550001111"}`, `["+15550001111"]`, `{"a":[{"b":"1 555 000 1111"}]}`, `"15550001111"`}
	fields := map[string][]string{
		"burki": {
			`"status":%s`, `"started_at":%s`, `"ended_at":%s`, `"total_cost":%s`, `"duration":%s`, `"llm_cost":%s`, `"call_sid":%s`, `"assistant_id":%s`,
			`"call_summary":{"total_cost":%s}`, `"stt_timestamps":%s`,
		},
		"voicy":  {`"call_status":%s`, `"call_type":%s`, `"direction":%s`, `"agent":{"version":%s}`, `"start_timestamp":%s`, `"duration_ms":%s`, `"call_cost":{"combined_cost":%s}`},
		"millis": {`"call_status":%s`, `"ts":%s`, `"duration":%s`, `"chars_used":%s`, `"cost_breakdown":[{"credit":%s,"prompt_tokens":%[1]s}]`, `"agent_id":%s`},
	}
	for provider, list := range fields {
		for _, field := range list {
			for _, value := range values {
				if strings.Contains(field, "_id") || strings.Contains(field, "_sid") { // an id is a number only as a whole
					value = strings.Replace(value, "transferred to ", "", 1)
				}
				payload := with(provider, fmt.Sprintf(field, value))
				if !json.Valid([]byte(payload)) {
					t.Fatalf("the test is broken: %s", payload)
				}
				for name, p := range map[string]transform.Privacy{"hash": hashed, "mask": masked, "drop": dropped} {
					o := observe(t, open(t, provider, private(p)), payload)
					all := everything(t, transform.Result{Observation: o}) + quote(o.Call.StatusRaw+" "+o.Call.AgentVersion+" "+o.Call.AgentID)
					if strings.Contains(digitsOf(all), "5550001111") || len(findDigits(t, o.Payload, "5550001111")) > 0 {
						t.Errorf("%s lets it through: %s in %s", name, payload, all)
					}
				}
			}
		}
	}
	o := observe(t, open(t, "burki", private(hashed)), with("burki", `"status":"transferred to +15550001111"`))
	if !strings.HasPrefix(o.Call.StatusRaw, "transferred to tel_") {
		t.Errorf("status %q", o.Call.StatusRaw)
	}
}

func TestDocumentedFormsStay(t *testing.T) {
	for provider, fields := range map[string]string{
		"burki": `"status":"no-answer","started_at":"2024-01-15T10:00:00.123456","ended_at":"2024-01-15 10:00:00+02:00","total_cost":1555123.000000001,"duration":1234567`,
		"voicy": `"agent":{"name":"A","version":7},"start_timestamp":1704067200000,"duration_ms":5551234567,"call_type":"phone_call"`,
		"millis": `"ts":1704067200.123456,"duration":12.5,"chars_used":5551234567,"call_status":"user-ended",
			"cost_breakdown":[{"type":"llm","credit":0.12345678901,"prompt_tokens":5551234567}]`,
	} {
		for _, p := range []transform.Privacy{hashed, masked, dropped} {
			payload := with(provider, fields)
			if o := observe(t, open(t, provider, private(p)), payload); o.Payload != payload {
				t.Errorf("%s: %s\nwant %s", p.Numbers, o.Payload, payload)
			}
		}
	}
	// The word of a provider for a time is believed no further than the time goes.
	o := observe(t, open(t, "burki", private(masked)), with("burki", `"started_at":"2024-01-15T10:00:00.15550001111"`))
	if strings.Contains(o.Payload, "5550001111") {
		t.Errorf("left in %s", o.Payload)
	}
}
