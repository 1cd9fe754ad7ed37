package httpapi

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestAnIDIsOneSegmentOfThePath(t *testing.T) {
	var uri, path string
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { uri, path = r.RequestURI, r.URL.Path })
	for id, want := range map[string]string{
		"550e8400-e29b-41d4-a716-446655440000": "550e8400-e29b-41d4-a716-446655440000",
		"a/b":                                  "a%2Fb",
		"../../admin":                          "..%2F..%2Fadmin",
		".":                                    "%2E",
		"..":                                   "%2E%2E",
		"...":                                  "...",
		"%2e":                                  "%252e",
		"%":                                    "%25",
		"a b":                                  "a%20b",
		"a?b=c#d":                              "a%3Fb=c%23d",
		"{id}":                                 "%7Bid%7D",
		"é日":                                   "%C3%A9%E6%97%A5",
		"a\r\nb":                               "a%0D%0Ab",
		"a;b,c":                                "a%3Bb%2Cc",
		"\xff":                                 "%FF",
	} {
		for base, prefix := range map[string]string{"": "", "/functions/v1/": "/functions/v1", "/a%2Fb": "/a%2Fb"} {
			c := newClient(t, s.URL+base, Config{})
			if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "/calls/{id}/costs", ID: id}); err != nil {
				t.Fatalf("%q: %v", id, err)
			}
			if want := prefix + "/calls/" + want + "/costs"; uri != want {
				t.Errorf("%q below %q was asked as %s, want %s", id, base, uri, want)
			}
			if !strings.HasSuffix(path, "/calls/"+id+"/costs") {
				t.Errorf("%q below %q is read as %q", id, base, path)
			}
		}
	}
}

func TestAnIDIsNeverShown(t *testing.T) {
	const id = "sip:jane.roe"
	for name, network := range map[string]roundTripper{
		"echoed in a refusal": func(*http.Request) (*http.Response, error) {
			return answer(503, `{"error":"no call `+id+` here"}`), nil
		},
		"echoed in a page": func(*http.Request) (*http.Response, error) { return answer(503, `<html><p>/calls/`+id+` is down`), nil },
		"transport": func(r *http.Request) (*http.Response, error) {
			return nil, errors.New(`parse "` + r.URL.String() + `": bad`)
		},
		"redirect": func(*http.Request) (*http.Response, error) {
			return answer(307, "", "Location", "https://other.example.com/"+id), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bubbleClient(t, Config{}, network).Do(t.Context(), Request{Method: "GET", Path: "/calls/{id}", ID: id, Once: true})
			if err == nil || strings.Contains(err.Error(), "jane") {
				t.Errorf("error is %v", err)
			}
		})
	}
}
