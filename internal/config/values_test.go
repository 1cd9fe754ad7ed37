package config

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"5m": 5 * time.Minute, "1h": time.Hour, "24h": 24 * time.Hour, "7d": 168 * time.Hour, "1h30m": 90 * time.Minute,
		"1.5h": 90 * time.Minute, "1d12h": 36 * time.Hour, "250ms": 250 * time.Millisecond, "0s": 0, "99999d": 99999 * 24 * time.Hour,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "-5m", "+5m", "5 m", "5M", "d", "1h1d", "1.5d", "1w", "5us", ".5h", "999999d", "9999999999h", "99999d2500000h", "m", "5m\n"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q: %v, want an error", text, got)
		}
	}
}

func TestShortIsReadBack(t *testing.T) {
	for d, want := range map[time.Duration]string{
		5 * time.Minute: "5m", time.Hour: "1h", 24 * time.Hour: "1d", 90 * time.Minute: "1h30m", 30 * time.Second: "30s",
		10 * time.Minute: "10m", 0: "0s", 90 * time.Second: "1m30s", 10 * time.Hour: "10h", 3605 * time.Second: "1h0m5s",
	} {
		if got := short(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
		if back, err := parseDuration(want); err != nil || back != d {
			t.Errorf("%s is read as %v, %v", want, back, err)
		}
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"2GB": 2e9, "512MB": 512e6, "512 MB": 512e6, "1MiB": 1 << 20, "2GiB": 2 << 30, "1.5GiB": 3 << 29, "0.1GB": 1e8, "1TB": 1e12, "1TiB": 1 << 40,
		"100B": 100, "1KB": 1000, "1KiB": 1024,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "2", "GB", "2G", "2gb", "-2GB", "80%", "1e9B", "1,5GB", "999999999999999TB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q: %d, want an error", text, got)
		}
	}
}

func TestParseSchedule(t *testing.T) {
	for _, text := range []string{"@every 5m", "@every 1s", "@hourly", "@daily", "*/5 * * * *", "0 3 * * MON-FRI", "0 0 29 2 *"} {
		if got, err := parseSchedule(text); err != nil || got != text {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5m", "@every", "@every x", "@every 0s", "@every -5m", "@every 10ms", "@reboot", "* * * *", "0 * * * * *", "61 * * * *",
		"0 0 31 2 *", "TZ=0", "CRON_TZ=", "TZ=UTC * * * * *"} {
		if _, err := parseSchedule(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestLoopback(t *testing.T) {
	for _, host := range []string{"localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"} {
		if !loopback(host) {
			t.Errorf("%s is this machine", host)
		}
	}
	for _, host := range []string{"", "0.0.0.0", "::", "10.0.0.1", "localhost.example.com", "127.0.0.1.nip.io", "0177.0.0.1", "127.1"} {
		if loopback(host) {
			t.Errorf("%s may be another machine", host)
		}
	}
}

func TestParseListen(t *testing.T) {
	for _, text := range []string{"", "127.0.0.1:8080", "localhost:1", "[::1]:65535"} {
		if got, err := parseListen(text); err != nil || got != text {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:http", "127.0.0.1:65536", "::1:8080", "0.0.0.0:80", "example.com:80"} {
		if _, err := parseListen(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestCatalogIsDuckDBsName(t *testing.T) {
	for path, want := range map[string]string{
		"/a/calls.duckdb": "calls", "sync.read.duckdb": "sync", "/a/.sync.duckdb": "sync", "..sync": "sync", "x.sync": "x", "sync": "sync", "a b.db": "a b",
	} {
		if got := catalog(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"name", "provider", "base_url", "api_key_env", "api_key_file", "schedule", "start", "page_size"}
	for found, want := range map[string]string{
		"scedule": "schedule", "shcedule": "schedule", "SCHEDULE": "schedule", "schedules": "schedule", "nmae": "name", "nam": "name", "pagesize": "page_size",
		"page-size": "page_size", "api_key": "api_key_env", "api_key_fil": "api_key_file", "baseUrl": "base_url", "strat": "start",
		"x": "", "na": "", "colour": "", "include_test_calls": "", "": "",
	} {
		if got := nearest(found, known); got != want {
			t.Errorf("%q: %q, want %q", found, got, want)
		}
	}
}
