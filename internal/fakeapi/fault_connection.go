package fakeapi

import (
	"net"
	"net/http"
	"os"
	"syscall"
)

// breakConnection ends the connection before any answer.
func (x *exchange) breakConnection(how Kind) {
	if m := inMemory(x.w); m != nil {
		m.broken = connectionError(how)
		panic(http.ErrAbortHandler)
	}
	if how == HangUp {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // a recorder, or HTTP/2, which has a reset of its own
	}
	raw := conn
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		raw = secured.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		// Without lingering a close is a RST. A connection that is gone already needs none.
		_ = tcp.SetLinger(0)
	}
	_ = raw.Close()
}

// connectionError is what a client's own network says; nil for a connection that is closed in good order.
func connectionError(how Kind) error {
	switch how {
	case Refused:
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case Reset:
		return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	}
	return nil
}

// stream breaks a body while it is sent.
func (x *exchange) stream(a *reply, t *trouble) {
	size := a.body.size()
	switch {
	case size == 0:
		return
	case t.Kind == SlowBody:
		a.slow += t.wait()
	default:
		at := t.end(size, size)
		if at >= size {
			return
		}
		a.body, a.cut = a.body.first(at), true
	}
	x.s.faults.count(t)
}

// end is the byte where a body ends: At, or one that the seed chooses below a bound.
func (t *trouble) end(size, below int64) int64 {
	switch {
	case t.At < 0:
		return 0
	case t.At > 0:
		return min(int64(t.At), size)
	}
	return int64(t.chance(1) % uint64(below))
}
