package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	maxRedirects = 5
	// maxRefusal is how much is read of an answer that is no success: only its beginning is ever looked at.
	maxRefusal = 1 << 20
)

// fault is an attempt that brought no answer to return.
type fault struct {
	kind    Kind
	status  int
	excerpt string
	reason  string
	again   bool          // another attempt may go better
	unsent  bool          // nothing left: the provider asked earlier to be left alone for too long
	asked   time.Duration // how long the provider wants to be left alone first; 0: it does not say
	took    time.Duration
}

// attempt sends a request once, and again to where the provider redirects it.
func (c *Client) attempt(ctx context.Context, r Request) (Response, *fault) {
	at := c.target(r)
	for range maxRedirects + 1 {
		resp, f := c.exchange(ctx, r, at)
		if f != nil {
			return Response{}, f
		}
		next, f := c.redirect(r.Method, at, resp)
		if f != nil {
			return Response{}, f
		}
		if next == nil {
			return resp, nil
		}
		at = next
	}
	return Response{}, &fault{kind: Redirected, reason: fmt.Sprintf("redirected more than %d times", maxRedirects)}
}

// target is where a request goes.
func (c *Client) target(r Request) *url.URL {
	u := *c.base
	path, escaped := r.Path, r.Path
	if from, to := strings.IndexByte(r.Path, '{'), strings.IndexByte(r.Path, '}'); r.ID != "" && from >= 0 && to > from {
		path = r.Path[:from] + r.ID + r.Path[to+1:]
		escaped = r.Path[:from] + segment(r.ID) + r.Path[to+1:]
	}
	// RawPath counts only beside the Path that it stands for, so both are set.
	u.Path, u.RawPath = u.Path+path, c.base.EscapedPath()+escaped
	u.RawQuery = r.Query.Encode()
	return &u
}

// segment writes an id as one segment of a path. The dots of "." and ".." are escaped too, as these two would lead to another path.
func segment(id string) string {
	if id == "." || id == ".." {
		return strings.ReplaceAll(id, ".", "%2E")
	}
	return url.PathEscape(id)
}

// exchange sends one request and reads its answer.
func (c *Client) exchange(ctx context.Context, r Request, at *url.URL) (Response, *fault) {
	if err := c.limit.acquire(ctx); err != nil {
		f := &fault{reason: err.Error(), unsent: true} // or ctx has ended, which the caller sees
		if alone := (*leftAlone)(nil); errors.As(err, &alone) {
			f.asked = time.Until(alone.until)
		}
		return Response{}, f
	}
	bounded, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	req, err := c.request(bounded, r, at)
	if err != nil {
		c.limit.giveBack()
		return Response{}, &fault{kind: Unusable, reason: "the request cannot be made: " + c.describe(err)}
	}
	c.requests.Add(1)
	tallyOf(ctx).requests.Add(1)
	sent := time.Now()
	res, err := c.transport.RoundTrip(req)
	answered := time.Now()
	c.limit.release(answered)
	if err != nil {
		return Response{}, &fault{reason: c.describe(err), again: mayPass(err), took: time.Since(sent)}
	}
	defer res.Body.Close() //nolint:errcheck // an answer that was read to its end, or is given up, has nothing left to say
	body, f := c.read(r, res)
	if f != nil {
		f.status, f.took = res.StatusCode, time.Since(sent)
		return Response{}, f
	}
	resp := Response{
		Status: res.StatusCode, Header: res.Header, Body: body,
		SentAt: sent.UTC(), ReceivedAt: time.Now().UTC(), Clock: providerClock(res.Header, sent, answered).UTC(),
	}
	return resp, c.later(r, resp)
}

func (c *Client) request(ctx context.Context, r Request, at *url.URL) (*http.Request, error) {
	var body io.Reader
	if r.JSON != nil {
		body = bytes.NewReader(r.JSON)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, at.String(), body)
	if err != nil {
		return nil, err
	}
	sendOnce(req)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.config.UserAgent)
	if r.JSON != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.config.AuthHeader != "" {
		req.Header.Set(c.config.AuthHeader, strings.TrimSpace(c.config.AuthScheme+" "+c.config.Key))
	}
	return req, nil
}

// sendOnce keeps the transport from sending a request again on its own. When a connection that was kept alive turns out to be dead, net/http
// repeats what it holds to be harmless: a request that has no body, or one that it can rewind. That one would take no slot of the rate
// limit, be in no counter, and not heed Once. A body that is there but empty is neither; over HTTP/1.1, which is all that newTransport
// speaks, it adds no byte to what is sent. A dead connection is then an error like any other, and the retries here see to it.
func sendOnce(req *http.Request) {
	req.GetBody = nil
	if req.Body == nil || req.Body == http.NoBody {
		req.Body = io.NopCloser(strings.NewReader(""))
	}
}

// read returns the body. The limit holds after decompression, so that a small answer cannot become a large one.
func (c *Client) read(r Request, res *http.Response) ([]byte, *fault) {
	limit := c.config.MaxBody
	success := res.StatusCode < 300
	if !success {
		limit = min(limit, maxRefusal)
	}
	var body bytes.Buffer
	if n := res.ContentLength; n > 0 && n <= limit {
		body.Grow(int(n) + bytes.MinRead)
	}
	_, err := body.ReadFrom(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil && success:
		return nil, &fault{reason: fmt.Sprintf("the answer broke off after %d bytes: %s", body.Len(), c.describe(err)), again: true}
	case int64(body.Len()) > limit && success:
		return nil, &fault{
			kind:   Unusable,
			reason: fmt.Sprintf("the answer is larger than %d bytes", limit), excerpt: c.Excerpt(r, res.StatusCode, body.Bytes()),
		}
	}
	// A refusal whose text broke off is a refusal all the same.
	return body.Bytes(), nil
}

// redirect returns where an answer sends the request, or nil where it does not. The key goes to one host only, so another is an error; and
// so is a redirect that would turn a POST into a GET, which would ask for something else.
func (c *Client) redirect(method string, at *url.URL, resp Response) (*url.URL, *fault) {
	switch resp.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		method = http.MethodGet // the method is kept, whatever it is
	default:
		return nil, nil
	}
	location := resp.Header.Get("Location")
	if location == "" {
		return nil, nil
	}
	f := &fault{kind: Redirected, status: resp.Status}
	next, err := at.Parse(location)
	if err != nil {
		f.reason = "redirected to what is no URL"
		return nil, f
	}
	if origin(next) != origin(c.base) {
		f.reason = fmt.Sprintf("redirected to another host, %s, where the key is not sent", origin(next))
		return nil, f
	}
	if method != http.MethodGet {
		f.reason = fmt.Sprintf("redirected in a way that would turn the %s into a GET", method)
		return nil, f
	}
	return next, nil
}

// origin is scheme, host and port, the port always written out.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// providerClock is the provider's clock when the request was sent. It wrote Date at some moment between then and the arrival of the
// answer, so Date less that time is never too late; nor is it for being cut to the second.
func providerClock(h http.Header, sent, answered time.Time) time.Time {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return sent
	}
	return date.Add(-answered.Sub(sent))
}
