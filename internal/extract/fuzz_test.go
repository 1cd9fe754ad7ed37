package extract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// shapeOf is what a provider's pages look like.
func shapeOf(f *testing.F, provider string) shape {
	src, err := New(Account{Source: "src", Provider: provider, Key: "k"})
	if err != nil {
		f.Fatal(err)
	}
	switch src := src.(type) {
	case *millis:
		return src.shape
	case *burki:
		return src.shape
	case *voicy:
		return src.shape
	}
	f.Fatalf("%s is of no known type", provider)
	return shape{}
}

func FuzzMillisPage(f *testing.F) {
	f.Add([]byte(`{"histories":[{"session_id":"a","call_id":"b","ts":1741003200.25},{"ts":1e999},{"ts":-5,"session_id":7}],"next_cursor":1741003200.25}`))
	fuzzPage(f, "millis")
}

func FuzzBurkiPage(f *testing.F) {
	f.Add([]byte(`{"items":[{"id":9007199254740993,"started_at":"2025-03-03T12:00:00"}],"total":1,"skip":0,"limit":100}`))
	f.Add([]byte(`[{"id":1,"id":2,"started_at":"2025-03-03 12:00:00+0200"}]`))
	fuzzPage(f, "burki")
}

func FuzzVoicyPage(f *testing.F) {
	f.Add([]byte(`{"calls":[{"call_id":"a","start_timestamp":1741003200250},{"call_id":"\ud800"}],"total_count":1}`))
	fuzzPage(f, "voicy")
}

// notPages are answers that are no page of any provider.
var notPages = []string{
	"", " ", "{}", "null", "true", "0", `""`, "{", "[", "]", `{"detail":"Not Found"}`, `{"data":{"calls":[],"items":[],"histories":[]}}`,
	"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>", "upstream connect error", "\x1f\x8b\x08\x00", "event: message\ndata: {}\n\n",
}

// answersOf are the vendor's examples, as far as there are any.
func answersOf(f *testing.F, provider string) [][]byte {
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", provider, "*.json"))
	if err != nil || len(files) == 0 {
		f.Fatalf("%s has no examples: %v", provider, err)
	}
	var answers [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		answers = append(answers, text)
	}
	return answers
}

// elementsOf reads a page as the plainest reader would: the elements of its array, whether it is a page at all, and why not.
func elementsOf(s shape, body []byte) (rows []json.RawMessage, err error) {
	if !json.Valid(body) {
		return nil, errors.New("no JSON")
	}
	if trimmed := bytes.TrimSpace(body); trimmed[0] == '[' {
		if !s.bare {
			return nil, errors.New("a bare array")
		}
		err = json.Unmarshal(body, &rows)
		return rows, err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("no object")
	}
	members := map[string]json.RawMessage{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
		if _, twice := members[fmt.Sprint(name)]; twice {
			return nil, errors.New("a key twice")
		}
		members[fmt.Sprint(name)] = value
	}
	value := members[s.rows]
	if len(value) == 0 || value[0] != '[' {
		return nil, errors.New("no array of calls")
	}
	err = json.Unmarshal(value, &rows)
	return rows, err
}

// fuzzPage checks that an answer is a page where the plainest reader says so and nowhere else, that its records are the array's elements, byte for
// byte, and that no page that breaks off is one.
func fuzzPage(f *testing.F, provider string) {
	s := shapeOf(f, provider)
	seeds := append(answersOf(f, provider), []byte(`{"`+s.rows+`":[]}`), []byte(`{"`+s.rows+`":null}`), []byte(`{"`+s.rows+`":[{}],"`+s.rows+`":[]}`),
		[]byte(`{"`+s.rows+`":[1,"a",null,[{}]]} x`), []byte(`{"`+strings.ToUpper(s.rows)+`":[]}`), []byte("\xef\xbb\xbf{\""+s.rows+"\":[]}"))
	for _, seed := range notPages {
		seeds = append(seeds, []byte(seed))
	}
	for _, seed := range seeds {
		f.Add(seed)
		f.Add(seed[:len(seed)*2/3])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		kept := bytes.Clone(body)
		a, err := s.decode(body, time.Time{})
		if !bytes.Equal(kept, body) {
			t.Fatal("decoding changed the body")
		}
		rows, none := elementsOf(s, body)
		if (err != nil) != (none != nil) {
			t.Fatalf("%q: decoded with error %v, while the plainest reader finds %v", body, err, none)
		}
		if err != nil {
			if a.records != nil || err.Error() == "" {
				t.Errorf("records, or no words, came with the error %v", err)
			}
			return
		}
		var got []json.RawMessage
		for _, r := range a.records {
			got = append(got, json.RawMessage(r.Payload))
			if len(r.ID) > longestID || cap(r.Payload) != len(r.Payload) {
				t.Errorf("record %q has id %q and capacity %d", r.Payload, r.ID, cap(r.Payload))
			}
		}
		if len(rows) != len(got) || len(rows) > 0 && !cmp.Equal(rows, got) {
			t.Errorf("records of %q are %q, want %q", body, got, rows)
		}
		whole := bytes.TrimRight(body, " \t\r\n")
		for _, size := range []int{0, len(whole) / 2, len(whole) - 1} {
			if _, err := s.decode(whole[:size:size], time.Time{}); err == nil {
				t.Errorf("%q broke off after %d bytes, and is a page", body, size)
			}
		}
	})
}

// FuzzPositions: any text is a position or is refused in words that do not cite it; and what is written is read as it was.
func FuzzPositions(f *testing.F) {
	for _, seed := range []string{
		"", "a", "\xff", "+15550001111", "millis2:{}", `millis2:{"cursor":"1.5","edge":"2025-03-03T12:00:00.25Z","anchor":"a","digest":"00"}`,
		`burki2:{"row":4,"anchor":"17","total":9,"digest":""}`, `voicy1:{"key":"\u0000é","read":9223372036854775807,"digest":"x"}`, `voicy1:{"key":1}`, `burki2:{"row":1e3}`,
	} {
		f.Add(seed, int64(5), int64(1741003200), int64(250000000))
		f.Add(seed, int64(-1), int64(-62135596800), int64(0))
		f.Add(seed, int64(1<<62), int64(253402300800), int64(1))
	}
	f.Fuzz(func(t *testing.T, text string, n, seconds, nanos int64) {
		reread[millisPosition](t, millisForm, text)
		reread[burkiPosition](t, burkiForm, text)
		reread[voicyPosition](t, voicyForm, text)
		at := time.Unix(seconds%(1<<40), nanos%int64(time.Second)).UTC()
		writable := utf8.ValidString(text) && at.Year() >= 0 && at.Year() <= 9999
		roundTrip(t, millisForm, millisPosition{Cursor: text, Guessed: n%2 == 0, Edge: at, Anchor: text, Digest: text}, writable)
		roundTrip(t, burkiForm, burkiPosition{Row: n, Anchor: text, Start: at, Total: &n, Digest: text}, writable)
		roundTrip(t, voicyForm, voicyPosition{Key: text, Read: n, Digest: text}, utf8.ValidString(text))
		if p, err := encodePosition(voicyForm, voicyPosition{Key: text, Read: 7}); err == nil && p.String() != "voicy1 read 7" {
			t.Errorf("%q is shown as %q", string(p), p)
		}
	})
}

// reread checks that a position which can be read is written and read again as it was.
func reread[T any](t *testing.T, form, text string) {
	t.Helper()
	first, err := decodePosition[T](form, Position(text))
	if err != nil {
		if !errors.Is(err, errPosition) {
			t.Errorf("%q is refused with %v", text, err)
		}
		return
	}
	roundTrip(t, form, first, true)
}

// roundTrip checks that a position is written, if it can be, and read as it was.
func roundTrip[T any](t *testing.T, form string, first T, writable bool) {
	t.Helper()
	written, err := encodePosition(form, first)
	if err != nil {
		if writable {
			t.Errorf("%+v cannot be written: %v", first, err)
		}
		return
	}
	second, err := decodePosition[T](form, written)
	if err != nil || !cmp.Equal(first, second) {
		t.Errorf("%+v was written as %q and read as %+v, %v", first, string(written), second, err)
	}
}

func FuzzUnixTime(f *testing.F) {
	for _, seed := range []string{"0", "-0", "1741003200.25", "1741003200000", "9999999999999.9", "12345678901234", "1.", "01.10", "1e-999999999", "1e99", "1e5", "-5.5", "0x10", "1_0", "Inf", "NaN", "1741003200." + "0123456789012345678901234567890123456789012345678901234567890123456789"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		// Nearly every start is read in a quick way, which must be what careful arithmetic says.
		for _, unit := range []time.Duration{time.Second, time.Millisecond} {
			quick, ok := unixTime(text, unit)
			if careful, known := carefulUnix(text, unit); ok != known || !quick.Equal(careful) {
				t.Errorf("%q of %s is read as %s %v, want %s %v", text, unit, quick, ok, careful, known)
			}
		}
		at, ok := unixTime(text, time.Second)
		if !ok {
			return
		}
		later, ok := unixTime(text, time.Second)
		if !ok || !later.Equal(at) || at.Location() != time.UTC {
			t.Errorf("%q is %s, then %s", text, at, later)
		}
		if ms, ok := unixTime(text+"000", time.Millisecond); ok && plainDecimal(text) && !bytes.ContainsRune([]byte(text), '.') && !ms.Equal(at) {
			t.Errorf("%q seconds are %s, and as milliseconds %s", text, at, ms)
		}
	})
}
