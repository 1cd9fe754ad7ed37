package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"unicode"
)

// # Whose files these are
//
// Whoever can write the configuration chooses where keys are sent, and whoever can write a key file chooses whose calls are fetched. So both
// are refused where group or others may write them, and where every user of the machine may put another file in their place: in a folder on
// the way to them that everybody may write and that has no sticky bit.
//
// Two things are let through, as refusing them would refuse what is right. A key file that others may read: secrets that Docker and Kubernetes
// mount are root's, with mode 0444 or 0440, and could not be read by syncd's own user otherwise. And a folder that a group may write, which is
// how every folder is made where each user has a group of their own (umask 002).
//
// The modes are those of the file that is open, not of its name, so that it cannot be exchanged between the look and the reading. The folders
// are looked at afterwards: what they allow by then they allowed all the time, unless their owner has changed it.

// readGuarded reads an open file to its end, or to one byte more than most, unless it is a folder or others could have written it.
func readGuarded(f *os.File, most int64) ([]byte, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, unreadable(err)
	case info.IsDir():
		return nil, errors.New("is a folder; want a file")
	case writable(info, 0o022):
		return nil, fmt.Errorf("may be written by others than its owner; run: chmod go-w %s", argument(f.Name()))
	}
	if info.Mode().IsRegular() {
		if err := guardFolders(f.Name(), info); err != nil {
			return nil, err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, unreadable(err)
	}
	return data, nil
}

// guardFolders refuses a file that everybody may replace: where its name stands, or, if that is a link, where the file itself does.
func guardFolders(name string, opened fs.FileInfo) error {
	named, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return unreadable(err)
	}
	if named, err = filepath.EvalSymlinks(named); err != nil {
		return unreadable(err)
	}
	file, err := filepath.EvalSymlinks(filepath.Join(named, filepath.Base(name)))
	if err != nil {
		return unreadable(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		return unreadable(err)
	}
	if !os.SameFile(info, opened) {
		return errors.New("was replaced while it was read; run it again")
	}
	for _, folder := range []string{named, filepath.Dir(file)} {
		if err := guardFolder(folder); err != nil {
			return err
		}
	}
	return nil
}

// guardFolder refuses a folder in which, or above which, everybody may replace what is not theirs.
func guardFolder(folder string) error {
	for {
		info, err := os.Stat(folder)
		if err != nil {
			return unreadable(err)
		}
		if writable(info, 0o002) && info.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("may be replaced by every user of this machine, as it is below a folder that all may write; run: chmod o-w %s", argument(folder))
		}
		above := filepath.Dir(folder)
		if above == folder {
			return nil
		}
		folder = above
	}
}

// writable reports whether a file has one of the permissions. Windows has none that Go could tell.
func writable(info fs.FileInfo, mask fs.FileMode) bool {
	return runtime.GOOS != "windows" && info.Mode()&mask != 0
}

var plainArgument = regexp.MustCompile(`^[\pL\pN_./:@%+=,-]+$`)

// argument writes a path so that it can be copied into a shell, in one plain line.
func argument(path string) string {
	switch {
	case plainArgument.MatchString(path):
		return path
	case strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }):
		return strconv.Quote(path) // to be read by a person: no shell reads it so
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

func unreadable(err error) error { return fmt.Errorf("cannot be read: %w", bare(err)) }

// bare takes operation and path off an error of the file system: both are told by who reports it.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
