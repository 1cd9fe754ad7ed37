//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"syncd/internal/fakeapi"
)

// careless is the command as somebody starts it whose umask lets everybody write whatever is made.
func careless(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	plain := syncd(args...)
	name := filepath.Join(t.TempDir(), "syncd") // the test binary is the command where it is called so
	if err := os.Symlink(plain.Path, name); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", `umask 0; exec "$0" "$@"`, name}, args...)...)
	cmd.Env = plain.Env
	return cmd
}

// modes holds the names seen below a folder, each with every mode that it was seen with.
type modes map[string]map[fs.FileMode]bool

func (m modes) look(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was there for a moment
		}
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if m[name] == nil {
			m[name] = make(map[fs.FileMode]bool)
		}
		m[name][info.Mode()] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// has reports whether a name was seen.
func (m modes) has(pattern string) bool {
	form := regexp.MustCompile(pattern)
	for name := range m {
		if form.MatchString(name) {
			return true
		}
	}
	return false
}

// TestEveryFileIsItsOwnersAloneWhateverTheUmask runs the daemon and a question that outgrows memory, and looks at all that they make, while they do.
func TestEveryFileIsItsOwnersAloneWhateverTheUmask(t *testing.T) {
	t.Parallel()
	s := newSite(t, 200, fakeapi.Voicy)
	s.edit("  path: calls.duckdb\n", "  path: calls.duckdb\n  temp_directory: spill\n")
	s.edit("server: {", "query: {memory_limit: 64MB}\nserver: {")
	dir := filepath.Dir(s.warehouse)
	if err := os.Mkdir(filepath.Join(dir, "spill"), 0o700); err != nil {
		t.Fatal(err)
	}
	seen := make(modes)
	daemon := launchCommand(t, careless(t, "run", "-c", s.config))
	eventually(t, "the daemon has made its files", func() bool {
		seen.look(t, dir)
		return seen.has(`^calls\.duckdb$`) && seen.has(`^calls\.duckdb\.wal$`) && seen.has(`^calls\.duckdb\.sock$`)
	})
	send(t, daemon.Cmd, syscall.SIGTERM)
	if code := daemon.ends(20 * time.Second); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	const heavy = "SELECT md5(range::VARCHAR) AS h FROM range(2000000) ORDER BY h"
	query := launchCommand(t, careless(t, "query", heavy, "--format", "parquet", "-o", filepath.Join(dir, "answer.parquet"), "-c", s.config))
	eventually(t, "the question has outgrown memory, and is answered", func() bool {
		seen.look(t, dir)
		return seen.has(`^spill/.+/`) && seen.has(`^answer\.parquet$`)
	})
	if code := query.ends(time.Minute); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	for name, all := range seen {
		for mode := range all {
			if mode.Perm()&0o077 != 0 {
				t.Errorf("%s was seen with mode %s", name, mode)
			}
		}
	}
}

// TestAConfigurationThatOthersMayWriteIsRefused: the command says which file it is, and what to do.
func TestAConfigurationThatOthersMayWriteIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, fakeapi.Voicy)
	if err := os.Chmod(s.config, 0o660); err != nil {
		t.Fatal(err)
	}
	out, code := s.run("check")
	if want := "syncd: " + s.config + ": may be written by others than its owner; run: chmod go-w " + s.config + "\n"; code != exitUsage || out != want {
		t.Errorf("exit code %d, %q, want %q", code, out, want)
	}
}
