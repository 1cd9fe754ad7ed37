package fakeapi

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// burki answers as api.burki.dev does: FastAPI, a bearer token, an offset with a total.
type burki struct{ s *Server }

func (v burki) basePath() string    { return "" }
func (v burki) unit() time.Duration { return time.Microsecond }

func (v burki) routes(mux *http.ServeMux) {
	v.s.handle(mux, http.MethodGet, "/api/v1/calls/{$}", v.authorized(v.serveList))
	v.s.handle(mux, http.MethodGet, "/api/v1/calls/count", v.authorized(v.serveCount))
	v.s.handle(mux, http.MethodGet, "/api/v1/calls/{call_id}", v.authorized(v.part(func(r Record) string { return cmp.Or(r.Detail, r.List) })))
	v.s.handle(mux, http.MethodGet, "/api/v1/calls/{call_id}/transcripts", v.authorized(v.serveTranscripts))
	v.s.handle(mux, http.MethodGet, "/api/v1/calls/{call_id}/recordings", v.authorized(v.serveRecordings))
	v.s.handle(mux, http.MethodGet, "/api/calls/{call_id}/costs", v.authorized(v.part(func(r Record) string { return r.Costs })))
	// Starlette sends the path without its slash to the one with it, before it looks at the key.
	mux.HandleFunc("/api/v1/calls", func(w http.ResponseWriter, r *http.Request) {
		to := "http://" + r.Host + "/api/v1/calls/"
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
}

func (v burki) operation(path string) operation {
	switch rest, ok := strings.CutPrefix(path, "/api/v1/calls/"); {
	case ok && rest == "":
		return listOperation
	case ok && rest != "count", strings.HasPrefix(path, "/api/calls/"):
		return callOperation
	}
	return otherOperation
}

func (v burki) fail(w http.ResponseWriter, status int, message string) {
	sendJSON(w, status, map[string]string{"detail": message})
}

// authorized checks the token before the parameters, as FastAPI's dependencies do.
func (v burki) authorized(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		switch {
		case !strings.EqualFold(scheme, "bearer") || token == "":
			w.Header().Set("WWW-Authenticate", "Bearer")
			v.fail(w, http.StatusUnauthorized, "Not authenticated")
		case !v.s.validKey(token):
			w.Header().Set("WWW-Authenticate", "Bearer")
			v.fail(w, http.StatusUnauthorized, "Invalid API key")
		default:
			next(w, r)
		}
	}
}

// filter reads the filters that the list and the count share. The match is nil where none is asked for but the time.
func (v burki) filter(q *query, now int64) (from, to int64, match func(traits) bool) {
	from, fromGiven := q.iso("date_from")
	to, toGiven := q.iso("date_to")
	if !fromGiven {
		from = math.MinInt64
	}
	if !toGiven || to > now {
		to = now
	}
	status, byStatus := q.text("status")
	assistant, byAssistant := q.integer("assistant_id")
	if !byStatus && !byAssistant {
		return from, to, nil
	}
	return from, to, func(t traits) bool {
		return (!byStatus || t.status == status) && (!byAssistant || t.agentID == strconv.FormatInt(assistant, 10))
	}
}

// search reads the filters of the list alone; nil where none is asked for.
func (v burki) search(q *query) func(traits) bool {
	phone, byPhone := q.text("customer_phone")
	sid, bySID := q.text("call_sid")
	name, byName := q.text("assistant_name")
	shortest, byShortest := q.integer("min_duration")
	longest, byLongest := q.integer("max_duration")
	if !byPhone && !bySID && !byName && !byShortest && !byLongest {
		return nil
	}
	return func(t traits) bool {
		return (!byPhone || contains(t.customer, phone)) && (!bySID || contains(t.sid, sid)) && (!byName || contains(t.agentName, name)) &&
			(!byShortest || t.ended && t.seconds >= shortest) && (!byLongest || t.ended && t.seconds <= longest)
	}
}

// searches counts the search parameters, of which the vendor allows one.
func searches(q *query) (n int) {
	for _, name := range []string{"customer_phone", "call_sid", "assistant_name"} {
		if _, ok := q.text(name); ok {
			n++
		}
	}
	return n
}

func (v burki) serveList(w http.ResponseWriter, r *http.Request) {
	q, now := newQuery(r), v.s.now()
	skip := q.bounded("skip", 0, 0, math.MaxInt32)
	limit := q.bounded("limit", 100, 1, v.s.maxPage(1000))
	from, to, match := v.filter(q, now)
	search := v.search(q)
	if q.refused(w) {
		return
	}
	if searches(q) > 1 {
		v.fail(w, http.StatusBadRequest, "Send exactly one of: customer_phone, call_sid, or assistant_name")
		return
	}
	v.s.mu.RLock()
	defer v.s.mu.RUnlock()
	rows, total := v.s.matching(from, to, now, match, search)
	page := v.s.newPage(now)
	for i := v.s.calls.below(rows, skip, now); i >= 0 && len(page.elements) < limit; i-- {
		if v.s.calls.present(rows[i], now) {
			page.add(rows[i])
		}
	}
	if v.s.opts.Legacy {
		page.send(w, appendRows(nil, page.elements))
		return
	}
	body := appendRows([]byte(`{"items":`), page.elements)
	page.send(w, append(body, `,"total":`+strconv.Itoa(total)+`,"skip":`+strconv.Itoa(skip)+`,"limit":`+strconv.Itoa(limit)+"}"...))
}

// matching returns the rows of [from, to] for which every given test holds, oldest first, and how many of them are listed now. Where no test
// is given it looks at no call, and rows that are not listed now are among them.
func (s *Server) matching(from, to, now int64, tests ...func(traits) bool) (rows []row, total int) {
	lo, hi := span(s.calls.rows, from, to)
	rows, total = s.calls.rows[lo:hi], -1
	for _, test := range tests {
		if test == nil {
			continue
		}
		var kept []row
		for _, r := range rows {
			if s.calls.present(r, now) && test(s.traitsOf(r, now)) {
				kept = append(kept, r)
			}
		}
		rows, total = kept, len(kept)
	}
	if total < 0 {
		total = s.calls.count(&s.calls.index, from, to, now)
	}
	return rows, total
}

func (v burki) serveCount(w http.ResponseWriter, r *http.Request) {
	q, now := newQuery(r), v.s.now()
	from, to, match := v.filter(q, now)
	if q.refused(w) {
		return
	}
	v.s.mu.RLock()
	defer v.s.mu.RUnlock()
	_, total := v.s.matching(from, to, now, match)
	sendJSON(w, http.StatusOK, map[string]int{"count": total})
}

// found looks a call up for a path with its id, and answers where there is none.
func (v burki) found(w http.ResponseWriter, r *http.Request, q *query) (Record, bool) {
	id, err := strconv.ParseInt(r.PathValue("call_id"), 10, 64)
	if err != nil {
		q.complain("path", "call_id", "Input should be a valid integer, unable to parse string as an integer", "int_parsing")
	}
	if q.refused(w) {
		return Record{}, false
	}
	return v.s.answer(w, strconv.FormatInt(id, 10), "Call not found")
}

// part serves one part of a record, and 404 where the call has none.
func (v burki) part(of func(Record) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		record, ok := v.found(w, r, newQuery(r))
		if !ok {
			return
		}
		if body := of(record); body != "" {
			send(w, http.StatusOK, []byte(body))
			return
		}
		v.fail(w, http.StatusNotFound, "No cost data found for this call")
	}
}

func (v burki) serveTranscripts(w http.ResponseWriter, r *http.Request) {
	q := newQuery(r)
	speaker, bySpeaker := q.text("speaker")
	interim := q.boolean("include_interim")
	if record, ok := v.found(w, r, q); ok {
		type segment struct {
			Speaker string
			IsFinal *bool `json:"is_final"`
		}
		sendFiltered(w, record.Transcripts, func(t segment) bool {
			return (!bySpeaker || t.Speaker == speaker) && (interim || t.IsFinal == nil || *t.IsFinal)
		})
	}
}

func (v burki) serveRecordings(w http.ResponseWriter, r *http.Request) {
	q := newQuery(r)
	kind, byKind := q.text("recording_type")
	if record, ok := v.found(w, r, q); ok {
		type recording struct {
			Type string `json:"recording_type"`
		}
		sendFiltered(w, record.Recordings, func(t recording) bool { return !byKind || t.Type == kind })
	}
}

// sendFiltered answers with those elements of a JSON array that keep says; with whatever else a hand-made record holds, as it is.
func sendFiltered[T any](w http.ResponseWriter, array string, keep func(T) bool) {
	var elements []json.RawMessage
	if array == "" || json.Unmarshal([]byte(array), &elements) != nil {
		send(w, http.StatusOK, []byte(cmp.Or(array, "[]")))
		return
	}
	var kept [][]byte
	for _, e := range elements {
		var t T
		if json.Unmarshal(e, &t) != nil || keep(t) {
			kept = append(kept, e)
		}
	}
	send(w, http.StatusOK, appendRows(nil, kept))
}
