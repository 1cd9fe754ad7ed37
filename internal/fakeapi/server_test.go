package fakeapi_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/fakeapi/openapitest"
)

const key = "key-of-a-fake"

var (
	since = time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	until = time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
	all   = []fakeapi.Provider{fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy}
)

// clock is a provider's clock that a test sets.
type clock struct{ unix atomic.Int64 }

func (c *clock) set(t time.Time) { c.unix.Store(t.UnixNano()) }
func (c *clock) now() time.Time  { return time.Unix(0, c.unix.Load()) }

// options are a year of calls, long over.
func options(p fakeapi.Provider, n int) fakeapi.Options {
	return fakeapi.Options{
		Provider: p, Seed: 7, Key: key, Calls: n, Since: since, Until: until,
		Now: func() time.Time { return until.Add(24 * time.Hour) },
	}
}

// client talks to one fake over HTTP, every answer held against the vendor's document.
type client struct {
	t        *testing.T
	fake     *fakeapi.Server
	provider fakeapi.Provider
	base     string
}

func dial(t *testing.T, o fakeapi.Options) *client {
	t.Helper()
	fake := fakeapi.New(o)
	var h http.Handler = fake
	if !o.Legacy { // older servers break today's document: that is what they are for
		h = openapitest.Responses(t, o.Provider, fake)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &client{t: t, fake: fake, provider: o.Provider, base: srv.URL + fake.BasePath()}
}

// do sends a request with the valid key.
func (c *client) do(method, path, body string) (int, http.Header, string) {
	auth := "Bearer " + key
	if c.provider == fakeapi.Millis {
		auth = key
	}
	return c.send(method, path, body, auth)
}

func (c *client) send(method, path, body, auth string) (int, http.Header, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	stay := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := stay.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(got)
}

// ok sends a request that must succeed and decodes the answer.
func ok[T any](c *client, method, path, body string) T {
	c.t.Helper()
	status, _, got := c.do(method, path, body)
	var v T
	if status != http.StatusOK {
		c.t.Fatalf("%s %s: status %d: %.200s", method, path, status, got)
	}
	if err := json.Unmarshal([]byte(got), &v); err != nil {
		c.t.Fatalf("%s %s: %v: %.200s", method, path, err, got)
	}
	return v
}

// refused sends a request that must fail with the status and a body that contains the text.
func (c *client) refused(method, path, body string, status int, text string) {
	c.t.Helper()
	got, header, answer := c.do(method, path, body)
	if got != status || !strings.Contains(answer, text) || header.Get("Content-Type") != "application/json" {
		c.t.Errorf("%s %s %s: status %d, %s: %s; want %d with %q", method, path, body, got, header.Get("Content-Type"), answer, status, text)
	}
}

// smallest is the smallest list request of each provider.
func (c *client) smallest() (method, path, body string) {
	switch c.provider {
	case fakeapi.Millis:
		return http.MethodGet, "/call-logs?limit=1", ""
	case fakeapi.Burki:
		return http.MethodGet, "/api/v1/calls/?limit=1", ""
	default:
		return http.MethodPost, "/call-list", `{"limit":1}`
	}
}

func TestAuthentication(t *testing.T) {
	for _, c := range []struct {
		provider fakeapi.Provider
		auth     string
		status   int
		body     string
	}{
		{fakeapi.Millis, "", 422, `{"detail":[{"loc":["header","authorization"],"msg":"Field required","type":"missing"}]}`},
		{fakeapi.Millis, "wrong", 401, `{"detail":"Invalid API key"}`},
		{fakeapi.Millis, "Bearer " + key, 401, `{"detail":"Invalid API key"}`},
		{fakeapi.Millis, key, 200, `{"histories":[{`},
		{fakeapi.Burki, "", 401, `{"detail":"Not authenticated"}`},
		{fakeapi.Burki, key, 401, `{"detail":"Not authenticated"}`},
		{fakeapi.Burki, "Bearer wrong", 401, `{"detail":"Invalid API key"}`},
		{fakeapi.Burki, "Bearer " + key, 200, `{"items":[{`},
		{fakeapi.Voicy, "", 401, `{"error":"Missing or malformed Authorization header"}`},
		{fakeapi.Voicy, key, 401, `{"error":"Missing or malformed Authorization header"}`},
		{fakeapi.Voicy, "Bearer wrong", 401, `{"error":"Invalid API key"}`},
		{fakeapi.Voicy, "Bearer " + key, 200, `{"calls":[{`},
	} {
		cl := dial(t, options(c.provider, 5))
		method, path, body := cl.smallest()
		status, header, got := cl.send(method, path, body, c.auth)
		if status != c.status || !strings.HasPrefix(got, c.body) || header.Get("Content-Type") != "application/json" {
			t.Errorf("%s with %q: status %d, %s: %.120s; want %d: %s", c.provider, c.auth, status, header.Get("Content-Type"), got, c.status, c.body)
		}
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	for p, want := range map[fakeapi.Provider]string{
		fakeapi.Millis: `{"detail":"%"}`, fakeapi.Burki: `{"detail":"%"}`, fakeapi.Voicy: `{"error":"%"}`,
	} {
		c := dial(t, options(p, 5))
		c.refused("GET", "/nowhere", "", 404, strings.Replace(want, "%", "Not Found", 1))
		_, path, _ := c.smallest()
		c.refused("DELETE", path, "", 405, strings.Replace(want, "%", "Method Not Allowed", 1))
	}
}

func TestDateIsTheProvidersClock(t *testing.T) {
	for _, p := range all {
		c := dial(t, options(p, 1))
		method, path, body := c.smallest()
		_, header, _ := c.do(method, path, body)
		if got, want := header.Values("Date"), "Sun, 02 Mar 2025 00:00:00 GMT"; len(got) != 1 || got[0] != want {
			t.Errorf("%s: Date %q, want %q alone", p, got, want)
		}
	}
}

func TestRateLimit(t *testing.T) {
	for p, want := range map[fakeapi.Provider]string{
		fakeapi.Millis: `{"detail":"Rate limit`, fakeapi.Burki: `{"detail":"Rate limit`,
		fakeapi.Voicy: `{"error":"Rate limit exceeded. Please retry after 30 seconds."}`,
	} {
		o := options(p, 3)
		var at clock
		at.set(until.Add(20 * time.Second))
		o.Now, o.RateLimit = at.now, 2
		c := dial(t, o)
		method, path, body := c.smallest()
		for range 2 {
			if status, _, got := c.do(method, path, body); status != 200 {
				t.Errorf("%s within the limit: status %d: %s", p, status, got)
			}
		}
		c.refused(method, path, body, 429, want)
		_, header, _ := c.do(method, path, body)
		if p == fakeapi.Burki && header.Get("Retry-After") != "40" {
			t.Errorf("burki: Retry-After %q, want 40", header.Get("Retry-After"))
		}
		if got := header.Get("X-RateLimit-Limit") + " " + header.Get("X-RateLimit-Remaining") + " " + header.Get("X-RateLimit-Reset"); p == fakeapi.Voicy && got != "2 0 1740787260" {
			t.Errorf("voicy: rate limit headers %q", got)
		}
		at.set(until.Add(61 * time.Second))
		if status, _, _ := c.do(method, path, body); status != 200 {
			t.Errorf("%s in the next minute: status %d", p, status)
		}
	}
}

func TestVoicyTellsItsLimitWithoutEnforcingIt(t *testing.T) {
	c := dial(t, options(fakeapi.Voicy, 3))
	_, header, _ := c.do("POST", "/call-list", `{}`)
	if header.Get("X-RateLimit-Limit") != "600" || header.Get("X-RateLimit-Remaining") != "599" || header.Get("X-RateLimit-Reset") == "" {
		t.Errorf("headers %v", header)
	}
}

func TestInterceptIsTheSeamForFaults(t *testing.T) {
	o := options(fakeapi.Voicy, 3)
	o.Intercept = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("fail") != "" {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadGateway)
				if _, err := io.WriteString(w, `{"error":"bad gateway"}`); err != nil {
					t.Error(err)
				}
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	c := dial(t, o)
	if status, _, _ := c.do("POST", "/call-list?fail=1", `{"limit":2}`); status != 502 {
		t.Errorf("intercepted: status %d, want 502", status)
	}
	if status, _, _ := c.do("POST", "/call-list", `{"limit":3}`); status != 200 {
		t.Errorf("passed on: status %d, want 200", status)
	}
	log := c.fake.Requests()
	if len(log) != 2 || log[0].Status != 502 || log[1].Status != 200 || log[0].Body != `{"limit":2}` || log[1].Path != "/functions/v1/call-list" ||
		log[0].Query.Get("fail") != "1" || log[0].Method != "POST" || !log[0].At.Equal(o.Now()) {
		t.Errorf("log %+v", log)
	}
}

func TestRequestLogKeepsTheLast(t *testing.T) {
	fake := fakeapi.New(options(fakeapi.Millis, 0))
	for i := range 1500 {
		fake.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/call-logs?limit="+string(rune('1'+i%9)), nil))
	}
	log := fake.Requests()
	if fake.RequestCount() != 1500 || len(log) != 1024 {
		t.Fatalf("%d counted, %d kept; want 1500 and 1024", fake.RequestCount(), len(log))
	}
	for i, r := range log {
		if want := string(rune('1' + (1500-1024+i)%9)); r.Query.Get("limit") != want {
			t.Fatalf("entry %d has limit %s, want %s: not oldest first", i, r.Query.Get("limit"), want)
		}
	}
}

func TestListenServesUntilClose(t *testing.T) {
	for _, p := range all {
		l, err := fakeapi.Listen(t.Context(), fakeapi.New(options(p, 3)))
		if err != nil {
			t.Fatal(err)
		}
		c := &client{t: t, provider: p, base: l.BaseURL}
		method, path, body := c.smallest()
		if status, _, got := c.do(method, path, body); status != 200 {
			t.Errorf("%s: status %d: %s", p, status, got)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if res, err := http.Get(l.BaseURL); err == nil {
			res.Body.Close()
			t.Errorf("%s still answers after Close", p)
		}
	}
}

func TestNewRefusesWhatCannotBeMeant(t *testing.T) {
	for name, o := range map[string]fakeapi.Options{
		"unknown provider": {Provider: "acme", Key: key},
		"no key":           {Provider: fakeapi.Millis},
		"no time":          {Provider: fakeapi.Millis, Key: key, Calls: 1},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			fakeapi.New(o)
		}()
	}
}
