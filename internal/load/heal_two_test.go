package load

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// damagedAt is a warehouse whose log is damaged in its midst.
func damagedAt(t *testing.T, path string) {
	t.Helper()
	w, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 6 {
		commitSource(t, w, fmt.Sprintf("source-%d", n))
	}
	file, err1 := os.ReadFile(path)
	log, err2 := os.ReadFile(path + ".wal")
	if err := errors.Join(err1, err2, w.Close()); err != nil {
		t.Fatal(err)
	}
	clear(log[len(log)/2:])
	if err := errors.Join(os.WriteFile(path, file, 0o600), os.WriteFile(path+".wal", log, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func commitSource(t *testing.T, w *Warehouse, name string) {
	t.Helper()
	if err := w.Write(t.Context(), func(tx *Tx) error {
		_, err := tx.SaveSource(t.Context(), Source{Name: name, Provider: "burki"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// A machine starts again after a power loss, and two processes find the damage at once. The second must not cut off what the first has committed since.
func TestALogThatSomebodyElseHasHealedIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	damagedAt(t, path)
	before := logState(path)
	_, cause := connect(t.Context(), path, settings(Options{}))
	if cause == nil {
		t.Fatal("the log is not damaged")
	}
	other, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	commitSource(t, other, "new")
	size := logState(path).Size()
	if told, err := heal(path, before, cause); told != "" || err != nil {
		t.Errorf("told %q, error %v", told, err)
	}
	if now := logState(path).Size(); now != size {
		t.Errorf("the log of %d bytes was cut off to %d", size, now)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
}

const healing = "SYNCD_TEST_HEALS"

// While another process has the file open, its log is nobody else's to heal, whatever it looks like.
func TestALogOfAFileThatAnotherProcessHasOpenIsLeftAlone(t *testing.T) {
	path := os.Getenv(healing)
	if path != "" {
		_, err := heal(path, logState(path), errors.New("Corrupt WAL file: entry at byte position 100"))
		fmt.Println("heal says:", err)
		return
	}
	path = filepath.Join(t.TempDir(), "calls.duckdb")
	w, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	commitSource(t, w, "new")
	size := logState(path).Size()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), healing+"="+path)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), ErrBusy.Error()) {
		t.Errorf("%v: %s", err, out)
	}
	if now := logState(path).Size(); now != size {
		t.Errorf("the log of %d bytes was cut off to %d", size, now)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// DuckDB keeps the log beside the file, wherever the link to it is.
func TestAWarehouseBehindALinkIsHealed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	damagedAt(t, path)
	link := filepath.Join(dir, "link.duckdb")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	w, err := Open(t.Context(), Options{Path: link})
	if err != nil {
		t.Fatal(err)
	}
	if w.Healed() == "" {
		t.Error("nothing is told")
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
