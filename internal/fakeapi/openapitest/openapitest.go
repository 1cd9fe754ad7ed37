// Package openapitest holds what passes between syncd and a provider against the provider's own OpenAPI document, in tests.
//
// It owns the vendors' documents, as they were published, and the reporting of every breach. It refuses to change either side: a message
// goes on as it came, right or wrong.
package openapitest

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"syncd/internal/fakeapi"
)

//go:embed testdata
var documents embed.FS

// Handler passes requests on to next, and fails the test for each request and each response that the provider's document does not allow. A
// query parameter or a path that it does not know is a breach as well.
func Handler(t testing.TB, p fakeapi.Provider, next http.Handler) http.Handler {
	return handler(t, p, next, true)
}

// Responses is [Handler] for responses alone, for tests that send what the document forbids. Requests to undocumented paths are passed on unseen.
func Responses(t testing.TB, p fakeapi.Provider, next http.Handler) http.Handler {
	return handler(t, p, next, false)
}

func handler(t testing.TB, p fakeapi.Provider, next http.Handler, requests bool) http.Handler {
	t.Helper()
	router, err := load(p)
	if err != nil {
		t.Fatalf("load the OpenAPI document of %s: %v", p, err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("%s %s: read the request: %v", r.Method, r.URL.Path, err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		in, err := input(router, r, body)
		if err != nil {
			if requests {
				t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
			}
			next.ServeHTTP(w, r)
			return
		}
		if requests {
			if err := checkRequest(r.Context(), in); err != nil {
				t.Errorf("%s %s: the request is not what %s documents: %v", r.Method, r.URL.Path, p, err)
			}
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		if err := checkResponse(r.Context(), in, answer); err != nil {
			t.Errorf("%s %s: the response is not what %s documents: %v", r.Method, r.URL.Path, p, err)
		}
		relay(w, answer)
	})
}

// load reads the document of a provider. The servers it names are reduced to their paths: fakes answer on other hosts.
func load(p fakeapi.Provider) (routers.Router, error) {
	name := map[fakeapi.Provider]string{
		fakeapi.Millis: "millis.openapi.yaml", fakeapi.Burki: "burki.openapi.json", fakeapi.Voicy: "voicy.openapi.yaml",
	}[p]
	raw, err := documents.ReadFile("testdata/" + name)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	servers := openapi3.Servers{{URL: "/"}}
	for _, s := range doc.Servers {
		u, err := url.Parse(s.URL)
		if err != nil {
			return nil, err
		}
		if u.Path != "" {
			servers = append(servers, &openapi3.Server{URL: u.Path})
		}
	}
	doc.Servers = servers
	return gorillamux.NewRouter(doc)
}

// input finds the operation that a request is for.
func input(router routers.Router, r *http.Request, body []byte) (*openapi3filter.RequestValidationInput, error) {
	copied := r.Clone(r.Context())
	copied.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := router.FindRoute(copied)
	if err != nil {
		return nil, fmt.Errorf("the document knows no such operation: %w", err)
	}
	return &openapi3filter.RequestValidationInput{
		Request: copied, PathParams: params, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: bearer, RejectWhenRequestBodyNotSpecified: true, MultiError: true, SkipSettingDefaults: true,
		},
	}, nil
}

// bearer checks that a request carries the token that the document asks for; whether it is the right one is the server's to say.
func bearer(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	token, ok := strings.CutPrefix(in.RequestValidationInput.Request.Header.Get("Authorization"), "Bearer ")
	if in.SecurityScheme.Scheme == "bearer" && (!ok || token == "") {
		return errors.New("no bearer token")
	}
	return nil
}

func checkRequest(ctx context.Context, in *openapi3filter.RequestValidationInput) error {
	err := openapi3filter.ValidateRequest(ctx, in)
	for name := range in.Request.URL.Query() {
		if in.Route.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil {
			err = errors.Join(err, fmt.Errorf("undocumented query parameter %q", name))
		}
	}
	return err
}

func checkResponse(ctx context.Context, in *openapi3filter.RequestValidationInput, answer *httptest.ResponseRecorder) error {
	return openapi3filter.ValidateResponse(ctx, &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: answer.Code, Header: answer.Header(), Options: in.Options,
		Body: io.NopCloser(bytes.NewReader(answer.Body.Bytes())),
	})
}

// relay hands a recorded answer on.
func relay(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	// A client that went away has no test to tell.
	_, _ = w.Write(answer.Body.Bytes())
}
