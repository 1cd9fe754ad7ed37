package extract

import (
	"strings"
	"testing"
)

// TestDefaultBaseURLsAreEncrypted: where nobody names a base URL, no key travels in the clear.
func TestDefaultBaseURLsAreEncrypted(t *testing.T) {
	for _, p := range providers {
		if !strings.HasPrefix(p.dialect.baseURL, "https://") {
			t.Errorf("%s is asked at %s", p.name, p.dialect.baseURL)
		}
	}
}
