package extract_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
)

var day = extract.Window{Since: contractSince, Until: contractSince.AddDate(0, 0, 1)}

// noon is a start in the middle of day, with a fraction.
var noon = contractSince.Add(12*time.Hour + 250*time.Millisecond)

// millisCall is a Millis record that starts at a time.
func millisCall(id string, at time.Time) string {
	return fmt.Sprintf(`{"session_id":%q,"ts":%d.%06d}`, id, at.Unix(), at.Nanosecond()/1000)
}

func insert(t *testing.T, f fake, list string) {
	t.Helper()
	if err := f.Insert(fakeapi.Record{List: list}); err != nil {
		t.Fatal(err)
	}
}

// millisFake holds the calls, newest first.
func millisFake(t *testing.T, intercept func(http.Handler) http.Handler, starts ...time.Time) (f fake, ids []string) {
	t.Helper()
	f = newFake(t, fakeapi.Options{Provider: fakeapi.Millis, Intercept: intercept})
	for i, at := range starts {
		ids = append(ids, fmt.Sprintf("call-%03d", i))
		insert(t, f, millisCall(ids[i], at))
	}
	return f, ids
}

// ties is n equal starts, with a call a minute before and after.
func ties(n int, at time.Time) []time.Time {
	starts := []time.Time{at.Add(time.Minute)}
	for range n {
		starts = append(starts, at)
	}
	return append(starts, at.Add(-time.Minute), at.Add(-2*time.Minute))
}

func TestTrapMillisEqualTsAcrossPageEdge(t *testing.T) {
	for _, at := range []time.Time{noon, noon.Truncate(time.Second)} {
		for n := 2; n <= 9; n++ {
			for size := 1; size <= 5; size++ {
				f, ids := millisFake(t, nil, ties(n, at)...)
				wantAll(t, ids, readAll(t, f.open(t, "millis", size), day))
			}
		}
	}
}

// The control of the test above: a client that follows the documented cursor loses calls there.
func TestMillisCursorAloneLosesEqualTs(t *testing.T) {
	f, ids := millisFake(t, nil, ties(5, noon)...)
	var got []string
	q := url.Values{"limit": {"3"}}
	for {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+"/call-logs?"+q.Encode(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", testKey)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var page struct {
			Histories []struct {
				SessionID string `json:"session_id"`
			} `json:"histories"`
			NextCursor json.RawMessage `json:"next_cursor"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		for _, h := range page.Histories {
			got = append(got, h.SessionID)
		}
		if string(page.NextCursor) == "null" {
			break
		}
		q.Set("start_after_ts", string(page.NextCursor))
	}
	if len(got) >= len(ids) {
		t.Errorf("the cursor alone found %d of %d calls: the trap is not set", len(got), len(ids))
	}
}

func TestTrapMillisBusySecond(t *testing.T) {
	var starts []time.Time
	for i := range 30 { // all within one second, all different
		starts = append(starts, noon.Add(time.Duration(600-20*i)*time.Millisecond))
	}
	starts = append(starts, noon.Add(-time.Hour))
	for _, size := range []int{1, 4, 29, 30, 31} {
		f, ids := millisFake(t, nil, starts...)
		wantAll(t, ids, readAll(t, f.open(t, "millis", size), day))
	}
}

// More calls at one instant than fit on the largest page: nobody can tell what the cursor skips, so nothing is claimed.
func TestTrapMillisMoreTiesThanAPageHolds(t *testing.T) {
	f, _ := millisFake(t, nil, ties(101, noon)...)
	src := f.open(t, "millis", 100)
	var err error
	for p := extract.Position(""); err == nil; {
		var page extract.Page
		if page, err = src.Fetch(t.Context(), day, p); page.Done {
			t.Fatal("the window was read to its end, though no request can show every call")
		}
		p = page.Next
	}
	if e := wantError(t, err, extract.Malformed); !strings.Contains(e.Reason, "same instant") {
		t.Errorf("reason is %q", e.Reason)
	}
	f, ids := millisFake(t, nil, ties(98, noon)...)
	wantAll(t, ids, readAll(t, f.open(t, "millis", 100), day))
}

func TestMillisAnchorDeletedBetweenPages(t *testing.T) {
	for _, n := range []int{1, 3} {
		f, ids := millisFake(t, nil, ties(n, noon)...)
		src := f.open(t, "millis", 2)
		first, err := src.Fetch(t.Context(), day, "")
		if err != nil {
			t.Fatal(err)
		}
		gone := first.Records[1].ID
		f.Remove(gone)
		shifts := 0
		pages := []extract.Page{first}
		for p := first.Next; p != ""; {
			page, err := src.Fetch(t.Context(), day, p)
			if err != nil {
				t.Fatal(err)
			}
			pages, shifts, p = append(pages, page), shifts+page.Shifts, page.Next
		}
		wantAll(t, ids, pages)
		if shifts != 1 {
			t.Errorf("%d shifts were counted for one anchor that is gone", shifts)
		}
	}
}

// What end_time means is not documented: whichever way it is read, nothing is lost.
func TestMillisEndTimeReadInOtherWays(t *testing.T) {
	change := func(end func(float64) (float64, bool)) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				q := r.URL.Query()
				at, err := strconv.ParseFloat(q.Get("end_time"), 64)
				if err != nil {
					t.Error(err)
				}
				if at, keep := end(at); keep {
					q.Set("end_time", strconv.FormatFloat(at, 'f', 6, 64))
				} else {
					q.Del("end_time")
				}
				r.URL.RawQuery = q.Encode()
				next.ServeHTTP(w, r)
			})
		}
	}
	until := float64(day.Until.Unix())
	for name, end := range map[string]func(float64) (float64, bool){
		"exclusive":                  func(at float64) (float64, bool) { return at - 0.000001, true },
		"cut to the minute":          func(at float64) (float64, bool) { return float64(int64(at) / 60 * 60), true },
		"ignored below the day":      func(at float64) (float64, bool) { return max(at, until), true },
		"ignored":                    func(at float64) (float64, bool) { return at, false },
		"a second wider than asked":  func(at float64) (float64, bool) { return at + 1, true },
		"half a second less than is": func(at float64) (float64, bool) { return at - 0.5, true },
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{1, 3} {
				f, ids := millisFake(t, change(end), ties(n, noon.Truncate(time.Minute))...)
				wantAll(t, ids, readAll(t, f.open(t, "millis", 4), day))
			}
		})
	}
}

// scripted answers each request as the test says, and keeps the queries.
func scripted(t *testing.T, provider string, size int, reply func(n int, r *http.Request) string) (extract.Source, *[]*http.Request) {
	t.Helper()
	var seen []*http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r)
		w.Header().Set("Content-Type", "application/json")
		if _, err := w.Write([]byte(reply(len(seen), r))); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	src, err := extract.New(extract.Account{Source: "src", Provider: provider, BaseURL: s.URL, Key: testKey, PageSize: size})
	if err != nil {
		t.Fatal(err)
	}
	return src, &seen
}

func millisBody(next string, calls ...string) string {
	if next != "" {
		next = `,"next_cursor":` + next
	}
	return `{"histories":[` + strings.Join(calls, ",") + `]` + next + `}`
}

func TestTrapMillisPageThatRepeats(t *testing.T) {
	cursor := int64(1741003200)
	src, _ := scripted(t, "millis", 2, func(int, *http.Request) string {
		cursor--
		return millisBody(fmt.Sprint(cursor), millisCall("a", noon), millisCall("b", noon.Add(-time.Minute)))
	})
	first, err := src.Fetch(t.Context(), day, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = src.Fetch(t.Context(), day, first.Next)
	if e := wantError(t, err, extract.Malformed); !strings.Contains(e.Reason, "same as the one before") {
		t.Errorf("reason is %q", e.Reason)
	}
}

func TestTrapNextCursorWithoutRows(t *testing.T) {
	src, _ := scripted(t, "millis", 2, func(int, *http.Request) string { return millisBody("1741003200") })
	_, err := src.Fetch(t.Context(), day, "")
	wantError(t, err, extract.Malformed)
}

// Every property may be null. The record is handed on with its bytes; what becomes of it is not this package's to say.
func TestTrapMillisAllNullRecord(t *testing.T) {
	null := `{"session_id":null,"call_id":null,"ts":null,"chat":null}`
	src, _ := scripted(t, "millis", 9, func(int, *http.Request) string {
		return millisBody("null", null, `{"session_id":null,"call_id":"c","ts":1741003200}`, `"no object"`, `7`, `null`, `{"session_id":"","call_id":"d"}`, `{"session_id":{},"call_id":[]}`)
	})
	page := readAll(t, src, day)[0]
	var got []string
	for _, r := range page.Records {
		got = append(got, r.ID+" "+string(r.Payload))
	}
	want := []string{
		" " + null, `c {"session_id":null,"call_id":"c","ts":1741003200}`, ` "no object"`, ` 7`, ` null`, `d {"session_id":"","call_id":"d"}`, ` {"session_id":{},"call_id":[]}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// A page without an edge is followed by the cursor, to the last digit as the provider wrote it.
func TestMillisPageWithoutEdgeIsFollowedByCursor(t *testing.T) {
	const cursor = "1741003200.2500000000000000001"
	pages := map[string]string{
		"last call has no ts":  millisBody(cursor, millisCall("a", noon), `{"session_id":"b","ts":null}`),
		"last call has no id":  millisBody(cursor, millisCall("a", noon), `{"ts":1741003200.25}`),
		"page is out of order": millisBody(cursor, millisCall("a", noon.Add(-time.Minute)), millisCall("b", noon)),
	}
	for name, body := range pages {
		t.Run(name, func(t *testing.T) {
			src, seen := scripted(t, "millis", 2, func(n int, r *http.Request) string {
				switch q := r.URL.Query(); {
				case n == 1:
					return body
				case q.Has("start_after_ts"):
					return millisBody("null", millisCall("c", noon.Add(-time.Hour)))
				default:
					return millisBody("null", millisCall("tie", noon))
				}
			})
			got := idsOf(readAll(t, src, day))
			if got["a"] == 0 || got["tie"] == 0 || got["c"] == 0 {
				t.Errorf("ids are %v", got)
			}
			asked := (*seen)[1].URL.Query().Get("start_after_ts")
			if asked != cursor {
				t.Errorf("the cursor was sent as %q, want %q", asked, cursor)
			}
			second := (*seen)[2].URL.Query()
			if second.Get("start_time") != "1741003200" || second.Get("end_time") != "1741003201" {
				t.Errorf("the look at the cursor's second asked for %s to %s", second.Get("start_time"), second.Get("end_time"))
			}
		})
	}
}

// A narrower window's page that is not in order proves nothing, even with the anchor on it: the cursor is asked.
func TestMillisNarrowPageOutOfOrderIsNotBelieved(t *testing.T) {
	src, seen := scripted(t, "millis", 2, func(n int, r *http.Request) string {
		a, b, tie := millisCall("a", noon.Add(time.Minute)), millisCall("b", noon), millisCall("tie", noon)
		switch q := r.URL.Query(); {
		case n == 1:
			return millisBody("1741003200.25", a, b)
		case n == 2:
			return millisBody("1741003100", millisCall("c", noon.Add(-time.Hour)), b)
		case q.Has("start_after_ts"):
			return millisBody("null", millisCall("c", noon.Add(-time.Hour)))
		default:
			return millisBody("null", b, tie)
		}
	})
	if got := idsOf(readAll(t, src, day)); got["tie"] == 0 || len(*seen) != 4 {
		t.Errorf("%d requests, ids %v", len(*seen), got)
	}
}

// The look at one second asks for the documented most; an account that is allowed less is asked for less.
func TestMillisLookAtASecondWhereSmallerPagesAreAllowed(t *testing.T) {
	f := newFake(t, fakeapi.Options{Provider: fakeapi.Millis, MaxPageSize: 10})
	var ids []string
	for i := range 35 {
		ids = append(ids, fmt.Sprintf("call-%03d", i))
		insert(t, f, millisCall(ids[i], noon.Add(time.Duration(600-20*i)*time.Millisecond)))
	}
	wantAll(t, ids, readAll(t, f.open(t, "millis", 10), day))
}

func TestTrapFractionalTs(t *testing.T) {
	for text, want := range map[string]time.Time{
		"1741003200.123456":        time.Unix(1741003200, 123456000),
		"1741003200.1234567891":    time.Unix(1741003200, 123456789),
		"1741003200":               time.Unix(1741003200, 0),
		"1.7410032001234567e9":     time.Unix(1741003200, 123456700),
		"1741003200.9999999999999": time.Unix(1741003200, 999999999),
	} {
		src, _ := scripted(t, "millis", 2, func(int, *http.Request) string { return millisBody("null", `{"session_id":"a","ts":`+text+`}`) })
		if got := readAll(t, src, day)[0].Records[0].StartedAt; !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("ts %s is %s, want %s", text, got, want.UTC())
		}
	}
}

func TestMillisWindowIsAskedWiderAndRoundedOutwards(t *testing.T) {
	src, seen := scripted(t, "millis", 0, func(int, *http.Request) string { return millisBody("null") })
	readAll(t, src, extract.Window{Since: time.Unix(1741003200, 1), Until: time.Unix(1741003300, 1)})
	want := url.Values{"limit": {"100"}, "start_time": {"1741003198"}, "end_time": {"1741003303"}}
	if diff := cmp.Diff(want, (*seen)[0].URL.Query()); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
	if auth := (*seen)[0].Header.Get("Authorization"); auth != testKey {
		t.Error("the key was not sent as it is, without a scheme")
	}
}

// Calls come and go at random while a window is read: those that were there all the time are all returned.
func TestMillisSurvivesAListThatChanges(t *testing.T) {
	testChangingList(t, "millis", func(i int, at time.Time) string { return millisCall(fmt.Sprintf("c%d", i), at.Truncate(time.Second)) })
}

func sorted(ids map[string]int) []string {
	var out []string
	for id := range ids {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}
