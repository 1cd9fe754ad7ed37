package transform_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/rawjson"
	"syncd/internal/transform"
)

func FuzzTransformMillis(f *testing.F) { fuzzTransform(f, "millis") }
func FuzzTransformBurki(f *testing.F)  { fuzzTransform(f, "burki") }
func FuzzTransformVoicy(f *testing.F)  { fuzzTransform(f, "voicy") }

// fuzzTransform checks what holds for any bytes whatever: an observation that can be stored, or a reject that can, and privacy that changes
// nothing when it is applied again.
func fuzzTransform(f *testing.F, provider string) {
	for _, seed := range seeds(f, provider) {
		f.Add([]byte(seed))
	}
	policies := []transform.Privacy{
		{}, hashed, masked, dropped,
		{Transcripts: transform.TranscriptsDrop},
		{Numbers: transform.NumbersMask, Transcripts: transform.TranscriptsDrop},
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		before := string(payload)
		for _, p := range policies {
			tr := open(t, provider, private(p))
			r := tr.Record(extract.Record{Payload: payload, FetchedAt: fetched})
			if string(payload) != before {
				t.Fatal("the record's own bytes were written to")
			}
			onlyKey(t, tr, payload, r)
			if r.Reject != nil {
				if r.Reject.Reason == "" || r.Reject.Detail == "" || !utf8.ValidString(r.Reject.Payload) || strings.ContainsRune(r.Reject.Payload, 0) {
					t.Fatalf("unusable reject: %+v", r.Reject)
				}
				continue
			}
			storable(t, r.Observation)
			again := tr.Record(extract.Record{Payload: []byte(r.Observation.Payload), FetchedAt: fetched})
			if again.Reject != nil || again.Observation.Payload != r.Observation.Payload || again.Observation.ContentHash != r.Observation.ContentHash {
				t.Fatalf("%+v is not idempotent: %q\nthen %q", p, r.Observation.Payload, again.Observation.Payload)
			}
			parts := map[call.Part]extract.Record{
				call.PartList: {Payload: payload, FetchedAt: fetched}, call.PartDetail: {Payload: payload, FetchedAt: fetched.Add(time.Hour)},
				call.PartTranscripts: {Payload: payload, FetchedAt: fetched}, call.PartCosts: {Payload: payload, FetchedAt: fetched},
			}
			if all := tr.Parts(call.PartDetail, parts); all.Reject == nil {
				storable(t, all.Observation)
			}
		}
	})
}

// onlyKey fails unless the key of a record is what the whole of it tells too: whether it was cut into fields before or not.
func onlyKey(t *testing.T, tr *transform.Transformer, payload []byte, whole transform.Result) {
	t.Helper()
	key := tr.Key(extract.Record{Payload: payload, FetchedAt: fetched})
	if (key.Reject == nil) != (whole.Reject == nil) {
		t.Fatalf("the key: %+v\nthe record: %+v", key.Reject, whole.Reject)
	}
	if key.Reject != nil {
		return
	}
	k, w := key.Observation, whole.Observation
	if k.Call.Key != w.Call.Key || k.Alias != w.Alias || k.Part != w.Part || k.Payload != w.Payload || k.ContentHash != w.ContentHash {
		t.Fatalf("the key: %+v\nthe record: %+v", k, w)
	}
	cut := tr.Record(extract.Record{Payload: payload, FetchedAt: fetched, Fields: rawjson.Members([]rawjson.Member{}, payload)})
	if diff := cmp.Diff(whole, cut); diff != "" {
		t.Fatalf("a record that was cut into fields before (-not cut +cut):\n%s", diff)
	}
}

// storable fails unless the warehouse can hold the observation.
func storable(t *testing.T, o call.Observation) {
	t.Helper()
	c := o.Call
	if c.ID == "" || c.Source == "" || len(c.ID) > 512 || c.Provider == "" || c.Channel == "" || c.Direction == "" || c.Status == "" {
		t.Fatalf("incomplete: %+v", c)
	}
	if !utf8.ValidString(o.Payload) || !json.Valid([]byte(o.Payload)) {
		t.Fatalf("payload is no JSON text: %q", o.Payload)
	}
	if c.Metadata != "" && !json.Valid([]byte(c.Metadata)) {
		t.Fatalf("metadata is no JSON: %q", c.Metadata)
	}
	texts := []string{
		c.ID, o.Alias, c.AgentID, c.AgentName, c.AgentVersion, c.FlowName, c.FromNumber, c.ToNumber, c.CustomerNumber, c.TelephonySID, c.StatusRaw,
		c.CostCurrency, c.Summary, c.RecordingURL, c.Metadata,
	}
	for _, m := range c.Messages {
		texts = append(texts, m.Content)
	}
	for _, f := range c.Functions {
		texts = append(texts, f.Name, f.Params, f.Result)
	}
	for _, cost := range c.Costs {
		if cost.Component == "" {
			t.Fatalf("a cost of nothing: %+v", cost)
		}
		texts = append(texts, cost.Vendor, cost.Currency)
	}
	for _, d := range o.Drift {
		if d.Path == "" {
			t.Fatalf("drift nowhere: %+v", d)
		}
		texts = append(texts, d.Path, d.Sample)
	}
	for _, s := range texts {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			t.Fatalf("text that cannot be stored: %q", s)
		}
	}
	for _, at := range []*time.Time{c.StartedAt, c.EndedAt} {
		if at != nil && (at.Year() < 2000 || at.Year() > 2101 || at.Location() != time.UTC || at.Nanosecond()%1000 != 0) {
			t.Fatalf("a time that no call has: %v", at)
		}
	}
}

// seeds are the fixtures and the traps.
func seeds(t testing.TB, provider string) []string {
	list := map[string][2]string{"millis": {"list.json", "histories"}, "burki": {"list_sample.json", "items"}, "voicy": {"list_sample.json", "calls"}}[provider]
	out := rows(t, provider, list[0], list[1])
	if provider == "voicy" {
		out = append(out, fixture(t, "voicy", "detail.json"))
	}
	for _, fields := range []string{
		`"x":"\ud800\u0000"`, `"x":"+1 (555) 123-4567"`, `"x":"{\"transcript\":[{\"content\":\"some words were said\"}]}"`, `"x":[[[[1]]]]`, `"x":1e400`,
		`"x":"***67 555 1234"`, `"15551234567":5551234567`, `"voip":{"from":15551234567}`, `"voip":{"from":{"a":"b"}},"y":"[number] 555 1234567"`,
		`"chat":"no json, but long enough","y":"no json, but long enough to be found"`, `"transcript":"Caller: where is my order?"`, `"id":15551234567`,
	} {
		out = append(out, with(provider, fields))
	}
	return out
}
