package fakeapi

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// exchange is one request that faults have met, and what becomes of its answer.
type exchange struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	op      operation
	request Request
	met     []*trouble
}

// reply is an answer on its way to the client.
type reply struct {
	status int
	header http.Header
	body   rope
	length int64         // what Content-Length tells; −1: it is not told
	cut    bool          // the connection is closed where the body ends
	slow   time.Duration // how long the body takes
}

// serve gives each fault its turn, stage by stage. Within a stage the order is that of their injection; of those that answer in the provider's
// stead, the first one does.
func (x *exchange) serve(next http.Handler) {
	for t := range x.at(onConnection) {
		x.s.faults.count(t)
		x.s.faults.release(x.met)
		x.breakConnection(t.Kind)
		return
	}
	for t := range x.at(beforeAnswer) {
		x.s.faults.count(t)
		if err := pause(x.r.Context(), t.wait()); err != nil {
			panic(http.ErrAbortHandler) // nobody waits for the answer
		}
	}
	a := x.answer(next)
	for t := range x.at(onFrame) {
		x.frame(a, t)
	}
	for t := range x.at(onStream) {
		x.stream(a, t)
	}
	x.s.faults.release(x.met)
	x.deliver(a)
}

// at yields the faults of a stage.
func (x *exchange) at(st stage) func(yield func(*trouble) bool) {
	return func(yield func(*trouble) bool) {
		for _, t := range x.met {
			if kinds[t.Kind].stage == st && !yield(t) {
				return
			}
		}
	}
}

// answer is what a fault answers in the provider's stead, or else what the provider answers, with its records and its list broken.
func (x *exchange) answer(next http.Handler) *reply {
	for t := range x.at(inStead) {
		w := x.record()
		if x.answerInStead(w, t) {
			x.s.faults.count(t)
			return w.reply()
		}
	}
	r := x.r
	for t := range x.at(onRequest) {
		if first := x.firstPage(r); first != nil {
			r = first
			x.s.faults.count(t)
		}
	}
	w := x.record()
	if w.serve(next, r) {
		x.s.faults.release(x.met)
		panic(http.ErrAbortHandler) // an outage cuts it: there is nothing left to break
	}
	a := w.reply()
	if a.status == http.StatusOK && x.op != otherOperation {
		x.edit(a, w.body.Bytes())
	}
	return a
}

// record makes a writer that keeps an answer.
func (x *exchange) record() *response { return &response{header: x.w.Header().Clone()} }

// reply is a recorded answer.
func (w *response) reply() *reply {
	w.WriteHeader(http.StatusOK)
	return &reply{status: w.status, header: w.sent, body: text(w.body.Bytes()), length: int64(w.body.Len())}
}

// edit breaks the records of an answer and then its list, on the finished bytes.
func (x *exchange) edit(a *reply, body []byte) {
	sheet, ok := x.takeApart(body)
	if !ok {
		return
	}
	for t := range x.at(onRecords) {
		x.breakRecords(sheet, t)
	}
	if x.op == listOperation {
		for t := range x.at(onList) {
			if sheet.breakList(t) {
				x.s.faults.count(t)
			}
		}
	}
	if !sheet.changed(x.met) {
		return
	}
	a.body = sheet.rope()
	a.length = a.body.size()
}

// deliver sends the answer, or as much of it as is left.
func (x *exchange) deliver(a *reply) {
	header := x.w.Header()
	clear(header)
	maps.Copy(header, a.header)
	header.Del("Content-Length")
	if a.length >= 0 {
		header.Set("Content-Length", strconv.FormatInt(a.length, 10))
	}
	body := a.body.reader()
	if a.cut {
		body = io.MultiReader(body, cutOff{})
	}
	if a.slow > 0 {
		body = &trickle{ctx: x.r.Context(), from: body, size: a.body.size(), took: a.slow}
	}
	x.w.WriteHeader(a.status)
	if m := inMemory(x.w); m != nil {
		// The client reads it, at its own pace, from where it is made: nothing is held, and nobody runs beside.
		m.stream, m.flushed = &heedful{x.r.Context(), body}, a.length < 0
		return
	}
	if err := x.send(body, a.slow > 0, a.length < 0 || a.cut); err != nil {
		panic(http.ErrAbortHandler) // the answer ends here, or its reader has gone
	}
}

// send copies a body to a real connection. What is cut off must have left before: net/http would throw away what it still holds.
func (x *exchange) send(body io.Reader, each, first bool) error {
	control := http.NewResponseController(x.w)
	if first || each {
		if err := control.Flush(); err != nil {
			return err
		}
	}
	buffer := make([]byte, 32<<10)
	for {
		n, failed := body.Read(buffer)
		if _, err := x.w.Write(buffer[:n]); err != nil {
			return err
		}
		if each || failed != nil && failed != io.EOF {
			if err := control.Flush(); err != nil {
				return err
			}
		}
		switch failed {
		case nil:
		case io.EOF:
			return nil
		default:
			return failed
		}
	}
}

// inMemory finds the writer of a [Transport] beneath those that wrap it; nil over a real connection.
func inMemory(w http.ResponseWriter) *response {
	for {
		switch inner := w.(type) {
		case *response:
			return inner
		case interface{ Unwrap() http.ResponseWriter }:
			w = inner.Unwrap()
		default:
			return nil
		}
	}
}

// pause waits, or until the context ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// heedful ends with its context, as a client's body does.
type heedful struct {
	ctx  context.Context
	from io.Reader
}

func (h *heedful) Read(p []byte) (int, error) {
	if err := h.ctx.Err(); err != nil {
		return 0, err
	}
	return h.from.Read(p)
}

// pieces is how many a slow body comes in.
const pieces = 10

// trickle reads a body in pieces, with an equal wait before each.
type trickle struct {
	ctx      context.Context
	from     io.Reader
	size, at int64
	took     time.Duration
	piece    int64 // the ones that began
}

func (t *trickle) Read(p []byte) (int, error) {
	steps := max(1, min(pieces, t.size))
	for t.piece < steps && t.at >= t.piece*t.size/steps {
		if err := pause(t.ctx, t.took/time.Duration(steps)); err != nil {
			return 0, err
		}
		t.piece++
	}
	if left := t.piece*t.size/steps - t.at; left > 0 && int64(len(p)) > left {
		p = p[:left]
	}
	n, err := t.from.Read(p)
	t.at += int64(n)
	return n, err
}

// pad puts a filling of size bytes into a JSON text, which stays one.
func pad(body rope, size int64) rope {
	if len(body) == 0 || len(bytes.TrimSpace(body[0].text)) < 3 {
		return append(blanks(size), body...)
	}
	head := body[0].text
	if head[0] != '{' || head[1] != '"' {
		return append(append(rope{{head[:1], 1}}, blanks(size)...), append(text(head[1:]), body[1:]...)...)
	}
	out := append(text([]byte(`{"padding":"`)), fill(size)...)
	return append(append(out, text([]byte(`",`+string(head[1:])))...), body[1:]...)
}
