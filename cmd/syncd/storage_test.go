package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"

	"syncd/internal/fakeapi"
)

// What stands at the warehouse's path may be anything. Each command says what it is and what to do, touches nothing of it, and asks no provider.
func TestWhatIsNoWarehouseIsToldAndLeftAlone(t *testing.T) {
	t.Parallel()
	sound := filepath.Join(t.TempDir(), "calls.duckdb")
	fake, url := startFake(t, fakeapi.Burki, 400)
	urls := map[fakeapi.Provider]string{fakeapi.Burki: url}
	if out, code := command(t, syncd("sync", "-c", configure(t, filepath.Dir(sound), urls, ""))); code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	file, err := os.ReadFile(sound)
	if err != nil {
		t.Fatal(err)
	}
	asked := fake.RequestCount()
	for name, tt := range map[string]struct {
		make func(t *testing.T, path string)
		says string
	}{
		"a text":        {put("dear diary"), "this is not a DuckDB file; choose another path, or move it away"},
		"an empty file": {put(""), "this is not a DuckDB file; choose another path, or move it away"},
		"a folder":      {func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) }, "is a folder"},
		"a database of somebody else's": {statements(`CREATE TABLE orders (id INTEGER)`),
			"it holds tables that are not syncd's; give syncd a file of its own"},
		"a warehouse of a newer syncd": {statements(`CREATE SCHEMA sync`, `CREATE TABLE sync.schema_versions AS SELECT 999 AS version`),
			"its schema is version 999, newer than this syncd knows"},
		"a damaged header": {put(string(file[:4096]) + strings.Repeat("x", 8192) + string(file[12288:])),
			"the file is damaged"},
		"a file that was cut off": {put(string(file[:20000])), "the file is damaged"},
		"a log without its file": {func(t *testing.T, path string) { put("log")(t, path+".wal") },
			".wal is there, of a warehouse that is gone; bring that back, or delete the .wal"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "calls.duckdb")
			tt.make(t, path)
			before := listing(t, dir)
			config := configure(t, dir, urls, "")
			for _, do := range []string{"sync", "run"} {
				out, code := command(t, syncd(do, "-c", config))
				if code != exitFailed || !strings.Contains(out, tt.says) || !strings.Contains(out, path) {
					t.Errorf("%s: exit code %d, want %d and %q:\n%s", do, code, exitFailed, tt.says, out)
				}
			}
			must(t, os.Remove(config))
			if after := listing(t, dir); after != before {
				t.Errorf("the folder was\n%sand is\n%s", before, after)
			}
		})
	}
	if n := fake.RequestCount(); n != asked {
		t.Errorf("%d requests were sent, with nowhere to store an answer", n-asked)
	}
}

// A log that a power loss has damaged is told, the copy of it is kept, and the next sync makes the warehouse whole.
func TestADamagedLogIsToldAndCostsNothing(t *testing.T) {
	t.Parallel()
	_, url := startFake(t, fakeapi.Burki, 1500)
	urls := map[fakeapi.Provider]string{fakeapi.Burki: url}
	whole, cut := t.TempDir(), t.TempDir()
	if out, code := command(t, syncd("sync", "-c", listsAlone(t, configure(t, whole, urls, "")))); code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	config := listsAlone(t, configure(t, cut, urls, ""))
	warehouse := filepath.Join(cut, "calls.duckdb")
	killed := launch(t, "sync", "-c", config)
	eventually(t, "there is a log", func() bool { return sizeOf(warehouse+".wal") > 200_000 })
	must(t, killed.Process.Kill())
	killed.ends(patience)
	log, err := os.ReadFile(warehouse + ".wal")
	if err != nil {
		t.Fatal(err)
	}
	clear(log[len(log)/2:])
	must(t, os.WriteFile(warehouse+".wal", log, 0o600))
	if out, _ := command(t, syncd("status", "-c", config)); !strings.Contains(out, "the next 'syncd sync' or 'syncd run' keeps what came before the damage") {
		t.Errorf("status says:\n%s", out)
	}
	out, code := command(t, syncd("sync", "-c", config))
	if code != exitDone || !strings.Contains(out, "was damaged, as by a power loss") {
		t.Fatalf("exit code %d, want %d and a warning:\n%s", code, exitDone, out)
	}
	if kept, err := filepath.Glob(warehouse + ".wal.damaged-*"); err != nil || len(kept) != 1 {
		t.Errorf("kept: %q, %v", kept, err)
	}
	sameWarehouse(t, warehouse, filepath.Join(whole, "calls.duckdb"))
}

// listsAlone leaves the details out: a request for each is most of what a sync takes.
func listsAlone(t *testing.T, config string) string {
	t.Helper()
	text, err := os.ReadFile(config)
	must(t, err)
	must(t, os.WriteFile(config, []byte(strings.ReplaceAll(string(text), "rate_limit:", "details: false, rate_limit:")), 0o600))
	return config
}

// every gives all sources of a configuration a schedule.
func every(t *testing.T, config, interval string) {
	t.Helper()
	text, err := os.ReadFile(config)
	must(t, err)
	must(t, os.WriteFile(config, []byte(strings.ReplaceAll(string(text), "rate_limit:", `schedule: "@every `+interval+`", rate_limit:`)), 0o600))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(text string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		must(t, os.WriteFile(path, []byte(text), 0o600))
	}
}

func statements(all ...string) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		db, err := sql.Open("duckdb", path)
		must(t, err)
		for _, s := range all {
			_, err := db.Exec(s)
			must(t, err)
		}
		must(t, db.Close())
	}
}

// listing is what is in a folder: names, sizes and times.
func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var b strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		fmt.Fprintln(&b, e.Name(), info.Size(), info.ModTime())
	}
	return b.String()
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
