package extract_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"syncd/internal/extract"
)

// What a provider may answer in place of a page, and what becomes of it. Never an empty page.

// rowsKey is the key of each provider's array.
var rowsKey = map[string]string{"millis": "histories", "burki": "items", "voicy": "calls"}

// answering is a source whose provider answers everything in one way.
func answering(t *testing.T, provider string, status int, contentType, body string, header ...string) extract.Source {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		if body != "" {
			if _, err := w.Write([]byte(body)); err != nil {
				t.Error(err)
			}
		}
	}))
	t.Cleanup(s.Close)
	src, err := extract.New(extract.Account{Source: "src", Provider: provider, BaseURL: s.URL, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// positions are one of each provider's own.
var positions = map[string]extract.Position{
	"millis": `millis2:{"cursor":"1741003200.5","digest":"00"}`,
	"burki":  `burki2:{"row":4,"anchor":"17","digest":"00"}`,
	"voicy":  `voicy1:{"key":"c-17","read":5,"digest":"00"}`,
}

func TestTrapUnexpectedAnswerIsNeverAnEmptyPage(t *testing.T) {
	const turn = "my name is Jane Roe"
	eachProvider(t, func(t *testing.T, provider string) {
		rows := rowsKey[provider]
		for name, body := range map[string]string{
			"empty":                    "",
			"blank":                    " \n",
			"page of HTML":             "<html><body>Please log in, " + turn + "</body></html>",
			"null":                     "null",
			"string":                   `"` + turn + `"`,
			"transcript as text":       "Caller: " + turn,
			"turn":                     `{"message":"` + turn + `","role":"user"}`,
			"number":                   "15550109999",
			"empty object":             "{}",
			"error object":             `{"error":"something is wrong"}`,
			"other key":                `{"records":[]}`,
			"key in other letters":     `{"` + strings.ToUpper(rows) + `":[]}`,
			"null for the array":       `{"` + rows + `":null}`,
			"object for the array":     `{"` + rows + `":{}}`,
			"string for the array":     `{"` + rows + `":""}`,
			"the array twice":          `{"` + rows + `":[],"` + rows + `":[]}`,
			"breaks off in the array":  `{"` + rows + `":[`,
			"breaks off in a record":   `{"` + rows + `":[{"chat":"` + turn,
			"breaks off after it":      `{"` + rows + `":[]`,
			"goes on after its end":    `{"` + rows + `":[]}{"` + rows + `":[]}`,
			"garbage after its end":    `{"` + rows + `":[]} <!-- ` + turn,
			"comma too many":           `{"` + rows + `":[],}`,
			"array in an array":        `[{"` + rows + `":[]}, 1`,
			"closing bracket":          "]",
			"depth":                    `{"` + rows + `":` + strings.Repeat("[", 20000),
			"turn as the array's name": `{"` + turn + `":[]}`,
		} {
			t.Run(name, func(t *testing.T) {
				src := answering(t, provider, 200, "text/html", body)
				_, fetched := src.Fetch(t.Context(), day, positions[provider])
				e := wantError(t, fetched, extract.Malformed)
				if e.Window != day || e.Position != positions[provider] || e.Status != 200 || e.Hint == "" {
					t.Errorf("error does not name window, position, status and what to do: %v", e)
				}
				if strings.TrimSpace(body) != "" && e.Excerpt == "" {
					t.Errorf("error does not show the first bytes: %v", e)
				}
				if strings.Contains(e.Error(), "Jane") || strings.Contains(e.Error(), "15550109999") {
					t.Errorf("error shows what it must not: %v", e)
				}
				wantError(t, src.Probe(t.Context()), extract.Malformed)
			})
		}
	})
}

func TestBareArrayIsAPageOfBurkiAlone(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		src := answering(t, provider, 200, "application/json", "[]")
		_, err := src.Fetch(t.Context(), day, "")
		if provider == "burki" {
			if err != nil {
				t.Error(err)
			}
			return
		}
		wantError(t, err, extract.Malformed)
	})
}

// A record may be odd within: the page is read all the same, and the record keeps its bytes.
func TestTrapInvalidUTF8AndNamesThatAreThereTwice(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		record := "{\"a\":\"\xff\xfe\",\"a\":1,\"b\":{\"c\":1,\"c\":2},\"d\":\"\\ud800\"}"
		src := answering(t, provider, 200, "application/json", `{"`+rowsKey[provider]+`":[`+record+`]}`)
		page := readAll(t, src, day)[0]
		if len(page.Records) != 1 || string(page.Records[0].Payload) != record {
			t.Errorf("records are %q", page.Records)
		}
	})
}

func TestStatusDecidesTheClass(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		for status, want := range map[int][2]extract.Class{ // at the start, and with a position
			201: {extract.Malformed, extract.Malformed}, 202: {extract.Malformed, extract.Malformed}, 204: {extract.Malformed, extract.Malformed},
			304: {extract.Malformed, extract.Malformed},
			400: {extract.Malformed, extract.Lost}, 401: {extract.Permanent, extract.Permanent}, 402: {extract.Permanent, extract.Permanent},
			403: {extract.Permanent, extract.Permanent}, 404: {extract.Permanent, extract.Lost}, 405: {extract.Malformed, extract.Malformed},
			409: {extract.Malformed, extract.Lost}, 410: {extract.Malformed, extract.Lost}, 413: {extract.Malformed, extract.Malformed},
			422: {extract.Malformed, extract.Lost}, 501: {extract.Malformed, extract.Malformed},
		} {
			body := `{"` + rowsKey[provider] + `":[]}`
			if status == 204 || status == 304 {
				body = ""
			}
			src := answering(t, provider, status, "application/json", body)
			for i, p := range []extract.Position{"", positions[provider]} {
				_, err := src.Fetch(t.Context(), day, p)
				if e := wantError(t, err, want[i]); e.Status != status || e.Hint == "" {
					t.Errorf("status %d: error is %v", status, err)
				}
			}
		}
	})
}

func TestProviderThatAsksForALongWaitIsTransient(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		src := answering(t, provider, 503, "text/plain", "down for the night", "Retry-After", "7200")
		_, err := src.Fetch(t.Context(), day, "")
		e := wantError(t, err, extract.Transient)
		if wait := time.Until(e.Until); wait < 7100*time.Second || wait > 7200*time.Second || e.Status != 503 || e.Excerpt != "down for the night" {
			t.Errorf("error is %v", err)
		}
	})
}

func TestRedirectToAnotherHostIsPermanent(t *testing.T) {
	var reached bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	t.Cleanup(other.Close)
	for _, provider := range extract.Providers() {
		src := answering(t, provider, 307, "text/plain", "", "Location", other.URL)
		_, err := src.Fetch(t.Context(), day, "")
		if e := wantError(t, err, extract.Permanent); !strings.Contains(e.Error(), strings.TrimPrefix(other.URL, "http://")) {
			t.Errorf("error does not name the other host: %v", err)
		}
	}
	if reached {
		t.Error("the other host was asked")
	}
}

func TestTrapCallsFarOutsideTheWindow(t *testing.T) {
	record := map[string]func(time.Time) string{
		"millis": func(at time.Time) string { return millisCall("a", at) },
		"burki":  func(at time.Time) string { return burkiCall(1, at) },
		"voicy":  func(at time.Time) string { return voicyCall("a", at) },
	}
	eachProvider(t, func(t *testing.T, provider string) {
		for at, honoured := range map[time.Time]bool{
			day.Since.Add(-2 * time.Second): true, day.Since.Add(-62 * time.Second): true, day.Since.Add(-63 * time.Second): false,
			day.Until.Add(62 * time.Second): true, day.Until.Add(63 * time.Second): false, day.Since.AddDate(-1, 0, 0): false,
		} {
			src := answering(t, provider, 200, "application/json", `{"`+rowsKey[provider]+`":[`+record[provider](at)+`]}`)
			page, err := src.Fetch(t.Context(), day, "")
			if honoured {
				if err != nil || len(page.Records) != 1 {
					t.Errorf("a call at %s: %d records, error %v", at, len(page.Records), err)
				}
				continue
			}
			if e := wantError(t, err, extract.Malformed); !strings.Contains(e.Reason, "filter") || !strings.Contains(e.Reason, "m") {
				t.Errorf("a call at %s: reason is %q", at, e.Reason)
			}
		}
	})
	// A start in another unit lies far outside; it is not taken for none.
	src := answering(t, "millis", 200, "application/json", fmt.Sprintf(`{"histories":[{"session_id":"a","ts":%d}]}`, noon.UnixMilli()))
	_, err := src.Fetch(t.Context(), day, "")
	wantError(t, err, extract.Malformed)
	src = answering(t, "voicy", 200, "application/json", fmt.Sprintf(`{"calls":[{"call_id":"a","start_timestamp":%d}]}`, noon.Unix()))
	_, err = src.Fetch(t.Context(), day, "")
	wantError(t, err, extract.Malformed)
}

func TestWindowWithoutTimeIsRefused(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		src := answering(t, provider, 200, "application/json", `{"`+rowsKey[provider]+`":[]}`)
		for _, w := range []extract.Window{{}, {Since: noon, Until: noon}, {Since: noon, Until: noon.Add(-time.Hour)}} {
			_, err := src.Fetch(t.Context(), w, "")
			wantError(t, err, extract.Malformed)
		}
		if n := src.Traffic().Requests; n != 0 {
			t.Errorf("%d requests were sent for windows without time", n)
		}
	})
}

func TestContextThatEndsWhileAProviderIsSlow(t *testing.T) {
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(release) })
	src, err := extract.New(extract.Account{Source: "src", Provider: "burki", BaseURL: s.URL, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := src.Fetch(ctx, day, ""); !errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*extract.Error)) {
		t.Errorf("error is %v, want the context's own", err)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		most := map[string]int{"millis": 100, "burki": 1000, "voicy": 1000}[provider]
		for name, a := range map[string]extract.Account{
			"page too large":  {Key: testKey, PageSize: most + 1},
			"page negative":   {Key: testKey, PageSize: -1},
			"no key":          {},
			"URL of no host":  {Key: testKey, BaseURL: "api.example.com"},
			"negative rate":   {Key: testKey, RateLimit: extract.Rate{Requests: -1, Per: time.Minute}},
			"rate of no span": {Key: testKey, RateLimit: extract.Rate{Requests: 1}},
		} {
			a.Source, a.Provider = "src", provider
			if _, err := extract.New(a); err == nil || !strings.Contains(err.Error(), "src") || strings.Contains(err.Error(), testKey) {
				t.Errorf("%s: error is %v", name, err)
			}
		}
		if _, err := extract.New(extract.Account{Source: "src", Provider: provider, Key: testKey}); err != nil {
			t.Errorf("the defaults are refused: %v", err)
		}
	})
	if _, err := extract.New(extract.Account{Provider: "acme", Key: testKey}); err == nil || !strings.Contains(err.Error(), "acme") {
		t.Errorf("unknown provider: error is %v", err)
	}
}
