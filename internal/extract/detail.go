package extract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/extract/httpapi"
)

// details are the answers that an account gives about one call.
type details struct {
	account
	parts []part
}

// part is one of them.
type part struct {
	name    string
	path    string // with the place of the id in braces
	leftOut bool   // the list does not tell it
	// read proves that an answer is this part of the call that has the id, and reads its start, where it tells one.
	read func(answer jsontext.Value, id string) (start time.Time, err error)
}

// Parts implements Source.
func (d *details) Parts() []string {
	var names []string
	for _, p := range d.parts {
		if p.leftOut {
			names = append(names, p.name)
		}
	}
	return names
}

// Detail implements Source.
func (d *details) Detail(ctx context.Context, name, id string) (Record, error) {
	q := &question{
		account: d.account, op: "detail",
		kept: "what is known of the call stays as it is; if this lasts, the provider has changed its API",
	}
	at := slices.IndexFunc(d.parts, func(p part) bool { return p.name == name })
	if at < 0 {
		return Record{}, q.fail(Malformed, fmt.Sprintf("the provider has no %q of a call", name))
	}
	asked := d.parts[at]
	q.op = http.MethodGet + " " + asked.path
	if id == "" {
		return Record{}, q.fail(Malformed, "a call without an id cannot be asked for")
	}
	if err := q.send(ctx, httpapi.Request{Method: http.MethodGet, Path: asked.path, ID: id}); err != nil {
		return Record{}, err
	}
	if q.last.Status != http.StatusOK {
		return Record{}, q.noDetail(asked)
	}
	payload, err := wholeValue(q.last.Body)
	if err != nil {
		return Record{}, q.malformed("%v%s", err, contentType(q.last.Header))
	}
	start, err := asked.read(payload, id)
	if err != nil {
		return Record{}, q.malformed("%v%s", err, contentType(q.last.Header))
	}
	return Record{Payload: payload, ID: id, StartedAt: start, FetchedAt: q.last.ReceivedAt}, nil
}

// noDetail is the error of an answer that is not a 200.
func (q *question) noDetail(asked part) error {
	if denied := q.denied(); denied != nil {
		return denied
	}
	switch q.last.Status {
	case http.StatusNotFound, http.StatusGone:
		if saysMissing(q.last.Body, q.refusal) {
			if asked.name == Single {
				return q.answered(Missing, "the provider says that there is no such call")
			}
			return q.answered(Missing, "the provider says that there is no such call, or that it has no "+asked.name)
		}
		e := q.malformed("nothing is found there, and it is not the provider's API that says so of the call")
		e.Hint = "check provider and base_url of this source; what is known of the call stays as it is"
		return e
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return q.malformed("the provider refuses the request")
	}
	return q.undocumented()
}

// noRoute matches what servers, frameworks and proxies say where nothing listens on a path at all. "Not Found" alone is what FastAPI, which
// two of the providers run on, answers below a wrong base URL; a call that is missing is named.
var noRoute = regexp.MustCompile(`(?i)^(?:404|error|[\W_])*not[\W_]?found[\W_]*$` +
	`|\bcannot get\b|\b(?:route|path|url|uri|endpoint|page|function|method|handler|host|domain|service|server|upstream|application|deployment)s?\b`)

// saysMissing reports whether a refusal is the API's own word that it has no such call. A call is marked as deleted on this word, so whatever
// a proxy says, or a server that was never the provider's, must not pass for it: a refusal that leaves doubt marks nothing.
func saysMissing(body []byte, key string) bool {
	refusal, err := wholeValue(body)
	if err != nil {
		return false
	}
	said := member(refusal, key)
	if said.Kind() != '"' {
		return false
	}
	text := strings.TrimSpace(stringOf(said))
	return text != "" && !noRoute.MatchString(text)
}

var errOtherCall = errors.New("the answer is about another call than the one that was asked for")

// single reads the single call: an object that has, as one of its ids, the id that was asked for.
func (s shape) single(answer jsontext.Value, id string) (time.Time, error) {
	if kind := answer.Kind(); kind != '{' {
		return time.Time{}, fmt.Errorf("the answer is %s, where an object is documented", kindName(kind))
	}
	ids, start := s.identify(answer)
	if slices.Contains(ids, id) {
		return start, nil
	}
	if slices.ContainsFunc(ids, func(id string) bool { return id != "" }) {
		return time.Time{}, errOtherCall
	}
	return time.Time{}, fmt.Errorf("the answer is no call: it has no %q", s.ids[0])
}
