package extract_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"syncd/internal/extract"
)

// An id may be a phone number: no error shows it, and a position that only compares it does not hold it.
func TestPositionsInErrorsShowNoID(t *testing.T) {
	const phone = "+15550001111"
	record := map[string]func(id string, at time.Time) string{
		"millis": millisCall,
		"burki": func(id string, at time.Time) string {
			return fmt.Sprintf(`{"id":%q,"started_at":%q}`, id, at.Format(time.RFC3339))
		},
		"voicy": voicyCall,
	}
	shown := map[string]string{"millis": "cursor 1741003200.25", "burki": "row 1", "voicy": "read 2"}
	eachProvider(t, func(t *testing.T, provider string) {
		src, _ := scripted(t, provider, 2, func(n int, _ *http.Request) string {
			if n == 1 {
				return fmt.Sprintf(`{%q:[%s,%s],"next_cursor":1741003200.25}`, rowsKey[provider], record[provider]("a", noon), record[provider](phone, noon))
			}
			return `{"of another kind":[]}`
		})
		first, err := src.Fetch(t.Context(), day, "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = src.Fetch(t.Context(), day, first.Next)
		e := wantError(t, err, extract.Malformed)
		if e.Position != first.Next || strings.Contains(e.Error(), phone[1:]) || !strings.Contains(e.Error(), shown[provider]) {
			t.Errorf("error shows the id, or not where it stood: %v", e)
		}
		for _, text := range []string{fmt.Sprintf("%v", first.Next), fmt.Sprintf("%q", first.Next)} {
			if strings.Contains(text, phone[1:]) {
				t.Errorf("printed, a position shows the id: %s", text)
			}
		}
		if holds := strings.Contains(string(first.Next), phone); holds != (provider == "voicy") {
			t.Errorf("the position is %s: only Voicy's needs the id itself", string(first.Next))
		}
	})
}

func TestPositionString(t *testing.T) {
	for p, want := range map[extract.Position]string{
		"": "start",
		`millis2:{"cursor":"1741003200.5","anchor":"+15550001111","digest":"00"}`: "millis2 cursor 1741003200.5",
		`burki2:{"row":4,"anchor":"+15550001111","digest":"00"}`:                  "burki2 row 4",
		`voicy1:{"key":"+15550001111","read":5,"digest":"00"}`:                    "voicy1 read 5",
		`millis2:{"cursor":"+15550001111x","digest":"00"}`:                        "of 48 bytes with digest",
		`voicy9:{"key":"+15550001111"}`:                                           "of 29 bytes with digest",
		"+15550001111":                                                            "of 12 bytes with digest",
	} {
		if got := p.String(); !strings.HasPrefix(got, want) || strings.Contains(got, "0001111") {
			t.Errorf("position %s is shown as %q, want %q", string(p), got, want)
		}
	}
}
