package load_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/load"
	"syncd/internal/smalldisk"
)

const (
	compacted = "SYNCD_TEST_COMPACT" // the file that the other process compacts
	killedAt  = "SYNCD_TEST_KILLED_AT"
)

// TestCompactionInAnotherProcess is the other process that compacts. It kills itself at a step, or is killed.
func TestCompactionInAnotherProcess(t *testing.T) {
	path := os.Getenv(compacted)
	if path == "" {
		t.Skip("it is run by other tests")
	}
	w := open(t, path)
	fmt.Println("open")
	for {
		if _, err := w.Compact(t.Context(), load.Compaction{Step: func(name string) error {
			if name == os.Getenv(killedAt) {
				return syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
			return nil
		}}); err != nil {
			t.Fatal(err)
		}
	}
}

// killed has a copy of a warehouse compacted by another process, which is killed at a step, or after a while, and returns the copy.
func killed(t *testing.T, dir, step string, after time.Duration) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(to, "calls.duckdb")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCompactionInAnotherProcess$")
	cmd.Env = append(os.Environ(), compacted+"="+path, killedAt+"="+step)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	if !said.Scan() || said.Text() != "open" {
		t.Errorf("the other process says %q", said.Text())
	}
	if step == "" {
		time.Sleep(after)
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	}
	for said.Scan() {
		t.Errorf("the other process says %q", said.Text())
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("the other process: %v", err)
	}
	return path
}

// Each step of a compaction, and thirty moments besides, are the last of a process. The next one to open the warehouse finds every row, and nothing beside it.
func TestACompactionThatIsKilledCostsNothing(t *testing.T) {
	dir := t.TempDir()
	w := open(t, filepath.Join(dir, "calls.duckdb"))
	upsert(t, w, batch(0, 400)...)
	execute(t, w, `DELETE FROM calls WHERE call_id > 'call-2'`)
	want, said := whole(t, w), catalog(t, w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var left []string
	check := func(t *testing.T, path string) {
		names, err := filepath.Glob(path + "*")
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		for _, name := range names {
			left = append(left, strings.TrimPrefix(name, path))
		}
		mu.Unlock()
		w := open(t, path)
		defer w.Close()
		if diff := cmp.Diff(want, whole(t, w)); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(said, catalog(t, w)); diff != "" {
			t.Errorf("catalog (-want +got):\n%s", diff)
		}
		upsert(t, w, batch(400, 1)...)
		onlyFiles(t, filepath.Dir(path), "calls.duckdb")
	}
	t.Run("all", func(t *testing.T) {
		for _, step := range steps(t) {
			t.Run(step, func(t *testing.T) {
				t.Parallel()
				check(t, killed(t, dir, step, 0))
			})
		}
		for n := range 30 {
			t.Run(fmt.Sprint("moment ", n), func(t *testing.T) {
				t.Parallel()
				check(t, killed(t, dir, "", rand.N(300*time.Millisecond)))
			})
		}
	})
	for _, suffix := range []string{".compacting", ".before-compacting"} {
		if !slices.Contains(left, suffix) {
			t.Errorf("no process was killed that left a file with the ending %s: %q", suffix, left)
		}
	}
}

// While a file is compacted no other process gets it, before, during and after the swap.
func TestAnotherProcessWaitsForACompaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	if asked := os.Getenv(compacted); asked != "" {
		_, err := load.Open(t.Context(), load.Options{Path: asked})
		fmt.Println("it says:", err)
		return
	}
	w := open(t, path)
	defer w.Close()
	upsert(t, w, batch(0, 10)...)
	ask := func(when string) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAnotherProcessWaitsForACompaction$", "-test.v")
		cmd.Env = append(os.Environ(), compacted+"="+path)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), load.ErrBusy.Error()) {
			t.Errorf("%s: %v: %s", when, err, out)
		}
	}
	compact(t, w, load.Compaction{Step: func(name string) error {
		if slices.Contains([]string{"checkpoint", "keep the old file", "give the new file its name", "open the new file", "remove the old file"}, name) {
			ask(name)
		}
		return nil
	}})
	ask("after it")
	upsert(t, w, batch(10, 10)...)
	expect(t, w, `SELECT count(*) FROM calls`, "20")
}

func TestThereMustBeRoomForACompaction(t *testing.T) {
	smalldisk.Run(t, 64<<20, func(t *testing.T, dir string) {
		w := open(t, filepath.Join(dir, "calls.duckdb"))
		defer w.Close()
		upsert(t, w, batch(0, 3000)...)
		before := whole(t, w)
		empty := smalldisk.Fill(t, dir, 12<<20)
		if _, err := w.Compact(t.Context(), load.Compaction{}); err == nil || !strings.Contains(err.Error(), "MB of room; make some") {
			t.Errorf("got %v", err)
		}
		empty()
		// There is room when it is asked, and somebody else takes it.
		_, err := w.Compact(t.Context(), load.Compaction{Step: func(name string) error {
			if name == "copy main" {
				empty = smalldisk.Fill(t, dir, 512<<10)
			}
			return nil
		}})
		if err == nil || !strings.Contains(err.Error(), "the disk is full: make room") {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff(before, whole(t, w)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		empty()
		onlyFiles(t, dir, "calls.duckdb")
		upsert(t, w, batch(3000, 100)...)
		compact(t, w, load.Compaction{})
		expect(t, w, `SELECT count(*) FROM calls`, "3100")
	})
}
