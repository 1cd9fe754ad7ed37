package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhichStatusesAreTriedAgain(t *testing.T) {
	again := map[int]bool{408: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true, 507: true, 520: true, 529: true}
	for status := 200; status < 600; status++ {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			c := bubbleClient(t, Config{}, func(*http.Request) (*http.Response, error) {
				if calls++; calls == 1 {
					return answer(status, "{}"), nil
				}
				return answer(200, "{}"), nil
			})
			resp, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"})
			if err != nil {
				t.Fatal(err)
			}
			want := again[status] || status >= 500 && status != 501
			if got := calls == 2; got != want {
				t.Errorf("status %d: tried again is %v, want %v", status, got, want)
			}
			if !want && resp.Status != status {
				t.Errorf("status %d became %d", status, resp.Status)
			}
		})
	}
}

func TestHowLongAProviderIsLeftAlone(t *testing.T) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of every bubble
	theirs := start.Add(-3 * time.Hour)
	date := theirs.Format(http.TimeFormat)
	const own = 2 * time.Second // no more than the client's first pause of its own
	for name, tt := range map[string]struct {
		status int
		body   string
		header []string
		least  time.Duration
		most   time.Duration
	}{
		"seconds":                           {503, "", []string{"Retry-After", "17"}, 17 * time.Second, 17*time.Second + own},
		"date by the provider's clock":      {503, "", []string{"Date", date, "Retry-After", theirs.Add(90 * time.Second).Format(http.TimeFormat)}, 90 * time.Second, 90*time.Second + own},
		"date by ours":                      {503, "", []string{"Retry-After", start.Add(90 * time.Second).Format(http.TimeFormat)}, 90 * time.Second, 90*time.Second + own},
		"date in the past":                  {503, "", []string{"Date", date, "Retry-After", theirs.Add(-time.Hour).Format(http.TimeFormat)}, 0, own},
		"five minutes are slept":            {503, "", []string{"Retry-After", "300"}, 300 * time.Second, 300*time.Second + own},
		"negative":                          {503, "", []string{"Retry-After", "-30"}, 0, own},
		"garbage":                           {503, "", []string{"Retry-After", "a while"}, 0, own},
		"nought":                            {503, "", []string{"Retry-After", "0"}, 0, own},
		"nothing said, server error":        {500, "", nil, 0, own},
		"nothing said, 429":                 {429, "", nil, 10 * time.Second, 10*time.Second + own},
		"reset":                             {429, "", []string{"Date", date, "X-RateLimit-Reset", unix(theirs.Add(42 * time.Second))}, 42 * time.Second, 42*time.Second + own},
		"reset on a 503 with requests left": {503, "", []string{"X-RateLimit-Remaining", "5", "X-RateLimit-Reset", unix(start.Add(42 * time.Second))}, 0, own},
		"reset on a 503 with none left":     {503, "", []string{"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", unix(start.Add(42 * time.Second))}, 42 * time.Second, 42*time.Second + own},
		"Retry-After before reset":          {429, "", []string{"Retry-After", "5", "X-RateLimit-Reset", unix(start.Add(42 * time.Second))}, 5 * time.Second, 5*time.Second + own},
		"Voicy's body":                      {429, `{"error":"Rate limit exceeded. Please retry after 30 seconds."}`, nil, 30 * time.Second, 30*time.Second + own},
		"the same words in a 500":           {500, `{"error":"retry after 30 seconds"}`, nil, 0, own},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				c := bubbleClient(t, Config{}, func(*http.Request) (*http.Response, error) {
					if calls++; calls == 1 {
						return answer(tt.status, tt.body, tt.header...), nil
					}
					return answer(200, "{}"), nil
				})
				if _, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"}); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took < tt.least || took > tt.most {
					t.Errorf("waited %s, want %s to %s", took, tt.least, tt.most)
				}
			})
		})
	}
}

func TestAbsurdWaitIsNotSlept(t *testing.T) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, value := range []string{"301", "86400", "99999999999999999999", start.AddDate(1, 0, 0).Format(http.TimeFormat)} {
		synctest.Test(t, func(t *testing.T) {
			c := bubbleClient(t, Config{}, func(*http.Request) (*http.Response, error) { return answer(429, "", "Retry-After", value), nil })
			_, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"})
			e := wantError(t, err, Unavailable)
			if took := time.Since(start); took != 0 {
				t.Errorf("Retry-After %s: slept %s", value, took)
			}
			if e.Until.Before(start.Add(301*time.Second)) || e.Until.After(start.Add(longestTold)) || !strings.Contains(err.Error(), "until") {
				t.Errorf("Retry-After %s: error does not say until when, or says more than a day: %v", value, err)
			}
		})
	}
}

// A wait that one request was asked for is waited by all of the account.
func TestWaitHoldsOtherRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := bubbleClient(t, Config{}, func(*http.Request) (*http.Response, error) {
			if calls++; calls == 1 {
				return answer(429, "", "Retry-After", "60"), nil
			}
			return answer(200, "{}"), nil
		})
		begun := time.Now()
		first := make(chan error)
		go func() {
			_, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"})
			first <- err
		}()
		synctest.Wait()
		_, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"})
		if took := time.Since(begun); err != nil || took < time.Minute {
			t.Errorf("the other request went after %s (%v), want a minute", took, err)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

func TestAttemptsAndPatienceAreBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		config   Config
		takes    time.Duration // each attempt
		attempts int
		most     time.Duration
	}{
		"six attempts":                 {Config{}, 0, 6, 30 * time.Second},
		"as configured":                {Config{Attempts: 2}, 0, 2, 2 * time.Second},
		"two minutes of slow failures": {Config{}, 29 * time.Second, 5, 2*time.Minute + 30*time.Second},
		"three slow timeouts at least": {Config{Timeout: 10 * time.Minute}, 9 * time.Minute, 4, 40 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := bubbleClient(t, tt.config, func(*http.Request) (*http.Response, error) {
					time.Sleep(tt.takes)
					return answer(502, "<html><h1>Bad gateway</h1></html>"), nil
				})
				begun := time.Now()
				ctx, stop := context.WithTimeout(t.Context(), 2*time.Hour) // whoever asks without end is heard of
				defer stop()
				_, err := c.Do(ctx, Request{Method: "GET", Path: "/"})
				e := wantError(t, err, Unavailable)
				if e.Attempts > tt.attempts || e.Attempts < min(2, tt.attempts) || time.Since(begun) > tt.most {
					t.Errorf("%d attempts in %s, want at most %d in %s", e.Attempts, time.Since(begun), tt.attempts, tt.most)
				}
				if tt.takes == 0 && e.Attempts != tt.attempts {
					t.Errorf("%d attempts, want %d", e.Attempts, tt.attempts)
				}
				if e.Status != 502 || e.Excerpt != "Bad gateway" {
					t.Errorf("status %d, excerpt %q: want the last answer's", e.Status, e.Excerpt)
				}
				if c.Retries() != int64(e.Attempts-1) || c.Requests() != int64(e.Attempts) {
					t.Errorf("%d requests, %d retries for %d attempts", c.Requests(), c.Retries(), e.Attempts)
				}
			})
		})
	}
}

// The client's own pauses grow, and no two clients keep step.
func TestPausesGrowWithJitter(t *testing.T) {
	run := func() (gaps []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			var at []time.Time
			c := bubbleClient(t, Config{}, func(*http.Request) (*http.Response, error) {
				at = append(at, time.Now())
				return answer(500, ""), nil
			})
			_, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"})
			wantError(t, err, Unavailable)
			for i := range len(at) - 1 {
				gaps = append(gaps, at[i+1].Sub(at[i]))
			}
		})
		return gaps
	}
	first, second := run(), run()
	for i, gap := range first {
		middle := 500 * time.Millisecond << i
		if gap < middle/2 || gap > middle*3/2 {
			t.Errorf("pause %d is %s, want %s give or take half", i, gap, middle)
		}
	}
	if cmp.Equal(first, second) {
		t.Error("two clients kept the same pauses: there is no jitter")
	}
}

func TestWaitHeedsContext(t *testing.T) {
	for _, header := range [][]string{nil, {"Retry-After", "200"}} {
		synctest.Test(t, func(t *testing.T) {
			c := bubbleClient(t, Config{}, func(*http.Request) (*http.Response, error) { return answer(503, "", header...), nil })
			ctx, cancel := context.WithTimeout(t.Context(), 1300*time.Millisecond)
			defer cancel()
			begun := time.Now()
			_, err := c.Do(ctx, Request{Method: "GET", Path: "/"})
			if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*Error)) || time.Since(begun) != 1300*time.Millisecond {
				t.Errorf("error after %s is %v, want the context's own at its end", time.Since(begun), err)
			}
		})
	}
}

func TestBrokenExchangesAreTriedAgain(t *testing.T) {
	for name, first := range map[string]func() (*http.Response, error){
		"connection refused": func() (*http.Response, error) { return nil, syscall.ECONNREFUSED },
		"connection closed":  func() (*http.Response, error) { return nil, io.EOF },
		"body breaks off": func() (*http.Response, error) {
			r := answer(200, "")
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"a":`), iotest.ErrReader(io.ErrUnexpectedEOF)))
			return r, nil
		},
		"timeout": func() (*http.Response, error) { return nil, context.DeadlineExceeded },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				c := bubbleClient(t, Config{}, func(*http.Request) (*http.Response, error) {
					if calls++; calls == 1 {
						return first()
					}
					return answer(200, "{}"), nil
				})
				if resp, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"}); err != nil || string(resp.Body) != "{}" {
					t.Errorf("answer %q, error %v", resp.Body, err)
				}
			})
		})
	}
}

// FuzzRetryAfter: a wait is what was asked for, or none; whatever was asked for, nobody is held up for more than an hour, or told to wait for more
// than a day; and the provider's clock is what it wrote, less the time that the answer took.
func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{
		"", "0", "30", "-1", "1.5", " 7 ", "+7", "0007", "301", "86400", "9223372036", "9223372037", "99999999999999999999", "Wed, 21 Oct 2015 07:28:00 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "Tue Mar  4 05:07:07 2025", "Fri, 31 Dec 9999 23:59:59 GMT", "Sat, 01 Jan 0000 00:00:00 GMT", "soon", "٣٠", "1741064827",
	} {
		f.Add(seed, "", "")
		f.Add("", seed, "")
		f.Add("", "", seed)
		f.Add(seed, seed, "Tue, 04 Mar 2025 05:06:07 GMT")
	}
	now := time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)
	whole := regexp.MustCompile(`^[0-9]{1,9}$`)
	f.Fuzz(func(t *testing.T, after, reset, date string) {
		h := http.Header{"Retry-After": {after}, "X-Ratelimit-Reset": {reset}, "Date": {date}}
		written := now
		theirs, noDate := http.ParseTime(date)
		if noDate == nil {
			written = theirs
		}
		var want time.Duration
		until, noTime := http.ParseTime(strings.TrimSpace(after))
		switch {
		case whole.MatchString(strings.TrimSpace(after)):
			n, err := strconv.Atoi(strings.TrimSpace(after))
			if err != nil {
				t.Fatal(err)
			}
			want = time.Duration(n) * time.Second
		case noTime == nil:
			want = max(0, until.Sub(written))
		}
		if got := retryAfter(h, now); got != want && (want > 0 || strings.Trim(strings.TrimSpace(after), "0123456789") != "") {
			t.Errorf("Retry-After %q, Date %q: wait is %s, want %s", after, date, got, want)
		}
		for _, status := range []int{429, 503} {
			c := bubbleClient(t, Config{}, nil)
			fault := c.later(Request{}, Response{Status: status, Header: h, Body: []byte("retry after " + reset + " seconds"), ReceivedAt: now})
			if fault.asked < 0 || c.limit.held.Sub(now) > longestHold {
				t.Errorf("Retry-After %q, reset %q, Date %q: asked for %s, held until %s", after, reset, date, fault.asked, c.limit.held)
			}
			if told := fault.giveUp(1).Until; !told.IsZero() && time.Until(told) > longestTold {
				t.Errorf("Retry-After %q, reset %q, Date %q: told to wait until %s", after, reset, date, told)
			}
		}
		if want := map[bool]time.Time{true: theirs.Add(-time.Second), false: now}[noDate == nil]; !providerClock(h, now, now.Add(time.Second)).Equal(want) {
			t.Errorf("Date %q: clock is %s, want %s", date, providerClock(h, now, now.Add(time.Second)), want)
		}
	})
}

// wantError checks the kind of an error.
func wantError(t *testing.T, err error, kind Kind) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want an *Error", err)
	}
	if e.Kind != kind {
		t.Errorf("kind is %d, want %d: %v", e.Kind, kind, err)
	}
	return e
}
