package extract

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"syncd/internal/extract/httpapi"
)

// question is what is asked of an account, in one request or in several that belong together. It knows how to word what went wrong.
type question struct {
	account
	op       string   // the request, for people; an id that stands in its path is not named
	window   Window   // zero where none is asked for
	position Position // "" likewise
	kept     string   // the hint of an answer that is not understood: what becomes of what it was wanted for
	sent     httpapi.Request
	last     httpapi.Response
}

// send asks, and keeps the answer.
func (q *question) send(ctx context.Context, req httpapi.Request) error {
	resp, err := q.client.Do(ctx, req)
	if err != nil {
		return q.unanswered(ctx, err)
	}
	q.sent, q.last = req, resp
	return nil
}

// unanswered is the error of a request that brought no answer.
func (q *question) unanswered(ctx context.Context, err error) error {
	var failed *httpapi.Error
	if !errors.As(err, &failed) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return q.fail(Transient, err.Error())
	}
	e := q.fail(Transient, failed.Reason)
	e.Status, e.Excerpt, e.Until = failed.Status, failed.Excerpt, failed.Until
	if failed.Attempts > 1 {
		e.Reason += fmt.Sprintf(", tried %d times", failed.Attempts)
	}
	switch failed.Kind {
	case httpapi.Unavailable:
		switch {
		case !e.Until.IsZero(): // it says itself when
		case e.Status == 0:
			e.Hint = "check base_url and the network, and run it again"
		default:
			e.Hint = "what was read is stored; run it again later"
		}
	case httpapi.Redirected:
		e.Class, e.Hint = Permanent, "set base_url to where the provider's API is now"
	case httpapi.Unusable:
		e.Class, e.Hint = Malformed, "a smaller page_size makes smaller answers"
		if q.window == (Window{}) {
			e.Hint = q.kept
		}
	}
	return e
}

// denied is the error of an answer that is about the account, whatever was asked; nil of any other.
func (q *question) denied() *Error {
	switch q.last.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		e := q.answered(Permanent, "the provider refuses the key")
		e.Hint = "check the key of this source, where api_key_env or api_key_file says; `syncd check` tells when it works"
		return e
	case http.StatusPaymentRequired:
		e := q.answered(Permanent, "the provider wants to be paid first")
		e.Hint = "look at the account; `syncd check` tells when it works"
		return e
	}
	return nil
}

// undocumented is the error of an answer with a status that is none of those that are documented.
func (q *question) undocumented() *Error {
	return q.malformed("the provider answers with a status that its documentation does not name")
}

// malformed is the error of an answer that is not what the provider's contract says.
func (q *question) malformed(format string, args ...any) *Error {
	e := q.answered(Malformed, fmt.Sprintf(format, args...))
	e.Hint = q.kept
	return e
}

// answered is an error about the last answer.
func (q *question) answered(class Class, reason string) *Error {
	e := q.fail(class, reason)
	e.Status, e.Excerpt = q.last.Status, q.client.Excerpt(q.sent, q.last.Status, q.last.Body)
	return e
}

func (q *question) fail(class Class, reason string) *Error {
	return &Error{Source: q.source, Op: q.op, Window: q.window, Position: q.position, Class: class, Reason: reason}
}

// contentType says what an answer calls itself, where that is not JSON.
func contentType(h http.Header) string {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind == "application/json" || len(kind) > 60 {
		return ""
	}
	return fmt.Sprintf("; it calls itself %s", kind)
}
