package load

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// damagedLog is how DuckDB names the first entry of a write-ahead log that is not what was written.
var damagedLog = regexp.MustCompile(`Corrupt WAL file: entry at byte position (\d+)`)

// damagedMark is what the name of a log that was put aside has after that of the log.
const damagedMark = ".damaged-"

// logState is what a write-ahead log was like at a moment. nil: there was none.
func logState(path string) fs.FileInfo {
	info, err := os.Stat(LogPath(path)) //nolint:gosec // the warehouse's own log
	if err != nil {
		return nil // whether that matters, the opening of the file tells
	}
	return info
}

// LogPath is where DuckDB keeps the write-ahead log of a warehouse, wherever a link to that leads.
func LogPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return path + ".wal"
}

// heal cuts a write-ahead log off where its damage begins, and tells so; "" where there was nothing for it to do, and opening the file again may go
// better. before is what the log was like before it was found damaged.
//
// DuckDB by itself leaves out a commit that is not whole at the log's end, but refuses a file whose log was damaged otherwise, as by a power loss that
// left zeros where the last commit was to be. Every commit before the damage is whole and stays. What came after it, its claims of coverage
// included, has then never happened, so it is read again from the providers. (Damage to an entry's length looks to DuckDB like a log that ends
// there, and it cuts it off by itself.) A copy of the log is kept beside the file, as a provider may not have everything any more.
//
// Two processes may find the damage at once, as when a machine starts again after a power loss; what the first has committed since must not be cut
// off by the second. So it is done under DuckDB's own lock of the file, and to no log that has changed.
//
// If the process dies in between, the log is damaged as before, or cut off, and the copy is there.
func heal(path string, before fs.FileInfo, cause error) (told string, err error) {
	m := damagedLog.FindStringSubmatch(cause.Error())
	if m == nil {
		return "", cause
	}
	at, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return "", cause
	}
	unlock, err := lockAsDuckDB(path)
	if err != nil && !errors.Is(err, ErrBusy) {
		err = fmt.Errorf("%w, and its write-ahead log is damaged; bring back a copy of the file and its log, or move both away and sync again", err)
	}
	if err != nil {
		return "", err
	}
	defer unlock()
	now := logState(path)
	if before == nil || now == nil || !os.SameFile(before, now) || before.Size() != now.Size() || !before.ModTime().Equal(now.ModTime()) {
		return "", nil // somebody else has been there
	}
	if at >= now.Size() {
		return "", cause // there is nothing to cut off
	}
	log := LogPath(path)
	kept := log + damagedMark + time.Now().UTC().Format("20060102T150405.000000Z")
	if err := copyFile(kept, log); err != nil {
		return "", fmt.Errorf("open warehouse %s: the write-ahead log is damaged from byte %d on, and no copy of it can be kept: %w", path, at, openError(err))
	}
	if err := os.Truncate(log, at); err != nil {
		return "", fmt.Errorf("open warehouse %s: the write-ahead log is damaged from byte %d on, and cannot be cut off there: %w", path, at, openError(err))
	}
	return fmt.Sprintf("the write-ahead log was damaged, as by a power loss: its first %d of %d bytes hold and were kept, and what came after is read again; the whole of it was put aside as %s",
		at, now.Size(), kept), nil
}

// copyFile copies a file to a name that nobody has yet, and has it on the disk when it returns.
func copyFile(to, from string) (err error) {
	in, err := os.Open(from) //nolint:gosec // the warehouse's own log
	if err != nil {
		return err
	}
	defer in.Close()                                                      //nolint:errcheck // nothing was written to it
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // beside the warehouse
	if err != nil {
		return err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			_ = os.Remove(to) //nolint:gosec // half a copy is no copy; where even that fails it is left
		}
	}()
	if _, err := out.ReadFrom(in); err != nil {
		return err
	}
	return out.Sync()
}
