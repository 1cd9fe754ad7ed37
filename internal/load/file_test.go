package load_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/load"
)

func TestASecondProcessIsToldWhoHoldsTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w := open(t, path)
	defer w.Close()
	cmd := exec.Command(os.Args[0], "-test.run=TestOpenInAnotherProcess")
	cmd.Env = append(os.Environ(), "SYNCD_TEST_OPEN="+path)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), fmt.Sprintf("held by another process (process %d)", os.Getpid())) || strings.Contains(string(out), "IO Error") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestOpenInAnotherProcess is the other process of the test above; alone, it opens a file of its own.
func TestOpenInAnotherProcess(t *testing.T) {
	path := os.Getenv("SYNCD_TEST_OPEN")
	if path == "" {
		path = filepath.Join(t.TempDir(), "calls.duckdb")
	}
	w := open(t, path)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestFilesThatAreNotOurs(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte("dear diary, this is no database at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "foreign.duckdb")
	db, err := sql.Open("duckdb", foreign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`CREATE TABLE calls (mine INTEGER)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer.duckdb")
	w := open(t, newer)
	if err := w.Write(t.Context(), func(tx *load.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO sync.schema_versions VALUES (999, now())`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		text:                               "not a DuckDB file",
		foreign:                            "tables that are not syncd's",
		newer:                              "use the newer syncd",
		filepath.Join(dir, "sync.duckdb"):  "cannot hold the schema sync",
		filepath.Join(dir, "none", "x.db"): "no such folder",
		filepath.Join(dir, "a#b.duckdb"):   "choose another name",
		filepath.Join(dir, "a%zz.duckdb"):  "choose another name",
	} {
		if w, err := load.Open(t.Context(), load.Options{Path: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("open %s: %v, want %q", filepath.Base(path), err, want)
			if err == nil {
				w.Close()
			}
		}
	}
}

func TestAFileThatWasKilledWhileItWasMadeIsMadeAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	old, young := path+".new-1", path+".new-2"
	for _, left := range []string{old, old + ".wal", young} {
		if err := os.WriteFile(left, []byte("half a page"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	yesterday := time.Now().AddDate(0, 0, -1)
	if err := os.Chtimes(old, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	w := open(t, path)
	defer w.Close()
	upsert(t, w, observation("1", 1, noon))
	left, err := filepath.Glob(path + ".new*")
	if diff := cmp.Diff([]string{young}, left); diff != "" || err != nil {
		t.Errorf("half-made files: %v (-want +got):\n%s", err, diff)
	}
}

// TestProcessesThatMakeTheFileAtOnce has several processes find no file. Whoever is late is told that another holds it, and nothing else.
func TestProcessesThatMakeTheFileAtOnce(t *testing.T) {
	for range 4 {
		path := filepath.Join(t.TempDir(), "calls.duckdb")
		var running sync.WaitGroup
		for range 4 {
			running.Go(func() {
				cmd := exec.Command(os.Args[0], "-test.run=TestOpenInAnotherProcess")
				cmd.Env = append(os.Environ(), "SYNCD_TEST_OPEN="+path)
				if out, err := cmd.CombinedOutput(); err != nil && !strings.Contains(string(out), "held by another process") {
					t.Errorf("%v: %s", err, out)
				}
			})
		}
		running.Wait()
		w := open(t, path)
		expect(t, w, `SELECT (count(*) = max(version) AND count(DISTINCT version) = max(version))::VARCHAR FROM sync.schema_versions`, "true")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob(path + "?*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestALogWithoutItsFileIsNotReplayed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	if err := os.WriteFile(path+".wal", []byte("of a warehouse that is gone"), 0o600); err != nil {
		t.Fatal(err)
	}
	if w, err := load.Open(t.Context(), load.Options{Path: path}); err == nil || !strings.Contains(err.Error(), "delete the .wal") {
		t.Errorf("error %v", err)
		if err == nil {
			w.Close()
		}
	}
}

// TestAStopAtAnyMomentLeavesTheConnectionUsable cancels transactions at random moments, the first statement of all included.
func TestAStopAtAnyMomentLeavesTheConnectionUsable(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	stopped := 0
	const tries = 24 // the driver takes half a second for some of them
	for i := range tries {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(8000))*time.Microsecond)
		err := w.Write(ctx, func(tx *load.Tx) error {
			_, err := tx.Upsert(ctx, "s", []call.Observation{observation(fmt.Sprint("stopped-", i), 1, noon)})
			return err
		})
		cancel()
		if err == nil {
			continue
		}
		if stopped++; !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	if stopped == 0 {
		t.Error("none was stopped: this shows nothing")
	}
	upsert(t, w, observation("after", 1, noon))
	expect(t, w, `SELECT count(*)::VARCHAR FROM calls`, fmt.Sprint(tries-stopped+1))
}

func TestTheFileAloneIsTheWarehouseAfterClosing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w := open(t, path)
	upsert(t, w, observation("1", 1, noon))
	if err := errors.Join(w.Checkpoint(t.Context()), w.Close()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("the folder holds %v, want the file alone", entries)
	}
	w = open(t, path)
	defer w.Close()
	expect(t, w, `SELECT call_id FROM calls`, "1")
	expect(t, w, `SELECT (count(*) = max(version) AND count(DISTINCT version) = max(version))::VARCHAR FROM sync.schema_versions`, "true")
}

func TestALongLogIsWrittenIntoTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w, err := load.Open(t.Context(), load.Options{Path: path, LongestLog: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	log := func() int64 {
		info, err := os.Stat(path + ".wal")
		if errors.Is(err, fs.ErrNotExist) {
			return 0
		} else if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	upsert(t, w, batch(0, 100)...)
	if log() == 0 {
		t.Error("a short log was written into the file")
	}
	for n := range 10 {
		upsert(t, w, batch(1000*n+100, 1000)...)
		if n := log(); n >= 1<<20 {
			t.Fatalf("the log has %d bytes", n)
		}
	}
	expect(t, w, `SELECT count(*) FROM calls`, "10100")
}

// How a column is compressed is part of its table, also for what another process writes later.
func TestColumnsAreCompressedAsTheirTableSays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	for n := range 2 {
		w := open(t, path)
		some := batch(n*5000, 5000)
		some[7].Call.AgentName = strings.Repeat("a text that is too long for any dictionary ", 2000)
		upsert(t, w, some...)
		if err := w.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		for column, want := range map[string]string{"calls.call_id": "FSST", "calls.status": "Dictionary", "raw_calls.payload": "ZSTD"} {
			table, name, _ := strings.Cut(column, ".")
			expect(t, w, `SELECT DISTINCT compression FROM pragma_storage_info('`+table+`') WHERE column_name = '`+name+`' AND segment_type = 'VARCHAR' AND compression <> 'Constant'`, want)
		}
		expect(t, w, `SELECT count(*), max(length(agent_name)) FROM calls`, fmt.Sprint(5000*(n+1))+" 86000")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// The log of a warehouse whose name is a link is beside the file from the start, also where there was none yet: there the next process looks for it.
func TestTheLogOfALinkedWarehouseIsBesideTheFile(t *testing.T) {
	link, real := filepath.Join(t.TempDir(), "calls.duckdb"), filepath.Join(t.TempDir(), "real.duckdb")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	w, err := load.Open(t.Context(), load.Options{Path: link})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	upsert(t, w, batch(0, 10)...)
	if info, err := os.Stat(real + ".wal"); err != nil || info.Size() == 0 || w.LogSize() != info.Size() {
		t.Errorf("beside the file: %v, %v; the log's size is told as %d", info, err, w.LogSize())
	}
	if _, err := os.Lstat(link + ".wal"); err == nil {
		t.Error("there is a log beside the link")
	}
}
