package fakeapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// answerInStead answers for the provider, and says whether it did: some faults leave some requests alone.
func (x *exchange) answerInStead(w *response, t *trouble) bool {
	fail := x.s.vendor.fail
	switch t.Kind {
	case InternalServerError:
		fail(w, http.StatusInternalServerError, "Internal Server Error")
	case ServiceUnavailable:
		fail(w, http.StatusServiceUnavailable, "Service Unavailable")
	case BadGateway:
		sendPage(w, http.StatusBadGateway)
	case GatewayTimeout:
		sendPage(w, http.StatusGatewayTimeout)
	case HTMLPage:
		sendPage(w, http.StatusOK)
	case EmptyBody:
		send(w, http.StatusOK, nil)
	case ErrorObject:
		send(w, http.StatusOK, []byte(`{"error":{"message":"upstream timed out"}}`))
	case Unauthorized:
		fail(w, http.StatusUnauthorized, "Invalid API key")
	case Forbidden:
		fail(w, http.StatusForbidden, "This API key may not read calls")
	case ExpiredPosition:
		return x.refusePosition(w)
	case RedirectHere, RedirectElsewhere, RedirectLoop:
		return x.redirect(w, t)
	default:
		now := x.s.opts.Now()
		x.s.tellLimit(w, 0, now)
		if after := t.retryAfter(now); after != "" {
			w.Header().Set("Retry-After", after)
		}
		fail(w, http.StatusTooManyRequests, "Rate limit exceeded. Please retry after 30 seconds.")
	}
	return true
}

// retryAfter is what a 429 tells; "": nothing.
func (t *trouble) retryAfter(now time.Time) string {
	switch t.Kind {
	case RetryAfterSeconds:
		return strconv.FormatInt(int64((t.wait()+time.Second-1)/time.Second), 10)
	case RetryAfterDate:
		return now.Add(t.wait()).UTC().Format(http.TimeFormat)
	case RetryAfterAbsurd:
		absurd := []string{"99999999999999", "-5", "soon", now.AddDate(1, 0, 0).UTC().Format(http.TimeFormat)}
		return cmp.Or(t.Text, absurd[t.chance(2)%uint64(len(absurd))])
	}
	return ""
}

// sendPage answers with a page for people, as a proxy does.
func sendPage(w http.ResponseWriter, status int) {
	title := strconv.Itoa(status) + " " + http.StatusText(status)
	if status == http.StatusOK {
		title = "Please sign in"
	}
	body := "<!DOCTYPE html>\r\n<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
		"</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	// It is recorded in memory, which takes everything.
	_, _ = io.WriteString(w, body)
}

// redirect sends the client away, unless it is where it was sent to.
func (x *exchange) redirect(w http.ResponseWriter, t *trouble) bool {
	to := *x.r.URL
	to.Scheme, to.Host = "", ""
	switch t.Kind {
	case RedirectHere:
		q := to.Query()
		if q.Has("redirected") {
			return false
		}
		q.Set("redirected", "1")
		to.RawQuery = q.Encode()
	case RedirectElsewhere:
		other, err := url.Parse(cmp.Or(t.Text, "http://elsewhere.example"))
		if err != nil || other.Host == "" {
			panic("fakeapi: the Text of a redirect elsewhere must be an address with a scheme and a host")
		}
		if other.Host == x.r.Host {
			return false
		}
		to.Scheme, to.Host = other.Scheme, other.Host
	}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusTemporaryRedirect)
	return true
}

// refusePosition answers as the provider does to a position that it forgot; only requests that name one.
func (x *exchange) refusePosition(w http.ResponseWriter) bool {
	if x.firstPage(x.r) == nil {
		return false
	}
	switch x.s.opts.Provider {
	case Millis:
		q := &query{}
		q.complain("query", "start_after_ts", "Value error, the cursor is unknown or has expired", "value_error")
		return q.refused(w)
	case Voicy:
		x.s.vendor.fail(w, http.StatusBadRequest, "Invalid pagination_key")
		return true
	}
	return false
}

// firstPage is a list request as it would be without its position; nil where it has none.
func (x *exchange) firstPage(r *http.Request) *http.Request {
	if x.op != listOperation {
		return nil
	}
	out, q := r.Clone(r.Context()), r.URL.Query()
	switch x.s.opts.Provider {
	case Millis:
		if !q.Has("start_after_ts") {
			return nil
		}
		q.Del("start_after_ts")
	case Burki:
		if skip := q.Get("skip"); skip == "" || skip == "0" {
			return nil
		}
		q.Set("skip", "0")
	default:
		var criteria map[string]json.RawMessage
		if json.Unmarshal([]byte(x.request.Body), &criteria) != nil || len(criteria["pagination_key"]) < len(`"k"`) {
			return nil
		}
		delete(criteria, "pagination_key")
		out.Body = io.NopCloser(bytes.NewReader(appendJSON(nil, criteria)))
		return out
	}
	out.URL.RawQuery = q.Encode()
	return out
}

// frame breaks what stands around a body.
func (x *exchange) frame(a *reply, t *trouble) {
	size := a.body.size()
	switch t.Kind {
	case ShortBody:
		if size == 0 {
			return
		}
		at := t.end(size, size)
		if at == size {
			return
		}
		a.body, a.length = a.body.first(at), at
	case WrongContentType:
		a.header.Set("Content-Type", cmp.Or(t.Text, "text/html; charset=utf-8"))
	case LongContentLength:
		a.length, a.cut = size+cmp.Or(t.Size, 100), true
	case NoContentLength:
		a.length = -1
	case EndlessBody:
		a.body, a.length = pad(a.body, cmp.Or(t.Size, 300<<20)), -1
	case Gzipped, GzipBomb:
		if a.header.Get("Content-Encoding") != "" {
			return
		}
		if t.Kind == GzipBomb {
			a.body = pad(a.body, cmp.Or(t.Size, 1<<30+1<<20))
		}
		a.body = a.body.gzip()
		a.header.Set("Content-Encoding", "gzip")
		a.length = a.body.size()
	default:
		x.date(a, t)
	}
	x.s.faults.count(t)
}

// date breaks the Date header.
func (x *exchange) date(a *reply, t *trouble) {
	switch t.Kind {
	case ClockSkew:
		a.header.Set("Date", x.s.opts.Now().Add(cmp.Or(t.For, 24*time.Hour)).UTC().Format(http.TimeFormat))
	case NoDate:
		a.header["Date"] = nil // net/http adds its own where the name itself is missing
	default:
		a.header.Set("Date", cmp.Or(t.Text, "Mon, 32 Foo 2025 25:61:61 GMT"))
	}
}
