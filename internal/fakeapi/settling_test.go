package fakeapi_test

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
)

// life is what a settling call shows of itself.
type life struct {
	Final          bool
	Duration, Cost bool // told; at Voicy, which tells no cost, Cost is the agent
}

var finals = map[fakeapi.Provider]string{
	fakeapi.Millis: "user-ended agent-ended api-ended timeout unknown voicemail-hangup voicemail-message no-answer busy canceled failed error chat_completion",
	fakeapi.Burki:  "completed voicemail no_answer no-answer busy canceled failed",
	fakeapi.Voicy:  "user_hangup agent_hangup inactivity error_inactivity ended no_answer busy canceled error",
}

func lifeOf(t *testing.T, p fakeapi.Provider, record string) life {
	t.Helper()
	var f map[string]any
	if err := json.Unmarshal([]byte(record), &f); err != nil {
		t.Fatal(err)
	}
	field := map[fakeapi.Provider][3]string{
		fakeapi.Millis: {"call_status", "duration", "cost_breakdown"}, fakeapi.Burki: {"status", "duration", "total_cost"},
		fakeapi.Voicy: {"call_status", "duration_ms", "agent"},
	}[p]
	status, _ := f[field[0]].(string)
	return life{slices.Contains(strings.Fields(finals[p]), status), f[field[1]] != nil, f[field[2]] != nil}
}

// startsOf are the starts of calls.
func startsOf(t *testing.T, fake *fakeapi.Server, ids []string) []time.Time {
	t.Helper()
	starts := make([]time.Time, len(ids))
	for i, id := range ids {
		starts[i] = startOf(t, fake, id)
	}
	return starts
}

// startOf is a call's start.
func startOf(t *testing.T, fake *fakeapi.Server, id string) time.Time {
	t.Helper()
	r, found := fake.Call(id)
	if !found {
		t.Fatalf("call %s is not there", id)
	}
	return r.At
}

// TestCallsSettleAtTheTimesThatATestSays looks at each of many calls just before and at each step, over HTTP and against the vendor's
// document, in the list and alone.
func TestCallsSettleAtTheTimesThatATestSays(t *testing.T) {
	const statusAt, costAt, correctionAt = 2 * time.Minute, 10 * time.Minute, 3 * time.Hour
	for _, p := range all {
		o := options(p, 10)
		var at clock
		o.Now, o.Settling = at.now, fakeapi.Settling{StatusAt: statusAt, CostAt: costAt, CorrectionAt: correctionAt}
		c := dial(t, o)
		at.set(until.Add(24 * time.Hour))
		ids, costs := c.fake.All(), 0
		for _, id := range ids {
			start := startOf(t, c.fake, id)
			look := func(age time.Duration) string {
				at.set(start.Add(age))
				method, path, body := listRequest(p, 1, 0, listPage{})
				_, _, answer := c.do(method, strings.TrimPrefix(path, "/functions/v1"), body)
				listed := decode(t, p, answer)
				if listed.ids[0] != id {
					t.Fatalf("%s: the newest call is %s, want %s", p, listed.ids[0], id)
				}
				_, _, alone := c.do("GET", strings.TrimPrefix(detail(p, id), "/functions/v1"), "")
				if diff := cmp.Diff(lifeOf(t, p, string(listed.rows[0])), lifeOf(t, p, alone)); diff != "" {
					t.Errorf("%s, %s after its start: the list and the call alone disagree: %s", p, age, diff)
				}
				return string(listed.rows[0])
			}
			if got := lifeOf(t, p, look(statusAt-time.Millisecond)); got != (life{}) {
				t.Errorf("%s: just before StatusAt a call is %+v", p, got)
			}
			for _, age := range []time.Duration{statusAt, costAt - time.Millisecond} {
				if got := lifeOf(t, p, look(age)); got != (life{Final: true, Duration: true}) {
					t.Errorf("%s: %s after its start a call is %+v, want final without a cost", p, age, got)
				}
			}
			first := look(costAt)
			if lifeOf(t, p, first).Cost {
				costs++
			}
			if again := look(correctionAt - time.Millisecond); again != first {
				t.Errorf("%s: a call changed between CostAt and CorrectionAt: %s", p, cmp.Diff(first, again))
			}
			corrected := look(correctionAt)
			if corrected == first || lifeOf(t, p, corrected) != lifeOf(t, p, first) {
				t.Errorf("%s: the correction made %s of %s", p, corrected, first)
			}
			if later := look(correctionAt + time.Second); later != corrected {
				t.Errorf("%s: a call changed after its correction: %s", p, cmp.Diff(corrected, later))
			}
		}
		if costs < len(ids)/2 {
			t.Errorf("%s: %d of %d calls have a cost", p, costs, len(ids))
		}
	}
}

// TestBurkiReceiptFollowsTheCorrection holds the itemised costs against the list's, before and after.
func TestBurkiReceiptFollowsTheCorrection(t *testing.T) {
	o := options(fakeapi.Burki, 40)
	var at clock
	o.Now, o.Settling = at.now, fakeapi.Settling{StatusAt: time.Minute, CostAt: time.Hour, CorrectionAt: 2 * time.Hour}
	c := dial(t, o)
	at.set(until.Add(24 * time.Hour))
	changed := 0
	for _, id := range c.fake.All() {
		start := startOf(t, c.fake, id)
		costs, transcripts := "/api/calls/"+id+"/costs", "/api/v1/calls/"+id+"/transcripts"
		at.set(start.Add(time.Minute - 1))
		if _, _, got := c.do("GET", transcripts, ""); got != "[]" {
			t.Errorf("a call under way has a transcript: %.80s", got)
		}
		at.set(start.Add(time.Hour - 1))
		c.refused("GET", costs, "", http.StatusNotFound, "No cost data")
		var receipts []string
		for _, age := range []time.Duration{time.Hour, 2 * time.Hour} {
			at.set(start.Add(age))
			it := ok[burkiRecord](c, "GET", "/api/v1/calls/"+id, "")
			if it.TotalCost == nil {
				c.refused("GET", costs, "", http.StatusNotFound, "No cost data")
				continue
			}
			addsUp(t, c, costs, it)
			receipts = append(receipts, it.TotalCost.String())
		}
		if len(receipts) == 2 && receipts[0] != receipts[1] {
			changed++
		} else if len(receipts) > 0 {
			t.Errorf("call %s: costs %v, want two that differ", id, receipts)
		}
	}
	if changed == 0 {
		t.Error("no call has costs")
	}
}

// TestALateCallIsUnknownUntilItsEnd compares the list, over three hours, with what the calls' own records say when all is over.
func TestALateCallIsUnknownUntilItsEnd(t *testing.T) {
	for _, p := range all {
		o := options(p, 400)
		var at clock
		o.Since, o.Now, o.Settling = until.Add(-24*time.Hour), at.now, fakeapi.Settling{ListedAfterEnd: 0.3}
		fake := fakeapi.New(o)
		plain := o
		plain.Settling = fakeapi.Settling{}
		at.set(until.Add(time.Hour))
		everything, late := fake.All(), map[string]bool{}
		starts := startsOf(t, fake, everything)
		if !slices.Equal(everything, fakeapi.New(plain).All()) {
			t.Errorf("%s: when all is over, the late calls are not in the list under their starts", p)
		}
		for now := o.Since.Add(9 * time.Hour); now.Before(o.Since.Add(12 * time.Hour)); now = now.Add(11 * time.Minute) {
			at.set(now)
			listed := fake.All()
			if _, read := walk(t, fake, p, 50); !slices.Equal(read, listed) && len(read)+len(listed) > 0 {
				t.Fatalf("%s: at %s the list and All disagree: %s", p, now, cmp.Diff(listed, read))
			}
			for i, id := range everything {
				if age := now.Sub(starts[i]); age < 0 || slices.Contains(listed, id) {
					continue
				} else if late[id] = true; age > time.Hour {
					t.Errorf("%s: call %s is missing %s after its start, and no call is that long", p, id, age)
				}
				if status, _ := try(t, fake, "GET", detail(p, id), "", p); status != http.StatusNotFound {
					t.Errorf("%s: status %d for a call that is not listed yet, want 404", p, status)
				}
			}
		}
		if len(late) == 0 {
			t.Errorf("%s: no call was ever listed late", p)
		}
	}
}

// TestTheShareOfLateCallsIsKept catches each of many calls a second after its start.
func TestTheShareOfLateCallsIsKept(t *testing.T) {
	for _, p := range all {
		o := options(p, 500)
		var at clock
		o.Now, o.Settling = at.now, fakeapi.Settling{ListedAfterEnd: 0.2, StatusAt: time.Minute}
		fake := fakeapi.New(o)
		at.set(until.Add(time.Hour))
		late, ids := 0, fake.All()
		starts := startsOf(t, fake, ids)
		for i, id := range ids {
			at.set(starts[i].Add(time.Minute - 1))
			if _, found := fake.Call(id); !found {
				late++
			}
			at.set(starts[i].Add(time.Minute))
			if _, found := fake.Call(id); !found {
				t.Errorf("%s: call %s is not listed at its end", p, id)
			}
		}
		if got := float64(late) / float64(len(ids)); math.Abs(got-0.2) > 0.06 {
			t.Errorf("%s: %.3f of the calls were late, want about 0.2", p, got)
		}
	}
}

// TestNoStepComesBeforeAnEarlierOne asks for a cost and a correction before the end: they wait for it.
func TestNoStepComesBeforeAnEarlierOne(t *testing.T) {
	for _, p := range all {
		o := options(p, 20)
		var at clock
		o.Now, o.Settling = at.now, fakeapi.Settling{StatusAt: time.Hour, CostAt: time.Minute, CorrectionAt: time.Second}
		fake := fakeapi.New(o)
		at.set(until.Add(24 * time.Hour))
		ids := fake.All()
		for i, start := range startsOf(t, fake, ids) {
			at.set(start.Add(time.Hour - 1))
			before, _ := fake.Call(ids[i])
			at.set(start.Add(time.Hour))
			after, _ := fake.Call(ids[i])
			at.set(start.Add(48 * time.Hour))
			if later, _ := fake.Call(ids[i]); lifeOf(t, p, before.List) != (life{}) || !lifeOf(t, p, after.List).Final || after.List != later.List {
				t.Errorf("%s: before its end %s, at it %s, later %s", p, before.List, after.List, later.List)
			}
		}
	}
}
