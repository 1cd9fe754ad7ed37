package fakeapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"syncd/internal/fakeapi"
)

// sight is what a client sees of an answer.
type sight struct {
	status   int
	header   http.Header
	body     string
	length   int64
	unpacked bool
	err      error // of the request, or of its body
	whole    bool  // the request gave an answer
}

// networks are the two ways to a fake: a socket with net/http's client, and memory.
func networks(t *testing.T, fake http.Handler) map[string]*http.Client {
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	// A connection each: net/http would ask again by itself where one that had served before is cut.
	socket := &http.Transport{DisableKeepAlives: true, Proxy: nil, DialContext: (&dialer{server.Listener.Addr().String()}).dial}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return map[string]*http.Client{
		"over a socket": {Transport: socket, CheckRedirect: stay}, "in memory": {Transport: &fakeapi.Transport{Handler: fake}, CheckRedirect: stay},
	}
}

// see sends one request with the valid key.
func see(t *testing.T, client *http.Client, p fakeapi.Provider, method, path, body string) sight {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://provider.example"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", authorization(p, key))
	res, err := client.Do(r)
	if err != nil {
		return sight{err: err}
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	return sight{res.StatusCode, res.Header, string(got), res.ContentLength, res.Uncompressed, err, true}
}

// second is a request for the second page of ten, after the first one was read from a sound fake.
func second(t *testing.T, p fakeapi.Provider, o fakeapi.Options) (method, path, body string) {
	t.Helper()
	sound := fakeapi.New(o)
	method, path, body = listRequest(p, 10, 0, listPage{})
	first := decode(t, p, ask(t, sound, method, path, body, p))
	return listRequest(p, 10, 10, first)
}

type expectation func(got, right sight, p fakeapi.Provider) bool

func status(code int, part string) expectation {
	return func(got, _ sight, _ fakeapi.Provider) bool {
		return got.err == nil && got.status == code && strings.Contains(got.body, part)
	}
}

func throttled(after func(string) bool) expectation {
	return func(got, _ sight, _ fakeapi.Provider) bool {
		return got.err == nil && got.status == 429 && json.Valid([]byte(got.body)) && after(got.header.Get("Retry-After"))
	}
}

// failing is a request without an answer whose error is one of some.
func failing(wanted ...error) expectation {
	return func(got, _ sight, _ fakeapi.Provider) bool {
		return !got.whole && slices.ContainsFunc(wanted, func(err error) bool { return errors.Is(got.err, err) })
	}
}

// served is the right body, and something more.
func served(more func(got, right sight) bool) expectation {
	return func(got, right sight, _ fakeapi.Provider) bool {
		return got.err == nil && got.status == 200 && got.body == right.body && more(got, right)
	}
}

// sound is valid JSON with status 200, and something more.
func sound(more func(got, right string, p fakeapi.Provider) bool) expectation {
	return func(got, right sight, p fakeapi.Provider) bool {
		return got.err == nil && got.status == 200 && json.Valid([]byte(got.body)) && got.body != right.body && more(got.body, right.body, p)
	}
}

// holding is sound JSON that holds a text.
func holding(part string) expectation {
	return sound(func(got, _ string, _ fakeapi.Provider) bool { return strings.Contains(got, part) })
}

func redirected(to func(location string) bool) expectation {
	return func(got, _ sight, _ fakeapi.Provider) bool {
		return got.err == nil && got.status == 307 && to(got.header.Get("Location"))
	}
}

// idsIn reads the ids of a page leniently, "" for a row without one.
func idsIn(p fakeapi.Provider, body string) (out []string) {
	var answer struct{ Histories, Items, Calls []json.RawMessage }
	if json.Unmarshal([]byte(body), &answer) != nil {
		return nil
	}
	for _, row := range slices.Concat(answer.Histories, answer.Items, answer.Calls) {
		var f map[string]json.RawMessage
		_ = json.Unmarshal(row, &f)
		name := map[fakeapi.Provider]string{fakeapi.Millis: "session_id", fakeapi.Burki: "id", fakeapi.Voicy: "call_id"}[p]
		out = append(out, strings.Trim(string(f[name]), `"`))
	}
	return out
}

// rowsAre compares the ids of two pages.
func rowsAre(want func(got, right []string) bool) expectation {
	return sound(func(got, right string, p fakeapi.Provider) bool { return want(idsIn(p, got), idsIn(p, right)) })
}

func unordered(ids []string) []string { return slices.Sorted(slices.Values(ids)) }

// totalIs expects a total, by the right one; Millis tells none, and its page is as it was.
func totalIs(want func(right int) int) expectation {
	return func(got, right sight, p fakeapi.Provider) bool {
		var a, b struct {
			Total, TotalCount *int
			Count             *int `json:"total_count"`
		}
		if json.Unmarshal([]byte(got.body), &a) != nil || json.Unmarshal([]byte(right.body), &b) != nil {
			return false
		}
		switch p {
		case fakeapi.Burki:
			return *a.Total == want(*b.Total) && slices.Equal(idsIn(p, got.body), idsIn(p, right.body))
		case fakeapi.Voicy:
			return *a.Count == want(*b.Count) && slices.Equal(idsIn(p, got.body), idsIn(p, right.body))
		}
		return got.body == right.body
	}
}

// texts that JSON must not hold, or that nobody sends.
func broken(part string) expectation {
	return func(got, _ sight, _ fakeapi.Provider) bool {
		return got.err == nil && got.status == 200 && strings.Contains(got.body, part)
	}
}

// expected says of each kind what a client sees of the second page.
func expected() map[fakeapi.Kind]expectation {
	anything := func(string) bool { return true }
	return map[fakeapi.Kind]expectation{
		fakeapi.Refused: failing(syscall.ECONNREFUSED, syscall.ECONNRESET), fakeapi.Reset: failing(syscall.ECONNRESET), fakeapi.HangUp: failing(io.EOF, io.ErrUnexpectedEOF),
		fakeapi.CutBody: func(got, right sight, _ fakeapi.Provider) bool {
			return got.whole && errors.Is(got.err, io.ErrUnexpectedEOF) && len(got.body) < len(right.body) && strings.HasPrefix(right.body, got.body)
		},
		fakeapi.SlowHeaders: served(func(sight, sight) bool { return true }), fakeapi.SlowBody: served(func(sight, sight) bool { return true }),

		fakeapi.RetryAfterSeconds: throttled(func(v string) bool { return v == "1" }),
		fakeapi.RetryAfterDate:    throttled(func(v string) bool { return v == "Sun, 02 Mar 2025 00:00:01 GMT" }),
		fakeapi.RetryAfterAbsent:  throttled(func(v string) bool { return v == "" }), fakeapi.RetryAfterAbsurd: throttled(func(v string) bool { return v != "" }),
		fakeapi.InternalServerError: status(500, "Internal Server Error"), fakeapi.BadGateway: status(502, "<html>"), fakeapi.ServiceUnavailable: status(503, "Service Unavailable"),
		fakeapi.GatewayTimeout: status(504, "<html>"), fakeapi.Unauthorized: status(401, "Invalid API key"), fakeapi.Forbidden: status(403, "API key"),
		fakeapi.RedirectHere:      redirected(func(to string) bool { return strings.HasPrefix(to, "/") && strings.Contains(to, "redirected=1") }),
		fakeapi.RedirectElsewhere: redirected(func(to string) bool { return strings.HasPrefix(to, "http://elsewhere.example/") }), fakeapi.RedirectLoop: redirected(anything),
		fakeapi.HTMLPage: func(got, _ sight, _ fakeapi.Provider) bool {
			return got.status == 200 && got.header.Get("Content-Type") == "text/html" && strings.HasPrefix(got.body, "<!DOCTYPE html>")
		},
		fakeapi.EmptyBody: func(got, _ sight, _ fakeapi.Provider) bool {
			return got.status == 200 && got.header.Get("Content-Type") == "application/json" && got.body == "" && got.err == nil
		},
		fakeapi.ErrorObject: func(got, _ sight, _ fakeapi.Provider) bool {
			return got.status == 200 && got.header.Get("Content-Type") == "application/json" && strings.HasPrefix(got.body, `{"error":`) && got.err == nil
		},
		fakeapi.ExpiredPosition: func(got, right sight, p fakeapi.Provider) bool {
			want := map[fakeapi.Provider]int{fakeapi.Millis: 422, fakeapi.Voicy: 400, fakeapi.Burki: 200}[p]
			return got.err == nil && got.status == want && (p != fakeapi.Burki || got.body == right.body)
		},

		fakeapi.ShortBody: func(got, right sight, _ fakeapi.Provider) bool {
			return got.err == nil && got.status == 200 && len(got.body) < len(right.body) && got.length == int64(len(got.body)) && !json.Valid([]byte(got.body))
		},
		fakeapi.WrongContentType: served(func(got, _ sight) bool { return strings.HasPrefix(got.header.Get("Content-Type"), "text/html") }),
		fakeapi.LongContentLength: func(got, right sight, _ fakeapi.Provider) bool {
			return errors.Is(got.err, io.ErrUnexpectedEOF) && got.body == right.body && got.length > int64(len(got.body))
		},
		fakeapi.NoContentLength: served(func(got, _ sight) bool { return got.length == -1 && !got.unpacked }), fakeapi.Gzipped: served(func(got, _ sight) bool { return got.unpacked }),
		fakeapi.GzipBomb:    sound(func(got, right string, _ fakeapi.Provider) bool { return len(got) > len(right)+1<<16 }),
		fakeapi.EndlessBody: sound(func(got, right string, _ fakeapi.Provider) bool { return len(got) > len(right)+1<<16 }),
		fakeapi.ClockSkew:   served(func(got, _ sight) bool { return got.header.Get("Date") == "Sun, 02 Mar 2025 00:00:01 GMT" }),
		fakeapi.NoDate:      served(func(got, _ sight) bool { _, named := got.header["Date"]; return !named }),
		fakeapi.NonsenseDate: served(func(got, _ sight) bool {
			_, err := http.ParseTime(got.header.Get("Date"))
			return err != nil && got.header.Get("Date") != ""
		}),

		fakeapi.RepeatedPage: rowsAre(func(got, right []string) bool {
			return len(got) == 10 && !slices.ContainsFunc(got, func(id string) bool { return slices.Contains(right, id) })
		}),
		fakeapi.EmptyPage: rowsAre(func(got, _ []string) bool { return len(got) == 0 }),
		fakeapi.ShuffledRows: rowsAre(func(got, right []string) bool {
			return !slices.Equal(got, right) && slices.Equal(unordered(got), unordered(right))
		}),
		fakeapi.DuplicatedRows: rowsAre(func(got, right []string) bool {
			return len(got) > len(right) && slices.Equal(slices.Compact(unordered(got)), unordered(right))
		}),
		fakeapi.VanishedRows: rowsAre(func(got, right []string) bool { return len(got) > 0 && len(got) < len(right) }),
		fakeapi.TotalOneMore: totalIs(func(n int) int { return n + 1 }), fakeapi.TotalOneFewer: totalIs(func(n int) int { return n - 1 }),
		fakeapi.TotalZero: totalIs(func(int) int { return 0 }), fakeapi.TotalNegative: totalIs(func(int) int { return -1 }),

		fakeapi.UnknownFields: holding(`"x_internal":{`), fakeapi.ObjectsAsStrings: holding(`:"{\"`), fakeapi.GiantIntegers: holding(":1" + strings.Repeat("0", 40)),
		fakeapi.NumbersAsStrings: sound(func(got, _ string, p fakeapi.Provider) bool {
			return strings.Contains(got, map[fakeapi.Provider]string{fakeapi.Millis: `"ts":"1`, fakeapi.Burki: `"id":"1`, fakeapi.Voicy: `"start_timestamp":"1`}[p])
		}),
		fakeapi.StringsAsNumbers: sound(func(got, right string, p fakeapi.Provider) bool {
			return !strings.Contains(got, `status":"`) && slices.Equal(idsIn(p, got), idsIn(p, right))
		}),
		fakeapi.NullFields: sound(func(got, right string, p fakeapi.Provider) bool {
			return strings.Contains(got, `status":null`) && slices.Equal(idsIn(p, got), idsIn(p, right))
		}),
		fakeapi.MissingID: rowsAre(func(got, right []string) bool {
			return slices.Equal(slices.Compact(got), []string{""}) && len(got) == len(right)
		}),
		fakeapi.HugeFloats: holding(":1e400"), fakeapi.LoneSurrogates: holding(`\ud800`), fakeapi.NotANumber: broken("NaN"),
		fakeapi.InvalidUTF8: func(got, _ sight, _ fakeapi.Provider) bool {
			return got.err == nil && !utf8.ValidString(got.body) && strings.Contains(got.body, "\xff\xfe")
		},
		fakeapi.DeepNesting: holding(strings.Repeat(`{"in":`, 10) + "null}"), fakeapi.DeepestNesting: broken(strings.Repeat(`{"in":`, 10_000) + "null}"),
		fakeapi.HugeTranscript: func(got, right sight, p fakeapi.Provider) bool { // Millis alone has transcripts in its list
			return p != fakeapi.Millis && got.body == right.body || p == fakeapi.Millis && json.Valid([]byte(got.body)) && len(got.body) > 10<<17
		},
		fakeapi.EmptyRecord: holding("[{},{}"), fakeapi.ArrayRecord: holding(":[[{"),
	}
}

// soon is a time for a fault that makes no test slow.
func soon(k fakeapi.Kind) time.Duration {
	if k == fakeapi.ClockSkew || k == fakeapi.RetryAfterDate {
		return time.Second
	}
	return time.Millisecond
}

// blameless are the kinds that leave a page of the provider's list as it is, as it holds nothing for them to break.
func blameless(p fakeapi.Provider, k fakeapi.Kind) bool {
	switch k {
	case fakeapi.ExpiredPosition:
		return p == fakeapi.Burki
	case fakeapi.TotalOneMore, fakeapi.TotalOneFewer, fakeapi.TotalZero, fakeapi.TotalNegative:
		return p == fakeapi.Millis
	case fakeapi.HugeTranscript:
		return p != fakeapi.Millis
	}
	return false
}

// TestEveryKindBreaksAnAnswer once, over a socket and in memory alike, is counted, and is over where its times are.
func TestEveryKindBreaksAnAnswer(t *testing.T) {
	want := expected()
	for _, p := range all {
		o := options(p, 40)
		method, path, body := second(t, p, o)
		fake := fakeapi.New(o)
		for name, client := range networks(t, fake) {
			right := see(t, client, p, method, path, body)
			if right.err != nil || right.status != 200 || len(idsIn(p, right.body)) != 10 {
				t.Fatalf("%s %s: a sound page: %+v", p, name, right)
			}
			for _, k := range fakeapi.Kinds() {
				before := fake.Injected()[k]
				remove := fake.Inject(fakeapi.Fault{Kind: k, Times: 1, Seed: 5, For: soon(k), Size: 1 << 17})
				got := see(t, client, p, method, path, body)
				if want[k] == nil || !want[k](got, right, p) {
					t.Errorf("%s %s: %s: status %d, %v, %v, %.300s", p, name, k, got.status, got.err, got.header, got.body)
				}
				times := 1
				if blameless(p, k) {
					times = 0
				}
				if n := fake.Injected()[k] - before; n != times {
					t.Errorf("%s %s: %s: broke %d answers by its own account, want %d", p, name, k, n, times)
				}
				if blameless(p, k) {
					remove()
				}
				if again := see(t, client, p, method, path, body); again.err != nil || again.body != right.body {
					t.Errorf("%s %s: %s: still there after its times: %v, %.200s", p, name, k, again.err, again.body)
				}
				remove()
			}
		}
	}
}

// TestTheTruthStaysWhatItIs while every answer is broken.
func TestTheTruthStaysWhatItIs(t *testing.T) {
	for _, p := range all {
		o := options(p, 30)
		fake, untouched := fakeapi.New(o), fakeapi.New(o)
		method, path, body := second(t, p, o)
		for _, k := range fakeapi.Kinds() {
			remove := fake.Inject(fakeapi.Fault{Kind: k, For: time.Millisecond, Size: 1 << 10})
			see(t, memory(fake), p, method, path, body)
			remove()
		}
		if !slices.Equal(fake.All(), untouched.All()) {
			t.Errorf("%s: a fault changed what is listed", p)
		}
		record, found := fake.Call(fake.All()[12])
		if want, _ := untouched.Call(fake.All()[12]); !found || record.List != want.List {
			t.Errorf("%s: a fault changed a call: %s", p, record.List)
		}
	}
}

// TestEachKindHasANameAndAGroup of its own.
func TestEachKindHasANameAndAGroup(t *testing.T) {
	names, grouped := map[string]bool{}, map[fakeapi.Kind]int{}
	for _, group := range [][]fakeapi.Kind{
		fakeapi.Transient(), fakeapi.Refusing(), fakeapi.Malformed(), fakeapi.Misshapen(), fakeapi.Misleading(), fakeapi.Benign(),
	} {
		for _, k := range group {
			grouped[k]++
		}
	}
	for _, k := range fakeapi.Kinds() {
		name := k.String()
		if name == "" || names[name] || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz-8") != "" || grouped[k] != 1 {
			t.Errorf("kind %d is named %q and in %d groups", k, name, grouped[k])
		}
		names[name] = true
	}
	if got := fakeapi.Kind(0).String(); got != "kind-0" {
		t.Errorf("no kind is called %q", got)
	}
}

// TestAFaultMeetsTheRequestsItIsMeantFor and no others.
func TestAFaultMeetsTheRequestsItIsMeantFor(t *testing.T) {
	fake := fakeapi.New(options(fakeapi.Millis, 30))
	run := func(paths ...string) (out []int) {
		for _, path := range paths {
			code, _ := try(t, fake, "GET", path, "", fakeapi.Millis)
			out = append(out, code)
		}
		return out
	}
	one, list := detail(fakeapi.Millis, fake.All()[3]), "/call-logs?limit=1"
	remove := fake.Inject(fakeapi.Fault{
		Kind: fakeapi.ServiceUnavailable, Skip: 1, Times: 2, On: func(r fakeapi.Request) bool { return r.Query.Get("limit") == "1" && r.Method == "GET" },
	})
	if got := run(list, one, list, one, list, list); !slices.Equal(got, []int{200, 200, 503, 200, 503, 200}) {
		t.Errorf("one let through, two broken: %v", got)
	}
	remove()
	fake.Inject(fakeapi.Fault{Kind: fakeapi.Unauthorized, Skip: 2})
	if got := run(list, one, list, one); !slices.Equal(got, []int{200, 200, 401, 401}) {
		t.Errorf("a key withdrawn after two requests: %v", got)
	}
	fake.Inject(fakeapi.Fault{Kind: fakeapi.Forbidden})
	if got := run(list); !slices.Equal(got, []int{401}) {
		t.Errorf("of two answers in the provider's stead the first injected is given: %v", got)
	}
	fake.Heal()
	if got := run(list, one); !slices.Equal(got, []int{200, 200}) {
		t.Errorf("after Heal: %v", got)
	}
	if n := fake.Injected(); n[fakeapi.ServiceUnavailable] != 2 || n[fakeapi.Unauthorized] != 3 || n[fakeapi.Forbidden] != 0 {
		t.Errorf("counted: %v", n)
	}
}

// TestFaultsAddUp in the order that the package tells: the record within the page, the page within its encoding, and that cut.
func TestFaultsAddUp(t *testing.T) {
	o := options(fakeapi.Burki, 30)
	fake := fakeapi.New(o)
	for _, k := range []fakeapi.Kind{fakeapi.CutBody, fakeapi.Gzipped, fakeapi.DuplicatedRows, fakeapi.MissingID, fakeapi.NoDate} {
		fake.Inject(fakeapi.Fault{Kind: k, At: 700, One: true})
	}
	got := see(t, &http.Client{Transport: &fakeapi.Transport{Handler: fake, DisableCompression: true}}, fakeapi.Burki, "GET", "/api/v1/calls/?limit=20", "")
	if !errors.Is(got.err, io.ErrUnexpectedEOF) || len(got.body) != 700 || !bytes.HasPrefix([]byte(got.body), []byte{0x1f, 0x8b}) || got.header.Get("Date") != "" {
		t.Errorf("%d bytes, %v, %v", len(got.body), got.err, got.header)
	}
	if n := fake.Injected(); len(n) != 5 {
		t.Errorf("broke %v, want all five", n)
	}
}
