package export

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// What an export keeps at the top of its folder beside the manifest and the tables. None of it ends in .parquet, so that no reader takes it for data.
const (
	lockName   = ".exporting"
	stagedName = "staged"
	tempName   = ".temp"
)

// isOurs reports whether a name at the top of the folder is one that an export makes before its first manifest.
func isOurs(name string) bool { return name == lockName || isLeftover(name) }

// isLeftover reports whether a name is that of something that an export has only while it goes on.
func isLeftover(name string) bool {
	return name == stagedName || name == tempName || name == partOf(manifestName) ||
		strings.HasPrefix(name, "."+stagedName+".") && strings.HasSuffix(name, ".part")
}

// folder is one that is exported to, by this process alone.
type folder struct {
	path   string
	unlock func()
}

// openFolder makes the folder, where there is none, and keeps other exports from it.
func openFolder(dir string) (*folder, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return nil, refuse("it is not a folder; name one")
	}
	if err := makeFolder(path); err != nil {
		return nil, explain(err)
	}
	// The folder is noted beside the warehouse under one name, whichever way it is named.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	f := &folder{path: path}
	if err := f.mayBecomeExport(); err != nil {
		return nil, err
	}
	if f.unlock, err = lock(f.at(lockName)); err != nil {
		return nil, explain(err)
	}
	return f, nil
}

// mayBecomeExport refuses a folder that holds something else before anything is put there.
func (f *folder) mayBecomeExport() error {
	if hasManifest(f.path) {
		return nil
	}
	return f.isEmpty()
}

func (f *folder) close() { f.unlock() }

// at is where a path of the layout is.
func (f *folder) at(path string) string { return filepath.Join(f.path, filepath.FromSlash(path)) }

// staged is where a file is written that has no name yet.
func (f *folder) staged() string { return f.at(stagedName) }

func (f *folder) temp() string { return f.at(tempName) }

// tidy removes what an export has only while it goes on, and left behind if it died.
func (f *folder) tidy() error {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return fmt.Errorf("remove what an earlier export left: %w", err)
	}
	for _, e := range entries {
		if !isLeftover(e.Name()) {
			continue
		}
		if err := os.RemoveAll(f.at(e.Name())); err != nil {
			return fmt.Errorf("remove what an earlier export left: %w", err)
		}
	}
	return nil
}

// place gives the staged file a name of the layout, over the file that had it, and has both on the disk.
func (f *folder) place(path string) (fs.FileInfo, error) {
	target := f.at(path)
	if err := makeFolder(filepath.Dir(target)); err != nil {
		return nil, err
	}
	staged, err := os.OpenFile(f.staged(), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(staged.Chmod(0o600), staged.Sync(), staged.Close()); err != nil {
		return nil, err
	}
	if err := os.Rename(f.staged(), target); err != nil {
		return nil, err
	}
	if err := syncFolder(filepath.Dir(target)); err != nil {
		return nil, err
	}
	return os.Lstat(target)
}

// remove removes a partition's file, and the folders that are empty then. Readers of what is left must not see it come back after a loss of power.
func (f *folder) remove(p partition) error {
	target := f.at(p.path())
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", p.path(), err)
	}
	for dir := filepath.Dir(target); ; dir = filepath.Dir(dir) {
		if err := syncFolder(dir); err != nil {
			return fmt.Errorf("remove %s: %w", p.path(), err)
		}
		if dir == f.path {
			return nil
		}
		if empty := os.Remove(dir) == nil; !empty { // others keep it, or somebody has put something there
			return nil
		}
	}
}

// subfolders returns the values of the folders in a folder whose names begin so.
func subfolders(dir, prefix string) (values []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		escaped, ok := strings.CutPrefix(e.Name(), prefix)
		if value, err := url.PathUnescape(escaped); ok && err == nil && escape(value) == escaped {
			values = append(values, value)
		}
	}
	return values, nil
}

// makeFolder makes a folder and those above it, and has their names on the disk.
func makeFolder(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	above := filepath.Dir(path)
	if above == path {
		return nil
	}
	if err := makeFolder(above); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(above)
}

// partOf is the name under which a file is written that is to have another.
func partOf(name string) string { return "." + name + ".part" }

// replaceFile gives a file other contents, whole and on the disk, or leaves it as it is.
func replaceFile(path string, text []byte) (err error) {
	dir, name := filepath.Split(path)
	part := filepath.Join(dir, partOf(name))
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part) // the next one writes over it
		}
	}()
	_, err = file.Write(text)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	// If the process dies before this, the file is as it was.
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return syncFolder(dir)
}

// syncFolder has the names in a folder on the disk.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// explain says what to do where the disk or the folder does not let anything be written. DuckDB tells why in words alone.
func explain(err error) error {
	says := func(words string) bool { return strings.Contains(err.Error(), words) }
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), says("No space left on device"), says("Disk quota exceeded"):
		return fmt.Errorf("the disk is full: make room and export again; the files that are there are whole: %w", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), says("Read-only file system"):
		return fmt.Errorf("the folder, and all that is in it, must be writable for this user: %w", err)
	}
	return err
}
