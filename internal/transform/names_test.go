package transform_test

import (
	"fmt"
	"strings"
	"testing"

	"syncd/internal/transform"
)

// Who made a record is no time, even if the name of the field begins like one.
func TestNumbersOfWhoDidIt(t *testing.T) {
	for _, key := range []string{"created_by", "updated_by", "createdBy", "started-by", "ended_by"} {
		for _, value := range []string{`"2025550123"`, `"2025550123000"`, `2025550123`, `"+12025550123"`} {
			for _, in := range []string{`{"%s":%s}`, `{"timestamps":{"%s":%s}}`} {
				o := observe(t, open(t, "burki", private(masked)), with("burki", `"call_meta":`+fmt.Sprintf(in, key, value)))
				if strings.Contains(o.Payload, "2025550123") {
					t.Errorf("left in %s", o.Payload)
				}
			}
		}
	}
	for _, kept := range []string{`"created_at":1704067200`, `"created":"1704067200"`, `"updated_ts":2025550123`, `"by":1704067200`} {
		payload := with("burki", `"call_meta":{`+kept+`}`)
		if o := observe(t, open(t, "burki", private(masked)), payload); o.Payload != payload {
			t.Errorf("%s becomes %s", payload, o.Payload)
		}
	}
}

func TestTranscriptsUnderOtherNames(t *testing.T) {
	drops := transform.Privacy{Transcripts: transform.TranscriptsDrop}
	for _, key := range []string{
		"chat_log", "chat_messages", "conversation_history", "message_history", "llm_messages", "dialogs", "history", "chatLog", "lastUtterance", "call-transcript", "user turns",
	} {
		for _, value := range []string{
			`[{"role":"user","content":"my secret order"}]`, `{"turn":{"text":"my secret order"}}`, `"Caller: my secret order has not come, and it is late by now"`,
			`"[{\"role\":\"user\",\"content\":\"my-secret-order\"},{}]"`,
		} {
			payload := with("voicy", `"vars_collected":{`+quote(key)+`:`+value+`,"note":"said: my secret order","name":"Ada"}`)
			o := observe(t, open(t, "voicy", private(drops)), payload)
			if strings.Contains(o.Payload, quote(key)+`:[`) || strings.Contains(o.Payload, "has not come") || strings.Contains(o.Payload, "my-secret") || !strings.Contains(o.Payload, `"name":"Ada"`) {
				t.Errorf("%s becomes %s", payload, o.Payload)
			}
			if value[0] != '"' && strings.Contains(o.Payload, "my secret order") {
				t.Errorf("what was said is repeated in %s", o.Payload)
			}
			if again := observe(t, open(t, "voicy", private(drops)), o.Payload); again.Payload != o.Payload {
				t.Errorf("not idempotent: %s, then %s", o.Payload, again.Payload)
			}
		}
	}
	for _, kept := range []string{
		`"message_count":12`, `"error_message":"no answer from the carrier"`, `"chat_id":"550e8400-e29b-41d4-a716-446655440000"`, `"has_history":true`, `"history":null`,
		`"conversation_id":"0123456789abcdef0123456789abcdef0123456789abcdef"`, `"chat_url":"https://x.example/a/long/path/to/the/chat/of/this/call"`,
		`"purchases":["a","b"]`, `"chatter":{"a":1}`, `"historic":["a"]`, `"turnover":[1]`,
	} {
		payload := with("voicy", `"vars_collected":{`+kept+`}`)
		if o := observe(t, open(t, "voicy", private(drops)), payload); o.Payload != payload {
			t.Errorf("%s becomes %s", payload, o.Payload)
		}
	}
}

// A log of what happened is dropped as if it were said, but takes neither the status nor the time of the call with it.
func TestDroppedHistoryLeavesTheCall(t *testing.T) {
	o := observe(t, open(t, "voicy", private(silent)), `{"call_id":"v","call_status":"agent_hangup","vars_collected":{
		"status_history":[{"status":"agent_hangup","when":"2024-01-15T10:00:00Z"}],"booked":"2024-01-15T10:00:00Z"}}`)
	if o.Call.StatusRaw != "agent_hangup" || len(o.Drift) > 0 || !strings.Contains(o.Payload, `"booked":"2024-01-15T10:00:00Z"`) || strings.Contains(o.Payload, "when") {
		t.Errorf("status %q, drift %v in %s", o.Call.StatusRaw, o.Drift, o.Payload)
	}
}
