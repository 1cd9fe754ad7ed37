package control_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"syncd/internal/control"
)

func TestEverySpellingOfAWarehouseHasOneSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	real := filepath.Join(dir, "real")
	if err := errors.Join(os.Mkdir(real, 0o700), os.Symlink(real, filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	want := control.Path(filepath.Join(real, "calls.duckdb"))
	if !strings.HasSuffix(want, filepath.Join("real", "calls.duckdb.sock")) {
		t.Errorf("the socket is at %s", want)
	}
	check := func(spellings ...string) {
		t.Helper()
		for _, s := range spellings {
			if got := control.Path(s); got != want {
				t.Errorf("%s has %s, want %s", s, got, want)
			}
		}
	}
	spellings := []string{"real/calls.duckdb", "./link/calls.duckdb", "link/../real//calls.duckdb", filepath.Join(dir, "link", "calls.duckdb")}
	check(spellings...) // before the file is there
	if err := errors.Join(os.WriteFile("real/calls.duckdb", nil, 0o600), os.Symlink("real/calls.duckdb", "other.duckdb")); err != nil {
		t.Fatal(err)
	}
	check(append(spellings, "other.duckdb")...)
}

func TestALongPathHasItsSocketInAPrivateFolder(t *testing.T) {
	run, err := os.MkdirTemp("", "run")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	t.Setenv("XDG_RUNTIME_DIR", run)
	long := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	path := control.Path(filepath.Join(long, "calls.duckdb"))
	if other := control.Path(filepath.Join(long, "other.duckdb")); filepath.Dir(path) != filepath.Join(run, "syncd") || other == path {
		t.Fatalf("sockets at %s and %s", path, other)
	}
	c := control.Client{Path: path}
	if _, err := c.Status(t.Context()); !errors.Is(err, control.ErrNobody) {
		t.Errorf("without the folder: %v, want ErrNobody", err)
	}
	stop := serve(t, listen(t, path), holder{})
	if info, err := os.Lstat(filepath.Dir(path)); err != nil || info.Mode() != fs.ModeDir|0o700 {
		t.Errorf("the folder is %v, %v", info.Mode(), err)
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Error(err)
	}
	// A folder that others can enter may hold anyone's socket: neither end uses it.
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Status(t.Context()); err == nil || errors.Is(err, control.ErrNobody) || !strings.Contains(err.Error(), "open to other users") {
		t.Errorf("in an open folder, the client got %v", err)
	}
	stop()
	if l, err := control.Listen(path); err == nil {
		l.Close()
		t.Error("listens in an open folder")
	}
}

func TestThePathsOfAllLengthsCanBeListenedAt(t *testing.T) {
	run, err := os.MkdirTemp("", "r")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	t.Setenv("XDG_RUNTIME_DIR", run)
	for n := 60; n < 110; n++ {
		dir := run + "/" + strings.Repeat("d", n-len(run))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "calls.duckdb"} {
			l, err := control.Listen(control.Path(filepath.Join(dir, name)))
			if err != nil {
				t.Errorf("a folder name of %d bytes: %v", n, err)
				continue
			}
			l.Close()
		}
	}
}

// No process can listen where no socket can be, so a command has nobody to hand its work to, and does it itself.
func TestWhereEveryNameIsTooLongNobodyListens(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(long, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", long)
	path := control.Path(filepath.Join(long, "calls.duckdb"))
	if _, err := (control.Client{Path: path}).Status(t.Context()); !errors.Is(err, control.ErrNobody) {
		t.Errorf("the client got %v, want ErrNobody", err)
	}
	if l, err := control.Listen(path); err == nil || !strings.Contains(err.Error(), "too long for a socket: put the warehouse") {
		t.Errorf("the listener got %v, %v, want an error that says what to do", l, err)
	}
}
