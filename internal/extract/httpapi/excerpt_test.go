package httpapi

import (
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestExcerpt(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"empty":                {"", ""},
		"blank":                {" \r\n", ""},
		"Voicy's error":        {`{"error": "Invalid API key"}`, `{"error":"Invalid API key"}`},
		"Burki's error":        {`{"detail":"Not authenticated"}`, `{"detail":"Not authenticated"}`},
		"FastAPI's 422":        {`{"detail":[{"loc":["query","limit"],"msg":"Input should be less than 1001","type":"less_than"}]}`, `{"detail":[{"loc":["query","limit"],"msg":"Input should be less than 1001","type":"less_than"}]}`},
		"pydantic's input":     {`{"detail":[{"msg":"no number","input":"+1 555 010 9999"}]}`, `{"detail":[{"msg":"no number","input":"…"}]}`},
		"nested error":         {`{"error":{"code":42901,"message":"slow down"}}`, `{"error":{"code":…,"message":"slow down"}}`},
		"key echoed":           {`{"error":"Invalid API key ` + key + `!"}`, `{"error":"Invalid API key …!"}`},
		"key escaped":          {`{"error":"\u0073` + key[1:] + `"}`, `{"error":"…"}`},
		"key as a name":        {`{"` + key + `":1}`, `{"…":1}`},
		"number in a message":  {`{"error":"no call from +1 (555) 010-9999 today"}`, `{"error":"no call from +… today"}`},
		"number as a name":     {`{"+15550109999":true}`, `{"…":true}`},
		"address in a message": {`{"message":"ask jane.doe@example.com"}`, `{"message":"ask …"}`},
		"record":               {`{"calls":[{"call_id":"c1","message":"my name is Jane","duration_ms":120,"from_number":"+15550109999","start":1704067200000}]}`, `{"calls":[{"call_id":"…","message":"…","duration_ms":120,"from_number":"…","start":…}]}`},
		"bare array":           {`[{"message":"my name is Jane","id":12}]`, `[{"message":"…","id":12}]`},
		"bare string":          {`"my name is Jane"`, `"…"`},
		"breaks off in a turn": {`{"error":"my name is Ja`, `{"error"…`},
		"breaks off in a key":  {`{"error":"Invalid key ` + key[:9], `{"error"…`},
		"turns into nonsense":  {`{"a":1, oh well, Jane`, `{"a":1…`},
		"invalid UTF-8":        {"{\"error\":\"bad \xff byte\"}", "{\"error\":\"bad \uFFFD byte\"}"},
		"two values":           {`{"a":1}{"b":"Jane"}`, `{"a":1}…`},
		"decimal":              {`{"total_cost":0.050000001}`, `{"total_cost":…}`},
		"byte order mark":      {"\xef\xbb\xbf{\"error\":\"x\"}", `{"error":"x"}`},
		"page":                 {"<!DOCTYPE html><html><head><title>502 Bad Gateway</title><style>a{}</style><script>var k='Jane'</script></head><body><!-- Jane --><h1>502 Bad&nbsp;Gateway</h1><hr>nginx</body></html>", "502 Bad Gateway 502 Bad Gateway nginx"},
		"page with key":        {"<p>sk_live_<b></b>4f9a2c71d0e84b</p> " + key, "… …"},
		"page that breaks off": {"<h1>Oops</h1><script>Jane", "Oops"},
		"text":                 {"upstream connect error: 10.0.0.1 reset, ray 8aa55123456", "upstream connect error: … reset, ray 8aa…"},
		"text, then JSON":      {`callback({"chat":"my name is Jane"})`, `callback(…`},
		"stream of events":     {"event: message data: my name is Jane", "event: message …"},
		"rest of a record":     {`tories":[{"chat":"my name is Jane"}]}`, `tories…`},
		"text and half a key":  {"bad key " + key[:10], "bad key …"},
		"null":                 {"null", "null"},
		"number":               {"15550109999", "…"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Excerpt(400, []byte(tt.body), key); got != tt.want {
				t.Errorf("excerpt is %q, want %q", got, tt.want)
			}
		})
	}
}

// What comes with a success may be calls, whatever it looks like: no string of it is shown.
func TestExcerptOfASuccessShowsStructureOnly(t *testing.T) {
	for name, tt := range map[string]struct{ body, want string }{
		"empty":               {"", ""},
		"transcript as text":  {"Caller: My daughter has a fever since Monday", "text of 44 bytes"},
		"CSV":                 {"id,transcript\n7,My daughter has a fever\n", "text of 39 bytes"},
		"turn":                {`{"message":"My daughter has a fever","role":"user"}`, `{"message":"…","role":"…"}`},
		"titled call":         {`{"type":"call","title":"My daughter has a fever"}`, `{"type":"…","title":"…"}`},
		"error":               {`{"error":{"code":7,"detail":["My daughter has a fever"]}}`, `{"error":{"code":…,"detail":["…"]}}`},
		"no strings":          {`{"ok":true,"next":null,"calls":[]}`, `{"ok":true,"next":null,"calls":[]}`},
		"bare string":         {`"My daughter has a fever"`, `"…"`},
		"speaker in brackets": {"[Caller] My daughter has a fever", "[…"},
		"number":              {"15550109999", "text of 11 bytes"},
		"login page":          {"<!DOCTYPE html><html><head><title>Log in – key " + key + "</title></head><body>My daughter has a fever</body></html>", "HTML of 129 bytes with the title Log in – key …"},
		"page without title":  {"<html><body>My daughter<svg><title>has a fever</title></svg></body></html>", "HTML of 74 bytes"},
		"XML":                 {"<calls><title>My daughter has a fever</title></calls>", "text of 53 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, status := range []int{200, 201, 302} {
				if got := Excerpt(status, []byte(tt.body), key); got != tt.want {
					t.Errorf("excerpt with status %d is %q, want %q", status, got, tt.want)
				}
			}
		})
	}
	if got := Excerpt(500, []byte(strings.Repeat("Caller: My daughter has a fever. ", 40))); got != "text of 1319 bytes" {
		t.Errorf("excerpt of a long text is %q", got)
	}
}

func TestExcerptIsShort(t *testing.T) {
	for _, body := range []string{
		`{"error":"` + strings.Repeat("long ", 1000) + `"}`, strings.Repeat("long ", 200), "<html>" + strings.Repeat("long ", 1000), `{"a":[` + strings.Repeat("1,", 5000) + `1]}`,
		strings.Repeat("é", 500), `{"detail":[` + strings.Repeat(`{"msg":"`+strings.Repeat("word ", 60)+`"},`, 50) + `1]}`, strings.Repeat("[", 5000),
	} {
		if got := Excerpt(500, []byte(body)); len(got) > 400 || len(got) < 100 {
			t.Errorf("excerpt of %.20q… has %d bytes", body, len(got))
		}
	}
}

// Whoever echoes a key may escape it, shorten it or break it in two.
func TestExcerptHidesAKeyHoweverItIsWritten(t *testing.T) {
	const half = len(key) / 2
	escape := func(form string) string {
		var b strings.Builder
		for i := range len(key) {
			fmt.Fprintf(&b, form, key[i])
		}
		return b.String()
	}
	for name, echoed := range map[string]string{
		"as it is": key, "JSON": escape(`\u%04x`), "JSON in JSON": escape(`\\u%04X`), "URL": escape("%%%02X"), "HTML, decimal": escape("&#%d;"), "HTML": escape("&#x%x;"),
		"C": escape(`\x%02x`), "one letter of it": strings.Replace(key, "_", `\u005f`, 1), "broken by a tag": key[:half] + "<wbr>" + key[half:],
		"broken by a soft hyphen": key[:half] + "\u00ad" + key[half:], "its beginning": key[:half] + "***", "its end": "***" + key[half:], "twice": key + key,
	} {
		t.Run(name, func(t *testing.T) {
			inJSON, err := json.Marshal(map[string]string{"error": "bad key " + echoed + ", sorry"})
			if err != nil {
				t.Fatal(err)
			}
			twice, err := json.Marshal(map[string]string{"error": string(inJSON)})
			if err != nil {
				t.Fatal(err)
			}
			for _, body := range []string{"bad key " + echoed + ", sorry", string(inJSON), string(twice), `{"error":"bad key ` + strings.ReplaceAll(echoed, `\x`, `\\x`) + `, sorry"}`,
				"<html><body><p>bad key " + echoed + ", sorry</p></body></html>"} {
				got := Excerpt(400, []byte(body), key)
				if part := keyPart(got); part != "" || !strings.Contains(got, "bad key …") && !strings.Contains(got, "bad key ***…") {
					t.Errorf("excerpt of %s is %s", body, got)
				}
			}
		})
	}
}

// keyPart returns eight characters of the key that stand in a text in a row, once it is read as JSON, HTML or a URL is; "" where none do.
func keyPart(text string) string {
	plain, err := url.PathUnescape(text)
	if err != nil {
		plain = text
	}
	for _, form := range []string{text, plain, html.UnescapeString(text), escapes.ReplaceAllStringFunc(text, unescape)} {
		for i := range len(key) - 7 {
			if strings.Contains(form, key[i:i+8]) {
				return key[i : i+8]
			}
		}
	}
	return ""
}

var escapes = regexp.MustCompile(`\\+(?:u00|x)[0-9a-fA-F]{2}`)

func unescape(escape string) string {
	n, err := strconv.ParseUint(escape[len(escape)-2:], 16, 8)
	if err != nil {
		return escape
	}
	return string(rune(n))
}

// plantings are the ways in which a key is echoed.
var plantings = []func(text string) string{
	func(text string) string { return text },
	func(text string) string { return strings.ReplaceAll(text, "_", `\u005f`) },
	func(text string) string { return strings.ReplaceAll(text, "_", "%5F") },
	func(text string) string { return strings.ReplaceAll(text, "_", "&#95;") },
	func(text string) string { return strings.ReplaceAll(text, "_", "\u200b_") },
	func(text string) string { return text[:len(text)-9] },
	func(text string) string { return text[len(text)/2:] },
}

// A key, a number and a turn are planted where a provider may put them; none may be seen, wherever the answer breaks off and however it is written.
func FuzzExcerpt(f *testing.F) {
	for _, seed := range []string{
		`{"histories":[{"chat":%,"voip":{"from":%}}]}`, `{"error":%}`, `[{"message":%}]`, `{%:1}`, `{"detail":[{"msg":%,"loc":[%]}]}`, `[%`, `{"a":[[{"error":{"message":%}}]]}`,
		`""0000000000000000`, `<html><title>%</title><body>%</body></html>`, `denied: %`, `{"error":"was {\"sent\":%}"}`,
	} {
		f.Add(seed, uint16(0), uint16(9999), uint8(0))
		f.Add(seed, uint16(3), uint16(30), uint8(1))
		f.Add(seed, uint16(0), uint16(60), uint8(2))
	}
	const turn = "my name is Jane Roe and I live here"
	const phone = "+1 555 010 9999"
	run := regexp.MustCompile(`\p{Nd}{5}`)
	f.Fuzz(func(t *testing.T, template string, from, to uint16, how uint8) {
		if keyPart(template) != "" {
			t.Skip("the template holds the key itself, in pieces")
		}
		planted, err := json.Marshal("Bearer " + plantings[int(how)%len(plantings)](key) + " says " + phone + " or " + strings.ReplaceAll(phone, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		body := strings.ReplaceAll(template, "%", string(planted))
		body = body[min(int(from), len(body)):]
		body = body[:min(int(to), len(body))]
		for _, status := range []int{200, 302, 400, 503} {
			got := Excerpt(status, []byte(body), key)
			if keyPart(got) != "" || strings.Contains(got, "010 9999") || strings.Contains(got, "0109999") || run.MatchString(got) {
				t.Errorf("excerpt of %q is %q", body, got)
			}
			if !utf8.ValidString(got) || len(got) > 600 || strings.ContainsFunc(got, unicode.IsControl) {
				t.Errorf("excerpt of %q is no short, plain line: %q", body, got)
			}
		}
		// A list of records, whatever is in them, shows no turn.
		quoted, err := json.Marshal(turn)
		if err != nil {
			t.Fatal(err)
		}
		record := strings.ReplaceAll(template, "%", string(quoted))
		list := `{"calls":[` + record + `]}`
		list = list[:min(int(to), len(list))]
		if got := Excerpt(400, []byte(list), key); json.Valid([]byte(record)) && strings.Contains(got, "my name") {
			t.Errorf("excerpt of %q is %q", list, got)
		}
		// With a success, nothing that is no key is shown, the title of a page aside.
		success := strings.ReplaceAll(template, "%", string(quoted))
		success = success[min(int(from), len(success)):]
		if got := Excerpt(200, []byte(success), key); !strings.Contains(got, "with the title") && (strings.Contains(got, "my name") || strings.Contains(got, "Jane") || strings.Contains(got, "live here")) {
			t.Errorf("excerpt of %q with status 200 is %q", success, got)
		}
	})
}
