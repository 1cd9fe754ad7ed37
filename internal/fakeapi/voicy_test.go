package fakeapi_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
)

type voicyPage struct {
	Calls []voicyRecord
	Total int `json:"total_count"`
}

type voicyRecord struct {
	ID     string `json:"call_id"`
	Type   string `json:"call_type"`
	Status string `json:"call_status"`
	Agent  *struct {
		Name    string
		Version int
	}
	From      *string `json:"from_number"`
	To        *string `json:"to_number"`
	Direction string
	Start     int64  `json:"start_timestamp"`
	Duration  *int64 `json:"duration_ms"`
	Test      bool   `json:"is_test_call"`
}

func (p voicyPage) ids() []string {
	out := []string{}
	for _, r := range p.Calls {
		out = append(out, r.ID)
	}
	return out
}

func TestVoicyPagesToTheEndGiveEachCallOnce(t *testing.T) {
	c := dial(t, options(fakeapi.Voicy, 1300))
	want := c.fake.IDs(time.Time{}, time.Time{})
	oldest := slices.Clone(want)
	slices.Reverse(oldest)
	for order, want := range map[string][]string{"descending": want, "ascending": oldest} {
		var got []string
		last := ""
		for {
			page := ok[voicyPage](c, "POST", "/call-list", fmt.Sprintf(`{"limit":400,"sort_order":%q%s}`, order, last))
			if page.Total != len(want) {
				t.Errorf("%s: total_count %d, want %d", order, page.Total, len(want))
			}
			got = append(got, page.ids()...)
			if len(page.Calls) < 400 {
				break
			}
			last = fmt.Sprintf(`,"pagination_key":%q`, got[len(got)-1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %d calls, want the %d of the fake", order, len(got), len(want))
		}
	}
	end := ok[voicyPage](c, "POST", "/call-list", fmt.Sprintf(`{"pagination_key":%q}`, want[len(want)-1]))
	if len(end.Calls) != 0 || end.Total != len(want) {
		t.Errorf("after the last: %d calls, total_count %d", len(end.Calls), end.Total)
	}
}

func TestVoicyTestCalls(t *testing.T) {
	c := dial(t, options(fakeapi.Voicy, 800))
	without := ok[voicyPage](c, "POST", "/call-list", `{"limit":1000}`)
	with := ok[voicyPage](c, "POST", "/call-list", `{"limit":1000,"filter_criteria":{"include_test_calls":true}}`)
	tests := 0
	for _, r := range with.Calls {
		if r.Test {
			tests++
		}
	}
	if with.Total != 800 || tests == 0 || without.Total != 800-tests || len(without.Calls) != without.Total || c.fake.Count(time.Time{}, time.Time{}) != without.Total ||
		len(c.fake.All()) != with.Total {
		t.Errorf("%d with tests (%d of them), %d without; the fake counts %d", with.Total, tests, without.Total, c.fake.Count(time.Time{}, time.Time{}))
	}
	for _, r := range without.Calls {
		if r.Test {
			t.Errorf("test call %s listed", r.ID)
		}
	}
}

func TestVoicyRefusals(t *testing.T) {
	c := dial(t, options(fakeapi.Voicy, 60))
	for body, status := range map[string]int{
		`{"limit":0}`: 422, `{"limit":1001}`: 422, `{"limit":"ten"}`: 422, `{"sort_order":"newest"}`: 422, `{"filter_criteria":{"direction":["inbound"]}}`: 422,
		`{"filter_criteria":{"start_timestamp":{"lower_threshold":"x"}}}`: 422, `{`: 400, `{"pagination_key":"11111111-1111-4111-8111-111111111111"}`: 400,
		`{"pagination_key":"x"}`: 400,
	} {
		c.refused("POST", "/call-list", body, status, `{"error":"`)
	}
	c.refused("GET", "/call-get/nothing", "", 404, `{"error":"Call not found"}`)
	for _, body := range []string{"", "{}"} {
		if page := ok[voicyPage](c, "POST", "/call-list", body); len(page.Calls) != 50 {
			t.Errorf("%d calls by default, want 50", len(page.Calls))
		}
	}
}

// TestVoicyForgottenKey is a key whose call is gone since.
func TestVoicyForgottenKey(t *testing.T) {
	c := dial(t, options(fakeapi.Voicy, 60))
	page := ok[voicyPage](c, "POST", "/call-list", `{"limit":10}`)
	c.fake.Remove(page.Calls[9].ID)
	c.refused("POST", "/call-list", fmt.Sprintf(`{"limit":10,"pagination_key":%q}`, page.Calls[9].ID), 400, `{"error":"Invalid pagination_key"}`)
}

func TestVoicyTimeBoundsAreInclusive(t *testing.T) {
	c := dial(t, options(fakeapi.Voicy, 60))
	page := ok[voicyPage](c, "POST", "/call-list", `{}`)
	newer, older := page.Calls[10], page.Calls[14]
	within := ok[voicyPage](c, "POST", "/call-list", fmt.Sprintf(`{"filter_criteria":{"start_timestamp":{"lower_threshold":%d,"upper_threshold":%d}}}`, older.Start, newer.Start))
	if diff := cmp.Diff(page.ids()[10:15], within.ids()); diff != "" || within.Total != 5 {
		t.Errorf("total_count %d: %s", within.Total, diff)
	}
	far := ok[voicyPage](c, "POST", "/call-list", `{"filter_criteria":{"start_timestamp":{"lower_threshold":-9000000000000000000,"upper_threshold":9000000000000000000}}}`)
	if far.Total != page.Total {
		t.Errorf("total_count %d within bounds beyond time, want %d", far.Total, page.Total)
	}
}

func TestVoicyFilters(t *testing.T) {
	c := dial(t, options(fakeapi.Voicy, 900))
	everything := ok[voicyPage](c, "POST", "/call-list", `{"limit":1000,"filter_criteria":{"include_test_calls":true}}`)
	for filter, keep := range map[string]func(voicyRecord) bool{
		`"call_status":["user_hangup","agent_hangup"]`:        func(r voicyRecord) bool { return !r.Test && strings.HasSuffix(r.Status, "_hangup") },
		`"direction":["incoming"]`:                            func(r voicyRecord) bool { return !r.Test && r.Direction == "incoming" },
		`"direction":["outgoing"],"include_test_calls":true`:  func(r voicyRecord) bool { return r.Direction == "outgoing" },
		`"agent_id":["22222222-2222-4222-8222-222222222222"]`: func(voicyRecord) bool { return false },
		`"agent_id":[],"call_status":[]`:                      func(r voicyRecord) bool { return !r.Test },
	} {
		var want voicyPage
		for _, r := range everything.Calls {
			if keep(r) {
				want.Calls = append(want.Calls, r)
			}
		}
		// In pages, so that resuming within a filter is seen too.
		var got []string
		last := ""
		for {
			page := ok[voicyPage](c, "POST", "/call-list", fmt.Sprintf(`{"limit":100,"filter_criteria":{%s}%s}`, filter, last))
			if page.Total != len(want.Calls) {
				t.Errorf("%s: total_count %d, want %d", filter, page.Total, len(want.Calls))
			}
			got = append(got, page.ids()...)
			if len(page.Calls) < 100 {
				break
			}
			last = fmt.Sprintf(`,"pagination_key":%q`, got[len(got)-1])
		}
		if !slices.Equal(got, want.ids()) {
			t.Errorf("%s: %d calls, want %d", filter, len(got), len(want.Calls))
		}
	}
}

func TestVoicyCall(t *testing.T) {
	c := dial(t, options(fakeapi.Voicy, 120))
	seen := map[string]int{}
	for _, r := range ok[voicyPage](c, "POST", "/call-list", `{"limit":1000}`).Calls {
		var brief voicyRecord
		var full struct {
			Transcript []struct {
				Role, Content string
				At            int64 `json:"timestamp_ms"`
			}
			Recording *string        `json:"recording_url"`
			Collected map[string]any `json:"vars_collected"`
			Extracted map[string]any `json:"vars_extracted"`
			Summary   *string
		}
		_, _, body := c.do("GET", "/call-get/"+r.ID, "")
		for _, into := range []any{&brief, &full} {
			if err := json.Unmarshal([]byte(body), into); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(r, brief); diff != "" {
			t.Errorf("call %s differs from its element of the list: %s", r.ID, diff)
		}
		if talked := *r.Duration > 0; (len(full.Transcript) > 0) != talked || (full.Recording != nil) != talked || (full.Summary != nil) != talked {
			t.Errorf("call %s of %d ms: %d turns, recording %v", r.ID, *r.Duration, len(full.Transcript), full.Recording)
		}
		for i, turn := range full.Transcript {
			seen[turn.Role]++
			if turn.At < 0 || turn.At > *r.Duration || i > 0 && turn.At < full.Transcript[i-1].At {
				t.Errorf("call %s: turn %d at %d ms of %d", r.ID, i, turn.At, *r.Duration)
			}
		}
		if visits, _ := full.Collected["visits"].([]any); len(visits) > 0 {
			seen["nested array"]++
		}
		if contact, _ := full.Collected["contact"].(map[string]any); len(contact) > 0 {
			seen["nested object"]++
		}
		if r.Agent == nil {
			seen["no agent"]++
		} else if r.Agent.Version > 1 {
			seen["later version"]++
		}
		if seen[r.Type]++; r.Type == "web_call" && (r.From != nil || r.To != nil) {
			t.Errorf("web call %s has numbers", r.ID)
		}
	}
	for _, what := range []string{"agent", "caller", "nested array", "nested object", "no agent", "later version", "web_call", "phone_call"} {
		if seen[what] == 0 {
			t.Errorf("no %q: %v", what, seen)
		}
	}
}

func TestVoicyRecordingURLChangesAtEveryRequest(t *testing.T) {
	c := dial(t, options(fakeapi.Voicy, 5))
	id := ""
	for _, r := range ok[voicyPage](c, "POST", "/call-list", `{}`).Calls {
		if *r.Duration > 0 {
			id = r.ID
		}
	}
	get := func() (string, string) {
		full := ok[map[string]any](c, "GET", "/call-get/"+id, "")
		signed, _ := full["recording_url"].(string)
		delete(full, "recording_url")
		rest, err := json.Marshal(full)
		if err != nil {
			t.Fatal(err)
		}
		return signed, string(rest)
	}
	first, rest1 := get()
	second, rest2 := get()
	if first == second || first == "" || rest1 != rest2 {
		t.Errorf("recording_url %q, then %q; the rest alike: %v", first, second, rest1 == rest2)
	}
}
