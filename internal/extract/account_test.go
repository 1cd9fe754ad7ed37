package extract_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
)

func TestContractTotalCountsEveryCall(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		var asked string
		f := newCheckedFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Seed: 8, Calls: 400, Intercept: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				asked = r.Method + " " + r.URL.String() + " " + string(body)
				r.Body = io.NopCloser(strings.NewReader(string(body)))
				next.ServeHTTP(w, r)
			})
		}})
		total, ok, err := f.open(t, provider, 0).Total(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if provider == "millis" {
			if ok || total != 0 || f.received.Load() != 0 {
				t.Errorf("Millis tells no total, and %d, %v came of %d requests", total, ok, f.received.Load())
			}
			return
		}
		if want := int64(len(f.All())); !ok || total != want || f.received.Load() != 1 {
			t.Errorf("total is %d, %v in %d requests, want %d in one", total, ok, f.received.Load(), want)
		}
		if provider == "voicy" && f.Count(contractSince, contractUntil) == len(f.All()) {
			t.Error("there is no test call: the test shows nothing")
		}
		want := map[string]string{
			"burki": "GET /api/v1/calls/?limit=1 ", "voicy": `POST /functions/v1/call-list {"filter_criteria":{"include_test_calls":true},"limit":1}`,
		}[provider]
		if asked != want {
			t.Errorf("asked %q, want %q", asked, want)
		}
	})
}

func TestTotalThatIsNotToldOrContradictsItself(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		if provider == "millis" {
			return
		}
		rows, count := rowsKey[provider], map[string]string{"burki": "total", "voicy": "total_count"}[provider]
		total, ok, err := answering(t, provider, 200, "application/json", `{"`+rows+`":[]}`).Total(t.Context())
		if err != nil || ok || total != 0 {
			t.Errorf("no total: %d, %v, %v", total, ok, err)
		}
		for _, body := range []string{
			`{"` + rows + `":[],"` + count + `":3}`, `{"` + rows + `":[{}],"` + count + `":0}`, `{"` + rows + `":[],"` + count + `":"3"}`, "{}", "null", "<html>",
		} {
			_, _, err := answering(t, provider, 200, "application/json", body).Total(t.Context())
			if e := wantError(t, err, extract.Malformed); strings.Contains(e.Hint, "window") {
				t.Errorf("hint is %q", e.Hint)
			}
		}
		_, _, err = answering(t, provider, 403, "application/json", "{}").Total(t.Context())
		wantError(t, err, extract.Permanent)
	})
	src := newFake(t, fakeapi.Options{Provider: fakeapi.Burki, Seed: 8, Calls: 10, Legacy: true}).open(t, "burki", 0)
	if total, ok, err := src.Total(t.Context()); err != nil || ok {
		t.Errorf("a bare array: %d, %v, %v", total, ok, err)
	}
}

func TestFingerprintTellsAccountsApartAndNothingElse(t *testing.T) {
	one := extract.Account{Source: "a", Provider: "voicy", BaseURL: "https://api.voicy.co/functions/v1", Key: testKey}
	same := []extract.Account{
		{Source: "b", Provider: "voicy", Key: testKey, PageSize: 7},
		{Provider: "voicy", BaseURL: "HTTPS://API.voicy.co:443/functions/v1/", Key: testKey, RateLimit: extract.Rate{Requests: 1, Per: 1}},
	}
	others := []extract.Account{
		{Provider: "voicy", Key: testKey + "2"}, {Provider: "voicy", BaseURL: "http://api.voicy.co/functions/v1", Key: testKey},
		{Provider: "voicy", BaseURL: "https://api.voicy.co/functions/v2", Key: testKey}, {Provider: "voicy", BaseURL: "https://api.voicy.co:444/functions/v1", Key: testKey},
		{Provider: "burki", BaseURL: "https://api.voicy.co/functions/v1", Key: testKey}, {Provider: "millis", Key: testKey}, {Provider: "acme", Key: testKey},
		{Provider: "millis", BaseURL: "https://api-eu-west.millis.ai", Key: testKey}, {Provider: "voicy", BaseURL: "://", Key: testKey},
	}
	first := one.Fingerprint()
	if first != "eed19109c6acfaf6" || !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(first) {
		t.Errorf("fingerprint is %q: warehouses hold another", first)
	}
	for _, a := range same {
		if got := a.Fingerprint(); got != first {
			t.Errorf("%+v has fingerprint %s, want %s", a, got, first)
		}
	}
	seen := map[string]bool{first: true}
	for _, a := range others {
		got := a.Fingerprint()
		if seen[got] {
			t.Errorf("%+v shares its fingerprint %s", a, got)
		}
		seen[got] = true
	}
}
