package fakeapi_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"syncd/internal/fakeapi"
)

type millisPage struct {
	Histories []millisRecord
	Next      *json.Number `json:"next_cursor"`
}

type millisRecord struct {
	SessionID  *string      `json:"session_id"`
	TS         *json.Number `json:"ts"`
	AgentID    *string      `json:"agent_id"`
	CallStatus *string      `json:"call_status"`
	Duration   *json.Number `json:"duration"`
	Chat       *string
	Recording  map[string]any
	Voip       *struct{ From, To, Direction string }
	Costs      []struct {
		Type, Provider   string
		Credit           json.Number
		PromptTokens     *int64 `json:"prompt_tokens"`
		CompletionTokens *int64 `json:"completion_tokens"`
	} `json:"cost_breakdown"`
	Functions []struct {
		Name           string
		Params, Result map[string]any
	} `json:"function_calls"`
}

func (p millisPage) ids() []string {
	var ids []string
	for _, h := range p.Histories {
		ids = append(ids, *h.SessionID)
	}
	return ids
}

func TestMillisPagesToTheEndGiveEachCallOnce(t *testing.T) {
	c := dial(t, options(fakeapi.Millis, 730))
	var got []string
	cursor, pages := "", 0
	for {
		page := ok[millisPage](c, "GET", "/call-logs?limit=100"+cursor, "")
		got, pages = append(got, page.ids()...), pages+1
		if page.Next == nil {
			break
		}
		if last := page.Histories[len(page.Histories)-1].TS; *last != *page.Next {
			t.Fatalf("next_cursor %s, want the ts of the last record, %s", *page.Next, *last)
		}
		cursor = "&start_after_ts=" + page.Next.String()
	}
	if want := c.fake.IDs(time.Time{}, time.Time{}); !slices.Equal(got, want) || len(want) != 730 || pages != 8 {
		t.Errorf("%d calls in %d pages; want the %d of the fake, newest first, in 8", len(got), pages, len(want))
	}
}

// TestMillisLastFullPage has no cursor where nothing follows.
func TestMillisLastFullPage(t *testing.T) {
	c := dial(t, options(fakeapi.Millis, 20))
	if page := ok[millisPage](c, "GET", "/call-logs", ""); len(page.Histories) != 20 || page.Next != nil {
		t.Errorf("%d calls, cursor %v; want the default page of 20 and no cursor", len(page.Histories), page.Next)
	}
	if _, _, body := c.do("GET", "/call-logs", ""); !strings.HasSuffix(body, `,"next_cursor":null}`) {
		t.Errorf("ends with %q; want a null cursor", body[len(body)-40:])
	}
}

func TestMillisLimits(t *testing.T) {
	c := dial(t, options(fakeapi.Millis, 30))
	for _, limit := range []string{"0", "-1", "101", "x", "1.5", ""} {
		c.refused("GET", "/call-logs?limit="+limit, "", 422, `"loc":["query","limit"]`)
	}
	for _, name := range []string{"start_time", "end_time", "start_after_ts"} {
		c.refused("GET", "/call-logs?"+name+"=yesterday", "", 422, `"loc":["query","`+name+`"]`)
	}
	if page := ok[millisPage](c, "GET", "/call-logs", ""); len(page.Histories) != 20 {
		t.Errorf("%d calls by default, want 20", len(page.Histories))
	}
	o := options(fakeapi.Millis, 30)
	o.MaxPageSize = 7
	c = dial(t, o)
	c.refused("GET", "/call-logs?limit=8", "", 422, "less than or equal to 7")
	if page := ok[millisPage](c, "GET", "/call-logs", ""); len(page.Histories) != 7 {
		t.Errorf("%d calls by default, want 7", len(page.Histories))
	}
}

func TestMillisTimeBoundsAreInclusive(t *testing.T) {
	c := dial(t, options(fakeapi.Millis, 50))
	page := ok[millisPage](c, "GET", "/call-logs?limit=50", "")
	newer, older := page.Histories[10], page.Histories[14]
	if !strings.Contains(newer.TS.String(), ".") {
		t.Fatalf("ts %s, want a fraction", newer.TS)
	}
	within := ok[millisPage](c, "GET", fmt.Sprintf("/call-logs?start_time=%s&end_time=%s", older.TS, newer.TS), "")
	if want := page.ids()[10:15]; !slices.Equal(within.ids(), want) {
		t.Errorf("%v, want %v", within.ids(), want)
	}
	same := ok[millisPage](c, "GET", fmt.Sprintf("/call-logs?start_time=%s&end_time=%s", newer.TS, newer.TS), "")
	if !slices.Equal(same.ids(), page.ids()[10:11]) {
		t.Errorf("start_time = end_time gives %v, want the one call", same.ids())
	}
}

// TestMillisCursorLosesTies shows the trap: of calls that share their ts across a page edge, those after the edge never come.
func TestMillisCursorLosesTies(t *testing.T) {
	c := dial(t, options(fakeapi.Millis, 0))
	for _, id := range []string{"a", "b", "c"} {
		insert(t, c.fake, fmt.Sprintf(`{"session_id":%q,"ts":1717171717.25}`, id))
	}
	insert(t, c.fake, `{"session_id":"z","ts":1717171716}`)
	page := ok[millisPage](c, "GET", "/call-logs?limit=2", "")
	if !slices.Equal(page.ids(), []string{"c", "b"}) || page.Next.String() != "1717171717.25" {
		t.Fatalf("first page %v, cursor %v", page.ids(), page.Next)
	}
	page = ok[millisPage](c, "GET", "/call-logs?limit=2&start_after_ts=1717171717.25", "")
	if !slices.Equal(page.ids(), []string{"z"}) || page.Next != nil {
		t.Errorf("second page %v, cursor %v; want z alone", page.ids(), page.Next)
	}
	page = ok[millisPage](c, "GET", "/call-logs?start_time=1717171717&end_time=1717171717.25", "")
	if !slices.Equal(page.ids(), []string{"c", "b", "a"}) {
		t.Errorf("a second look at the edge gives %v, want all three", page.ids())
	}
}

func TestMillisFilters(t *testing.T) {
	c := dial(t, options(fakeapi.Millis, 300))
	everything := ok[millisPage](c, "GET", "/call-logs?limit=100", "").Histories
	agent := *everything[0].AgentID
	i := slices.IndexFunc(everything, func(h millisRecord) bool { return h.Voip != nil })
	number := strings.TrimPrefix(everything[i].Voip.From, "+")
	byAgent := ok[millisPage](c, "GET", "/call-logs?limit=100&agent_id="+agent, "")
	byStatus := ok[millisPage](c, "GET", "/call-logs?limit=100&call_status=no-answer", "")
	byNumber := ok[millisPage](c, "GET", "/call-logs?limit=100&phone_number="+number, "")
	if len(byAgent.Histories) == 0 || len(byStatus.Histories) == 0 || len(byNumber.Histories) == 0 {
		t.Fatalf("%d, %d and %d calls: a filter finds nothing", len(byAgent.Histories), len(byStatus.Histories), len(byNumber.Histories))
	}
	for _, h := range byAgent.Histories {
		if *h.AgentID != agent {
			t.Errorf("agent %s, want %s", *h.AgentID, agent)
		}
	}
	for _, h := range byStatus.Histories {
		if *h.CallStatus != "no-answer" {
			t.Errorf("status %s, want no-answer", *h.CallStatus)
		}
	}
	for _, h := range byNumber.Histories {
		if !strings.Contains(h.Voip.From+h.Voip.To, number) {
			t.Errorf("call %s does not have the number", *h.SessionID)
		}
	}
	if none := ok[millisPage](c, "GET", "/call-logs?call_status=COMPLETED", ""); len(none.Histories) != 0 {
		t.Errorf("%d calls are COMPLETED, a value that no call has", len(none.Histories))
	}
}

func TestMillisCall(t *testing.T) {
	c := dial(t, options(fakeapi.Millis, 10))
	list := ok[struct{ Histories []json.RawMessage }](c, "GET", "/call-logs", "")
	for i, id := range c.fake.IDs(time.Time{}, time.Time{}) {
		if _, _, one := c.do("GET", "/call-logs/"+id, ""); one != string(list.Histories[i]) {
			t.Errorf("call %s differs from its element of the list", id)
		}
	}
	c.refused("GET", "/call-logs/11111111-1111-4111-8111-111111111111", "", 404, `{"detail":`)
	if status, _, _ := c.send("GET", "/call-logs/x", "", ""); status != 422 {
		t.Errorf("without a key: status %d, want 422", status)
	}
}

// TestMillisRecords looks into finished calls for what the transform will need of them.
func TestMillisRecords(t *testing.T) {
	c := dial(t, options(fakeapi.Millis, 600))
	seen := map[string]int{}
	for _, path := range []string{"/call-logs?limit=100", "/call-logs?limit=100&end_time=1730000000", "/call-logs?limit=100&end_time=1720000000"} {
		for _, h := range ok[millisPage](c, "GET", path, "").Histories {
			if h.Voip == nil {
				seen["web"]++
			} else {
				seen["direction "+h.Voip.Direction]++
			}
			if *h.CallStatus == "chat_completion" {
				seen["chat_completion"]++
			}
			for _, cost := range h.Costs {
				seen["cost "+cost.Type]++
				if (cost.Type == "llm") != (cost.PromptTokens != nil) {
					t.Errorf("tokens of a %s cost: %v", cost.Type, cost.PromptTokens)
				}
				if _, decimals, _ := strings.Cut(cost.Credit.String(), "."); len(decimals) > 9 {
					t.Errorf("credit %s has more than nine decimals", cost.Credit)
				} else if len(decimals) == 9 {
					seen["nine decimals"]++
				}
			}
			if h.Chat == nil {
				seen["no chat"]++
				continue
			}
			var turns []struct {
				Role      string
				Content   *string
				ToolCalls []struct {
					Function struct{ Name, Arguments string }
				} `json:"tool_calls"`
				ToolCallID *string `json:"tool_call_id"`
			}
			if err := json.Unmarshal([]byte(*h.Chat), &turns); err != nil || len(turns) < 3 {
				t.Fatalf("chat of %d turns: %v", len(turns), err)
			}
			for _, turn := range turns {
				seen["turn "+turn.Role]++
			}
			seen["functions"] += len(h.Functions)
		}
	}
	for _, what := range []string{
		"web", "direction inbound", "direction outbound", "direction ", "chat_completion", "no chat", "functions", "nine decimals",
		"cost llm", "cost tts", "cost stt", "cost telephony", "cost platform", "turn system", "turn user", "turn assistant", "turn tool",
	} {
		if seen[what] == 0 {
			t.Errorf("no %q among 300 calls: %v", what, seen)
		}
	}
}

// insert adds a hand-made call.
func insert(t *testing.T, fake *fakeapi.Server, list string) {
	t.Helper()
	if err := fake.Insert(fakeapi.Record{List: list}); err != nil {
		t.Fatal(err)
	}
}
