package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"syncd/internal/control"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
)

// TestNothingPrivateIsPrinted has providers answer well, and with every kind of answer that ends in an error, real calls within it, at debug
// level: no key, number or turn may stand in anything that is printed or recorded as a run's or a window's error.
func TestNothingPrivateIsPrinted(t *testing.T) {
	t.Parallel()
	spoilt := map[string]func(w http.ResponseWriter, r *http.Request, status int, body []byte){
		"well": func(w http.ResponseWriter, _ *http.Request, status int, body []byte) {
			answer(w, status, "application/json", body)
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request, _ int, body []byte) {
			answer(w, 200, "application/json", body[:len(body)-2])
		},
		"another shape": func(w http.ResponseWriter, _ *http.Request, _ int, body []byte) {
			answer(w, 200, "application/json", []byte(`{"data":`+string(body)+`}`))
		},
		"as a page": func(w http.ResponseWriter, _ *http.Request, _ int, body []byte) {
			answer(w, 200, "text/html", append([]byte("<html>"), body...))
		},
		"as an error": func(w http.ResponseWriter, _ *http.Request, _ int, body []byte) {
			answer(w, 418, "application/json", body)
		},
		"the key itself": func(w http.ResponseWriter, r *http.Request, _ int, _ []byte) {
			answer(w, 401, "application/json", fmt.Appendf(nil, `{"detail":"%s is wrong, call +15550001234"}`, r.Header.Get("Authorization")))
		},
	}
	var numbers, turns []string
	printed := make(map[string]string)
	for how, spoil := range spoilt {
		urls := make(map[fakeapi.Provider]string)
		for _, p := range providers {
			fake, _ := startFake(t, p, 60)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				rec := httptest.NewRecorder()
				fake.ServeHTTP(rec, r)
				spoil(w, r, rec.Code, rec.Body.Bytes())
			}))
			t.Cleanup(server.Close)
			urls[p] = server.URL + fake.BasePath()
		}
		file := configure(t, t.TempDir(), urls, "")
		path := filepath.Join(filepath.Dir(file), "calls.duckdb")
		for _, command := range []string{"check", "sync", "sync"} {
			out, err := syncd(command, "-c", file, "--log-level", "debug").CombinedOutput()
			if exitCode(err) > exitPartly {
				t.Errorf("%s, %s: exit code %d\n%s", how, command, exitCode(err), out)
			}
			printed[how] += string(out)
		}
		printed[how] += strings.Join(answers(t, path, `SELECT error FROM sync.runs`, `SELECT error FROM sync.windows`), "")
		if how == "well" {
			numbers = column(t, path, `SELECT DISTINCT v FROM (SELECT unnest([from_number, to_number, customer_number]) AS v FROM calls) WHERE v IS NOT NULL`)
			turns = column(t, path, `SELECT DISTINCT content AS v FROM call_messages WHERE length(content) > 12`)
		}
	}
	if len(numbers) < 20 || len(turns) < 50 {
		t.Fatalf("%d numbers and %d turns to look for: this shows too little", len(numbers), len(turns))
	}
	for how, text := range printed {
		noKeys(t, text)
		if len(text) < 300 {
			t.Errorf("%s: hardly anything was printed: %q", how, text)
		}
		for _, private := range append(numbers, turns...) {
			if strings.Contains(text, private) || strings.Contains(text, strings.TrimPrefix(private, "+")) {
				t.Errorf("%s: %q was printed", how, private)
			}
		}
	}
}

func answer(w http.ResponseWriter, status int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// column returns the texts of a query's only column, v.
func column(t *testing.T, path, sql string) (texts []string) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewBufferString(answers(t, path, sql)[0])); d.More(); {
		var row struct{ V string }
		if err := d.Decode(&row); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, row.V)
	}
	return texts
}

// TestNothingPrivateLeavesTheDaemon asks a daemon at debug level for all that it tells: its log, its status as text, as JSON, over HTTP and over
// the socket, and what work that is handed over brings back. Providers answer well, and with errors that hold a call.
func TestNothingPrivateLeavesTheDaemon(t *testing.T) {
	t.Parallel()
	var numbers, turns []string
	for _, how := range []string{"well", "as an error", "the key itself"} {
		s := newSite(t, 40, providers...)
		at := freePort(t)
		s.edit(`http: ""`, "http: "+at)
		var spoil spoiler = func(w http.ResponseWriter, r *http.Request, status int, body []byte) {
			switch {
			case how == "the key itself":
				answer(w, 401, "application/json", fmt.Appendf(nil, `{"detail":"%s is wrong, call +15550001234"}`, r.Header.Get("Authorization")))
			case how == "as an error" && len(body) > 2000:
				answer(w, 418, "application/json", body)
			default:
				answer(w, status, "application/json", body)
			}
		}
		s.spoil.Store(&spoil)
		daemon := s.daemon("--log-level", "debug")
		eventually(t, "every source has been tried", func() bool {
			r := s.status()
			tried := func(o load.SourceStatus) bool {
				return o.LastRun != nil && o.LastRun.FinishedAt != nil || o.State == "parked"
			}
			return len(r.Sources) == len(providers) && !slices.ContainsFunc(r.Sources, func(o load.SourceStatus) bool { return !tried(o) })
		})
		printed := []string{}
		for _, args := range [][]string{{"sync"}, {"sync", "--fresh"}, {"status"}, {"status", "--json"}, {"check"}, {"backfill", "burki", "--from", "2025-01-01", "--force"}} {
			out, code := s.run(append(args, "--log-level", "debug")...)
			if code > exitPartly || code == exitUsage {
				t.Errorf("%s, %s: exit code %d\n%s", how, args, code, out)
			}
			printed = append(printed, out)
		}
		body, _ := get(t, "http://"+at+"/api/status")
		state, err := control.Client{Path: s.socket()}.Status(t.Context())
		if err != nil {
			t.Error(err)
		}
		send(t, daemon.Cmd, os.Interrupt)
		if code := daemon.ends(10 * time.Second); code != exitDone {
			t.Errorf("%s: the daemon's exit code is %d", how, code)
		}
		text := strings.Join(append(printed, daemon.out.String(), body, string(state)), "\n")
		if how == "well" {
			numbers = column(t, s.warehouse, `SELECT DISTINCT v FROM (SELECT unnest([from_number, to_number, customer_number]) AS v FROM calls) WHERE v IS NOT NULL`)
			turns = column(t, s.warehouse, `SELECT DISTINCT content AS v FROM call_messages WHERE length(content) > 12`)
			if len(numbers) < 20 || len(turns) < 50 {
				t.Fatalf("%d numbers and %d turns to look for: this shows too little", len(numbers), len(turns))
			}
		}
		noKeys(t, text)
		for _, private := range append(append(turns, numbers...), "+15550001234") {
			if strings.Contains(text, private) || strings.Contains(text, strings.TrimPrefix(private, "+")) {
				t.Errorf("%s: %q was told", how, private)
			}
		}
		if len(text) < 5000 {
			t.Errorf("%s: hardly anything was told: %q", how, text)
		}
	}
}
