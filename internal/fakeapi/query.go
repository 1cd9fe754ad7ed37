package fakeapi

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// query reads parameters as FastAPI does, which two of the vendors are built with: each in its type, the last of several, all mistakes
// collected into one 422, and what is not asked for ignored.
type query struct {
	values   url.Values
	problems []problem
}

// problem is an entry of FastAPI's 422.
type problem struct {
	Loc  []string `json:"loc"`
	Msg  string   `json:"msg"`
	Type string   `json:"type"`
}

func newQuery(r *http.Request) *query { return &query{values: r.URL.Query()} }

func (q *query) complain(where, name, msg, kind string) {
	q.problems = append(q.problems, problem{Loc: []string{where, name}, Msg: msg, Type: kind})
}

// refused answers 422 where there were mistakes, and says so.
func (q *query) refused(w http.ResponseWriter) bool {
	if len(q.problems) == 0 {
		return false
	}
	sendJSON(w, http.StatusUnprocessableEntity, map[string]any{"detail": q.problems})
	return true
}

func (q *query) text(name string) (string, bool) {
	v, ok := q.values[name]
	if !ok {
		return "", false
	}
	return v[len(v)-1], true
}

func (q *query) integer(name string) (int64, bool) {
	text, ok := q.text(name)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		q.complain("query", name, "Input should be a valid integer, unable to parse string as an integer", "int_parsing")
		return 0, false
	}
	return n, true
}

// bounded reads an integer that must lie in [low, high].
func (q *query) bounded(name string, byDefault, low, high int) int {
	n, ok := q.integer(name)
	switch {
	case !ok:
		return min(byDefault, high)
	case n < int64(low):
		q.complain("query", name, fmt.Sprintf("Input should be greater than or equal to %d", low), "greater_than_equal")
	case n > int64(high):
		q.complain("query", name, fmt.Sprintf("Input should be less than or equal to %d", high), "less_than_equal")
	default:
		return int(n)
	}
	return low
}

// unix reads a time in Unix seconds, into nanoseconds.
func (q *query) unix(name string) (int64, bool) {
	text, ok := q.text(name)
	if !ok {
		return 0, false
	}
	at, ok := parseSeconds(text)
	if !ok {
		q.complain("query", name, "Input should be a valid number, unable to parse string as a number", "float_parsing")
	}
	return at, ok
}

// iso reads an ISO 8601 time, into Unix nanoseconds.
func (q *query) iso(name string) (int64, bool) {
	text, ok := q.text(name)
	if !ok {
		return 0, false
	}
	at, ok := parseISO(text)
	if !ok {
		q.complain("query", name, "Input should be a valid datetime, invalid character in year", "datetime_from_date_parsing")
		return 0, false
	}
	switch {
	case at.Year() < 1678:
		return math.MinInt64, true
	case at.Year() > 2261:
		return math.MaxInt64, true
	}
	return at.UnixNano(), true
}

func (q *query) boolean(name string) bool {
	text, ok := q.text(name)
	if !ok {
		return false
	}
	switch strings.ToLower(text) {
	case "true", "1", "on", "yes", "t", "y":
		return true
	case "false", "0", "off", "no", "f", "n":
		return false
	}
	q.complain("query", name, "Input should be a valid boolean, unable to interpret input", "bool_parsing")
	return false
}

// contains compares as the vendors' substring filters do, without regard to case.
func contains(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}
