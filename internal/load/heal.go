package load

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"
)

// damagedLog is how DuckDB names the first entry of a write-ahead log that is not what was written.
var damagedLog = regexp.MustCompile(`Corrupt WAL file: entry at byte position (\d+)`)

// heal cuts a write-ahead log off where its damage begins, and reports whether it did. DuckDB by itself leaves out a commit that is not whole
// at the log's end, but refuses a file whose log was damaged otherwise, as by a power loss that left zeros where the last commit was to be. Every
// commit before the damage is whole and stays. What came after it, its claims of coverage included, has then never happened, so it is read
// again from the providers. (Damage to an entry's length looks to DuckDB like a log that ends there, and it cuts it off by itself.) A copy of the log is kept beside the file, as a provider may not have everything any more.
//
// If the process dies in between, the log is damaged as before, or cut off, and the copy is there.
func heal(path string, cause error) (told string, _ error) {
	m := damagedLog.FindStringSubmatch(cause.Error())
	if m == nil {
		return "", nil
	}
	at, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return "", fmt.Errorf("the write-ahead log is damaged, and DuckDB does not say where: %w", err)
	}
	log := path + ".wal"
	info, err := os.Stat(log)
	if err != nil {
		return "", fmt.Errorf("look at the write-ahead log, which is damaged: %w", err)
	}
	if at >= info.Size() {
		return "", nil // there is nothing to cut off
	}
	kept := log + ".damaged-" + time.Now().UTC().Format("20060102T150405.000000Z")
	if err := copyFile(kept, log); err != nil {
		return "", fmt.Errorf("the write-ahead log is damaged from byte %d on, and no copy of it can be kept: %w", at, openError(err))
	}
	if err := os.Truncate(log, at); err != nil {
		return "", fmt.Errorf("the write-ahead log is damaged from byte %d on, and cannot be cut off there: %w", at, openError(err))
	}
	return fmt.Sprintf("the write-ahead log was damaged, as by a power loss: its first %d of %d bytes hold and were kept, and what came after is read again; the whole of it was put aside as %s",
		at, info.Size(), kept), nil
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
	}()
	if _, err := out.ReadFrom(in); err != nil {
		return err
	}
	return out.Sync()
}
