package fakeapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"time"
)

// millis answers as api-west.millis.ai does: FastAPI, a raw key in the Authorization header, a timestamp for a cursor.
type millis struct{ s *Server }

func (v millis) basePath() string    { return "" }
func (v millis) unit() time.Duration { return time.Microsecond }

func (v millis) routes(mux *http.ServeMux) {
	v.s.handle(mux, http.MethodGet, "/call-logs", v.serveList)
	v.s.handle(mux, http.MethodGet, "/call-logs/{session_id}", v.serveCall)
}

func (v millis) operation(path string) operation {
	switch {
	case path == "/call-logs":
		return listOperation
	case strings.HasPrefix(path, "/call-logs/"):
		return callOperation
	}
	return otherOperation
}

func (v millis) fail(w http.ResponseWriter, status int, message string) {
	sendJSON(w, status, map[string]string{"detail": message})
}

// admitted checks the parameters and the key, in FastAPI's order: a header that the document calls required is missing with a 422, a
// wrong one is refused after everything else was found well-formed.
func (v millis) admitted(w http.ResponseWriter, r *http.Request, q *query) bool {
	if len(r.Header.Values("Authorization")) == 0 {
		q.complain("header", "authorization", "Field required", "missing")
	}
	if q.refused(w) {
		return false
	}
	if !v.s.validKey(r.Header.Get("Authorization")) {
		v.fail(w, http.StatusUnauthorized, "Invalid API key")
		return false
	}
	return true
}

func (v millis) serveList(w http.ResponseWriter, r *http.Request) {
	q := newQuery(r)
	limit := q.bounded("limit", 20, 1, v.s.maxPage(100))
	cursor, paging := q.unix("start_after_ts")
	if paging && !v.s.positions.knows(decimal(cursor)) {
		q.complain("query", "start_after_ts", "Value error, the cursor is unknown or has expired", "value_error")
	}
	from, fromGiven := q.unix("start_time")
	to, toGiven := q.unix("end_time")
	keep := millisFilter(q)
	if !v.admitted(w, r, q) {
		return
	}
	now := v.s.now()
	if !fromGiven {
		from = math.MinInt64
	}
	if !toGiven || to > now {
		to = now
	}
	if paging && cursor <= to {
		// Strictly after the cursor in descending order: of calls that share its second, those not yet returned are lost.
		to = max(cursor, math.MinInt64+1) - 1
	}

	v.s.mu.RLock()
	defer v.s.mu.RUnlock()
	rows := v.s.calls.rows
	lo, hi := span(rows, from, to)
	page := v.s.newPage(now)
	next := "null"
	last := int64(0)
	for i := hi - 1; i >= lo; i-- {
		if !v.s.calls.present(rows[i], now) || keep != nil && !keep(v.s.traitsOf(rows[i], now)) {
			continue
		}
		if len(page.elements) == limit {
			next = decimal(last)
			break
		}
		page.add(rows[i])
		last = rows[i].at
	}
	body := appendRows([]byte(`{"histories":`), page.elements)
	// The null at the end is handed out as well, and is no position that a request could name.
	page.send(w, append(append(append(body, `,"next_cursor":`...), next...), '}'), next)
}

// millisFilter returns nil where no filter is asked for, which spares making every call to look at it.
func millisFilter(q *query) func(traits) bool {
	agentID, byAgent := q.text("agent_id")
	status, byStatus := q.text("call_status")
	number, byNumber := q.text("phone_number")
	if !byAgent && !byStatus && !byNumber {
		return nil
	}
	return func(t traits) bool {
		return (!byAgent || t.agentID == agentID) && (!byStatus || t.status == status) &&
			(!byNumber || strings.Contains(t.from, number) || strings.Contains(t.to, number))
	}
}

func (v millis) serveCall(w http.ResponseWriter, r *http.Request) {
	if !v.admitted(w, r, newQuery(r)) {
		return
	}
	if record, ok := v.s.answer(w, r.PathValue("session_id"), "Call history not found"); ok {
		send(w, http.StatusOK, []byte(cmp.Or(record.Detail, record.List)))
	}
}

func (v millis) outcomes() []outcome {
	return []outcome{
		{"user-ended", talked, 430}, {"agent-ended", talked, 240}, {"api-ended", talked, 15}, {"timeout", talked, 12}, {"unknown", talked, 3},
		{"voicemail-hangup", machine, 35}, {"voicemail-message", machine, 45},
		{"no-answer", missed, 90}, {"busy", refused, 30}, {"canceled", refused, 20}, {"failed", refused, 20}, {"error", refused, 10},
		{"chat_completion", typed, 50},
	}
}

func (v millis) ringing(c call) []string {
	if c.inbound || c.web {
		return []string{"registered", "initiated", "ringing"}
	}
	return []string{"registered", "queued", "dispatching", "provider_queued", "initiated", "ringing"}
}

func (v millis) talking(call) string { return "in-progress" }

const millisSessions, millisCalls, millisAgents = 0x6d696c6c6973, 0x6d63616c6c, 0x6d6167656e74

func (v millis) id(n int) string      { return uuid(v.s.opts.Seed^millisSessions, n) }
func (v millis) number(id string) int { return uuidNumber(id) }
func (v millis) agentID(i int) string { return "agent_" + uuid(v.s.opts.Seed^millisAgents, i)[:8] }
func (v millis) record(c call, now int64) Record {
	return Record{At: time.Unix(0, c.start), List: string(v.list(c, now))}
}

func (v millis) traits(c call, now int64) traits {
	from, to := c.fromTo()
	return traits{agentID: v.agentID(c.agent), status: v.s.status(c, now), from: from, to: to}
}

// read finds what the filters and the order need in a hand-made call. What cannot be read is not there.
func (v millis) read(list []byte) handmade {
	var f struct {
		SessionID  any         `json:"session_id"`
		CallID     any         `json:"call_id"`
		TS         json.Number `json:"ts"`
		AgentID    any         `json:"agent_id"`
		CallStatus any         `json:"call_status"`
		Voip       any         `json:"voip"`
	}
	readFields(list, &f)
	h := handmade{id: cmp.Or(textOf(f.SessionID), textOf(f.CallID))}
	h.at, h.dated = parseSeconds(f.TS.String())
	h.traits = traits{agentID: textOf(f.AgentID), status: textOf(f.CallStatus)}
	if voip, ok := f.Voip.(map[string]any); ok {
		h.traits.from, h.traits.to = textOf(voip["from"]), textOf(voip["to"])
	}
	return h
}

// readFields decodes what it can of a hand-made record. Records that are no JSON, or hold a field of another type than the vendor's, are
// what a test may want to send: they are listed all the same, and match no filter.
func readFields(list []byte, into any) {
	dec := json.NewDecoder(bytes.NewReader(list))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		return
	}
}

// textOf is the text of a decoded string or number, and "" of anything else.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}
