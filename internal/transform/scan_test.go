package transform_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"syncd/internal/call"
	"syncd/internal/transform"
)

// digitsOf keeps the digits of a text, whatever stands between them.
func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			for zero := r; ; zero-- {
				if !unicode.IsDigit(zero-1) || r-zero >= 9 {
					return '0' + r - zero
				}
			}
		}
		return -1
	}, s)
}

// decoded is every text and number in a JSON text, names included, and those in the JSON that texts hold.
func decoded(t testing.TB, payload string) []string {
	dec := json.NewDecoder(strings.NewReader(payload))
	dec.UseNumber()
	var out []string
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("%v in %s", err, payload)
		}
		switch v := tok.(type) {
		case json.Number:
			out = append(out, v.String())
		case string:
			out = append(out, v)
			if trimmed := strings.TrimSpace(v); json.Valid([]byte(trimmed)) && trimmed != "" && strings.ContainsAny(trimmed[:1], `{["`) {
				out = append(out, decoded(t, trimmed)...)
			}
		}
	}
}

// findDigits returns the decoded values that hold one of the runs of digits, however it is written there.
func findDigits(t testing.TB, payload string, runs ...string) []string {
	var found []string
	for _, v := range decoded(t, payload) {
		for _, run := range runs {
			if strings.Contains(digitsOf(v), run) {
				found = append(found, v)
			}
		}
	}
	return found
}

// everything is all that a result would put into a warehouse, as one JSON text.
func everything(t testing.TB, r transform.Result) string {
	var values []any
	add := func(texts ...string) {
		for _, s := range texts {
			values = append(values, s)
		}
	}
	if r.Reject != nil {
		add(r.Reject.Detail, r.Reject.Payload)
	} else {
		o := r.Observation
		add(o.Payload, o.Alias, o.Call.ID, o.Call.FromNumber, o.Call.ToNumber, o.Call.CustomerNumber, o.Call.Summary, o.Call.Metadata, o.Call.TelephonySID, o.Call.AgentName)
		for _, m := range o.Call.Messages {
			add(m.Content)
		}
		for _, f := range o.Call.Functions {
			add(f.Name, f.Params, f.Result)
		}
		for _, d := range o.Drift {
			add(d.Path, d.Sample)
		}
	}
	b, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// nest makes random JSON with a text planted at a random place in it.
func nest(rng *rand.Rand, planted string, depth int) string {
	plain := []string{"hello", "a b c", "order 48213", "2024-01-15", "", "ok?"}
	filler := func() string { return quote(plain[rng.IntN(len(plain))]) }
	if depth == 0 {
		return planted
	}
	inner := nest(rng, planted, depth-1)
	switch rng.IntN(5) {
	case 0:
		return fmt.Sprintf(`{%s:%s,"k%d":%s,"n":%d}`, quote("f"), filler(), depth, inner, rng.IntN(1000))
	case 1:
		return fmt.Sprintf(`[%s,%s,null,true]`, filler(), inner)
	case 2:
		return quote(inner) // JSON in a string
	case 3:
		return escaped(fmt.Sprintf(`{"text":%s}`, inner))
	default:
		return fmt.Sprintf(`{"turns":[{"role":"user","content":%s}]}`, inner)
	}
}

// escaped writes some characters of the strings in a JSON text as escapes, which mean the same.
func escaped(s string) string {
	return strings.NewReplacer("+1", `\u002b1`, "+4", `\u002b4`).Replace(s)
}

// written are the ways in which a number of so many digits may be written within a text.
func written(rng *rand.Rand, number string) string {
	cc, rest := number[:len(number)-10], number[len(number)-10:]
	a, b, c := rest[:3], rest[3:6], rest[6:]
	forms := []string{
		"+" + number, number, "00" + number, "+" + cc + " (" + a + ") " + b + "-" + c, "+" + cc + "-" + a + "-" + b + "-" + c, "+" + cc + "." + a + "." + b + "." + c,
		cc + " " + a + " " + b + " " + c, "sip:+" + number + "@pbx.example", "tel:+" + number, "+" + cc + "\u00a0" + a + "\u2011" + b + "\u2011" + c,
		strings.Join(strings.Split(number, ""), " "), "+" + cc + " / " + a + b + c, "(+" + cc + ") " + a + " " + b + " " + c, "https://wa.me/" + number, "x@" + number,
	}
	around := [][2]string{{"", ""}, {"call ", " now"}, {"Mein Telefon: ", "."}, {"(", ")"}, {"nr.", ", bitte"}, {"on 2024-01-15 ", " at 10:30"}, {"\n", "\n"}, {"電話", "です"}}
	w := around[rng.IntN(len(around))]
	return w[0] + forms[rng.IntN(len(forms))] + w[1]
}

var homes = map[string][]string{
	"millis": {`"metadata":{"m":%s}`, `"chat":%s`, `"function_calls":[{"name":"f","params":%s,"result":%s}]`, `"novelty":%s`, `"agent_config":{"c":%s}`, `"voip":{"from":%s,"x":%s}`},
	"burki":  {`"call_meta":{"m":%s}`, `"novelty":%s`, `"assistant_name":%s`, `"customer_phone_number":%s`},
	"voicy":  {`"vars_collected":%s`, `"transcript":[{"role":"agent","content":%s}]`, `"summary":%s`, `"novelty":{"n":%s}`, `"agent":{"name":%s}`, `"from_number":%s`},
}

func TestNoPlantedNumberGetsThrough(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	tests := map[string]transform.Privacy{"hash": hashed, "mask": masked, "drop": dropped}
	kept := 0
	for i := range 900 {
		provider := []string{"millis", "burki", "voicy"}[i%3]
		number := fmt.Sprintf("%d%010d", []int{1, 44, 49, 972}[rng.IntN(4)], 2_000_000_000+rng.IntN(7_999_999_999))
		planted := quote(written(rng, number))
		if rng.IntN(6) == 0 {
			planted = number
		}
		home := homes[provider][rng.IntN(len(homes[provider]))]
		fields := strings.ReplaceAll(home, "%s", nest(rng, planted, rng.IntN(4)))
		if rng.IntN(2) == 0 { // the record names the number itself
			own := map[string]string{"millis": `"voip":{"to":%s},`, "burki": `"to_phone_number":%s,`, "voicy": `"to_number":%s,`}[provider]
			fields = fmt.Sprintf(own, quote("+"+number)) + fields
		}
		payload := strings.Replace(minimal[provider], "%s", fields, 1)
		if !json.Valid([]byte(payload)) {
			t.Fatalf("the test is broken: %s", payload)
		}
		if len(findDigits(t, everything(t, open(t, provider).Record(record(payload))), number)) > 0 {
			kept++
		} else {
			t.Errorf("the scan does not find %s even where it is kept: %s", number, payload)
		}
		for name, p := range tests {
			tr := open(t, provider, private(p))
			r := tr.Record(record(payload))
			if found := findDigits(t, everything(t, r), number); len(found) > 0 {
				t.Fatalf("%s lets %s through in %q\nof %s", name, number, found, payload)
			}
			if r.Reject == nil {
				if again := tr.Record(record(r.Observation.Payload)); again.Observation.Payload != r.Observation.Payload {
					t.Fatalf("%s is not idempotent: %s\nthen %s\nof %s", name, r.Observation.Payload, again.Observation.Payload, payload)
				}
			}
		}
	}
	if kept == 0 {
		t.Error("the scan never finds anything")
	}
}

func TestFixturesHoldNoNumberAfterPrivacy(t *testing.T) {
	numbers := []string{"5551234567", "5559876543"}
	for _, f := range []struct {
		provider string
		part     call.Part
		payload  string
	}{
		{"millis", call.PartList, rows(t, "millis", "list.json", "histories")[0]},
		{"voicy", call.PartList, rows(t, "voicy", "list_sample.json", "calls")[0]},
		{"voicy", call.PartDetail, fixture(t, "voicy", "detail.json")},
		{"burki", call.PartList, rows(t, "burki", "list_sample.json", "items")[0]},
	} {
		if len(findDigits(t, everything(t, open(t, f.provider).Record(record(f.payload))), numbers...)) == 0 {
			t.Errorf("%s %s: the scan finds nothing even where everything is kept", f.provider, f.part)
		}
		for _, p := range []transform.Privacy{hashed, masked, dropped} {
			if found := findDigits(t, everything(t, open(t, f.provider, private(p)).Record(record(f.payload))), numbers...); len(found) > 0 {
				t.Errorf("%s %s, %s: %q", f.provider, f.part, p.Numbers, found)
			}
		}
	}
}
