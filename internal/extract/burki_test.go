package extract_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
)

func burkiCall(id int, at time.Time) string {
	return fmt.Sprintf(`{"id":%d,"call_sid":"CA%d","assistant_id":1,"to_phone_number":"+15550100000","customer_phone_number":"+15550100001",`+
		`"status":"completed","started_at":%q}`, id, id, at.UTC().Format("2006-01-02T15:04:05.000000Z"))
}

// burkiFake holds n calls, a minute apart: call n−1 is the newest.
func burkiFake(t *testing.T, n int) fake {
	t.Helper()
	f := newFake(t, fakeapi.Options{Provider: fakeapi.Burki})
	for i := range n {
		insert(t, f, burkiCall(i, day.Since.Add(time.Duration(i+1)*time.Minute)))
	}
	return f
}

func TestTrapBurkiRowsDeletedBetweenPages(t *testing.T) {
	for name, gone := range map[string][]int{
		"one above":                    {19},
		"several above":                {19, 17, 15},
		"the anchor":                   {15},
		"the anchor and its neighbour": {15, 16, 14},
		"the whole page before":        {19, 18, 17, 16, 15},
		"the page before and more":     {19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8},
		"all but one":                  {19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1},
		"all":                          {19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := burkiFake(t, 20)
			src := f.open(t, "burki", 5)
			first, err := src.Fetch(t.Context(), day, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range gone {
				f.Remove(fmt.Sprint(id))
			}
			left := f.IDs(day.Since, day.Until)
			pages, shifts := []extract.Page{first}, 0
			for p := first.Next; p != ""; {
				page, err := src.Fetch(t.Context(), day, p)
				if err != nil {
					t.Fatal(err)
				}
				pages, shifts, p = append(pages, page), shifts+page.Shifts, page.Next
			}
			got := idsOf(pages)
			for _, id := range left {
				if got[id] == 0 {
					t.Errorf("call %s was skipped", id)
				}
			}
			if shifts == 0 {
				t.Error("no shift was counted")
			}
		})
	}
}

func TestBurkiRowsThatArriveBetweenPagesAreCounted(t *testing.T) {
	for _, n := range []int{1, 3, 4, 5, 12} {
		f := burkiFake(t, 20)
		src := f.open(t, "burki", 5)
		first, err := src.Fetch(t.Context(), day, "")
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			insert(t, f, burkiCall(100+i, day.Since.Add(time.Hour)))
		}
		second, err := src.Fetch(t.Context(), day, first.Next)
		if err != nil {
			t.Fatal(err)
		}
		if second.Shifts == 0 {
			t.Errorf("%d arrived: no shift was counted", n)
		}
		pages := []extract.Page{first, second}
		for p := second.Next; p != ""; {
			page, err := src.Fetch(t.Context(), day, p)
			if err != nil {
				t.Fatal(err)
			}
			pages, p = append(pages, page), page.Next
		}
		got := idsOf(pages)
		for i := range 20 {
			if got[fmt.Sprint(i)] == 0 {
				t.Errorf("%d arrived: call %d was skipped", n, i)
			}
		}
	}
}

// One goes, one comes: the total stays, and the anchor tells.
func TestBurkiShiftIsSeenWhereTotalDidNotChange(t *testing.T) {
	f := burkiFake(t, 20)
	src := f.open(t, "burki", 5)
	first, err := src.Fetch(t.Context(), day, "")
	if err != nil {
		t.Fatal(err)
	}
	f.Remove("17")
	insert(t, f, burkiCall(100, day.Since.Add(30*time.Second))) // the oldest of all
	second, err := src.Fetch(t.Context(), day, first.Next)
	if err != nil {
		t.Fatal(err)
	}
	if *first.Total != *second.Total || second.Shifts == 0 {
		t.Errorf("totals %d and %d, %d shifts: want equal totals and a shift", *first.Total, *second.Total, second.Shifts)
	}
	if got := idsOf([]extract.Page{second}); got["14"] == 0 {
		t.Errorf("the call that moved up was skipped: %v", sorted(got))
	}
}

func TestBurkiSurvivesAListThatChanges(t *testing.T) { testChangingList(t, "burki", burkiCall) }

func TestTrapBurkiBareArray(t *testing.T) {
	s := fakeapi.New(fakeapi.Options{
		Provider: fakeapi.Burki, Seed: 1, Key: testKey, Calls: 100, Since: contractSince, Until: contractUntil, Legacy: true,
		Now: func() time.Time { return contractNow },
	})
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	w := extract.Window{Since: contractSince, Until: contractUntil}
	for _, size := range []int{1, 7, 50, 100, 1000} {
		pages := readAll(t, fake{Server: s, url: server.URL}.open(t, "burki", size), w)
		wantAll(t, s.IDs(contractSince, contractUntil), pages)
		for _, page := range pages {
			if page.Total != nil || page.Shifts != 0 {
				t.Errorf("size %d: total %v, %d shifts of a server that tells no total", size, page.Total, page.Shifts)
			}
		}
	}
}

func TestBurkiServerThatIgnoresSkip(t *testing.T) {
	for name, envelope := range map[string]string{"envelope": `{"items":[%s],"total":40}`, "bare": `[%s]`} {
		t.Run(name, func(t *testing.T) {
			src, _ := scripted(t, "burki", 2, func(int, *http.Request) string {
				return fmt.Sprintf(envelope, burkiCall(2, noon)+","+burkiCall(1, noon.Add(-time.Minute)))
			})
			first, err := src.Fetch(t.Context(), day, "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = src.Fetch(t.Context(), day, first.Next)
			if e := wantError(t, err, extract.Malformed); !strings.Contains(e.Reason, "same as the one before") {
				t.Errorf("reason is %q", e.Reason)
			}
		})
	}
}

// A server that caps the page size in silence sends pages that look like the last one.
func TestBurkiShortPageIsNotTheEndWhereTotalSaysSo(t *testing.T) {
	src, _ := scripted(t, "burki", 100, func(_ int, r *http.Request) string {
		var skip int
		if _, err := fmt.Sscan(r.URL.Query().Get("skip"), &skip); err != nil {
			t.Error(err)
		}
		var items []string
		for i := skip; i < min(skip+10, 35); i++ {
			items = append(items, burkiCall(1000-i, noon.Add(-time.Duration(i)*time.Minute)))
		}
		return `{"items":[` + strings.Join(items, ",") + `],"total":35,"limit":10}`
	})
	if got := idsOf(readAll(t, src, day)); len(got) != 35 {
		t.Errorf("%d of 35 calls were returned", len(got))
	}
}

// Without a total, a page that is as short as a cap may be is the end only if nothing follows it.
func TestTrapPageSizeCappedInSilence(t *testing.T) {
	burki := func(most, have int) func(int, *http.Request) string {
		return func(_ int, r *http.Request) string {
			var skip int
			if _, err := fmt.Sscan(r.URL.Query().Get("skip"), &skip); err != nil {
				t.Error(err)
			}
			var items []string
			for i := skip; i < min(skip+most, have); i++ {
				items = append(items, burkiCall(1000-i, noon.Add(-time.Duration(i)*time.Minute)))
			}
			return `[` + strings.Join(items, ",") + `]`
		}
	}
	voicy := func(most, have int) func(int, *http.Request) string {
		return func(_ int, r *http.Request) string {
			var q struct {
				Key string `json:"pagination_key"`
			}
			if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
				t.Error(err)
			}
			from := 0
			if q.Key != "" {
				if _, err := fmt.Sscan(q.Key, &from); err != nil {
					t.Error(err)
				}
				from++
			}
			var calls []string
			for i := from; i < min(from+most, have); i++ {
				calls = append(calls, voicyCall(fmt.Sprint(i), noon.Add(-time.Duration(i)*time.Minute)))
			}
			return `{"calls":[` + strings.Join(calls, ",") + `]}`
		}
	}
	for _, tt := range []struct {
		most, have   int
		burki, voicy int // requests
	}{
		{100, 350, 4, 5}, {100, 300, 4, 4}, {50, 120, 3, 4}, {25, 60, 3, 3}, {1000, 3, 1, 1}, {1000, 10, 1, 1}, {1000, 37, 1, 1}, {1000, 40, 2, 2}, {1000, 0, 1, 1},
	} {
		for provider, reply := range map[string]func(int, *http.Request) string{"burki": burki(tt.most, tt.have), "voicy": voicy(tt.most, tt.have)} {
			src, seen := scripted(t, provider, 1000, reply)
			got := idsOf(readAll(t, src, day))
			want := map[string]int{"burki": tt.burki, "voicy": tt.voicy}[provider]
			if len(got) != tt.have || len(*seen) != want {
				t.Errorf("%s with %d calls, capped at %d: %d were returned in %d requests, want all in %d", provider, tt.have, tt.most, len(got), len(*seen), want)
			}
		}
	}
}

// A total that is too large for ever must not be asked after for ever.
func TestBurkiTotalThatNeverComesTrueEnds(t *testing.T) {
	src, seen := scripted(t, "burki", 100, func(_ int, r *http.Request) string {
		items := []string{burkiCall(3, noon), burkiCall(2, noon.Add(-time.Minute)), burkiCall(1, noon.Add(-time.Hour))}
		var skip int
		if _, err := fmt.Sscan(r.URL.Query().Get("skip"), &skip); err != nil {
			t.Error(err)
		}
		return `{"items":[` + strings.Join(items[min(skip, 3):], ",") + `],"total":35}`
	})
	pages := readAll(t, src, day)
	if len(*seen) > 2 || *pages[len(pages)-1].Total != 35 {
		t.Errorf("%d requests, total %d", len(*seen), *pages[len(pages)-1].Total)
	}
}

func TestBurkiTotals(t *testing.T) {
	for _, total := range []string{"-1", "1.5", `"3"`, "null", "{}", "99999999999999999999", "1e3"} {
		src, _ := scripted(t, "burki", 5, func(int, *http.Request) string { return `{"items":[],"total":` + total + `}` })
		_, err := src.Fetch(t.Context(), day, "")
		wantError(t, err, extract.Malformed)
	}
	src, _ := scripted(t, "burki", 5, func(int, *http.Request) string { return `{"items":[],"total":3}` })
	_, err := src.Fetch(t.Context(), day, "")
	if e := wantError(t, err, extract.Malformed); !strings.Contains(e.Reason, "3") {
		t.Errorf("an empty page with a total of 3: reason is %q", e.Reason)
	}
}

func TestBurkiRowsWithoutAnID(t *testing.T) {
	none := `{"id":null,"started_at":"2025-03-03T11:00:00Z"}`
	src, seen := scripted(t, "burki", 3, func(n int, _ *http.Request) string {
		if n == 1 {
			return `[` + burkiCall(9, noon) + `,` + burkiCall(8, noon) + `,` + none + `]`
		}
		return `[` + burkiCall(8, noon) + `,` + none + `]`
	})
	readAll(t, src, day)
	if skip := (*seen)[1].URL.Query().Get("skip"); skip != "1" {
		t.Errorf("the second page was asked from row %s, want that of the last call with an id, 1", skip)
	}
	src, _ = scripted(t, "burki", 3, func(int, *http.Request) string { return `[` + none + `,` + none + `,` + none + `]` })
	_, err := src.Fetch(t.Context(), day, "")
	wantError(t, err, extract.Malformed)
	src, _ = scripted(t, "burki", 3, func(n int, _ *http.Request) string {
		return `[` + burkiCall(9, noon) + `,` + none + `,` + strings.Replace(none, "11", fmt.Sprintf("%02d", n), 1) + `]`
	})
	first, err := src.Fetch(t.Context(), day, "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := src.Fetch(t.Context(), day, first.Next)
	if err == nil {
		t.Errorf("the position does not move, and the next is %q", second.Next)
	}
}

func TestTrapNumberAbove2To53(t *testing.T) {
	src, seen := scripted(t, "burki", 2, func(n int, _ *http.Request) string {
		if n == 1 {
			return `[{"id":9007199254740993,"started_at":"2025-03-03T12:00:00Z"},{"id":9007199254740992,"started_at":"2025-03-03T12:00:00Z"}]`
		}
		return `[{"id":9007199254740992,"started_at":"2025-03-03T12:00:00Z"}]`
	})
	pages := readAll(t, src, day)
	if diff := cmp.Diff([]string{"9007199254740992", "9007199254740993"}, sorted(idsOf(pages))); diff != "" || len(*seen) != 2 {
		t.Errorf("%d requests, ids (-want +got):\n%s", len(*seen), diff)
	}
}

func TestTrapNaiveISOTimes(t *testing.T) {
	want := time.Date(2025, 3, 3, 12, 0, 0, 0, time.UTC)
	for text, fraction := range map[string]time.Duration{
		"2025-03-03T12:00:00": 0, "2025-03-03T12:00:00Z": 0, "2025-03-03T12:00:00+00:00": 0, "2025-03-03T14:00:00+02:00": 0,
		"2025-03-03T14:00:00+0200": 0, "2025-03-03 12:00:00": 0, "2025-03-03T12:00:00.5": 500 * time.Millisecond,
		"2025-03-03T12:00:00.123456": 123456 * time.Microsecond, "2025-03-03 12:00:00.123456+00:00": 123456 * time.Microsecond,
	} {
		src, _ := scripted(t, "burki", 2, func(int, *http.Request) string { return fmt.Sprintf(`[{"id":1,"started_at":%q}]`, text) })
		if got := readAll(t, src, day)[0].Records[0].StartedAt; !got.Equal(want.Add(fraction)) || got.Location() != time.UTC {
			t.Errorf("started_at %q is %s, want %s", text, got, want.Add(fraction))
		}
	}
}

func TestBurkiWindowIsAskedWiderAndRoundedOutwards(t *testing.T) {
	src, seen := scripted(t, "burki", 0, func(int, *http.Request) string { return `{"items":[],"total":0}` })
	zone := time.FixedZone("", 2*60*60)
	readAll(t, src, extract.Window{Since: time.Date(2025, 3, 3, 2, 0, 0, 1, zone), Until: time.Date(2025, 3, 3, 3, 0, 0, 1, zone)})
	want := url.Values{"skip": {"0"}, "limit": {"1000"}, "date_from": {"2025-03-02T23:59:58Z"}, "date_to": {"2025-03-03T01:00:03Z"}}
	if diff := cmp.Diff(want, (*seen)[0].URL.Query()); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
	if r := (*seen)[0]; r.URL.Path != "/api/v1/calls/" || r.Header.Get("Authorization") != "Bearer "+testKey {
		t.Errorf("path is %s, or the key was not sent as a bearer token", r.URL.Path)
	}
}
