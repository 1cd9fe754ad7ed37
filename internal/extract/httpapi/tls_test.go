package httpapi

import (
	"crypto/tls"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// serveTLS serves over TLS, with a certificate for 127.0.0.1 and example.com of an authority that nobody knows.
func serveTLS(t *testing.T, h http.HandlerFunc, change func(*tls.Config)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{}
	if change != nil {
		change(s.TLS)
	}
	s.Config.ErrorLog = log.New(testWriter{t}, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// testWriter is the test's log.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// knowing is the client's own transport, to which the server's authority is known.
func knowing(t *testing.T, s *httptest.Server) *http.Transport {
	t.Helper()
	known, ok := s.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("the server's client has another transport")
	}
	transport := newTransport()
	transport.TLSClientConfig.RootCAs = known.TLSClientConfig.RootCAs
	return transport
}

func TestTheKeyGoesOnlyToWhomACertificateProves(t *testing.T) {
	var asked atomic.Int64
	handler := func(http.ResponseWriter, *http.Request) { asked.Add(1) }
	good := serveTLS(t, handler, nil)
	old := serveTLS(t, handler, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	for name, tt := range map[string]struct {
		base      string
		transport http.RoundTripper
		want      string // "": it is answered
	}{
		"known authority":   {good.URL, knowing(t, good), ""},
		"unknown authority": {good.URL, nil, "certificate signed by unknown authority"},
		"another host":      {strings.Replace(good.URL, "127.0.0.1", "localhost", 1), knowing(t, good), "certificate is valid for"},
		"TLS 1.1":           {old.URL, knowing(t, old), "protocol version not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			// Only what may pass is tried again: a certificate is the same in a second. A refused version comes as an alert, which anybody may send.
			c := newClient(t, tt.base, Config{Transport: tt.transport, Attempts: 2})
			_, err := c.Do(t.Context(), Request{Method: "GET", Path: "/calls"})
			if tt.want == "" {
				if err != nil || asked.Load() != 1 {
					t.Errorf("error %v, asked %d times", err, asked.Load())
				}
				return
			}
			if e := wantError(t, err, Unavailable); !strings.Contains(e.Reason, tt.want) || strings.Contains(err.Error(), key) {
				t.Errorf("reason is %q: want %q in it", e.Reason, tt.want)
			}
			if asked.Load() != 0 {
				t.Error("the request, and the key in it, arrived")
			}
			if strings.Contains(tt.want, "certificate") && c.Requests() != 1 {
				t.Errorf("tried %d times", c.Requests())
			}
		})
	}
}

// TestARedirectOutOfTLSIsNotFollowed: it is another origin, though the host may be the same.
func TestARedirectOutOfTLSIsNotFollowed(t *testing.T) {
	var reached atomic.Int64
	plain := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	for _, to := range []string{plain.URL, "//" + strings.TrimPrefix(plain.URL, "http://"), "https://example.com/", "HTTP://" + strings.TrimPrefix(plain.URL, "http://")} {
		s := serveTLS(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, nil)
		c := newClient(t, s.URL, Config{Transport: knowing(t, s)})
		_, err := c.Do(t.Context(), Request{Method: "GET", Path: "/calls"})
		wantError(t, err, Redirected)
		if c.Requests() != 1 || reached.Load() != 0 {
			t.Errorf("redirected to %s: %d requests were sent, %d arrived there", to, c.Requests(), reached.Load())
		}
	}
}

// TestNothingSwitchesVerificationOff reads the source of the whole module.
func TestNothingSwitchesVerificationOff(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	forbidden := []string{"Insecure" + "SkipVerify", "VerifyPeer" + "Certificate"}
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && (name == "testdata" || name == "node_modules" || name == ".git") {
			return fs.SkipDir
		}
		if entry.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		files++
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, word := range forbidden {
			if strings.Contains(string(source), word) {
				t.Errorf("%s has %s", path, word)
			}
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("%d files were read, error %v", files, err)
	}
}
