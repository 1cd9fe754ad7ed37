package fakeapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// voicy answers as api.voicy.co/functions/v1 does: a POST with criteria, a call id for a position, a total.
type voicy struct{ s *Server }

const voicyBase = "/functions/v1"

func (v voicy) basePath() string    { return voicyBase }
func (v voicy) unit() time.Duration { return time.Millisecond }

func (v voicy) routes(mux *http.ServeMux) {
	// At the root too: the base URL's path is the caller's to configure, and a proxy may well drop it.
	for _, base := range []string{voicyBase, ""} {
		v.s.handle(mux, http.MethodPost, base+"/call-list", v.authorized(v.serveList))
		v.s.handle(mux, http.MethodGet, base+"/call-get/{call_id}", v.authorized(v.serveCall))
	}
}

func (v voicy) operation(path string) operation {
	switch path = strings.TrimPrefix(path, voicyBase); {
	case path == "/call-list":
		return listOperation
	case strings.HasPrefix(path, "/call-get/"):
		return callOperation
	}
	return otherOperation
}

func (v voicy) fail(w http.ResponseWriter, status int, message string) {
	sendJSON(w, status, map[string]string{"error": message})
}

func (v voicy) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case !bearer:
			v.fail(w, http.StatusUnauthorized, "Missing or malformed Authorization header")
		case !v.s.validKey(token):
			v.fail(w, http.StatusUnauthorized, "Invalid API key")
		default:
			next(w, r)
		}
	}
}

// voicyQuery is the body of call-list.
type voicyQuery struct {
	Filter struct {
		AgentID    []string `json:"agent_id"`
		CallStatus []string `json:"call_status"`
		Direction  []string `json:"direction"`
		Start      struct {
			Lower *int64 `json:"lower_threshold"`
			Upper *int64 `json:"upper_threshold"`
		} `json:"start_timestamp"`
		IncludeTests bool `json:"include_test_calls"`
	} `json:"filter_criteria"`
	SortOrder string `json:"sort_order"`
	Limit     *int   `json:"limit"`
	Key       string `json:"pagination_key"`
}

// readQuery reads and checks the body. The status goes with a message that is not empty.
func (v voicy) readQuery(r *http.Request) (q voicyQuery, status int, message string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return q, http.StatusBadRequest, "Invalid request body"
	}
	if len(bytes.TrimSpace(body)) > 0 {
		err = json.Unmarshal(body, &q)
	}
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return q, http.StatusUnprocessableEntity, fmt.Sprintf("Invalid value for %s", cmp.Or(wrong.Field, "body"))
	} else if err != nil {
		return q, http.StatusBadRequest, "Invalid JSON in request body"
	}
	q.SortOrder = cmp.Or(q.SortOrder, "descending")
	largest := v.s.maxPage(1000)
	if q.Limit == nil {
		byDefault := min(50, largest)
		q.Limit = &byDefault
	}
	switch {
	case q.SortOrder != "descending" && q.SortOrder != "ascending":
		return q, http.StatusUnprocessableEntity, "sort_order must be ascending or descending"
	case *q.Limit < 1 || *q.Limit > largest:
		return q, http.StatusUnprocessableEntity, fmt.Sprintf("limit must be between 1 and %d", largest)
	}
	for _, d := range q.Filter.Direction {
		if d != "incoming" && d != "outgoing" {
			return q, http.StatusUnprocessableEntity, "direction must be incoming or outgoing"
		}
	}
	return q, 0, ""
}

// match is nil where no filter is asked for but the time and the test calls, which need no look at the calls.
func (q *voicyQuery) match() func(traits) bool {
	f := &q.Filter
	if len(f.AgentID) == 0 && len(f.CallStatus) == 0 && len(f.Direction) == 0 {
		return nil
	}
	has := func(allowed []string, value string) bool { return len(allowed) == 0 || slices.Contains(allowed, value) }
	return func(t traits) bool {
		return has(f.AgentID, t.agentID) && has(f.CallStatus, t.status) && has(f.Direction, t.direction)
	}
}

func (v voicy) serveList(w http.ResponseWriter, r *http.Request) {
	q, status, message := v.readQuery(r)
	if message != "" {
		v.fail(w, status, message)
		return
	}
	now := v.s.now()
	from, to := int64(math.MinInt64), now
	if q.Filter.Start.Lower != nil {
		from = unixMilli(*q.Filter.Start.Lower)
	}
	if q.Filter.Start.Upper != nil {
		// The bound is inclusive, and a millisecond is as fine as the provider's times are.
		to = min(now, unixMilli(*q.Filter.Start.Upper))
	}
	v.s.mu.RLock()
	defer v.s.mu.RUnlock()
	rows, total := v.s.matching(from, to, now, q.match())
	skipsTests := !q.Filter.IncludeTests && len(v.s.calls.tests.rows) > 0
	if skipsTests && q.match() == nil {
		total -= v.s.calls.count(&v.s.calls.tests, from, to, now)
	} else if skipsTests {
		total -= v.countTests(rows)
	}
	next, ok := v.resume(rows, q.Key, q.SortOrder == "ascending", now)
	if !ok {
		v.fail(w, http.StatusBadRequest, "Invalid pagination_key")
		return
	}
	step := -1
	if q.SortOrder == "ascending" {
		step = 1
	}
	page := v.s.newPage(now)
	for ; next >= 0 && next < len(rows) && len(page.elements) < *q.Limit; next += step {
		if !v.s.calls.present(rows[next], now) || skipsTests && v.rowIsTest(rows[next]) {
			continue
		}
		page.add(rows[next])
	}
	body := appendRows([]byte(`{"calls":`), page.elements)
	page.send(w, append(body, `,"total_count":`+strconv.Itoa(total)+"}"...), page.ids...)
}

// countTests counts the test calls among the rows that a filter chose.
func (v voicy) countTests(rows []row) (n int) {
	for _, r := range rows {
		if v.rowIsTest(r) {
			n++
		}
	}
	return n
}

func (v voicy) rowIsTest(r row) bool {
	if r.ref < 0 {
		return v.s.calls.hands[^r.ref].test
	}
	return v.s.isTest(int(r.ref))
}

// resume returns the index in rows at which a page begins: the first one, or the one that follows the call of the key in the order
// asked for, whether or not that call still matches the filter. A key of no call that is listed now is refused.
func (v voicy) resume(rows []row, key string, ascending bool, now int64) (int, bool) {
	if key == "" {
		if ascending {
			return 0, true
		}
		return len(rows) - 1, true
	}
	refs := v.s.presentRefs(key, now)
	if len(refs) == 0 || !v.s.positions.knows(key) {
		return 0, false
	}
	// Of several calls with the id, the one farthest on: no page is served for ever.
	if ascending {
		i := v.after(rows, refs[len(refs)-1])
		return i, true
	}
	i := v.after(rows, refs[0])
	if i > 0 && rows[i-1].ref == refs[0] {
		i--
	}
	return i - 1, true
}

// after is the index of the first of rows that the list has after ref, in ascending order.
func (v voicy) after(rows []row, ref int32) int {
	if i, ok := v.s.calls.find(rows, ref); ok {
		return i + 1
	}
	place, _ := v.s.calls.find(v.s.calls.rows, ref)
	at := v.s.calls.rows[place].at
	_, i := span(rows, at, at)
	return i
}

// unixMilli is a time in Unix nanoseconds; what lies beyond any time there is becomes the first or the last.
func unixMilli(ms int64) int64 {
	return min(max(ms, math.MinInt64/1_000_000), math.MaxInt64/1_000_000) * 1_000_000
}

func (v voicy) serveCall(w http.ResponseWriter, r *http.Request) {
	if record, ok := v.s.answer(w, r.PathValue("call_id"), "Call not found"); ok {
		send(w, http.StatusOK, []byte(cmp.Or(record.Detail, record.List)))
	}
}
