package control

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// maxPath is the longest name that a socket can have where it may have the least, which is macOS: 104 bytes with the zero at the end.
const maxPath = 103

// A socket is made as socketName in a private folder whose name begins with newFolder.
const (
	newFolder  = ".syncd-"
	socketName = "s"
	longestNew = len(newFolder) + len("4294967295/") + len(socketName)
)

// Path returns where the socket of a warehouse is: beside the file, whatever way its name is spelt. Where that name would be too long for a
// socket, it is in a private folder of the user's, under a name made from the file's; [Listen] and [Client] check that the folder is private.
// The holder asks when it has opened the warehouse, so that a link to the file leads somewhere.
func Path(warehouse string) string {
	file := resolve(warehouse)
	beside := file + ".sock"
	if len(filepath.Dir(file))+1+max(len(filepath.Base(beside)), longestNew) <= maxPath {
		return beside
	}
	sum := sha256.Sum256([]byte(file))
	return filepath.Join(userFolder(), hex.EncodeToString(sum[:12])+".sock")
}

// resolve gives every spelling of a file the same name. Of a file that is not there, the folder is resolved; of a folder that is not there,
// the name is taken as it stands, and nothing will be found at it.
func resolve(file string) string {
	if abs, err := filepath.Abs(file); err == nil { // without a working directory, only absolute names mean anything
		file = abs
	}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		return real
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(file)); err == nil {
		return filepath.Join(dir, filepath.Base(file))
	}
	return filepath.Clean(file)
}

// userFolder is where sockets are whose own place has too long a name. A job of cron has no XDG_RUNTIME_DIR, where the daemon of the same
// user has one: so the folder that it usually names is used wherever it is there.
func userFolder() string {
	uid := strconv.Itoa(os.Geteuid())
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "syncd")
	}
	if usual := filepath.Join("/run/user", uid); private(usual) == nil {
		return filepath.Join(usual, "syncd")
	}
	return filepath.Join(os.TempDir(), "syncd-"+uid)
}

// checkFolder refuses a socket in the user's own folder unless that is private: in a folder for all, such as /tmp, anyone could have made it
// first, and be at the other end. A folder beside a warehouse is trusted as far as the warehouse is.
func checkFolder(socket string) error {
	dir := filepath.Dir(socket)
	if dir != userFolder() {
		return nil
	}
	err := private(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("use the folder of control sockets: %w; remove it, or set XDG_RUNTIME_DIR to a folder of your own", err)
	}
	return err
}

// private refuses what is no folder of this user's that is closed to all others.
func private(dir string) error {
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", dir)
	case !ownedByUser(info):
		return fmt.Errorf("%s belongs to another user", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s is open to other users (mode %04o, want 0700)", dir, info.Mode().Perm())
	}
	return nil
}
