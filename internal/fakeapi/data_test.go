package fakeapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"syncd/internal/fakeapi"
)

// page is a request for the first rows of a list, n at most, and the name of their array.
func page(p fakeapi.Provider, n int) (method, path, body, array string) {
	switch p {
	case fakeapi.Millis:
		return "GET", fmt.Sprintf("/call-logs?limit=%d", min(n, 100)), "", "histories"
	case fakeapi.Burki:
		return "GET", fmt.Sprintf("/api/v1/calls/?limit=%d", n), "", "items"
	default:
		return "POST", "/functions/v1/call-list", fmt.Sprintf(`{"limit":%d,"filter_criteria":{"include_test_calls":true}}`, n), "calls"
	}
}

// ask sends a request straight into the fake.
func ask(t *testing.T, fake http.Handler, method, path, body string, p fakeapi.Provider) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	if p == fakeapi.Millis {
		r.Header.Set("Authorization", key)
	}
	w := httptest.NewRecorder()
	fake.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%s %s: status %d: %.200s", method, path, w.Code, w.Body)
	}
	return w.Body.String()
}

// rows are the elements of the newest page.
func rows(t *testing.T, fake http.Handler, p fakeapi.Provider, n int) []json.RawMessage {
	t.Helper()
	method, path, body, array := page(p, n)
	var answer map[string]json.RawMessage
	var out []json.RawMessage
	if err := json.Unmarshal([]byte(ask(t, fake, method, path, body, p)), &answer); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer[array], &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSameOptionsSameBytes(t *testing.T) {
	for _, p := range all {
		method, path, body, _ := page(p, 100)
		first, second := fakeapi.New(options(p, 500)), fakeapi.New(options(p, 500))
		other := options(p, 500)
		other.Seed++
		third := fakeapi.New(other)
		got := ask(t, first, method, path, body, p)
		if got != ask(t, second, method, path, body, p) {
			t.Errorf("%s: equal options, other bytes", p)
		}
		if got == ask(t, third, method, path, body, p) {
			t.Errorf("%s: another seed, the same bytes", p)
		}
	}
}

func TestRowsHaveTheSizeOfRealOnes(t *testing.T) {
	for p, want := range map[fakeapi.Provider]int{fakeapi.Millis: 4750, fakeapi.Burki: 480, fakeapi.Voicy: 313} {
		fake := fakeapi.New(options(p, 1000))
		total, n := 0, 0
		for _, r := range rows(t, fake, p, 1000) {
			total, n = total+len(r), n+1
		}
		if mean := total / n; mean < want*85/100 || mean > want*115/100 {
			t.Errorf("%s: %d bytes a row, want about %d", p, mean, want)
		}
	}
}

func TestWeekendsAndNightsAreQuieter(t *testing.T) {
	for _, p := range all {
		fake := fakeapi.New(options(p, 20_000))
		perDay, perHour := map[time.Weekday]int{}, [24]int{}
		total := 0
		for day := since; day.Before(until); day = day.AddDate(0, 0, 1) {
			n := fake.Count(day, day.AddDate(0, 0, 1))
			perDay[day.Weekday()] += n
			total += n
			for h := range 24 {
				perHour[h] += fake.Count(day.Add(time.Duration(h)*time.Hour), day.Add(time.Duration(h+1)*time.Hour))
			}
		}
		if total != fake.Count(time.Time{}, time.Time{}) || total < 19_000 {
			t.Errorf("%s: the days hold %d calls of %d", p, total, fake.Count(time.Time{}, time.Time{}))
		}
		if weekend, week := perDay[time.Saturday]+perDay[time.Sunday], perDay[time.Monday]+perDay[time.Tuesday]; weekend == 0 || weekend*3 > week {
			t.Errorf("%s: %d calls at weekends, %d on Mondays and Tuesdays", p, weekend, week)
		}
		if night, noon := perHour[2], perHour[10]; night*20 > noon {
			t.Errorf("%s: %d calls between two and three, %d between ten and eleven", p, night, noon)
		}
		first, last := fake.Count(since, since.AddDate(0, 3, 0)), fake.Count(until.AddDate(0, -3, 0), until)
		if first >= last {
			t.Errorf("%s: %d calls in the first quarter, %d in the last: the account does not grow", p, first, last)
		}
	}
}

// statuses are the values that the vendors document, finals and those on the way there.
var statuses = map[fakeapi.Provider]string{
	fakeapi.Millis: "registered queued dispatching provider_queued initiated ringing in-progress user-ended agent-ended api-ended voicemail-hangup " +
		"voicemail-message timeout canceled busy no-answer failed error unknown chat_completion",
	fakeapi.Burki: "queued initiated ringing ongoing in-progress completed voicemail no_answer no-answer busy canceled failed",
	fakeapi.Voicy: "initiated ringing ongoing in_progress user_hangup agent_hangup inactivity error_inactivity ended no_answer busy canceled error",
}

func TestEveryDocumentedStatusOccurs(t *testing.T) {
	for _, p := range all {
		o := options(p, 2000)
		var at clock
		o.Now = at.now
		o.Since = until.Add(-time.Hour)
		fake := fakeapi.New(o)
		missing := strings.Fields(statuses[p])
		// A busy hour, looked at every two minutes from its end back: the looks find calls at each stage.
		for now := until; len(missing) > 0 && now.After(o.Since); now = now.Add(-2 * time.Minute) {
			at.set(now)
			missing = slices.DeleteFunc(missing, func(status string) bool {
				switch p {
				case fakeapi.Millis:
					return strings.Contains(ask(t, fake, "GET", "/call-logs?limit=1&call_status="+status, "", p), `"call_status":"`+status+`"`)
				case fakeapi.Burki:
					return strings.Contains(ask(t, fake, "GET", "/api/v1/calls/?limit=1&status="+status, "", p), `"status":"`+status+`"`)
				default:
					body := fmt.Sprintf(`{"limit":1,"filter_criteria":{"call_status":[%q]}}`, status)
					return strings.Contains(ask(t, fake, "POST", "/functions/v1/call-list", body, p), `"call_status":"`+status+`"`)
				}
			})
		}
		if len(missing) > 0 {
			t.Errorf("%s: no call was ever %v", p, missing)
		}
	}
}

// TestCallsSettle follows calls through their lives: listed from their start, then without an end, then without costs, then complete.
func TestCallsSettle(t *testing.T) {
	cost := map[fakeapi.Provider]string{fakeapi.Millis: "cost_breakdown", fakeapi.Burki: "total_cost"}
	duration := map[fakeapi.Provider]string{fakeapi.Millis: "duration", fakeapi.Burki: "duration", fakeapi.Voicy: "duration_ms"}
	for _, p := range all {
		o := options(p, 3000)
		var at clock
		o.Now = at.now
		o.Since = until.Add(-24 * time.Hour)
		fake := fakeapi.New(o)
		at.set(until)
		everything := fake.IDs(time.Time{}, time.Time{})
		seen := map[string]int{}
		for now := o.Since; now.Before(until); now = now.Add(37 * time.Minute) {
			at.set(now)
			if listed := fake.IDs(time.Time{}, time.Time{}); len(listed) > 0 && !slices.Equal(listed, everything[len(everything)-len(listed):]) {
				t.Fatalf("%s: at %s the list is not the oldest part of the whole", p, now)
			}
			for _, r := range rows(t, fake, p, 12) {
				var f map[string]any
				if err := json.Unmarshal(r, &f); err != nil {
					t.Fatal(err)
				}
				switch ended, priced := f[duration[p]] != nil, f[cost[p]] != nil; {
				case !ended && priced:
					t.Errorf("%s: a call under way has costs: %s", p, r)
				case !ended:
					seen["under way"]++
				case !priced:
					seen["ended"]++
				default:
					seen["settled"]++
				}
				if ended, has := f["ended_at"]; has && (ended == nil) != (f["duration"] == nil) {
					t.Errorf("%s: an end without a length: %s", p, r)
				}
			}
		}
		if seen["under way"] == 0 || seen["ended"] == 0 || p != fakeapi.Voicy && seen["settled"] == 0 {
			t.Errorf("%s: %v", p, seen)
		}
	}
}

// TestNumbersAreFictitious lets no number out that somebody could have.
func TestNumbersAreFictitious(t *testing.T) {
	number := regexp.MustCompile(`"\+(\d+)"`)
	fiction := regexp.MustCompile(`^(1555\d{7}|442079460\d{3}|493023125\d{3})$`)
	for _, p := range all {
		found := map[string]bool{}
		for _, r := range rows(t, fakeapi.New(options(p, 1000)), p, 1000) {
			for _, m := range number.FindAllStringSubmatch(string(r), -1) {
				found[m[1][:3]] = true
				if !fiction.MatchString(m[1]) {
					t.Errorf("%s: +%s may be somebody's", p, m[1])
				}
			}
		}
		if !found["155"] || !found["442"] || !found["493"] {
			t.Errorf("%s: numbers begin with %v", p, found)
		}
	}
}

func TestAMillionCalls(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	fake := fakeapi.New(options(fakeapi.Voicy, 1_000_000))
	runtime.GC()
	runtime.ReadMemStats(&after)
	if mb := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20; mb > 64 {
		t.Errorf("a million calls hold %d MB", mb)
	}
	// Deep pages must not scan what lies before them: a hundred of them would take half a minute.
	ids := fake.IDs(since, since.AddDate(0, 6, 0))
	began := time.Now()
	for i := range 100 {
		body := fmt.Sprintf(`{"limit":10,"pagination_key":%q}`, ids[i*len(ids)/100])
		if n := strings.Count(ask(t, fake, "POST", "/functions/v1/call-list", body, fakeapi.Voicy), `"call_id"`); n != 10 {
			t.Fatalf("%d calls in a page, want 10", n)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("100 pages took %s", took)
	}
}

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				fakeapi.New(options(fakeapi.Voicy, n))
			}
		})
	}
}

func BenchmarkPage(b *testing.B) {
	for _, p := range all {
		b.Run(string(p), func(b *testing.B) {
			fake := fakeapi.New(options(p, 10_000))
			method, path, body, _ := page(p, 1000)
			for b.Loop() {
				r := httptest.NewRequest(method, path, strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer "+key)
				if p == fakeapi.Millis {
					r.Header.Set("Authorization", key)
				}
				w := httptest.NewRecorder()
				fake.ServeHTTP(w, r)
				b.SetBytes(int64(w.Body.Len()))
			}
		})
	}
}
