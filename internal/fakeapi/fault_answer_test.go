package fakeapi_test

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"syncd/internal/fakeapi"
)

// memory is a client of a fake in memory.
func memory(fake http.Handler) *http.Client {
	return &http.Client{Transport: &fakeapi.Transport{Handler: fake}}
}

// TestRetryAfterComesInEveryForm that was ever seen.
func TestRetryAfterComesInEveryForm(t *testing.T) {
	for _, p := range all {
		fake := fakeapi.New(options(p, 3))
		method, path, body, _ := page(p, 1)
		for _, c := range []struct {
			fault fakeapi.Fault
			want  []string
		}{
			{fakeapi.Fault{Kind: fakeapi.RetryAfterSeconds}, []string{"30"}},
			{fakeapi.Fault{Kind: fakeapi.RetryAfterSeconds, For: 1500 * time.Millisecond}, []string{"2"}},
			{fakeapi.Fault{Kind: fakeapi.RetryAfterDate, For: 90 * time.Second}, []string{"Sun, 02 Mar 2025 00:01:30 GMT"}},
			{fakeapi.Fault{Kind: fakeapi.RetryAfterAbsent}, nil},
			{fakeapi.Fault{Kind: fakeapi.RetryAfterAbsurd, Text: "-5"}, []string{"-5"}},
			{fakeapi.Fault{Kind: fakeapi.RetryAfterAbsurd, Seed: 1}, []string{"99999999999999", "-5", "soon", "Mon, 02 Mar 2026 00:00:00 GMT"}},
		} {
			seen := map[string]bool{}
			remove := fake.Inject(c.fault)
			for range 30 {
				got := see(t, memory(fake), p, method, path, body)
				for _, v := range got.header.Values("Retry-After") {
					seen[v] = true
				}
				if left := got.header.Get("X-RateLimit-Remaining"); got.status != 429 || p == fakeapi.Voicy && left != "0" {
					t.Errorf("%s: status %d, remaining %q", p, got.status, left)
				}
			}
			remove()
			for _, v := range c.want {
				delete(seen, v)
			}
			if len(seen) > 0 || len(c.want) > 0 && fake.Injected()[c.fault.Kind] == 0 {
				t.Errorf("%s %s: also %v, want %q alone", p, c.fault.Kind, seen, c.want)
			}
		}
	}
}

// TestRedirectsLeadSomewhere: on the same host to the page, to another host without the key, and nowhere.
func TestRedirectsLeadSomewhere(t *testing.T) {
	var presented []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		presented = append(presented, r.URL.Path+" "+r.Header.Get("Authorization"))
	}))
	defer other.Close()
	for _, p := range all {
		fake := fakeapi.New(options(p, 30))
		method, path, body, _ := page(p, 5)
		for name, client := range networks(t, fake) {
			client.CheckRedirect = nil
			right := see(t, client, p, method, path, body)
			remove := fake.Inject(fakeapi.Fault{Kind: fakeapi.RedirectHere})
			if got := see(t, client, p, method, path, body); got.err != nil || got.body != right.body {
				t.Errorf("%s %s: on the same host: %v, %.100s", p, name, got.err, got.body)
			}
			remove()
			remove = fake.Inject(fakeapi.Fault{Kind: fakeapi.RedirectElsewhere})
			if got := see(t, client, p, method, path, body); got.err != nil || got.status != 401 && got.status != 422 {
				t.Errorf("%s %s: on the other host, where the key is not sent: status %d, %v", p, name, got.status, got.err)
			}
			remove()
			remove = fake.Inject(fakeapi.Fault{Kind: fakeapi.RedirectLoop})
			if got := see(t, client, p, method, path, body); got.err == nil || !strings.Contains(got.err.Error(), "stopped after 10 redirects") {
				t.Errorf("%s %s: a loop: %v", p, name, got.err)
			}
			remove()
		}
		presented = nil
		fake.Inject(fakeapi.Fault{Kind: fakeapi.RedirectElsewhere, Text: other.URL})
		server := httptest.NewServer(fake)
		r := authorized(t, t.Context(), p, method, path, body)
		r.URL.Host, r.Host = server.Listener.Addr().String(), "provider.example"
		res, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		server.Close()
		if bare, _, _ := strings.Cut(path, "?"); len(presented) != 1 || !strings.HasPrefix(presented[0], bare+" ") {
			t.Errorf("%s: the other host was asked %q", p, presented)
		}
	}
}

// TestGzipComesWhetherAskedForOrNot and is unpacked by those alone who asked without saying so.
func TestGzipComesWhetherAskedForOrNot(t *testing.T) {
	fake := fakeapi.New(options(fakeapi.Millis, 30))
	for name, client := range networks(t, fake) {
		right := see(t, client, fakeapi.Millis, "GET", "/call-logs", "")
		remove := fake.Inject(fakeapi.Fault{Kind: fakeapi.Gzipped})
		if got := see(t, client, fakeapi.Millis, "GET", "/call-logs", ""); got.body != right.body || !got.unpacked || got.header.Get("Content-Encoding") != "" || got.length != -1 {
			t.Errorf("%s: unasked: unpacked %v, length %d, %v", name, got.unpacked, got.length, got.header)
		}
		r := authorized(t, t.Context(), fakeapi.Millis, "GET", "/call-logs", "")
		r.Header.Set("Accept-Encoding", "identity")
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		zip, err := gzip.NewReader(res.Body)
		if err != nil {
			t.Fatalf("%s: not packed: %v", name, err)
		}
		got, err := io.ReadAll(zip)
		if err != nil || string(got) != right.body || res.Header.Get("Content-Encoding") != "gzip" || res.ContentLength <= 0 || res.ContentLength >= int64(len(got)) {
			t.Errorf("%s: refused, and packed all the same: %v, %d bytes of %d, %v", name, err, res.ContentLength, len(got), res.Header)
		}
		res.Body.Close()
		remove()
	}
}

// TestWhatIsTooLargeIsNeverHeld in the fake's memory: a body beyond any limit, and a small one that unpacks to one.
func TestWhatIsTooLargeIsNeverHeld(t *testing.T) {
	fake := fakeapi.New(options(fakeapi.Burki, 30))
	right := int64(len(`"padding":"",`) + len(see(t, memory(fake), fakeapi.Burki, "GET", "/api/v1/calls/", "").body))
	for name, client := range networks(t, fake) {
		for _, c := range []struct {
			fault     fakeapi.Fault
			low, high int64
		}{
			{fakeapi.Fault{Kind: fakeapi.EndlessBody}, right + 300<<20, right + 300<<20},
			{fakeapi.Fault{Kind: fakeapi.GzipBomb}, 1 << 19, 8 << 20}, // on the wire
			{fakeapi.Fault{Kind: fakeapi.GzipBomb, Size: 200<<20 + 20_001}, right + 200<<20 + 20_001, right + 200<<20 + 20_001},
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			remove := fake.Inject(c.fault)
			r := authorized(t, t.Context(), fakeapi.Burki, "GET", "/api/v1/calls/", "")
			if c.fault.Kind == fakeapi.GzipBomb && c.fault.Size == 0 {
				r.Header.Set("Accept-Encoding", "gzip")
			}
			res, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, res.Body)
			res.Body.Close()
			remove()
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; err != nil || n < c.low || n > c.high || grown > 40<<20 {
				t.Errorf("%s: %s: %d bytes, %v, and %d allocated on the way; want at least %d and at most %d", name, c.fault.Kind, n, err, grown, c.low, c.high)
			}
		}
	}
}

// TestABombGoesOffBeyondAGigabyte and is JSON to its end; its length is what gzip itself notes of each part.
func TestABombGoesOffBeyondAGigabyte(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks a gigabyte")
	}
	fake := fakeapi.New(options(fakeapi.Voicy, 3))
	fake.Inject(fakeapi.Fault{Kind: fakeapi.GzipBomb})
	res, err := memory(fake).Do(authorized(t, t.Context(), fakeapi.Voicy, "POST", "/call-list", "{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	head := make([]byte, 100)
	if _, err := io.ReadFull(res.Body, head); err != nil || !strings.HasPrefix(string(head), `{"padding":"and then`) {
		t.Errorf("begins %q, %v", head, err)
	}
	if n, err := io.Copy(io.Discard, res.Body); err != nil || n < 1<<30 {
		t.Errorf("%d bytes, %v; want a gigabyte", n, err)
	}
}

// TestTheDateAloneIsSkewed by as much as a test says, to either side.
func TestTheDateAloneIsSkewed(t *testing.T) {
	fake := fakeapi.New(options(fakeapi.Millis, 3))
	right := see(t, memory(fake), fakeapi.Millis, "GET", "/call-logs", "")
	for by, want := range map[time.Duration]string{
		0: "Mon, 03 Mar 2025 00:00:00 GMT", -24 * time.Hour: "Sat, 01 Mar 2025 00:00:00 GMT", time.Minute: "Sun, 02 Mar 2025 00:01:00 GMT",
	} {
		remove := fake.Inject(fakeapi.Fault{Kind: fakeapi.ClockSkew, For: by})
		if got := see(t, memory(fake), fakeapi.Millis, "GET", "/call-logs", ""); got.header.Get("Date") != want || got.body != right.body {
			t.Errorf("by %s: Date %s, want %s", by, got.header.Get("Date"), want)
		}
		remove()
	}
	fake.Inject(fakeapi.Fault{Kind: fakeapi.NonsenseDate, Text: "yesterday"})
	fake.Inject(fakeapi.Fault{Kind: fakeapi.WrongContentType, Text: "text/csv"})
	if got := see(t, memory(fake), fakeapi.Millis, "GET", "/call-logs", ""); got.header.Get("Date") != "yesterday" || got.header.Get("Content-Type") != "text/csv" {
		t.Errorf("%v, want the test's own words", got.header)
	}
}

// TestAHangUpOnAReusedConnectionIsAskedAgain by net/http itself, which a test that counts requests must know.
func TestAHangUpOnAReusedConnectionIsAskedAgain(t *testing.T) {
	fake := fakeapi.New(options(fakeapi.Millis, 3))
	server := httptest.NewServer(fake)
	defer server.Close()
	client := server.Client()
	var codes []int
	for i := range 2 {
		if i == 1 {
			fake.Inject(fakeapi.Fault{Kind: fakeapi.HangUp, Times: 1})
		}
		r := authorized(t, t.Context(), fakeapi.Millis, "GET", "/call-logs", "")
		r.URL.Host = server.Listener.Addr().String()
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil && !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		res.Body.Close()
		codes = append(codes, res.StatusCode)
	}
	if !slices.Equal(codes, []int{200, 200}) || fake.Traffic().Lists != 3 || fake.Injected()[fakeapi.HangUp] != 1 {
		t.Errorf("%v after %d requests, hung up on %d", codes, fake.Traffic().Lists, fake.Injected()[fakeapi.HangUp])
	}
}
