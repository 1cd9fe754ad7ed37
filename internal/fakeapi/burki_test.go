package fakeapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/fakeapi"
)

type burkiPage struct {
	Items              []burkiRecord
	Total, Skip, Limit int
}

type burkiRecord struct {
	ID            int64
	CallSID       string  `json:"call_sid"`
	AssistantID   int64   `json:"assistant_id"`
	AssistantName string  `json:"assistant_name"`
	FlowName      *string `json:"flow_name"`
	Customer      string  `json:"customer_phone_number"`
	Status        string
	Duration      *int64
	StartedAt     string       `json:"started_at"`
	EndedAt       *string      `json:"ended_at"`
	TotalCost     *json.Number `json:"total_cost"`
	LLM           *json.Number `json:"llm_cost"`
	TTS           *json.Number `json:"tts_cost"`
	STT           *json.Number `json:"stt_cost"`
	Telephony     *json.Number `json:"telephony_cost"`
	Currency      *string      `json:"cost_currency"`
}

func ids(items []burkiRecord) []string {
	out := []string{}
	for _, it := range items {
		out = append(out, fmt.Sprint(it.ID))
	}
	return out
}

func TestBurkiPagesToTheEndGiveEachCallOnce(t *testing.T) {
	c := dial(t, options(fakeapi.Burki, 2300))
	var got []string
	for {
		page := ok[burkiPage](c, "GET", fmt.Sprintf("/api/v1/calls/?limit=1000&skip=%d", len(got)), "")
		if page.Total != 2300 || page.Skip != len(got) || page.Limit != 1000 {
			t.Errorf("total %d, skip %d, limit %d at %d", page.Total, page.Skip, page.Limit, len(got))
		}
		got = append(got, ids(page.Items)...)
		if len(page.Items) < 1000 {
			break
		}
	}
	if want := c.fake.IDs(time.Time{}, time.Time{}); !slices.Equal(got, want) || len(want) != 2300 {
		t.Errorf("%d calls; want the %d of the fake, newest first", len(got), len(want))
	}
	if page := ok[burkiPage](c, "GET", "/api/v1/calls/?skip=2300", ""); page.Items == nil || len(page.Items) != 0 || page.Total != 2300 {
		t.Errorf("beyond the end: %+v; want an empty array and the total", page)
	}
}

func TestBurkiLimits(t *testing.T) {
	c := dial(t, options(fakeapi.Burki, 120))
	for _, q := range []string{"limit=0", "limit=1001", "limit=x", "skip=-1", "skip=", "assistant_id=a", "min_duration=1.5", "date_from=yesterday", "date_to=2024-01-01T00:00:00+00:00"} {
		name, _, _ := strings.Cut(q, "=")
		c.refused("GET", "/api/v1/calls/?"+q, "", 422, `"loc":["query","`+name+`"]`) // an unescaped + is a space
	}
	c.refused("GET", "/api/v1/calls/?call_sid=CA&assistant_name=x", "", 400, `{"detail":"Send exactly one of`)
	if page := ok[burkiPage](c, "GET", "/api/v1/calls/", ""); len(page.Items) != 100 || page.Limit != 100 {
		t.Errorf("%d calls by default, want 100", len(page.Items))
	}
}

func TestBurkiWithoutTheSlashIsSentOn(t *testing.T) {
	c := dial(t, options(fakeapi.Burki, 1))
	status, header, _ := c.send("GET", "/api/v1/calls?limit=1&skip=0", "", "")
	if want := c.base + "/api/v1/calls/?limit=1&skip=0"; status != http.StatusTemporaryRedirect || header.Get("Location") != want {
		t.Errorf("status %d to %q, want 307 to %q", status, header.Get("Location"), want)
	}
}

func TestBurkiTimeBoundsAreInclusive(t *testing.T) {
	c := dial(t, options(fakeapi.Burki, 40))
	all := ok[burkiPage](c, "GET", "/api/v1/calls/", "").Items
	newer, err := time.Parse(time.RFC3339, all[10].StartedAt)
	if err != nil || newer.Nanosecond() == 0 {
		t.Fatalf("started_at %s, %v; want a fraction", all[10].StartedAt, err)
	}
	older, err := time.Parse(time.RFC3339, all[14].StartedAt)
	if err != nil {
		t.Fatal(err)
	}
	want := ids(all[10:15])
	for _, layout := range []string{"2006-01-02T15:04:05.999999Z07:00", "2006-01-02T15:04:05.999999", "2006-01-02 15:04:05.999999"} {
		zone := time.UTC
		if strings.HasSuffix(layout, "Z07:00") {
			zone = time.FixedZone("", 2*3600)
		}
		q := url.Values{"date_from": {older.In(zone).Format(layout)}, "date_to": {newer.In(zone).Format(layout)}}
		page := ok[burkiPage](c, "GET", "/api/v1/calls/?"+q.Encode(), "")
		if !slices.Equal(ids(page.Items), want) || page.Total != 5 {
			t.Errorf("%v: %v of %d, want %v of 5", q, ids(page.Items), page.Total, want)
		}
	}
	count := ok[struct{ Count int }](c, "GET", "/api/v1/calls/count?date_from="+older.Format("2006-01-02T15:04:05.999999Z"), "")
	if count.Count != 15 {
		t.Errorf("count %d, want 15", count.Count)
	}
}

func TestBurkiFilters(t *testing.T) {
	c := dial(t, options(fakeapi.Burki, 500))
	everything := ok[burkiPage](c, "GET", "/api/v1/calls/?limit=1000", "").Items
	for _, r := range everything {
		if !slices.Contains(strings.Fields(statuses[fakeapi.Burki]), r.Status) {
			t.Errorf("status %q is not documented", r.Status)
		}
	}
	one := everything[3]
	for q, keep := range map[string]func(burkiRecord) bool{
		"status=completed": func(r burkiRecord) bool { return r.Status == "completed" },
		"status=nonsense":  func(burkiRecord) bool { return false },
		fmt.Sprintf("assistant_id=%d", one.AssistantID):                func(r burkiRecord) bool { return r.AssistantID == one.AssistantID },
		"customer_phone=" + one.Customer[3:8]:                          func(r burkiRecord) bool { return strings.Contains(r.Customer, one.Customer[3:8]) },
		"call_sid=" + strings.ToUpper(one.CallSID[4:10]):               func(r burkiRecord) bool { return strings.Contains(r.CallSID, one.CallSID[4:10]) },
		"assistant_name=sUPPort":                                       func(r burkiRecord) bool { return strings.Contains(r.AssistantName, "Support") },
		"min_duration=60&max_duration=120":                             func(r burkiRecord) bool { return *r.Duration >= 60 && *r.Duration <= 120 },
		fmt.Sprintf("max_duration=0&assistant_id=%d", one.AssistantID): func(r burkiRecord) bool { return *r.Duration == 0 && r.AssistantID == one.AssistantID },
	} {
		var want []burkiRecord
		for _, r := range everything {
			if keep(r) {
				want = append(want, r)
			}
		}
		page := ok[burkiPage](c, "GET", "/api/v1/calls/?limit=1000&"+q, "")
		if diff := cmp.Diff(ids(want), ids(page.Items)); diff != "" || page.Total != len(want) {
			t.Errorf("%s: total %d, want %d: %s", q, page.Total, len(want), diff)
		}
		if len(want) == 0 && q != "status=nonsense" {
			t.Errorf("%s: proves nothing, no call matches", q)
		}
		if second := ok[burkiPage](c, "GET", "/api/v1/calls/?limit=2&skip=1&"+q, ""); len(want) > 2 && (!slices.Equal(ids(second.Items), ids(want[1:3])) || second.Total != len(want)) {
			t.Errorf("%s, skip 1: %v of %d", q, ids(second.Items), second.Total)
		}
	}
	completed := ok[burkiPage](c, "GET", "/api/v1/calls/?status=completed&limit=1", "").Total
	if n := ok[struct{ Count int }](c, "GET", "/api/v1/calls/count?status=completed", "").Count; n != completed {
		t.Errorf("count %d, total %d", n, completed)
	}
}

// TestBurkiParts asks for every part of every call, and adds the receipt up.
func TestBurkiParts(t *testing.T) {
	c := dial(t, options(fakeapi.Burki, 25))
	priced := 0
	for _, it := range ok[burkiPage](c, "GET", "/api/v1/calls/", "").Items {
		path := fmt.Sprintf("/api/v1/calls/%d", it.ID)
		if one := ok[burkiRecord](c, "GET", path, ""); !cmp.Equal(one, it) {
			t.Errorf("call %d differs from its element of the list: %s", it.ID, cmp.Diff(it, one))
		}
		talked := *it.Duration > 0
		turns := ok[[]struct {
			Speaker string
			IsFinal bool `json:"is_final"`
		}](c, "GET", path+"/transcripts", "")
		interim := ok[[]any](c, "GET", path+"/transcripts?include_interim=true", "")
		user := ok[[]any](c, "GET", path+"/transcripts?speaker=user", "")
		if (len(turns) > 0) != talked || (len(user) > 0) != talked || len(interim) != len(turns)+len(user) {
			t.Errorf("call %d of %d s: %d turns, %d by the user, %d with interim ones", it.ID, *it.Duration, len(turns), len(user), len(interim))
		}
		for _, turn := range turns {
			if !turn.IsFinal || turn.Speaker != "user" && turn.Speaker != "assistant" {
				t.Errorf("turn %+v", turn)
			}
		}
		if recordings := ok[[]any](c, "GET", path+"/recordings?recording_type=full", ""); (len(recordings) > 0) != talked {
			t.Errorf("call %d of %d s: %d recordings", it.ID, *it.Duration, len(recordings))
		}
		if none := ok[[]any](c, "GET", path+"/recordings?recording_type=mixed", ""); len(none) != 0 {
			t.Errorf("call %d: %d recordings of another type", it.ID, len(none))
		}
		costs := fmt.Sprintf("/api/calls/%d/costs", it.ID)
		if it.TotalCost == nil {
			c.refused("GET", costs, "", 404, `{"detail":`)
			continue
		}
		priced++
		addsUp(t, c, costs, it)
	}
	if priced < 10 {
		t.Errorf("%d calls are priced: too few to prove anything", priced)
	}
	for _, path := range []string{"", "/transcripts", "/recordings"} {
		c.refused("GET", "/api/v1/calls/99"+path, "", 404, `{"detail":"Call not found"}`)
		c.refused("GET", "/api/v1/calls/abc"+path, "", 422, `"loc":["path","call_id"]`)
	}
}

// addsUp holds a receipt against its own sums and against the list, exactly.
func addsUp(t *testing.T, c *client, path string, it burkiRecord) {
	t.Helper()
	receipt := ok[struct {
		Summary struct {
			Total json.Number `json:"total_cost"`
		} `json:"call_summary"`
		Entries []struct {
			Service string      `json:"service_type"`
			Total   json.Number `json:"total_cost"`
		} `json:"detailed_entries"`
	}](c, "GET", path, "")
	by := map[string]call.Amount{}
	var total call.Amount
	for _, e := range receipt.Entries {
		by[e.Service] += amount(t, e.Total)
		total += amount(t, e.Total)
	}
	want := map[string]call.Amount{"llm": amount(t, *it.LLM), "tts": amount(t, *it.TTS), "stt": amount(t, *it.STT), "telephony": amount(t, *it.Telephony)}
	if diff := cmp.Diff(want, by); diff != "" || total != amount(t, *it.TotalCost) || total != amount(t, receipt.Summary.Total) {
		t.Errorf("call %d: receipt over %s, list says %s: %s", it.ID, total, *it.TotalCost, diff)
	}
}

func amount(t *testing.T, n json.Number) call.Amount {
	t.Helper()
	a, rounded, err := call.ParseAmount(n.String())
	if err != nil || rounded {
		t.Fatalf("amount %s: rounded %v, %v", n, rounded, err)
	}
	return a
}

func TestBurkiLegacy(t *testing.T) {
	o := options(fakeapi.Burki, 30)
	o.Legacy = true
	c := dial(t, o)
	items := ok[[]map[string]any](c, "GET", "/api/v1/calls/?limit=10&skip=5", "")
	if len(items) != 10 || fmt.Sprintf("%.0f", items[0]["id"]) != c.fake.IDs(time.Time{}, time.Time{})[5] {
		t.Errorf("%d calls from %v on", len(items), items[0]["id"])
	}
	flows := 0
	for _, it := range items {
		started, _ := it["started_at"].(string)
		if _, err := time.Parse("2006-01-02T15:04:05", started); err != nil {
			t.Errorf("started_at %q has an offset", started)
		}
		graph, named := it["assistant_graph_name"]
		if _, renamed := it["flow_name"]; renamed || !named {
			t.Errorf("call %v has the new name of the flow", it["id"])
		}
		if graph != nil {
			flows++
		}
	}
	if flows == 0 {
		t.Error("no call has a flow")
	}
}
