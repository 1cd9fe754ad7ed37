package fakeapi

import (
	"net/http"
	"strings"
)

// SetKey changes the one valid API key, as its owner does who rotates it. It panics where the key is empty, as New does.
func (s *Server) SetKey(key string) {
	if key == "" {
		panic("fakeapi: an empty key: say which key is valid")
	}
	s.key.Store(&key)
}

// validKey says whether a key is the valid one.
func (s *Server) validKey(key string) bool { return key == *s.key.Load() }

// Switch puts several accounts of one provider behind one address: each request goes to the account whose key it presents. One with a key of
// none is refused as the first account refuses it: 401, and 422 where Millis misses the header.
func Switch(accounts ...*Server) http.Handler {
	if len(accounts) == 0 {
		panic("fakeapi: Switch without an account")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Authorization")
		if scheme, token, ok := strings.Cut(key, " "); ok && strings.EqualFold(scheme, "bearer") {
			key = token
		}
		for _, s := range accounts {
			if s.validKey(key) {
				s.ServeHTTP(w, r)
				return
			}
		}
		accounts[0].ServeHTTP(w, r)
	})
}
