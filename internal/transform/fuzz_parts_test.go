package transform_test

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/transform"
)

var fuzzed = []string{"millis", "burki", "voicy"}

// aboutAnID matches records that have ids: one stays as it is unless the whole of it is written as a number.
var aboutAnID = regexp.MustCompile(`(?i)id`)

// FuzzNumbers plants a number in a record, alone and amid words: whatever else the record is, and be it none, no policy but keep lets it through.
func FuzzNumbers(f *testing.F) {
	for _, fields := range []string{
		`"x":%`, `%:1`, `"x":[%,{"y":%}]`, `"from_number":%,"summary":%`, `"voip":{"from":%,"to":%}`, `"to_phone_number":%,"call_meta":{"a":%}`, `"call_id":%`, `"agent":{"name":%}`,
		`"chat":"[{\"role\":\"user\",\"content\":\"é\"}]","y":%`, `"transcript":[{"role":"agent","content":%}]`, `"started_at":%`, `"cost":%,"total_cost":%`, `"status":%`,
		`"function_calls":[{"name":%,"params":%,"result":%}]`, `"recording_url":%`, `"x":%,`, `"x":% "y":%`, `"metadata":%,"vars_collected":{"a":{%:%}}`, `"ts":%,"id":%`, `"x":"\ud800","y":%`,
	} {
		for which := range uint8(3) {
			f.Add(which, which, fields)
		}
	}
	const country, national = "1", "5559038172"
	forms := []string{"+" + country + national, "call +" + country + national + " or", "tel:+" + country + national, "+1 (555) 903-8172"}
	f.Fuzz(func(t *testing.T, which, form uint8, fields string) {
		if strings.Contains(digitsOf(fields), national) || form%4 > 0 && aboutAnID.MatchString(fields) {
			t.Skip("the number is there by itself, or stands amid words in what may be an id")
		}
		provider := fuzzed[int(which)%3]
		payload := with(provider, "@")
		payload = strings.Replace(payload, "@", strings.ReplaceAll(fields, "%", quote(forms[form%4])), 1)
		for _, p := range []transform.Privacy{hashed, masked, dropped, {Numbers: transform.NumbersMask, Transcripts: transform.TranscriptsDrop}} {
			r := open(t, provider, private(p)).Record(record(payload))
			if found := findDigits(t, everything(t, r), national); len(found) > 0 {
				t.Fatalf("%s, %s lets %s through in %q\nof %q", provider, p.Numbers, national, found, payload)
			}
		}
	})
}

// FuzzParts reads a call from its list element and its detail. What the detail told, a list read later and saying nothing of it does not take away;
// one call does not become another; and a number that one part names is found in the other.
func FuzzParts(f *testing.F) {
	for which, provider := range fuzzed {
		all := seeds(f, provider)
		for i, list := range all {
			f.Add(uint8(which), []byte(list), []byte(all[len(all)-1-i]))
			f.Add(uint8(which), []byte(list), []byte(list))
		}
		f.Add(uint8(which), []byte(with(provider, `"x":null`)), []byte(with(provider, `"summary":"s","transcript":[{"role":"agent","content":"hello"}],"recording_url":"https://x.example/r","total_cost":1.5,"cost_currency":"USD"`)))
	}
	f.Fuzz(func(t *testing.T, which uint8, list, detail []byte) {
		provider := fuzzed[int(which)%3]
		tr := open(t, provider)
		early, late := fetched.Add(-time.Hour), fetched
		parts := func(listed, detailed time.Time) map[call.Part]extract.Record {
			return map[call.Part]extract.Record{call.PartList: {Payload: list, FetchedAt: listed}, call.PartDetail: {Payload: detail, FetchedAt: detailed}}
		}
		alone := tr.Parts(call.PartDetail, map[call.Part]extract.Record{call.PartDetail: {Payload: detail, FetchedAt: early}})
		both := tr.Parts(call.PartList, parts(late, early))
		again := tr.Parts(call.PartList, parts(late, early))
		if diff := cmp.Diff(both, again); diff != "" {
			t.Fatalf("the same parts mean two things: %s", diff)
		}
		if both.Reject == nil {
			storable(t, both.Observation)
			if both.Observation.Part != call.PartList || both.Observation.Payload == "" || !both.Observation.FetchedAt.Equal(late) {
				t.Fatalf("the observation is of another part: %+v", both.Observation)
			}
			if first := tr.Record(extract.Record{Payload: list, FetchedAt: late}); first.Reject == nil && first.Observation.Payload != both.Observation.Payload {
				t.Fatalf("with a detail, the list's payload is %q, and %q without", both.Observation.Payload, first.Observation.Payload)
			}
		}
		if both.Reject == nil && alone.Reject == nil && both.Observation.Call.Key == alone.Observation.Call.Key && !contradict(list, detail) {
			kept(t, alone.Observation.Call, both.Observation.Call)
		}
		for _, p := range []transform.Privacy{hashed, masked, dropped} {
			if r := open(t, provider, private(p)).Parts(call.PartDetail, parts(early, late)); r.Reject == nil {
				storable(t, r.Observation)
			}
		}
	})
}

// contradict reports whether two payloads both tell something, and not the same, under one name.
func contradict(a, b []byte) bool {
	var one, other map[string]json.RawMessage
	if json.Unmarshal(a, &one) != nil || json.Unmarshal(b, &other) != nil {
		return true
	}
	for name, value := range one {
		switch was := other[name]; string(was) {
		case "", "null", `""`, string(value):
		default:
			return true
		}
	}
	return false
}

// kept fails if something that a call had is gone from it. The end is left out: where it was worked out, a call that is now known to be under way
// has none.
func kept(t *testing.T, before, after call.Call) {
	t.Helper()
	was, is := reflect.ValueOf(before), reflect.ValueOf(after)
	empty := func(v reflect.Value) bool { return v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0 }
	for i := range was.NumField() {
		if name := was.Type().Field(i).Name; name != "EndedAt" && !empty(was.Field(i)) && empty(is.Field(i)) {
			t.Errorf("%s was %+v, and is gone", name, reflect.Indirect(was.Field(i)))
		}
	}
}
