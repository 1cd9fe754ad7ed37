package fakeapi_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"syncd/internal/fakeapi"
)

// presenting sends the smallest list request with a key.
func presenting(t *testing.T, h http.Handler, p fakeapi.Provider, key string) (int, string) {
	t.Helper()
	method, path, body, _ := page(p, 1)
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", authorization(p, key))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestAChangedKeyIsTheOnlyValidOne(t *testing.T) {
	for _, p := range all {
		fake := fakeapi.New(options(p, 3))
		fake.SetKey("the-next-key")
		if status, _ := presenting(t, fake, p, key); status != http.StatusUnauthorized {
			t.Errorf("%s: status %d with the old key, want 401", p, status)
		}
		if status, _ := presenting(t, fake, p, "the-next-key"); status != http.StatusOK {
			t.Errorf("%s: status %d with the new key, want 200", p, status)
		}
	}
}

// TestAKeyOpensItsOwnAccount puts two accounts behind one address.
func TestAKeyOpensItsOwnAccount(t *testing.T) {
	for _, p := range all {
		mine, other := options(p, 3), options(p, 3)
		other.Seed, other.Key = 8, "key-of-another-account"
		first, second := fakeapi.New(mine), fakeapi.New(other)
		both := fakeapi.Switch(first, second)
		for key, fake := range map[string]*fakeapi.Server{mine.Key: first, other.Key: second} {
			status, answer := presenting(t, both, p, key)
			if status != http.StatusOK || !slices.Equal(decode(t, p, answer).ids, fake.All()[:1]) {
				t.Errorf("%s: status %d, and the calls of another account: %.80s", p, status, answer)
			}
		}
		if status, answer := presenting(t, both, p, "key-of-nobody"); status != http.StatusUnauthorized || !strings.Contains(answer, "Invalid API key") {
			t.Errorf("%s: status %d with a key of nobody: %s", p, status, answer)
		}
		first.SetKey("rotated")
		if status, _ := presenting(t, both, p, "rotated"); status != http.StatusOK {
			t.Errorf("%s: status %d after the key was rotated", p, status)
		}
		if first.RequestCount() != 3 || second.RequestCount() != 1 {
			t.Errorf("%s: %d and %d requests, want 3 and 1", p, first.RequestCount(), second.RequestCount())
		}
	}
}
