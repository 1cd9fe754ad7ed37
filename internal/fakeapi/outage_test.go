package fakeapi_test

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"syncd/internal/fakeapi"
)

// outcomeOf sends the smallest list request through a transport in memory and says how it went: the status, or that the connection was cut.
func outcomeOf(t *testing.T, p fakeapi.Provider, fake *fakeapi.Server) (string, http.Header) {
	t.Helper()
	method, path, body, _ := page(p, 1)
	r, err := http.NewRequestWithContext(t.Context(), method, "http://provider.example"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", authorization(p, key))
	res, err := (&fakeapi.Transport{Handler: fake}).RoundTrip(r)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "cut", nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if field := map[bool]string{true: `{"error":"`, false: `{"detail":"`}[p == fakeapi.Voicy]; res.StatusCode != 200 && !strings.HasPrefix(string(answer), field) {
		t.Errorf("%s: status %d with %s", p, res.StatusCode, answer)
	}
	return strconv.Itoa(res.StatusCode), res.Header
}

// TestInAnOutageEveryRequestFails by the provider's clock, from its first moment to its last.
func TestInAnOutageEveryRequestFails(t *testing.T) {
	for _, p := range all {
		o := options(p, 5)
		var at clock
		o.Now = at.now
		day := func(n int) time.Time { return until.AddDate(0, 0, n) }
		o.Outages = []fakeapi.Outage{
			{Since: day(1), Until: day(2), How: fakeapi.Unavailable}, {Since: day(3), Until: day(4), How: fakeapi.Cut},
			{Since: day(5), Until: day(6)}, {Since: day(7), Until: day(8), How: fakeapi.Throttled},
		}
		fake := fakeapi.New(o)
		for _, c := range []struct {
			at   time.Time
			want string
		}{
			{day(1).Add(-1), "200 200"}, {day(1), "503 503"}, {day(2).Add(-1), "503 503"}, {day(2), "200 200"}, {day(3), "cut cut"}, {day(4), "200 200"},
			{day(5), "503 cut"}, {day(6).Add(-1), "503 cut"}, {day(6), "200 200"}, {day(7), "429 429"}, {day(8), "200 200"},
		} {
			at.set(c.at)
			first, _ := outcomeOf(t, p, fake)
			second, _ := outcomeOf(t, p, fake)
			if got := first + " " + second; got != c.want {
				t.Errorf("%s at %s: %s, want %s", p, c.at, got, c.want)
			}
		}
		if n := fake.RequestCount(); n != 22 {
			t.Errorf("%s: %d requests counted, want those that failed among them: 22", p, n)
		}
	}
}

// TestRetryAfterIsWhatATestAsks at every provider, beyond the rate limit and in a storm alike.
func TestRetryAfterIsWhatATestAsks(t *testing.T) {
	for _, p := range all {
		o := options(p, 5)
		var at clock
		at.set(until)
		o.Now, o.RateLimit, o.RetryAfter = at.now, 1, 89500*time.Millisecond
		o.Outages = []fakeapi.Outage{{Since: until.Add(time.Hour), Until: until.Add(2 * time.Hour), How: fakeapi.Throttled}}
		fake := fakeapi.New(o)
		outcomeOf(t, p, fake)
		for _, now := range []time.Time{until, until.Add(time.Hour)} {
			at.set(now)
			status, header := outcomeOf(t, p, fake)
			if got := header.Get("Retry-After"); status != "429" || got != "90" {
				t.Errorf("%s: status %s, Retry-After %q; want 429 and 90", p, status, got)
			}
			if left := header.Get("X-RateLimit-Remaining"); p == fakeapi.Voicy && left != "0" {
				t.Errorf("voicy: X-RateLimit-Remaining %q with a 429, want 0", left)
			}
		}
	}
}
