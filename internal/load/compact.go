package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"syncd/internal/disk"
)

// # Compaction
//
// DuckDB uses the room of what was deleted again, and gives little of it back. So everything is written into a new file beside the warehouse, which then
// takes its name. Writers wait meanwhile; readers have the copy that is theirs.
//
// There are two names beside the warehouse's own. Under the first the new file is made; under the second the old one is kept until the new one has been
// opened. Only the process that has DuckDB's lock of the warehouse gives them, so whoever opens the warehouse after it removes what it finds there. At no
// moment is there nothing under the warehouse's own name, where the file system knows hard links, nor a log beside it that belongs to the other file:
// the old one has none when its name is given away, and the new one has none before it is opened by it.
//
// The lock is never let go of. The old file is open, and so locked, until it has lost its name; the new one is locked before it gets it.

// Compaction says how a warehouse is compacted.
type Compaction struct {
	Tell func(done, total int64) // is told how many bytes of the new file are written, of about how many; nil: nobody wants to know
	Step func(name string) error // is called before each step; where it fails, so does the step. For tests; nil: nothing
}

// Compacted is what came of a compaction.
type Compacted struct {
	Before int64         `json:"before"` // bytes of the file
	After  int64         `json:"after"`
	Rows   int64         `json:"rows"` // of all tables
	Took   time.Duration `json:"took"` // writers waited all of it
}

// Compact writes everything into a new file, checks it, and puts it in the place of the old one. Where it fails or is stopped, the old file stays in use.
// The epoch is another one afterwards.
//
// If the process dies, at whatever moment, the file under the warehouse's name is the old one or the new one, whole; the next Open removes the other.
func (w *Warehouse) Compact(ctx context.Context, o Compaction) (done Compacted, err error) {
	began := time.Now()
	if err := w.still.take(ctx); err != nil {
		return done, err
	}
	defer w.still.give()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.reopen(ctx); err != nil {
		return done, err
	}
	c := compaction{w: w, o: o, path: realPath(w.path)}
	if done, err = c.do(ctx); err != nil {
		if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
			err = fmt.Errorf("%w: %w", ctx.Err(), err) // DuckDB says no more than "interrupted"
		}
		return done, fmt.Errorf("compact %s: %w", w.path, err)
	}
	done.Took = time.Since(began)
	return done, nil
}

// compaction is one under way.
type compaction struct {
	w    *Warehouse
	o    Compaction
	path string           // of the file itself, wherever links to it are
	ids  map[string]int64 // the last that was taken of each sequence
	rows map[string]int64 // of each table
	made fs.FileInfo      // the new file, as it was made
}

// The names beside the warehouse's own.
func newOf(path string) string { return path + ".compacting" }
func oldOf(path string) string { return path + ".before-compacting" }

// step announces a step.
func (c *compaction) step(name string) error {
	if c.o.Step == nil {
		return nil
	}
	return c.o.Step(name)
}

func (c *compaction) do(ctx context.Context) (done Compacted, err error) {
	if err := c.settle(ctx); err != nil {
		return done, err
	}
	if done.Before, err = c.hasRoom(ctx); err != nil {
		return done, err
	}
	removeWarehouse(newOf(c.path))
	defer func() {
		if err != nil {
			removeWarehouse(newOf(c.path))
		}
	}()
	if done.Rows, err = c.write(ctx); err != nil {
		return done, c.w.trouble(err)
	}
	info, err := os.Stat(newOf(c.path))
	if err != nil {
		return done, err
	}
	done.After = info.Size()
	return done, c.swap(ctx)
}

// settle brings everything into the file, so that it has no log. The numbers of sequences are taken before, as that is a change.
func (c *compaction) settle(ctx context.Context) (err error) {
	if err := c.step("settle"); err != nil {
		return err
	}
	if c.ids, err = c.w.takeIDs(ctx); err != nil {
		return c.w.trouble(err)
	}
	if err := c.w.checkpoint(ctx); err != nil {
		return err
	}
	if n := c.w.LogSize(); n > 0 {
		return fmt.Errorf("its write-ahead log still holds %d bytes after a checkpoint", n)
	}
	return nil
}

// hasRoom fails where the disk has too little room for the new file, and tells how large the old one is.
func (c *compaction) hasRoom(ctx context.Context) (int64, error) {
	b, err := c.w.blocks(ctx)
	if err != nil {
		return 0, c.w.trouble(err)
	}
	need := b.Bytes - b.Free
	dir := filepath.Dir(c.path)
	if free, known := disk.Free(dir); known && free < need+room {
		return 0, fmt.Errorf("the new file takes up to %d MB beside the old one, and %s has %d MB of room; make some, and try again", (need+room)>>20, dir, free>>20)
	}
	return b.Bytes, nil
}

// swap has the new file on the disk, and gives it the warehouse's name.
func (c *compaction) swap(ctx context.Context) error {
	if err := c.step("make durable"); err != nil {
		return err
	}
	unlock, err := c.secure()
	if err != nil {
		return err
	}
	kept := false
	defer func() {
		if !kept {
			unlock()
		}
	}()
	if err := c.rename(); err != nil {
		return err
	}
	// From here on the new file is the warehouse. DuckDB still has the old one open, which nobody writes, and then no more.
	_ = c.w.hangUp() // it has nothing left to write
	c.w.unlock, kept = unlock, true
	if err := c.take(ctx); err != nil {
		return errors.Join(err, c.back(ctx))
	}
	if err := c.step("remove the old file"); err != nil {
		return nil // the new one is in use: what is left is for the next Open to remove
	}
	_ = os.Remove(oldOf(c.path)) // what cannot be removed does no harm, and the next Open tries again
	return nil
}

// secure has the new file on the disk and locks it as DuckDB does, so that no other process can take it before this one has it open under its
// new name.
func (c *compaction) secure() (unlock func(), err error) {
	info, err := os.Stat(c.path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(LogPath(newOf(c.path))); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("the write-ahead log of the new file is not empty")
	}
	if err := os.Chmod(newOf(c.path), info.Mode().Perm()); err != nil {
		return nil, err
	}
	if err := syncFile(newOf(c.path)); err != nil {
		return nil, err
	}
	if c.made, err = os.Stat(newOf(c.path)); err != nil {
		return nil, err
	}
	return lockAsDuckDB(newOf(c.path))
}

// rename keeps the old file under its other name, and gives the new one the warehouse's. A log of the old file would be taken for the new one's: it is
// empty, and goes first.
//
// If the process dies before the second name is given, the old file is the warehouse; after it, the new one is. Where the file system has no hard links the
// old file is without a name of its own in between, and the next Open gives that back.
func (c *compaction) rename() error {
	if err := c.step("keep the old file"); err != nil {
		return err
	}
	old := oldOf(c.path)
	if err := errors.Join(removeIfThere(old), removeIfThere(c.path+".wal")); err != nil {
		return err
	}
	if err := os.Link(c.path, old); err != nil {
		if err := os.Rename(c.path, old); err != nil {
			return err
		}
	}
	if err := syncFolder(c.path); err != nil {
		return errors.Join(err, c.undo())
	}
	if err := c.step("give the new file its name"); err != nil {
		return errors.Join(err, c.undo())
	}
	if err := os.Rename(newOf(c.path), c.path); err != nil {
		return errors.Join(err, c.undo())
	}
	if err := syncFolder(c.path); err != nil {
		return errors.Join(err, os.Rename(old, c.path)) // DuckDB has it open still
	}
	return nil
}

// undo takes the second name from the old file, or gives it its first one back.
func (c *compaction) undo() error {
	if err := restore(c.path); err != nil {
		return err // the second name may be the only one
	}
	return removeIfThere(oldOf(c.path))
}

// take opens the new file under the warehouse's name, and looks whether everything is there.
func (c *compaction) take(ctx context.Context) error {
	if err := c.step("open the new file"); err != nil {
		return err
	}
	c.w.lost = true
	unstopped := context.WithoutCancel(ctx) // it is done but for this
	if err := c.w.reopen(unstopped); err != nil {
		return err
	}
	if err := c.step("check the new file"); err != nil {
		return err
	}
	return c.w.holds(unstopped, c.rows)
}

// back gives the old file its name again, where the new one cannot be used. To close the new one has let go of its lock, so that another process may have
// taken it and gone on with it: then it stays.
func (c *compaction) back(ctx context.Context) error {
	_ = c.w.hangUp()
	c.w.letGo()
	unlock, err := lockAsDuckDB(c.path)
	if err != nil {
		return err
	}
	now, err := os.Stat(c.path)
	if err == nil && (!os.SameFile(now, c.made) || now.Size() != c.made.Size() || !now.ModTime().Equal(c.made.ModTime())) {
		err = fmt.Errorf("another process has written the new file, so it stays; the old one is %s", oldOf(c.path))
	}
	if err == nil {
		err = errors.Join(removeIfThere(c.path+".wal"), os.Rename(oldOf(c.path), c.path), syncFolder(c.path))
	}
	unlock()
	c.w.lost = true
	return errors.Join(err, c.w.reopen(context.WithoutCancel(ctx)))
}

// restore gives a warehouse file its name back that a process which died while it swapped it has left without: only where there are no hard links.
// Of several processes that do so at once, one does.
func restore(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := os.Lstat(oldOf(path)); errors.Is(err, fs.ErrNotExist) {
		return nil // so that a folder which cannot be written is told of by what opens the warehouse
	}
	if err := os.Rename(oldOf(path), path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
