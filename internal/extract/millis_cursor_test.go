package extract_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"syncd/internal/extract"
)

func TestTrapNextCursorZero(t *testing.T) {
	for _, next := range []string{"null", "0", "0.0", `"0"`, `""`, "-0", "0e5"} {
		src, seen := scripted(t, "millis", 2, func(int, *http.Request) string {
			return millisBody(next, millisCall("a", noon), millisCall("b", noon.Add(-time.Minute)))
		})
		if pages := readAll(t, src, day); len(pages) != 1 || len(*seen) != 1 {
			t.Errorf("next_cursor %q: %d pages, %d requests, want the end", next, len(pages), len(*seen))
		}
	}
	for _, next := range []string{"true", "[]", "{}", `"soon"`, "-5", "1e300", `"NaN"`} {
		src, _ := scripted(t, "millis", 2, func(int, *http.Request) string { return millisBody(next, millisCall("a", noon)) })
		_, err := src.Fetch(t.Context(), day, "")
		wantError(t, err, extract.Malformed)
	}
}

// A full page that says nothing of a next one may be the last, or its server forgot: what lies below its edge tells.
func TestTrapNextCursorThatIsForgotten(t *testing.T) {
	forget := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			var envelope map[string]json.RawMessage
			if err := json.Unmarshal(rec.Body.Bytes(), &envelope); err != nil {
				t.Error(err)
			}
			delete(envelope, "next_cursor")
			if err := json.NewEncoder(w).Encode(envelope); err != nil {
				t.Error(err)
			}
		})
	}
	var spread []time.Time
	for i := range 23 {
		spread = append(spread, noon.Add(-time.Duration(i)*time.Minute))
	}
	for name, starts := range map[string][]time.Time{"spread": spread, "ties": ties(5, noon)} {
		for _, size := range []int{1, 2, 3, 5, 8, 23, 24, 100} {
			f, ids := millisFake(t, forget, starts...)
			t.Run(fmt.Sprint(name, size), func(t *testing.T) { wantAll(t, ids, readAll(t, f.open(t, "millis", size), day)) })
		}
	}
	f, _ := millisFake(t, forget, spread...)
	for size, want := range map[int]int64{100: 1, 24: 1, 23: 2} {
		src := f.open(t, "millis", size)
		readAll(t, src, day)
		if got := src.Traffic().Requests; got != want {
			t.Errorf("%d requests for 23 calls in pages of %d, want %d", got, size, want)
		}
	}
}

// A server that answers everything with the same full page has said all it has to say.
func TestMillisPageWithoutCursorThatRepeatsIsTheEnd(t *testing.T) {
	src, seen := scripted(t, "millis", 2, func(int, *http.Request) string {
		return millisBody("", millisCall("a", noon), millisCall("b", noon.Add(-time.Minute)))
	})
	if got := idsOf(readAll(t, src, day)); len(got) != 2 || len(*seen) > 4 {
		t.Errorf("%d requests, ids %v", len(*seen), got)
	}
}

func TestTrapCursorThatDoesNotMove(t *testing.T) {
	for name, cursors := range map[string][]string{
		"stays": {"1741003200.25", "1741003200.25"}, "goes back": {"1741003200.25", "1741003201"}, "is written otherwise": {"1741003200.25", "1741003200.250"},
	} {
		t.Run(name, func(t *testing.T) {
			src, _ := scripted(t, "millis", 1, func(n int, r *http.Request) string {
				if !r.URL.Query().Has("start_after_ts") {
					return millisBody(cursors[0], millisCall("a", noon))
				}
				return millisBody(cursors[1], millisCall(fmt.Sprint("b", n), noon.Add(-time.Second)))
			})
			first, err := src.Fetch(t.Context(), day, "")
			if err != nil {
				t.Fatal(err)
			}
			_, err = src.Fetch(t.Context(), day, first.Next)
			e := wantError(t, err, extract.Malformed)
			if !strings.Contains(e.Reason, "does not move") || e.Position != first.Next {
				t.Errorf("reason %q at position %q", e.Reason, e.Position)
			}
		})
	}
}

// A cursor that falls by a microsecond a page moves, and one second has a million of them: the look at a second ends before.
func TestTrapMillisCursorThatCrawls(t *testing.T) {
	for _, perPage := range []int{1, 2000} {
		requests := 0
		src, _ := scripted(t, "millis", 2, func(n int, r *http.Request) string {
			if requests = n; n > 200 {
				return millisBody("null") // the test would not end either
			}
			var calls []string
			for i := range perPage {
				calls = append(calls, millisCall(fmt.Sprintf("c%d-%d", n, i), noon.Add(-time.Duration(n)*time.Microsecond)))
			}
			calls = append(calls, millisCall(fmt.Sprint("last", n), noon.Add(-time.Duration(n+1)*time.Microsecond)))
			return millisBody(fmt.Sprintf("1741003200.%06d", 250000-n), calls...)
		})
		first, err := src.Fetch(t.Context(), day, "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = src.Fetch(t.Context(), day, first.Next)
		if e := wantError(t, err, extract.Malformed); !strings.Contains(e.Reason, "one second") || requests > 60 {
			t.Errorf("%d requests, reason %q", requests, e.Reason)
		}
	}
}
