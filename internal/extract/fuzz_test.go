package extract

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

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

// fuzzPage checks that a page is decoded only if it is JSON with the array, and that its records are that array's elements, byte for byte.
func fuzzPage(f *testing.F, provider string) {
	s := shapeOf(f, provider)
	for _, seed := range []string{"", "{}", "null", `{"` + s.rows + `":[]}`, `{"` + s.rows + `":null}`, `{"` + s.rows + `":[{}],"` + s.rows + `":[]}`, `{"` + s.rows + `":[1,"a",null,[{}]]} x`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		kept := bytes.Clone(body)
		a, err := s.decode(body, time.Time{})
		if !bytes.Equal(kept, body) {
			t.Fatal("decoding changed the body")
		}
		if err != nil {
			if a.records != nil {
				t.Error("records came with an error")
			}
			return
		}
		var rows []json.RawMessage
		if trimmed := bytes.TrimSpace(body); s.bare && len(trimmed) > 0 && trimmed[0] == '[' {
			err = json.Unmarshal(body, &rows)
		} else {
			var envelope map[string]json.RawMessage
			if err = json.Unmarshal(body, &envelope); err == nil {
				err = json.Unmarshal(envelope[s.rows], &rows)
			}
		}
		if err != nil {
			t.Fatalf("a page was made of %q, which is none: %v", body, err)
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
	})
}

func FuzzPositions(f *testing.F) {
	for _, seed := range []string{
		"", "millis2:{}", `millis2:{"cursor":"1.5","edge":"2025-03-03T12:00:00.25Z","anchor":"a","digest":"00"}`, `burki2:{"row":4,"anchor":"17","total":9,"digest":""}`,
		`voicy1:{"key":"\u0000é","read":9223372036854775807,"digest":"x"}`, `voicy1:{"key":1}`, `burki2:{"row":1e3}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		roundTrip[millisPosition](t, millisForm, text)
		roundTrip[burkiPosition](t, burkiForm, text)
		roundTrip[voicyPosition](t, voicyForm, text)
	})
}

// roundTrip checks that a position which can be read is written and read again as it was.
func roundTrip[T any](t *testing.T, form, text string) {
	t.Helper()
	first, err := decodePosition[T](form, Position(text))
	if err != nil {
		return
	}
	written, err := encodePosition(form, first)
	if err != nil {
		t.Fatalf("%q was read and cannot be written: %v", text, err)
	}
	second, err := decodePosition[T](form, written)
	if err != nil || !cmp.Equal(first, second) {
		t.Errorf("%q became %+v, and %q became %+v, %v", text, first, written, second, err)
	}
}

func FuzzUnixTime(f *testing.F) {
	for _, seed := range []string{"0", "-0", "1741003200.25", "1e-999999999", "1e99", "1e5", "-5.5", "0x10", "1_0", "Inf", "NaN", "1741003200." + "0123456789012345678901234567890123456789012345678901234567890123456789"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
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
