package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"syncd/internal/fakeapi"
	"syncd/internal/smalldisk"
)

// A disk that is full while a first sync goes on: the command says so, and what to do; once there is room the next one ends as one that nothing
// happened to.
func TestAFullDiskIsToldAndCostsNothing(t *testing.T) {
	t.Parallel()
	smalldisk.Run(t, 48<<20, func(t *testing.T, dir string) {
		_, url := startFake(t, fakeapi.Burki, 3000)
		urls := map[fakeapi.Provider]string{fakeapi.Burki: url}
		whole := t.TempDir()
		if out, code := command(t, syncd("sync", "-c", listsAlone(t, configure(t, whole, urls, "")))); code != exitDone {
			t.Fatalf("exit code %d:\n%s", code, out)
		}
		config := listsAlone(t, configure(t, dir, urls, ""))
		empty := smalldisk.Fill(t, dir, 5<<20)
		for range 2 { // as a cron job would try again
			out, code := command(t, syncd("sync", "-c", config))
			if code != exitFailed || !strings.Contains(out, "the disk is full: make room, nothing that was stored is lost") || strings.Contains(out, "roll back") {
				t.Errorf("exit code %d, want %d and advice:\n%s", code, exitFailed, out)
			}
		}
		empty()
		if out, code := command(t, syncd("sync", "-c", config)); code != exitDone {
			t.Fatalf("with room again, exit code %d:\n%s", code, out)
		}
		sameWarehouse(t, filepath.Join(dir, "calls.duckdb"), filepath.Join(whole, "calls.duckdb"))
	})
}

// A daemon whose disk was full goes on by itself once there is room.
func TestADaemonOutlivesAFullDisk(t *testing.T) {
	t.Parallel()
	smalldisk.Run(t, 48<<20, func(t *testing.T, dir string) {
		_, url := startFake(t, fakeapi.Burki, 3000)
		urls := map[fakeapi.Provider]string{fakeapi.Burki: url}
		config := listsAlone(t, configure(t, dir, urls, "server: {http: \"\"}\n"))
		every(t, config, "1s")
		empty := smalldisk.Fill(t, dir, 2<<20)
		daemon := launch(t, "run", "-c", config)
		daemon.prints("the disk is full: make room")
		empty()
		eventually(t, "all calls are there", func() bool {
			out, code := command(t, syncd("status", "--json", "-c", config))
			return code == exitDone && strings.Contains(out, `"calls": 3000`)
		})
		if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := daemon.ends(patience); code != exitDone && code != 143 {
			t.Errorf("exit code %d", code)
		}
		checkWarehouse(t, filepath.Join(dir, "calls.duckdb"))
	})
}

// A folder that cannot be written is said so before anything is asked of a provider.
func TestAFolderThatCannotBeWrittenIsTold(t *testing.T) {
	t.Parallel()
	smalldisk.Run(t, 8<<20, func(t *testing.T, dir string) {
		fake, url := startFake(t, fakeapi.Burki, 10)
		config := configure(t, dir, map[fakeapi.Provider]string{fakeapi.Burki: url}, "")
		if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"sync"}, {"run"}, {"backfill", "burki", "--from", "2026-01-01"}} {
			out, code := command(t, syncd(append(args, "-c", config)...))
			if code != exitFailed || !strings.Contains(out, dir) || !strings.Contains(out, "must be writable") {
				t.Errorf("%s: exit code %d, want %d and what is wrong with the folder:\n%s", args[0], code, exitFailed, out)
			}
		}
		if n := fake.RequestCount(); n > 0 {
			t.Errorf("%d requests were sent, with nowhere to store an answer", n)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("in the folder: %v, %v; want the configuration alone", left, err)
		}
	})
}
