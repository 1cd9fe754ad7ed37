//go:build unix

package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"syncd/internal/config"
)

// guarded are the two kinds of file that are read: each of them makes one at a path, and reads it by its name.
var guarded = map[string]struct {
	make func(t *testing.T, path string, mode os.FileMode)
	read func(t *testing.T, path string) error
}{
	"configuration": {
		func(t *testing.T, path string, mode os.FileMode) { write(t, path, minimal, mode) },
		func(_ *testing.T, path string) error {
			_, err := config.Load(path)
			return err
		},
	},
	"key": {
		func(t *testing.T, path string, mode os.FileMode) { write(t, path, "sk-never-shown\n", mode) },
		func(t *testing.T, path string) error {
			c := load(t, t.TempDir(), "sources:\n  - {name: a, provider: voicy, api_key_file: '"+path+"', start: 2025-01-01}\n")
			_, err := c.Secrets(environment(nil), c.Sources)
			return err
		},
	},
}

// chmod gives a file or folder exactly these permissions.
func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestAFileThatOthersMayWriteIsRefused(t *testing.T) {
	for kind, file := range guarded {
		for mode, ok := range map[os.FileMode]bool{
			0o400: true, 0o600: true, 0o700: true, 0o440: true, 0o444: true, 0o640: true, 0o644: true,
			0o620: false, 0o602: false, 0o660: false, 0o664: false, 0o666: false, 0o777: false,
		} {
			path := filepath.Join(t.TempDir(), "file")
			file.make(t, path, mode)
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{path, link} {
				err := file.read(t, name)
				if (err == nil) != ok {
					t.Errorf("%s with mode %o: %v", kind, mode, err)
				}
				if want := "may be written by others than its owner; run: chmod go-w " + name; err != nil && !strings.HasSuffix(err.Error(), want) {
					t.Errorf("%s with mode %o: %q does not end in %q", kind, mode, err, want)
				}
			}
		}
	}
}

func TestAFileThatEverybodyMayReplaceIsRefused(t *testing.T) {
	for kind, file := range guarded {
		for name, c := range map[string]struct {
			mode os.FileMode
			ok   bool
		}{
			"all may write":                  {0o777, false},
			"all may write, none may look":   {0o773, false},
			"all may write, none may remove": {0o777 | os.ModeSticky, true},
			"a group may write":              {0o775, true},
			"only its owner may":             {0o700, true},
		} {
			open := filepath.Join(t.TempDir(), "open")
			path := filepath.Join(open, "below", "file")
			file.make(t, path, 0o600)
			// A link in a folder that is safe leads to a file in one that is not, and the other way round.
			into, outOf := filepath.Join(t.TempDir(), "into"), filepath.Join(open, "out")
			safe := filepath.Join(t.TempDir(), "file")
			file.make(t, safe, 0o600)
			for link, to := range map[string]string{into: path, outOf: safe} {
				if err := os.Symlink(to, link); err != nil {
					t.Fatal(err)
				}
			}
			beside := filepath.Join(open, "file")
			file.make(t, beside, 0o600)
			chmod(t, open, c.mode)
			for _, read := range []string{path, beside, into, outOf} {
				err := file.read(t, read)
				if (err == nil) != c.ok {
					t.Errorf("%s in a folder that %s, read as %s: %v", kind, name, filepath.Base(read), err)
				}
				real, evalErr := filepath.EvalSymlinks(open)
				if evalErr != nil {
					t.Fatal(evalErr)
				}
				if want := "run: chmod o-w " + real; err != nil && !strings.HasSuffix(err.Error(), want) {
					t.Errorf("%s in a folder that %s: %q does not end in %q", kind, name, err, want)
				}
			}
		}
	}
}

// TestMountedSecretsAreRead lays secrets out as Kubernetes mounts them (links to links, in a folder that all may write and that is sticky) and as
// Docker does (a plain file that all may read).
func TestMountedSecretsAreRead(t *testing.T) {
	mount := t.TempDir()
	write(t, filepath.Join(mount, "..2025_01_01", "key"), "sk-a", 0o440)
	write(t, filepath.Join(mount, "docker"), "sk-a\n", 0o444)
	for link, to := range map[string]string{"..data": "..2025_01_01", "key": filepath.Join("..data", "key")} {
		if err := os.Symlink(to, filepath.Join(mount, link)); err != nil {
			t.Fatal(err)
		}
	}
	chmod(t, mount, 0o777|os.ModeSticky)
	for _, name := range []string{"key", "docker"} {
		if err := guarded["key"].read(t, filepath.Join(mount, name)); err != nil {
			t.Error(err)
		}
	}
}

// TestANamedPipeIsRefusedAtOnce must not wait for somebody to write into it.
func TestANamedPipeIsRefusedAtOnce(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := guarded["key"].read(t, pipe); err == nil || !strings.Contains(err.Error(), "a pipe or a device") {
		t.Error(err)
	}
}

// TestAPathIsWrittenForAShell: a path with a space or a line break in it must not become two words, or two lines.
func TestAPathIsWrittenForAShell(t *testing.T) {
	for folder, want := range map[string]string{"my $keys": `my $keys/it'\''s a key'`, "my\nkeys": `my\nkeys/it's a key"`} {
		path := filepath.Join(t.TempDir(), folder, "it's a key")
		guarded["configuration"].make(t, path, 0o666)
		if err := guarded["configuration"].read(t, path); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Error(err)
		}
	}
}
