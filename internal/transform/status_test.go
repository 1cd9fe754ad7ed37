package transform_test

import (
	"fmt"
	"testing"

	"syncd/internal/call"
)

// documented is every status of providers' documentation, and what it means.
var documented = map[string]map[string]struct {
	status call.Status
	end    call.EndReason
}{
	"millis": {
		"registered": {call.Queued, ""}, "queued": {call.Queued, ""}, "dispatching": {call.Queued, ""}, "provider_queued": {call.Queued, ""},
		"initiated": {call.Ringing, ""}, "ringing": {call.Ringing, ""}, "in-progress": {call.InProgress, ""},
		"user-ended": {call.Completed, "user"}, "agent-ended": {call.Completed, "agent"}, "api-ended": {call.Completed, "api"},
		"timeout": {call.Completed, "timeout"}, "chat_completion": {call.Completed, ""},
		"voicemail-hangup": {call.Voicemail, "voicemail"}, "voicemail-message": {call.Voicemail, "voicemail"},
		"no-answer": {call.NoAnswer, ""}, "busy": {call.Busy, ""}, "canceled": {call.Canceled, ""},
		"failed": {call.Failed, ""}, "error": {call.Failed, "error"}, "unknown": {call.Unknown, ""},
	},
	"burki": {
		"queued": {call.Queued, ""}, "ringing": {call.Ringing, ""}, "initiated": {call.Ringing, ""}, "ongoing": {call.InProgress, ""},
		"in-progress": {call.InProgress, ""}, "completed": {call.Completed, ""}, "voicemail": {call.Voicemail, "voicemail"},
		"no_answer": {call.NoAnswer, ""}, "no-answer": {call.NoAnswer, ""}, "busy": {call.Busy, ""}, "canceled": {call.Canceled, ""},
		"failed": {call.Failed, ""},
	},
	"voicy": {
		"initiated": {call.Ringing, ""}, "ringing": {call.Ringing, ""}, "ongoing": {call.InProgress, ""}, "in_progress": {call.InProgress, ""},
		"user_hangup": {call.Completed, "user"}, "agent_hangup": {call.Completed, "agent"}, "inactivity": {call.Completed, "inactivity"},
		"error_inactivity": {call.Completed, "inactivity"}, "ended": {call.Completed, ""}, "voicemail": {call.Voicemail, "voicemail"},
		"no_answer": {call.NoAnswer, ""}, "busy": {call.Busy, ""}, "canceled": {call.Canceled, ""}, "error": {call.Failed, "error"},
	},
}

// minimal is the smallest record of a provider that is a call, with room for one more field.
var minimal = map[string]string{
	"millis": `{"session_id":"s1","ts":1704067200,%s}`,
	"burki":  `{"id":1,"started_at":"2024-01-01T00:00:00Z",%s}`,
	"voicy":  `{"call_id":"v1","start_timestamp":1704067200000,%s}`,
}

var statusField = map[string]string{"millis": "call_status", "burki": "status", "voicy": "call_status"}

func with(provider, field string) string { return fmt.Sprintf(minimal[provider], field) }

func TestDocumentedStatuses(t *testing.T) {
	for provider, statuses := range documented {
		tr := open(t, provider)
		for raw, want := range statuses {
			o := observe(t, tr, with(provider, fmt.Sprintf("%q:%q", statusField[provider], raw)))
			if o.Call.Status != want.status || o.Call.StatusRaw != raw || o.Call.EndReason != want.end || len(o.Drift) != 0 {
				t.Errorf("%s %q is %q, ended by %q, drift %v; want %q, %q and no drift", provider, raw, o.Call.Status, o.Call.EndReason, o.Drift, want.status, want.end)
			}
		}
	}
}

func TestTrapUnknownStatus(t *testing.T) {
	for provider, field := range statusField {
		tr := open(t, provider)
		// Millis documents a filter value that its own enum does not have.
		for _, raw := range []string{"COMPLETED", "transferred_to_human", " completed"} {
			o := observe(t, tr, with(provider, fmt.Sprintf("%q:%q", field, raw)))
			if o.Call.Status != call.Unknown || o.Call.StatusRaw != raw || o.Call.EndReason != "" || o.Call.Status.Final() {
				t.Errorf("%s %q became %q (%q)", provider, raw, o.Call.Status, o.Call.StatusRaw)
			}
			same(t, o.Drift, []call.Drift{{Path: field, Sample: raw}})
		}
		for _, none := range []string{`"x":null`, fmt.Sprintf("%q:null", field), fmt.Sprintf(`%q:""`, field)} {
			o := observe(t, tr, with(provider, none))
			if o.Call.Status != call.Unknown || o.Call.StatusRaw != "" {
				t.Errorf("%s with %s has status %q (%q)", provider, none, o.Call.Status, o.Call.StatusRaw)
			}
			for _, d := range o.Drift {
				if d.Path != "x" {
					t.Errorf("%s with %s drifts: %v", provider, none, d)
				}
			}
		}
		o := observe(t, tr, with(provider, fmt.Sprintf(`%q:{"a":1}`, field)))
		same(t, o.Drift, []call.Drift{{Path: field + ": an object for a text", Sample: `{"a":1}`}})
	}
}

func TestChannelsAndDirections(t *testing.T) {
	for _, c := range []struct {
		provider, fields string
		channel          call.Channel
		direction        call.Direction
		customer         string
		drift            string
	}{
		{"millis", `"voip":{"from":"+1","to":"+2"}`, call.ChannelPhone, call.DirectionUnknown, "", ""},
		{"millis", `"voip":{"from":"+1","to":"+2","direction":"outbound"}`, call.ChannelPhone, call.Outbound, "+2", ""},
		{"millis", `"voip":{"from":"+1","to":"+2","direction":"inbound"}`, call.ChannelPhone, call.Inbound, "+1", ""},
		{"millis", `"voip":{"from":"+1","to":"+2","direction":"sideways"}`, call.ChannelPhone, call.DirectionUnknown, "", "voip.direction"},
		{"millis", `"voip":{"from":"+1","carrier_x":"y"}`, call.ChannelPhone, call.DirectionUnknown, "", "voip.carrier_x"},
		{"millis", `"voip":null`, call.ChannelWeb, call.DirectionUnknown, "", ""},
		{"millis", `"voip":"twilio"`, call.ChannelUnknown, call.DirectionUnknown, "", "voip: a text for an object"},
		{"millis", `"voip":null,"call_status":"chat_completion"`, call.ChannelChat, call.DirectionUnknown, "", ""},
		{"burki", `"to_phone_number":"+2","customer_phone_number":"+3"`, call.ChannelUnknown, call.DirectionUnknown, "+3", ""},
		{"voicy", `"call_type":"phone_call","direction":"incoming","from_number":"+1","to_number":"+2"`, call.ChannelPhone, call.Inbound, "+1", ""},
		{"voicy", `"call_type":"phone_call","direction":"outgoing","from_number":"+1","to_number":"+2"`, call.ChannelPhone, call.Outbound, "+2", ""},
		{"voicy", `"call_type":"web_call","direction":null`, call.ChannelWeb, call.DirectionUnknown, "", ""},
		{"voicy", `"call_type":"video_call"`, call.ChannelUnknown, call.DirectionUnknown, "", "call_type"},
	} {
		o := observe(t, open(t, c.provider), with(c.provider, c.fields))
		if o.Call.Channel != c.channel || o.Call.Direction != c.direction || o.Call.CustomerNumber != c.customer {
			t.Errorf("%s %s: channel %q, direction %q, customer %q; want %q, %q, %q",
				c.provider, c.fields, o.Call.Channel, o.Call.Direction, o.Call.CustomerNumber, c.channel, c.direction, c.customer)
		}
		var paths string
		for _, d := range o.Drift {
			paths += d.Path
		}
		if paths != c.drift {
			t.Errorf("%s %s: drift at %q, want %q", c.provider, c.fields, paths, c.drift)
		}
	}
}
