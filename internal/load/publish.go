package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// # A copy for readers
//
// DuckDB lets one process write a file, and then no other even read it. So readers have a copy, which is replaced whole: who has the old one open
// keeps it, and who opens it anew sees the new one.
//
// A checkpoint brings everything that was committed into the file. From then on nothing of it changes until the next checkpoint: what is committed
// goes into the log, and what is written ahead of a commit goes to blocks that no reader of the file looks at. So writers wait for the checkpoint
// alone, and go on while the file is copied; only another checkpoint waits for the copy. This is not taken on trust: the copy tells by the file's
// headers whether there was a checkpoint all the same, and then is none.
//
// The file is copied by another process. To open it once more in this one and to close it again would give DuckDB's lock on it away.

// The time of a copy, as its file system tells it, is that as of which it is: so who looks at the two files knows what is behind, without
// opening either.

// Publication is a copy of the warehouse that readers have.
type Publication struct {
	At     time.Time     // it shows what was committed by then
	Bytes  int64         // its size
	Cloned bool          // the file system shares its blocks with the warehouse's, so that it took no room and hardly any time
	Held   time.Duration // how long writers waited
	Took   time.Duration // all of it

	ViewErrors []string // why views of the user's own are not in it, a line each
}

// Publishing says where the copy goes and how it is made.
type Publishing struct {
	Path  string // of the copy
	Views string // a folder with views of the user's own, as .sql files; "": none
	Now   func() time.Time
	Copy  func(context.Context, Copy) (Copied, error) // has MakeCopy done by another process
}

// Publish replaces the copy for readers by one of what has been committed. Copies are made one at a time.
//
// The copy appears under its name whole, checked and on the disk, or not at all: if this process or the other dies, or the disk is full, readers
// have the one before, and what was begun is removed by the next Publish.
func (w *Warehouse) Publish(ctx context.Context, o Publishing) (p Publication, err error) {
	path := realPath(o.Path)
	if err := errors.Join(fitName(path), w.notOwn(path)); err != nil {
		return Publication{}, fmt.Errorf("publish %s: %w", o.Path, err)
	}
	began := o.Now()
	if err := w.still.take(ctx); err != nil {
		return Publication{}, err
	}
	defer w.still.give()
	sweep(path, 0) // nobody else makes copies of this name while this process has the warehouse
	c := Copy{From: w.path, Views: o.Views, Memory: w.memory, TempDirectory: w.settings.Get("temp_directory")}
	if c.To, err = newName(path); err != nil {
		return Publication{}, fmt.Errorf("publish %s: %w", path, err)
	}
	defer removeWarehouse(c.To)
	if p.At, p.Held, err = w.settle(ctx, o.Now, &c); err != nil {
		return Publication{}, fmt.Errorf("publish %s: %w", path, err)
	}
	done, err := o.Copy(ctx, c)
	if err != nil {
		return Publication{}, fmt.Errorf("publish %s: %w", path, err)
	}
	if err := keepMode(path, c.To); err != nil {
		return Publication{}, fmt.Errorf("publish %s: %w", path, openError(err))
	}
	if err := replace(c.To, path); err != nil {
		return Publication{}, fmt.Errorf("publish %s: %w", path, openError(err))
	}
	p.Bytes, p.Cloned, p.ViewErrors, p.Took = done.Bytes, done.Cloned, done.ViewErrors, o.Now().Sub(began)
	return p, nil
}

// notOwn refuses a name for the copy that is the warehouse's own, or that of a file that goes with it, however it is spelt.
func (w *Warehouse) notOwn(path string) error {
	for _, suffix := range []string{"", ".wal", ".sock", ".forget.key", ".exports.json", ".compacting", ".before-compacting"} {
		own := realPath(w.path) + suffix
		a, aerr := os.Stat(own)
		b, berr := os.Stat(path)
		same := aerr == nil && berr == nil && os.SameFile(a, b)
		dirs, derr := filepath.EvalSymlinks(filepath.Dir(own))
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if same || derr == nil && err == nil && dirs == dir && filepath.Base(own) == filepath.Base(path) {
			return fmt.Errorf("that is the warehouse's own %s; name another file in warehouse.publish, such as calls.read.duckdb", filepath.Base(own))
		}
	}
	return nil
}

// keepMode gives a new copy the mode of the one before: whoever let others read that means this one, too.
func keepMode(before, to string) error {
	info, err := os.Stat(before)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Chmod(to, info.Mode().Perm())
}

// settle brings everything into the file, and notes what is to be found in a copy of it.
func (w *Warehouse) settle(ctx context.Context, now func() time.Time, c *Copy) (at time.Time, held time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	began := now()
	if err := w.reopen(ctx); err != nil {
		return time.Time{}, 0, err
	}
	if err := w.bringIn(ctx); err != nil {
		return time.Time{}, 0, err
	}
	if c.Rows, err = w.countRows(ctx); err != nil {
		return time.Time{}, 0, w.trouble(err)
	}
	c.At = now().UTC()
	return c.At, now().Sub(began), nil
}

// replace gives a file that is on the disk its name, and has that on the disk, too. If the process dies before, the file that had the name still
// has it. A reader that wrote into the copy before, which is nobody's to write, may have left a log of it: with that the new one could not be opened.
func replace(from, to string) error {
	if err := removeIfThere(to + ".wal"); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncFolder(to)
}
