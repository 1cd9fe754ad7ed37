package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"syncd/internal/fakeapi"
)

// Site is a folder with a configuration, its warehouse, and providers that are served while it is open. Its sources are spread over the three
// providers, and as a person would configure them but for the rate limit: what is measured is not how long a limit makes anybody wait.
type Site struct {
	Config string // the configuration's path

	dir    string
	health string // where the daemon tells that it is well
	served []*fakeapi.Listening
	asked  atomic.Int64 // requests
}

const key = "bench-key-of-the-fakes"

// NewSite makes a site whose sources have so many calls each, spread over the last month.
func NewSite(ctx context.Context, sources, calls int) (*Site, error) {
	dir, err := os.MkdirTemp("", "site")
	if err != nil {
		return nil, err
	}
	s := &Site{dir: dir, Config: filepath.Join(dir, "syncd.yaml")}
	if err := s.make(ctx, sources, calls); err != nil {
		return nil, errors.Join(fmt.Errorf("make a site of %d sources: %w", sources, err), s.Close())
	}
	return s, nil
}

func (s *Site) make(ctx context.Context, sources, calls int) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	s.health = "http://" + address + "/healthz"
	now := time.Now().UTC()
	var y strings.Builder
	fmt.Fprintf(&y, "warehouse: {path: calls.duckdb}\nserver: {http: %q}\nsources:\n", address)
	providers := []fakeapi.Provider{fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy}
	for i := range sources {
		p := providers[i%len(providers)]
		fake := fakeapi.New(fakeapi.Options{Provider: p, Seed: uint64(i) + 1, Key: key, Calls: calls, //nolint:gosec // a small number
			Since: now.AddDate(0, -1, 0), Until: now, Intercept: s.counted})
		at, err := fakeapi.Listen(ctx, fake)
		if err != nil {
			return err
		}
		s.served = append(s.served, at)
		fmt.Fprintf(&y, "  - {name: %s-%d, provider: %s, base_url: %q, api_key_file: key, start: %s, rate_limit: 10000/s}\n",
			p, i+1, p, at.BaseURL, now.AddDate(0, -1, -1).Format(time.DateOnly))
	}
	return errors.Join(os.WriteFile(filepath.Join(s.dir, "key"), []byte(key+"\n"), 0o600), os.WriteFile(s.Config, []byte(y.String()), 0o600))
}

// counted counts the requests that are answered.
func (s *Site) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		next.ServeHTTP(w, r)
	})
}

// freeAddress is an address that nobody listened on a moment ago.
func freeAddress(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Sync reads everything that the providers have, with the binary.
func (s *Site) Sync(ctx context.Context, binary string) error {
	cmd := exec.CommandContext(ctx, binary, "sync", "--no-progress", "-c", s.Config) //nolint:gosec // the binary that is measured
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("sync the site once: %w\n%s", err, out)
	}
	return nil
}

// Close stops the providers and removes the folder.
func (s *Site) Close() error {
	var all []error
	for _, at := range s.served {
		all = append(all, at.Close())
	}
	return errors.Join(errors.Join(all...), os.RemoveAll(s.dir))
}
