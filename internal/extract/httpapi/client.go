// Package httpapi sends requests to one account of a JSON API, and brings back whole answers or an error.
//
// It owns the way there and back: the key, the rate limit and who goes first under it, retries and how long the provider wants to be left
// alone, redirects, timeouts, how large an answer may be, and what of an answer may be shown. It refuses meaning: an answer of any status
// but those that say "later" is returned as it came, and what is in it is the caller's business.
//
// Its errors name hosts and statuses, and never a query, a key, the id in a path or what a provider wrote beyond a redacted excerpt.
package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
)

// Config is what a client is made from. BaseURL is required; a zero value elsewhere is the default that is named.
type Config struct {
	BaseURL    string // http or https, a host, and the path that every request's path follows
	AuthHeader string // the name of the header that carries the key; "": none is sent
	AuthScheme string // "Bearer"; "": the key alone
	Key        string // the secret: it goes into that header, to the host of BaseURL, and nowhere else
	UserAgent  string // "": syncd

	Rate     Rate
	Limits   *Limits       // shared with other clients; nil: the rate limit is this client's own
	Account  string        // with Limits: which account this is. It is kept, so it must hold no secret
	Timeout  time.Duration // for one attempt, its body included; 0: 30 s
	Attempts int           // for one request, the first included; 0: 6
	// Patience is how long one request is tried for, in attempts and the client's own pauses; waits that the provider or the rate
	// limit asks for are not counted. 0: the longer of 2 minutes and three Timeouts.
	Patience time.Duration
	MaxBody  int64 // bytes of an answer, decompressed; 0: 64 MiB

	Chance func() float64 // in [0, 1), for the length of pauses; nil: the machine's. A simulation that is to be repeated brings its own

	Transport http.RoundTripper // nil: one of the client's own. It must not send a request twice: no rate limit would see the second
}

// Rate allows Requests in any span of time Per. The zero Rate is no limit.
type Rate struct {
	Requests int
	Per      time.Duration
}

const (
	defaultTimeout  = 30 * time.Second
	defaultAttempts = 6
	defaultPatience = 2 * time.Minute
	defaultMaxBody  = 64 << 20
)

// Client sends the requests of one account. It is safe for concurrent use.
type Client struct {
	config    Config
	base      *url.URL
	transport http.RoundTripper
	limit     *limiter
	requests  atomic.Int64
	retries   atomic.Int64
}

// Request is one question.
type Request struct {
	Method string
	Path   string // below BaseURL, beginning with a slash; with an ID, {…} is its place
	ID     string // what stands at that place, escaped, as one segment whatever is in it; "": the path is as it stands
	Query  url.Values
	JSON   []byte // the body; nil: none
	Once   bool   // never try again: whoever asks wants to know how things are, now
}

// Response is one whole answer.
type Response struct {
	Status     int
	Header     http.Header
	Body       []byte    // decompressed; the caller's to keep
	SentAt     time.Time // our clock, UTC
	ReceivedAt time.Time // our clock, UTC, when the last byte was here
	// Clock is the provider's clock when the request was sent, UTC, never later than it truly was; our clock where the
	// answer tells none.
	Clock time.Time
}

// New makes a client. An unusable base URL, key or rate is an error, which never shows the key.
func New(c Config) (*Client, error) {
	base, err := url.Parse(c.BaseURL)
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, errors.New("base_url must be an http or https URL with a host, such as https://api.example.com")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("base_url must hold nothing but scheme, host and path")
	}
	if (c.AuthHeader != "") != (c.Key != "") {
		return nil, errors.New("the key is empty: set it where api_key_env or api_key_file says")
	}
	if strings.ContainsFunc(c.Key, unicode.IsControl) {
		return nil, errors.New("the key holds a line break or another character that no HTTP header may have")
	}
	if c.Rate.Requests < 0 || (c.Rate.Requests > 0) != (c.Rate.Per > 0) {
		return nil, fmt.Errorf("rate limit of %d requests in %s: both must be positive", c.Rate.Requests, c.Rate.Per)
	}
	if c.Limits != nil && c.Account == "" {
		return nil, errors.New("limits are shared by account, and this one has no name")
	}
	c.setDefaults()
	base.Path, base.RawPath = strings.TrimSuffix(base.Path, "/"), strings.TrimSuffix(base.RawPath, "/")
	client := &Client{config: c, base: base, transport: c.Transport}
	if client.limit = newLimiter(c.Rate); c.Limits != nil {
		client.limit = c.Limits.of(c.Account, c.Rate)
	}
	if client.transport == nil {
		client.transport = newTransport()
	}
	return client, nil
}

func (c *Config) setDefaults() {
	if c.UserAgent == "" {
		c.UserAgent = "syncd"
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Attempts <= 0 {
		c.Attempts = defaultAttempts
	}
	if c.Patience <= 0 {
		c.Patience = max(defaultPatience, 3*c.Timeout)
	}
	if c.Chance == nil {
		c.Chance = rand.Float64 //nolint:gosec // a pause is no secret
	}
	if c.MaxBody <= 0 {
		c.MaxBody = defaultMaxBody
	}
}

// newTransport is a pool of connections to one host. It speaks HTTP/1.1 only: over HTTP/2, net/http repeats a request that the server refused
// or went away from up to six times on its own, which no rate limit sees; and for one page after another HTTP/2 would win nothing.
func newTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Protocols:             protocols,
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       90 * time.Second,

		MaxResponseHeaderBytes: 1 << 20,
	}
}

// Do sends a request until it is answered, and returns the answer, whatever its status, unless that says "later" (408, 425, 429,
// 5xx but 501). Its errors are *Error, or the context's own. Its urgency is that of the context, see [WithUrgency].
func (c *Client) Do(ctx context.Context, r Request) (Response, error) {
	pauses := newBackOff()
	var spent time.Duration
	for attempt := 1; ; attempt++ {
		resp, fault := c.attempt(ctx, r)
		if fault == nil {
			return resp, nil
		}
		if err := ctx.Err(); err != nil {
			return Response{}, err
		}
		if fault.unsent {
			return Response{}, fault.giveUp(attempt - 1)
		}
		if !fault.again {
			return Response{}, fault.giveUp(attempt)
		}
		pause := c.jittered(pauses.NextBackOff())
		if fault.status == http.StatusTooManyRequests && fault.asked == 0 {
			pause = max(pause, crowdedPause)
		}
		spent += fault.took + pause
		if r.Once || attempt == c.config.Attempts || spent > c.config.Patience || fault.asked > longestWait {
			return Response{}, fault.giveUp(attempt)
		}
		// The wait that was asked for is not slept here: it holds up every request of the account, the next attempt among them.
		if err := sleep(ctx, pause); err != nil {
			return Response{}, err
		}
		c.retries.Add(1)
		tallyOf(ctx).retries.Add(1)
	}
}

// Excerpt returns the beginning of an answer to a request as it may be shown: without the key and the id, as [Excerpt] does.
func (c *Client) Excerpt(r Request, status int, body []byte) string {
	secrets := []string{c.config.Key}
	if len(r.ID) >= shortestNumber {
		secrets = append(secrets, r.ID)
	}
	return Excerpt(status, body, secrets...)
}

// Requests is how many requests were sent, retries and followed redirects included.
func (c *Client) Requests() int64 { return c.requests.Load() }

// Retries is how many times a request was tried again.
func (c *Client) Retries() int64 { return c.retries.Load() }

// Close closes the connections that are idle. The client may be used again.
func (c *Client) Close() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
