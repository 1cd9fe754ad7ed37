package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Listener is an open control socket. Clients that come before Serve wait for it.
type Listener struct {
	inHand sync.WaitGroup // work that handlers do
	// Report, where it is set before Serve, is told of what no client can be told.
	Report func(error)

	path     string
	socket   *net.UnixListener
	file     fs.FileInfo // the socket's file, to know it from a later one
	patience time.Duration
	sign     time.Duration
	parting  time.Duration
	own      int // the user whose work is done
	remove   func() error
}

// Listen opens the socket for this user alone. One that a dead process left is replaced; where a living one listens, it fails with ErrBusy.
func Listen(path string) (*Listener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("listen at control socket %s: %w", path, err)
	}
	return l, nil
}

func listen(path string) (*Listener, error) {
	dir := filepath.Dir(path)
	if len(dir)+1+max(len(filepath.Base(path)), longestNew) > maxPath {
		return nil, errors.New("its name is too long for a socket: put the warehouse into a folder with a shorter name, or let XDG_RUNTIME_DIR or TMPDIR name one")
	}
	if dir == userFolder() {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	if err := checkFolder(path); err != nil {
		return nil, err
	}
	// One process at a time: between a look at a dead socket and its removal, another could put a living one there.
	unlock := lockFolder(dir)
	defer unlock()
	sweep(dir)
	// The socket is made in a folder that nobody else can enter and moved into place once its mode is right: at no moment can another user
	// connect. If the process dies here, the folder is swept by a later Listen.
	made, err := os.MkdirTemp(dir, newFolder+"*")
	if err != nil {
		return nil, err
	}
	defer removeFolder(made)
	name := filepath.Join(made, socketName)
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, err
	}
	socket.SetUnlinkOnClose(false) // it would remove a name that the socket no longer has
	l := &Listener{path: path, socket: socket, patience: patience, sign: signOfLife, parting: partingTime, own: os.Geteuid()}
	l.remove = sync.OnceValue(l.removeFile)
	if err := l.publish(name); err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	return l, nil
}

// publish gives the new socket its name, in place of a dead one. If the process dies here, no socket or a dead one has the name, and the
// next Listen takes it.
func (l *Listener) publish(name string) (err error) {
	if err := os.Chmod(name, 0o600); err != nil {
		return err
	}
	if l.file, err = os.Lstat(name); err != nil {
		return err
	}
	there, err := os.Lstat(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case there.Mode().Type() != fs.ModeSocket:
		return errors.New("something that is no socket has its name; move it away")
	default:
		if err := mustBeDead(l.path); err != nil {
			return err
		}
	}
	return os.Rename(name, l.path)
}

// mustBeDead fails with ErrBusy where a process listens. Only a refused connection proves that none does: a full queue is a living process too.
func mustBeDead(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(ErrBusy, conn.Close())
	}
	if nobody(err) {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrBusy, err)
}

// nobody reports whether an error of connecting says that no process listens.
func nobody(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// Close stops listening and removes the socket. A Listener that is served closes itself.
func (l *Listener) Close() error {
	err := errors.Join(l.remove(), l.socket.Close())
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// removeFile removes the socket's file while the socket still listens: a dead one, another process might replace at the same moment.
func (l *Listener) removeFile() error {
	info, err := os.Lstat(l.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, l.file) {
		return nil
	}
	if err == nil {
		err = os.Remove(l.path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove control socket %s: %w", l.path, err)
	}
	return nil
}

// removeFolder removes the folder that a socket was made in. What cannot be removed does no harm, and the next sweep tries again.
func removeFolder(dir string) {
	_ = os.Remove(filepath.Join(dir, socketName))
	_ = os.Remove(dir)
}

// sweep removes what processes left that died while they made a socket, once it is old enough to be nobody's.
func sweep(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // making the socket's folder will tell
	}
	for _, e := range entries {
		if ours, _ := filepath.Match(newFolder+"[0-9]*", e.Name()); !ours || !e.IsDir() {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Hour {
			removeFolder(filepath.Join(dir, e.Name()))
		}
	}
}
