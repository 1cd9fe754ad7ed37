package extract_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Whatever the transform takes for a start, paging takes for one too, or the call has none to be paged by.
func TestStartsInEveryFormThatTheTransformReads(t *testing.T) {
	at := time.Date(2025, 3, 3, 12, 0, 0, 0, time.UTC)
	iso := []string{
		`"2025-03-03T12:00:00Z"`, `"2025-03-03T12:00:00"`, `"2025-03-03T14:00:00+0200"`, `"2025-03-03T14:00:00+02"`, `"2025-03-03T12:00Z"`,
		`"2025-03-03T14:00+02:00"`, `"2025-03-03T12:00"`, `"2025-03-03 12:00"`, `"2025-03-03t12:00:00Z"`, `" 2025-03-03 12:00:00.000 "`,
	}
	for provider, forms := range map[string][]string{
		"millis": append([]string{"1741003200", `"1741003200"`, `" 1741003200.0 "`}, iso...),
		"voicy":  append([]string{"1741003200000", `"1741003200000"`}, iso...),
		"burki":  append([]string{"1741003200", "1741003200000"}, iso...),
	} {
		name := map[string][2]string{"millis": {"session_id", "ts"}, "burki": {"id", "started_at"}, "voicy": {"call_id", "start_timestamp"}}[provider]
		for _, form := range forms {
			src := answering(t, provider, 200, "application/json", fmt.Sprintf(`{%q:[{%q:"a",%q:%s}]}`, rowsKey[provider], name[0], name[1], form))
			if got := readAll(t, src, day)[0].Records[0].StartedAt; !got.Equal(at) {
				t.Errorf("%s: %s is read as %s, want %s", provider, form, got, at)
			}
		}
		for _, form := range []string{`"2025-03-03"`, `""`, `"soon"`, "null", "true", "{}", `"1e"`} {
			src := answering(t, provider, 200, "application/json", fmt.Sprintf(`{%q:[{%q:"a",%q:%s}]}`, rowsKey[provider], name[0], name[1], form))
			if got := readAll(t, src, day)[0].Records[0].StartedAt; !got.IsZero() {
				t.Errorf("%s: %s is read as %s, want none", provider, form, got)
			}
		}
	}
}

func TestLongestID(t *testing.T) {
	for size, want := range map[int]int{512: 512, 513: 0} {
		src := answering(t, "voicy", 200, "application/json", fmt.Sprintf(`{"calls":[{"call_id":%q,"start_timestamp":null}]}`, strings.Repeat("a", size)))
		if got := len(readAll(t, src, day)[0].Records[0].ID); got != want {
			t.Errorf("an id of %d bytes is one of %d, want %d", size, got, want)
		}
	}
}
