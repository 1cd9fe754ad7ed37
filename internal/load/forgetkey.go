package load

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// # The key of the list of those who are kept out
//
// A phone number has so few digits that a digest of it is no secret: all numbers there are can be digested in minutes. So the digests are made with
// a key, and the key is in a file of its own beside the warehouse, never in it: whoever is given the copy for readers, an export or the warehouse
// itself learns nothing of who was forgotten. It goes where the warehouse goes. Without it nobody could be kept out, so nothing is read then.

// forgetKeyBytes is how long the key is.
const forgetKeyBytes = 32

// ErrNoForgetKey says that there is no key.
var ErrNoForgetKey = errors.New("the key of those who were forgotten is not there")

// ForgetKeyPath is where the key of a warehouse is.
func ForgetKeyPath(warehouse string) string {
	return strings.TrimSuffix(LogPath(warehouse), ".wal") + ".forget.key"
}

// ReadForgetKey reads the key of a warehouse. Its error is ErrNoForgetKey where there is none, and never shows the key.
func ReadForgetKey(warehouse string) ([]byte, error) {
	path := ForgetKeyPath(warehouse)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s", ErrNoForgetKey, path)
	case err != nil:
		return nil, fmt.Errorf("read the key of those who were forgotten: %w", err)
	case !info.Mode().IsRegular() || info.Size() > 1<<10:
		return nil, fmt.Errorf("read the key of those who were forgotten: %s is no key that syncd made; put the right file there", path)
	case info.Mode().Perm()&0o022 != 0:
		return nil, fmt.Errorf("read the key of those who were forgotten: %s can be written by others; run 'chmod 600' on it", path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // beside the warehouse
	if err != nil {
		return nil, fmt.Errorf("read the key of those who were forgotten: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != forgetKeyBytes {
		return nil, fmt.Errorf("read the key of those who were forgotten: %s is no key that syncd made; put the right file there", path)
	}
	return key, nil
}

// MakeForgetKey returns the key of a warehouse, and makes one where there is none. It is on the disk, under its name, when this returns: a digest that was
// made with a key which is then lost would keep everything from being read.
//
// If the process dies before, there is no key, or one that nothing was made with yet and that the next call finds.
func MakeForgetKey(warehouse string) ([]byte, error) {
	key, err := ReadForgetKey(warehouse)
	if !errors.Is(err, ErrNoForgetKey) {
		return key, err
	}
	key = make([]byte, forgetKeyBytes)
	_, _ = rand.Read(key) // it never fails
	if err := keepForgetKey(ForgetKeyPath(warehouse), key); err != nil {
		return nil, fmt.Errorf("make the key of those who are forgotten: %w", err)
	}
	return ReadForgetKey(warehouse)
}

// keepForgetKey writes a key to a name that nobody has yet.
func keepForgetKey(path string, key []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) { // another process made one just now
		return err
	}
	return syncFolder(path)
}

// DamagedLogs are the write-ahead logs that were put aside because they were damaged.
func DamagedLogs(warehouse string) ([]string, error) {
	log := LogPath(warehouse)
	entries, err := os.ReadDir(filepath.Dir(log))
	if err != nil {
		return nil, fmt.Errorf("look for damaged logs that were put aside: %w", err)
	}
	var found []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(log)+damagedMark) {
			found = append(found, filepath.Join(filepath.Dir(log), e.Name()))
		}
	}
	return found, nil
}
