package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// Client speaks to the process that holds a warehouse.
type Client struct {
	Path string // of the socket, see [Path]

	patience time.Duration // 0: a minute
}

// Do hands work over and follows it to its end, telling tell each event in order. It ends early, and the work with it, when ctx ends or tell
// fails. Its error is ErrNobody, ErrRefused, ErrGone, ctx's, tell's, or a *Failure of the work itself.
func (c Client) Do(ctx context.Context, w Work, tell func(Event) error) error {
	body, err := encode(w)
	if err == nil && len(body) > maxRequest {
		err = fmt.Errorf("its arguments take %d bytes, %d are allowed", len(body), maxRequest)
	}
	if err != nil {
		return fmt.Errorf("hand over %s: %w", w.Command, err)
	}
	err = c.ask(ctx, http.MethodPost, workPath, body, func(r io.Reader, alive *time.Timer) error { return c.follow(r, alive, tell) })
	if f := (*Failure)(nil); err != nil && !errors.As(err, &f) {
		return fmt.Errorf("hand over %s: %w", w.Command, err)
	}
	return err
}

// follow reads the stream to its end.
func (c Client) follow(r io.Reader, alive *time.Timer, tell func(Event) error) error {
	for lines := json.NewDecoder(r); ; {
		var f frame
		if err := lines.Decode(&f); err != nil {
			return fmt.Errorf("%w (%w)", ErrGone, err)
		}
		alive.Stop() // what tell does with an event takes its own time
		switch {
		case f.End != nil && f.End.Refused:
			return ErrRefused
		case f.End != nil && f.End.Failure != nil:
			return f.End.Failure
		case f.End != nil:
			return nil
		case f.Event != nil:
			if err := tell(*f.Event); err != nil {
				return err
			}
		}
		alive.Reset(c.waits())
	}
}

// Status returns the holder's state. Its error is as that of Do.
func (c Client) Status(ctx context.Context) (json.RawMessage, error) {
	var state json.RawMessage
	err := c.ask(ctx, http.MethodGet, statusPath, nil, func(r io.Reader, _ *time.Timer) (err error) {
		if state, err = io.ReadAll(r); err != nil {
			return fmt.Errorf("%w (%w)", ErrGone, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ask for the status: %w", err)
	}
	return state, nil
}

func (c Client) waits() time.Duration {
	if c.patience > 0 {
		return c.patience
	}
	return patience
}

// ask sends one request and has its answer read. Without a word for as long as alive is set to, the connection is cut.
func (c Client) ask(ctx context.Context, method, path string, body []byte, read func(r io.Reader, alive *time.Timer) error) (err error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // what came over it was read, or is given up
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alive := time.AfterFunc(c.waits(), func() { cancel(fmt.Errorf("%w (it said nothing for %s)", ErrGone, c.waits())) })
	defer alive.Stop()
	defer func() {
		// A connection that broke because it was cut here is told by why it was cut.
		switch {
		case !errors.Is(err, ErrGone):
		case ctx.Err() != nil:
			err = ctx.Err()
		case limited.Err() != nil:
			err = context.Cause(limited)
		}
	}()
	req, err := http.NewRequestWithContext(limited, method, "http://syncd"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	transport := &http.Transport{
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives:  true,
		DisableCompression: true,
	}
	res, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%w (%w)", ErrGone, err)
	}
	defer res.Body.Close() //nolint:errcheck // an answer that was read to its end, or is given up, has nothing left to say
	if res.StatusCode != http.StatusOK {
		return refusal(res)
	}
	return read(res.Body, alive)
}

// dial connects to the socket, if it is the user's own.
func (c Client) dial(ctx context.Context) (net.Conn, error) {
	if len(c.Path) > maxPath {
		return nil, fmt.Errorf("%w %s", ErrNobody, c.Path) // no process can
	}
	var conn net.Conn
	err := checkFolder(c.Path)
	if err == nil {
		conn, err = new(net.Dialer).DialContext(ctx, "unix", c.Path)
	}
	if err != nil {
		if nobody(err) {
			return nil, fmt.Errorf("%w %s", ErrNobody, c.Path)
		}
		return nil, err
	}
	uid, known, err := peer(conn.(*net.UnixConn))
	if err == nil && known && !mayAnswer(os.Geteuid(), uid) {
		err = fmt.Errorf("the process at control socket %s belongs to user %d; run this as that user", c.Path, uid)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// refusal is the error of an answer that is no stream.
func refusal(res *http.Response) error {
	if res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusMethodNotAllowed {
		return errors.New("the syncd that holds the warehouse is of another version; restart it")
	}
	var f Failure
	if err := json.NewDecoder(res.Body).Decode(&f); err != nil {
		return fmt.Errorf("%w (status %d: %w)", ErrGone, res.StatusCode, err)
	}
	return &f
}
