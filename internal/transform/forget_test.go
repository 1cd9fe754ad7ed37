package transform_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/transform"
)

func parse(t testing.TB, text string) transform.Number {
	t.Helper()
	n, err := transform.ParseNumber(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// listed makes the list of somebody, as it is made of what the warehouse has of it.
func listed(t testing.TB, numbers ...string) *transform.Suppressions {
	t.Helper()
	k := transform.NewMarkKey([]byte("a key of the test's"))
	var marks []transform.Mark
	for _, n := range numbers {
		marks = append(marks, k.Numbers(parse(t, n))...)
	}
	return transform.NewSuppressions(k, marks)
}

// holds reports whether a text holds a number, as the search of what is stored finds it; that what is read later is held against the list says the
// same of it is proven on the way.
func holds(t testing.TB, number, text string) bool {
	t.Helper()
	found := transform.NewNumberFinder(parse(t, number), nil).Holds(text)
	r := open(t, "voicy").Without(listed(t, number)).Record(extract.Record{Payload: []byte(text)})
	if (r.Suppressed != nil) != found {
		t.Errorf("%q: the search says %v, and the list %v", text, found, r.Suppressed != nil)
	}
	return found
}

func TestANumberIsFoundHoweverItIsWritten(t *testing.T) {
	for number, texts := range map[string][]string{
		"+14155550100": {
			"+14155550100", "14155550100", "4155550100", "+1 415 555 0100", "(415) 555-0100", "1-415-555-0100", "415.555.0100", "415 555 0100", "001 415 555 0100",
			"0014155550100", "011 1 415 555 0100", "01114155550100", "tel:+1-415-555-0100", "sip:+14155550100@203.0.113.9:5060;user=phone", "sip:4155550100@host", "+1 (415) 555-0100 ext. 12",
			"１４１５５５５０１００", "٤١٥٥٥٥٠١٠٠", "call (415) 555-0100 now", "it is 415-555-0100.", "4 1 5 5 5 5 0 1 0 0", "4 1 5, 5 5 5, 0 1 0 0", "415\u00a0555\u00a00100", "415–555–0100",
			"4\u200b15\u200b555\u200b0100", "4155550100,2125550199", "2125550199 4155550100", "4155550100 is mine, 10 years", "on 2024-01-15 4155550100", "at 10:30 4155550100", "rec_14155550100-20240115.wav",
			"14155550100-1.wav", "https://x.example/?q=%2B14155550100&a=1", "https://x.example/?q=call+4155550100", "https://x.example/%40 4155550100", "tel4155550100x12", "call_me_4155550100",
			`{"from":"+14155550100"}`, `{"from":14155550100}`, `{"from":4155550100}`, `{"a":"\u002b14155550100"}`, `{"a":"\u0034155550100"}`, `{"a":"{\"b\":\"\\u002b1415\\u0035550100\"}"}`,
			`{"14155550100":"a name"}`, `["415-555-0100"]`, `{"a":"line\n4155550100"}`, `{"a":"{\"phone\":4155550100}"}`, `{"a":"say \"415 555 0100\""}`, "+1\n415\n555\n0100", "++14155550100", "( 415 ) 555 0100",
		},
		"+442079460999":   {"+44 (0) 20 7946 0999", "+44 (0)20 7946 0999", "020 7946 0999", "(020) 7946 0999", "0044 20 7946 0999", "+44 020 7946 0999", "44-20-7946-0999", "02079460999", "2079460999"},
		"+4930 1234567":   {"030 1234567", "030/1234567", "+49 30 1234567", "0049301234567", "+49 (0) 30 123 45 67"},
		"+690 4000":       {"+690 4000", "6904000", "00690 4000", `{"from":6904000}`},
		"+91 98765 43210": {"9876543210", "098765 43210", `{"n":9876543210}`, `{"n":919876543210}`},
	} {
		for _, text := range texts {
			if !holds(t, number, text) {
				t.Errorf("%s is not found in %q", number, text)
			}
		}
	}
}

func TestAnotherNumberIsNotTakenForIt(t *testing.T) {
	for number, texts := range map[string][]string{
		"+14155550100": {
			"", "{}", "no digits", "+14155550101", "+1415555010", "+141555501000", "94155550100", "41555501001", "+44155550100", "+4155550100", "+44 415 555 0100", "0044 415 555 0100", "+44 1415 5550100",
			"214155550100", "+214155550100", "415555010", "5550100", "555-0100", "415-555-01", "415-555-0100-22", "22-415-555-0100", "1 415 555 01001", "415 5550 1000",
			"415 x 555 0100", "415a5550100", `["415","5550100"]`, `["415",5550100]`, `[415,5550,100]`, `{"a":"415","b":"5550100"}`, "2024-04-15 55:50:10.0", "10.415.555.0100", "4155550100"[:9],
			`{"a":415,"b":5550100}`, "41555501", "4155 550 10 01",
		},
		"+49 170 1234567": {`{"at":1701234567}`, "+1 170 1234567", `{"at":1701234567000}`},
		"+4930 1234567":   {"030 1234567-89", "+49 30 1234567-89", `{"duration_ms":301234567}`},
		"+354 581 2345":   {"5812345", `{"ms":5812345}`},
	} {
		for _, text := range texts {
			if holds(t, number, text) {
				t.Errorf("%s is found in %q", number, text)
			}
		}
	}
}

func TestWhatIsNoNumberInFullIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"": "fewer than 7", "+123456": "fewer than 7", "123456": "fewer than 7", "2125550199": "no country code", "(212) 555-0199": "no country code", "+1415555010012345": "more than 15",
		"+1 415 CALL ME": "something other", "+0155550100": "begins with 0", "anonymous": "something other", "tel:+14155550100": "something other",
	} {
		n, err := transform.ParseNumber(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		} else if text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q stands in the error %q", text, err)
		}
		_ = n
	}
	for _, text := range []string{"+14155550100", "0014155550100", " +1 (415) 555-0100 ", "+44 (0)20 7946 0999", "+6904000"} {
		n := parse(t, text)
		if s := fmt.Sprint(n, fmt.Sprintf("%v %+v %#v %s", n, n, n, n)); strings.ContainsAny(s, "0123456789") {
			t.Errorf("it prints as %s", s)
		}
	}
}

func TestHashedNumbersAreFoundByTheirTokens(t *testing.T) {
	n := parse(t, "+14155550100")
	finder := transform.NewNumberFinder(n, hashed.Tokens(n))
	for _, written := range []string{"+1 415 555 0100", "14155550100", "(415) 555-0100", "001 415 555 0100"} {
		o := observe(t, open(t, "voicy", private(hashed)), with("voicy", fmt.Sprintf(`"from_number":%q`, written)))
		if strings.Contains(o.Payload, "0100") || !finder.Holds(o.Payload) || !finder.Holds(o.Call.FromNumber) {
			t.Errorf("%s became %s, and was not found", written, o.Call.FromNumber)
		}
	}
	if other := observe(t, open(t, "voicy", private(hashed)), with("voicy", `"from_number":"+14155550101"`)); finder.Holds(other.Payload) {
		t.Error("another number is found")
	}
	if tokens := masked.Tokens(n); tokens != nil {
		t.Errorf("a mask leaves something to be found: %v", tokens)
	}
}

func TestWhoIsOnTheListIsKeptOutWhateverPrivacyMakesOfNumbers(t *testing.T) {
	record := with("voicy", `"from_number":"+1 415 555 0100"`)
	for name, p := range map[string]transform.Privacy{"keep": {}, "hash": hashed, "mask": masked, "drop": dropped} {
		to := open(t, "voicy", private(p))
		for how, read := range map[string]func(extract.Record) transform.Result{
			"Record": to.Without(listed(t, "+14155550100")).Record, "Key": to.Without(listed(t, "+14155550100")).Key,
			"Parts": func(r extract.Record) transform.Result {
				return to.Without(listed(t, "+14155550100")).Parts(call.PartList, map[call.Part]extract.Record{call.PartList: r})
			},
		} {
			if r := read(extract.Record{Payload: []byte(record)}); r.Suppressed == nil || len(r.Suppressed.IDs) != 1 || r.Observation.Payload != "" || r.Reject != nil {
				t.Errorf("%s, %s: %+v", name, how, r)
			}
			if r := read(extract.Record{Payload: []byte(with("voicy", `"from_number":"+14155550101"`))}); r.Suppressed != nil || r.Observation.Payload == "" {
				t.Errorf("%s, %s: somebody else is kept out", name, how)
			}
			if r := read(extract.Record{Payload: []byte(`{"broken": "415 555 0100`)}); r.Suppressed == nil || r.Reject != nil {
				t.Errorf("%s, %s: a record that cannot be a call: %+v", name, how, r)
			}
		}
		if r := to.Without(nil).Record(extract.Record{Payload: []byte(record)}); r.Suppressed != nil {
			t.Errorf("%s: with no list somebody is kept out", name)
		}
	}
}

func TestACallOnTheListIsKeptOutWhateverItsRecordShows(t *testing.T) {
	k := transform.NewMarkKey([]byte("a key"))
	source := observe(t, open(t, "voicy"), with("voicy", `"from_number":"***00"`)).Call
	list := transform.NewSuppressions(k, []transform.Mark{k.Call(source.Source, "another")})
	to := open(t, "voicy").Without(list)
	record := extract.Record{Payload: []byte(with("voicy", `"from_number":"***00"`))}
	if r := to.Record(record); r.Suppressed != nil {
		t.Fatal("a call that is not on the list is kept out")
	}
	list.Add([]transform.Mark{k.Call(source.Source, source.ID)})
	if r := to.Record(record); r.Suppressed == nil {
		t.Error("a call that is on the list is not kept out")
	}
	if list.HasCall("elsewhere", source.ID) {
		t.Error("another source's call of the same id is on the list")
	}
}

// spelled writes digits as people do: in groups, with what stands between them.
func spelled(rng *rand.Rand, digits string) string {
	separators := []string{" ", "-", ".", "  ", "\u00a0", ", ", " - ", "/", ") "}
	var b strings.Builder
	joint := separators[rng.IntN(len(separators))]
	for i, d := range digits {
		if i > 0 && rng.IntN(3) == 0 {
			b.WriteString(joint)
		}
		b.WriteRune(d)
	}
	return b.String()
}

// FuzzTheNumberIsFoundAndNoOther holds the finder against what is plain: a number that is written into a text with words around it is found, and
// where the digits of a text, all that is between them left out, do not even contain the number without its country code, it is not.
func FuzzTheNumberIsFoundAndNoOther(f *testing.F) {
	for i, seed := range []string{"", "call me on +1 415 555 0101", `{"a":"415\u0035550100"}`, "+44 (0) 20 7946 0999", "4155550100 4155550100", `["4155","550100"]`, "415555010\x000", "٤١٥٥٥٥٠١٠٠ (0) +1"} {
		f.Add(seed, uint64(i), uint8(i))
	}
	numbers := []string{"+14155550100", "+442079460999", "+4930123456", "+919876543210", "+6904000"}
	f.Fuzz(func(t *testing.T, text string, seed uint64, which uint8) {
		number := numbers[int(which)%len(numbers)]
		n := parse(t, number)
		finder := transform.NewNumberFinder(n, nil)
		full := number[1:]
		national := full[map[string]int{"+14155550100": 1, "+6904000": 3}[number]:]
		if national == full {
			national = full[2:]
		}
		if !strings.ContainsAny(text, `\%`) {
			digits := strings.Map(asciiDigit, text)
			if finder.Holds(text) && !strings.Contains(digits, national) {
				t.Errorf("%s is found in %q, whose digits are %s", number, text, digits)
			}
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		ways := []string{"+" + spelled(rng, full), spelled(rng, full), "00" + spelled(rng, full)}
		if len(national) >= 8 {
			ways = append(ways, spelled(rng, national), "0"+spelled(rng, national), "("+national[:2]+") "+national[2:])
		}
		written := ways[rng.IntN(len(ways))]
		if !finder.Holds(text+" number "+written+" number "+text) && balanced(text) {
			t.Errorf("%s is not found as %q behind %q", number, written, text)
		}
	})
}

// balanced reports whether a text ends as it begins: one that begins like JSON and is none leaves it open whether what follows is in quotes.
func balanced(text string) bool {
	return !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[")
}

// asciiDigit leaves of a text the digits, of whatever script, in ASCII.
func asciiDigit(r rune) rune {
	if !unicode.IsDigit(r) {
		return -1
	}
	zero := r
	for unicode.IsDigit(zero-1) && r-zero < 9 {
		zero--
	}
	return '0' + (r - zero)
}

func BenchmarkKeepingOut(b *testing.B) {
	record := extract.Record{ID: "v1", Payload: []byte(with("voicy", `"from_number":"+15551234567","to_number":"+15559876543","summary":"`+strings.Repeat("They talked about order 48213771 of 2024-01-15 at length. ", 30)+`"`))}
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf("+1415%07d", 5_550_000+i))
	}
	for name, list := range map[string]*transform.Suppressions{"nobody": nil, "one": listed(b, "+14155550100"), "a thousand": listed(b, many...)} {
		to := open(b, "voicy").Without(list)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(record.Payload)))
			b.ReportAllocs()
			for b.Loop() {
				if to.Record(record).Suppressed != nil {
					b.Fatal("it is somebody else's")
				}
			}
		})
	}
}
