package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
)

const (
	// longestWait is the longest that a provider is waited for at its own word. A longer wait is worth an error that says until when: the caller
	// may have better to do.
	longestWait = 5 * time.Minute
	// longestHold is for how long a wait that is asked for is remembered. Until then no request of the account leaves: each returns at once with
	// an error that says until when, or waits where that is near. Then the provider is asked again, as one absurd answer must not stop an
	// account for good.
	longestHold = time.Hour
	// longestTold is the longest wait that an error tells, as whoever gets it keeps to it: a night's maintenance, but no year.
	longestTold = 24 * time.Hour
	// crowdedPause is the least pause after a 429 that does not say for how long. Limits are counted in minutes: half a second is in vain.
	crowdedPause = 10 * time.Second
	// latestReset is the end of the year 9999 in Unix seconds. A later one counts in milliseconds, or not at all.
	latestReset = 253402300799
)

// newBackOff spaces the attempts of one request: half a second, twice as much each time, never more than half a minute. jittered then makes each
// half as long again or as short.
func newBackOff() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(500*time.Millisecond),
		backoff.WithMultiplier(2),
		backoff.WithRandomizationFactor(0), // the library's own cannot be given a source of chance
		backoff.WithMaxInterval(30*time.Second),
		backoff.WithMaxElapsedTime(0), // Config.Patience is counted by the client, which leaves out the waits that were asked for
	)
}

// jittered makes a pause up to half as long again or as short, so that clients that failed together do not come back together.
func (c *Client) jittered(pause time.Duration) time.Duration {
	return time.Duration(float64(pause) * (0.5 + c.config.Chance()))
}

// later returns the fault of an answer that says "not now", and nil for any other. What the answer says of the rate limit holds up every
// request of the account from here on, whether or not this one is tried again.
func (c *Client) later(r Request, resp Response) *fault {
	now := resp.ReceivedAt
	if !saysLater(resp.Status) {
		if wait := resetWait(resp.Header, now); wait > 0 && resp.Header.Get("X-RateLimit-Remaining") == "0" {
			c.limit.hold(now.Add(min(wait, longestWait)))
		}
		return nil
	}
	asked := askedWait(resp.Status, resp.Header, resp.Body, now)
	hold := min(asked, longestHold)
	if asked == 0 && resp.Status == http.StatusTooManyRequests {
		hold = crowdedPause
	}
	c.limit.hold(now.Add(hold))
	return &fault{
		status:  resp.Status,
		excerpt: c.Excerpt(r, resp.Status, resp.Body),
		reason:  "the provider cannot answer now",
		again:   true,
		asked:   asked,
		took:    resp.ReceivedAt.Sub(resp.SentAt),
	}
}

func saysLater(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented:
		return false
	}
	return status >= 500
}

// retrySentence is how Voicy says it, in the body of a 429: "… retry after 30 seconds".
var retrySentence = regexp.MustCompile(`(?i)\b(?:retry|try again) (?:after|in) (\d{1,9}) ?s(?:ec(?:ond)?s?)?\b`)

// askedWait is how long an answer asks to be left alone; 0 where it does not say, or says what makes no sense.
func askedWait(status int, h http.Header, body []byte, now time.Time) time.Duration {
	if wait := retryAfter(h, now); wait > 0 {
		return wait
	}
	if status != http.StatusTooManyRequests && h.Get("X-RateLimit-Remaining") != "0" {
		return 0
	}
	if wait := resetWait(h, now); wait > 0 {
		return wait
	}
	if m := retrySentence.FindSubmatch(body[:min(len(body), 4096)]); m != nil {
		return seconds(string(m[1]))
	}
	return 0
}

// retryAfter reads Retry-After: seconds, or a date by the clock of the one who wrote it.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if wait := seconds(text); wait > 0 {
		return wait
	}
	if date, err := http.ParseTime(text); err == nil {
		return max(0, date.Sub(writtenAt(h, now)))
	}
	return 0
}

// resetWait reads X-RateLimit-Reset, the Unix second when requests are allowed again.
func resetWait(h http.Header, now time.Time) time.Duration {
	at, err := strconv.ParseInt(strings.TrimSpace(h.Get("X-RateLimit-Reset")), 10, 64)
	if err != nil || at < 0 || at > latestReset {
		return 0
	}
	return max(0, time.Unix(at, 0).Sub(writtenAt(h, now)))
}

// writtenAt is the time of an answer by the clock of the one who wrote it, or ours.
func writtenAt(h http.Header, now time.Time) time.Time {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		return date
	}
	return now
}

// seconds reads a whole number of seconds; 0 for anything else. One that is too large to be a Duration becomes the largest.
func seconds(text string) time.Duration {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > math.MaxInt64/int64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(n) * time.Second
}

// mayPass reports whether a failed exchange may go better next time. A certificate that is not trusted, or a server that does not
// speak TLS, will be the same in a second.
func mayPass(err error) bool {
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return !errors.As(err, &cert) && !errors.As(err, &record)
}

// quoted is what net/http's errors cite from an answer, or a URL: neither is for the eyes of a log.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"?`)

// describe writes a failure of the transport for people, without a query, and without what a provider sent.
func (c *Client) describe(err error) string {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err // the URL holds the query
	}
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return dns.Error()
	case errors.As(err, &op):
		// Without the addresses: ours has a port that is another each time. A system call says again what was tried.
		cause := op.Err
		var call *os.SyscallError
		if errors.As(cause, &call) {
			cause = call.Err
		}
		return op.Op + ": " + cause.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no whole answer within %s", c.config.Timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed"
	}
	return shorten(mask(quoted.ReplaceAllString(err.Error(), `"…"`), []string{c.config.Key}), maxText)
}
