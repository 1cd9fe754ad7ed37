//go:build unix

package disk

import "golang.org/x/sys/unix"

// Free is how much room a folder's disk has for this user.
func Free(dir string) (n int64, known bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true //nolint:gosec,unconvert // types differ between systems; no disk is that large
}
