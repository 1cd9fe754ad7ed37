package extract_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
)

func voicyCall(id string, at time.Time) string {
	return fmt.Sprintf(`{"call_id":%q,"call_type":"phone_call","call_status":"user_hangup","agent":null,"direction":"incoming","from_number":"+15550100001","to_number":"+15550100000","start_timestamp":%d,"duration_ms":null}`, id, at.UnixMilli())
}

// Test calls are left out unless asked for: they are asked for.
func TestTrapVoicyTestCallsAreAskedFor(t *testing.T) {
	f := newFake(t, fakeapi.Options{Provider: fakeapi.Voicy, Seed: 8, Calls: 90})
	insert(t, f, strings.Replace(voicyCall("a-test", noon), "{", `{"is_test_call":true,`, 1))
	pages := readAll(t, f.open(t, "voicy", 20), extract.Window{Since: contractSince, Until: contractUntil})
	wantAll(t, f.IDs(contractSince, contractUntil), pages)
	if got := idsOf(pages); got["a-test"] == 0 {
		t.Error("the test call was not returned")
	}
}

func TestVoicyRequestBody(t *testing.T) {
	var bodies []string
	src, seen := scripted(t, "voicy", 2, func(n int, r *http.Request) string {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if bodies = append(bodies, string(body)); n == 1 {
			return `{"calls":[` + voicyCall("b", noon) + `,` + voicyCall("aé", noon) + `],"total_count":2}`
		}
		return `{"calls":[],"total_count":2}`
	})
	readAll(t, src, extract.Window{Since: day.Since.Add(time.Nanosecond), Until: day.Until.Add(time.Nanosecond)})
	want := []string{
		`{"filter_criteria":{"start_timestamp":{"lower_threshold":1740959998000,"upper_threshold":1741046402001},"include_test_calls":true},"sort_order":"descending","limit":2}`,
		`{"filter_criteria":{"start_timestamp":{"lower_threshold":1740959998000,"upper_threshold":1741046402001},"include_test_calls":true},"sort_order":"descending","limit":2,"pagination_key":"aé"}`,
	}
	if diff := cmp.Diff(want, bodies); diff != "" {
		t.Errorf("bodies (-want +got):\n%s", diff)
	}
	if r := (*seen)[0]; r.Method != http.MethodPost || r.URL.Path != "/call-list" || r.Header.Get("Authorization") != "Bearer "+testKey {
		t.Errorf("request is %s %s, or the key was not sent as a bearer token", r.Method, r.URL.Path)
	}
}

func TestVoicyEnds(t *testing.T) {
	a, b, c := voicyCall("a", noon), voicyCall("b", noon), voicyCall("c", noon)
	for name, tt := range map[string]struct {
		pages []string
		want  int // requests
	}{
		"short page":                        {[]string{`{"calls":[` + a + `],"total_count":1}`}, 1},
		"short page without a total":        {[]string{`{"calls":[` + a + `]}`}, 1},
		"full page, then an empty one":      {[]string{`{"calls":[` + a + `,` + b + `],"total_count":2}`, `{"calls":[],"total_count":2}`}, 2},
		"short page, but the total is more": {[]string{`{"calls":[` + a + `],"total_count":2}`, `{"calls":[` + b + `],"total_count":2}`}, 2},
		"total that never comes true":       {[]string{`{"calls":[` + a + `],"total_count":9}`, `{"calls":[` + b + `,` + c + `],"total_count":9}`, `{"calls":[],"total_count":9}`}, 3},
		"empty":                             {[]string{`{"calls":[],"total_count":0}`}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			src, seen := scripted(t, "voicy", 2, func(n int, _ *http.Request) string { return tt.pages[n-1] })
			readAll(t, src, day)
			if len(*seen) != tt.want {
				t.Errorf("%d requests, want %d", len(*seen), tt.want)
			}
		})
	}
}

func TestTrapVoicyPositionThatDoesNotMove(t *testing.T) {
	a, b, c, none := voicyCall("a", noon), voicyCall("b", noon), voicyCall("c", noon), `{"call_id":null,"start_timestamp":null}`
	for name, tt := range map[string]struct{ first, second, reason string }{
		"page repeats":       {a + "," + b, a + "," + b, "does not move"},
		"key repeats":        {a + "," + b, c + "," + b, "does not move"},
		"no id on the page":  {a + "," + b, none + "," + none, "no call on the page has an id"},
		"ids of the last":    {a + "," + none, a + "," + none, "does not move"},
		"empty, total of 2":  {"", "", "2 match"},
		"no id on the first": {none + "," + none, "", "no call on the page has an id"},
	} {
		t.Run(name, func(t *testing.T) {
			src, _ := scripted(t, "voicy", 2, func(n int, _ *http.Request) string {
				return `{"calls":[` + []string{tt.first, tt.second}[n-1] + `],"total_count":2}`
			})
			page, err := src.Fetch(t.Context(), day, "")
			if err == nil {
				_, err = src.Fetch(t.Context(), day, page.Next)
			}
			if e := wantError(t, err, extract.Malformed); !strings.Contains(e.Reason, tt.reason) {
				t.Errorf("reason is %q, want %q", e.Reason, tt.reason)
			}
		})
	}
}

// A key whose call was deleted is refused: the position is lost, and the window starts over.
func TestVoicyKeyThatIsForgottenIsLost(t *testing.T) {
	f := newFake(t, fakeapi.Options{Provider: fakeapi.Voicy})
	for i := range 6 {
		insert(t, f, voicyCall(fmt.Sprintf("c%d", i), noon.Add(time.Duration(i)*time.Second)))
	}
	src := f.open(t, "voicy", 3)
	first, err := src.Fetch(t.Context(), day, "")
	if err != nil {
		t.Fatal(err)
	}
	f.Remove(first.Records[2].ID)
	_, err = src.Fetch(t.Context(), day, first.Next)
	if e := wantError(t, err, extract.Lost); e.Status != 400 || e.Hint == "" {
		t.Errorf("status %d, hint %q", e.Status, e.Hint)
	}
}

func TestVoicySurvivesAListThatChanges(t *testing.T) {
	testChangingList(t, "voicy", func(i int, at time.Time) string { return voicyCall(fmt.Sprintf("c%d", i), at) })
}
