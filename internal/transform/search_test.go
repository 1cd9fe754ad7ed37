package transform_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"syncd/internal/transform"
)

var silent = transform.Privacy{Numbers: transform.NumbersHash, HashKey: []byte("k"), Transcripts: transform.TranscriptsDrop}

// The work grows with the length of a record, not with its square, whatever is alike in it.
func TestPrivacyOfHugeRecords(t *testing.T) {
	const size = 5 << 20
	numbered := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	said := func(text string) string { return `{"role":"agent","content":` + quote(text) + `}` }
	var growing []string
	for n := 20; n < 2500; n++ {
		growing = append(growing, said(strings.Repeat("a", n)+"b"))
	}
	for name, payload := range map[string]string{
		"turns that begin alike": `"transcript":[` + numbered(40_000, `{"role":"agent","content":"Thank you for calling, %d"}`) + `],"summary":` + quote(strings.Repeat("Thank you for ", size/28)),
		"one long turn":          `"transcript":[` + said(strings.Repeat("a", size/2)+"b") + `],"summary":` + quote(strings.Repeat("a", size/2)),
		"turns within turns":     `"transcript":[` + strings.Join(growing, ",") + `],"summary":` + quote(strings.Repeat("a", size/2)),
		"many numbers":           `"from_number":[` + numbered(40_000, `"+15551%06d"`) + `],"summary":` + quote(strings.Repeat("2025550123 1, ", size/112)),
		"many like numbers":      `"from_number":[` + numbered(40_000, `"+%06d20255501"`) + `],"vars_collected":[` + numbered(40_000, `%d20255501`) + `]`,
		"one long run of digits": `"from_number":"1111111","to_number":"11111111111","summary":` + quote(strings.Repeat("1", size)),
	} {
		start := time.Now()
		open(t, "voicy", private(silent)).Record(record(with("voicy", payload)))
		took := time.Since(start)
		t.Logf("%s: %v", name, took)
		if took > 6*time.Second { // a second at most without the race detector
			t.Errorf("%s: 5 MB take %v", name, took)
		}
	}
}

func TestTheLongestTurnIsTakenOut(t *testing.T) {
	turns := []string{"Thank you for calling", "Thank you for calling us", "Thank you for calling us today.", "Thank you for your order", "Thank you for calling Zoe"}
	var chat []string
	for _, turn := range turns {
		chat = append(chat, `{"role":"agent","content":`+quote(turn)+`}`)
	}
	for text, want := range map[string]string{
		"Thank you for calling us today. Bye":           "[dropped] Bye",
		"Thank you for calling us tomorrow":             "[dropped] tomorrow",
		"Thank you for calling them":                    "[dropped] them",
		"Thank you for calling Zoe":                     "[dropped]",
		"Thank you for nothing":                         "Thank you for nothing",
		"Thank you for calling":                         "[dropped]",
		"So: Thank you for your order, Thank you for c": "So: [dropped], Thank you for c",
		"Thank you for callingThank you for calling us": "[dropped][dropped]",
	} {
		o := observe(t, open(t, "voicy", private(silent)), with("voicy", `"transcript":[`+strings.Join(chat, ",")+`],"summary":`+quote(text)))
		if o.Call.Summary != want {
			t.Errorf("%q becomes %q, want %q", text, o.Call.Summary, want)
		}
	}
}

// Where so much is alike that it cannot be searched in time, the text goes as a whole and no turn is left.
func TestWhatCannotBeSearchedIsDropped(t *testing.T) {
	turn := strings.Repeat("a", 100_000) + "b"
	o := observe(t, open(t, "voicy", private(silent)), with("voicy", `"transcript":[{"role":"agent","content":`+quote(turn)+`}],"summary":`+quote(strings.Repeat("a", 200_000)+turn)))
	same(t, o.Call.Summary, "[dropped]")
}
