package load_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"syncd/internal/load"
	"syncd/internal/smalldisk"
)

const copyAsked = "SYNCD_TEST_COPY"

// TestCopyInAnotherProcess is the other process that copies.
func TestCopyInAnotherProcess(t *testing.T) {
	asked := os.Getenv(copyAsked)
	if asked == "" {
		t.Skip("it is run by other tests")
	}
	var c load.Copy
	if err := json.Unmarshal([]byte(asked), &c); err != nil {
		t.Fatal(err)
	}
	done, err := load.MakeCopy(t.Context(), c)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(done); err != nil {
		t.Fatal(err)
	}
	os.Exit(0)
}

// elsewhere has a copy made by another process.
func elsewhere(ctx context.Context, c load.Copy) (done load.Copied, err error) {
	asked, err := json.Marshal(c)
	if err != nil {
		return done, err
	}
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestCopyInAnotherProcess$")
	cmd.Env = append(os.Environ(), copyAsked+"="+string(asked))
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return done, fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String()))
	}
	return done, json.Unmarshal(out.Bytes(), &done)
}

// onlyFiles checks what a folder holds.
func onlyFiles(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".wal") && !strings.HasSuffix(e.Name(), ".tmp") {
			got = append(got, e.Name())
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the folder holds %v, want %v", got, want)
	}
}

// While copies are made, calls are committed without end. Each copy must be a state that there was, no older than when it was asked for, and no
// commit may wait for a copy to be made.
func TestACopyIsWholeWhileCommitsGoOn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "calls.read.duckdb")
	w, err := load.Open(t.Context(), load.Options{Path: filepath.Join(dir, "calls.duckdb"), LongestLog: 1 << 20}) // which would be written into the file soon
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	upsert(t, w, batch(0, 600)...)
	ctx, stop := context.WithCancel(t.Context())
	var committing sync.WaitGroup
	defer func() {
		stop()
		committing.Wait()
	}()
	var mu sync.Mutex
	var commits []time.Time
	committing.Go(func() {
		for n := 1; ctx.Err() == nil; n++ {
			upsert(t, w, batch(n*400, 600)...) // a third of them were there
			mu.Lock()
			commits = append(commits, time.Now())
			mu.Unlock()
		}
	})
	since := func(at time.Time) (n int) {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range commits {
			if c.After(at) {
				n++
			}
		}
		return n
	}
	beside := 0
	for n := range 4 {
		mu.Lock()
		least := len(commits)
		mu.Unlock()
		var began time.Time
		p, err := w.Publish(t.Context(), load.Publishing{Path: path, Now: time.Now, Copy: func(ctx context.Context, c load.Copy) (load.Copied, error) {
			began = time.Now()
			return elsewhere(ctx, c)
		}})
		if err != nil {
			t.Fatal(err)
		}
		beside += since(began)
		read, err := load.OpenReadOnly(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		got := lines(t, read, `SELECT (count(*) - 600) // 400, count(*) % 400, count(DISTINCT call_id) = count(*), (SELECT count(*) FROM raw_calls) = count(*) FROM calls`)[0]
		var whole int
		if _, err := fmt.Sscanf(got, "%d 200 true true", &whole); err != nil || whole < least {
			t.Errorf("copy %d holds %q, want at least %d commits, and no part of one", n, got, least)
		}
		expect(t, read, `SELECT published_at FROM sync.published`, p.At.Truncate(time.Microsecond).Format(time.RFC3339Nano))
		if n == 3 { // who has a copy open keeps it
			before := lines(t, read, `SELECT count(*) FROM calls`)[0]
			if _, err := w.Publish(t.Context(), load.Publishing{Path: path, Now: time.Now, Copy: elsewhere}); err != nil {
				t.Fatal(err)
			}
			expect(t, read, `SELECT count(*), count(DISTINCT call_id) FROM calls`, before+" "+before)
		}
		if err := read.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	committing.Wait()
	if beside < 6 {
		t.Errorf("%d commits were made while 6 copies were", beside)
	}
	onlyFiles(t, dir, "calls.duckdb", "calls.read.duckdb")
}

// Whatever goes wrong, readers have the copy that they had.
func TestACopyThatFailsLeavesTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "calls.read.duckdb")
	w := open(t, filepath.Join(dir, "calls.duckdb"))
	defer w.Close()
	upsert(t, w, batch(0, 10)...)
	if _, err := w.Publish(t.Context(), load.Publishing{Path: path, Now: time.Now, Copy: elsewhere}); err != nil {
		t.Fatal(err)
	}
	upsert(t, w, batch(10, 10)...)
	for name, c := range map[string]struct {
		copying func(context.Context, load.Copy) (load.Copied, error)
		want    string
	}{
		"the process dies": {func(ctx context.Context, c load.Copy) (load.Copied, error) {
			if err := os.WriteFile(c.To, []byte("half"), 0o600); err != nil {
				return load.Copied{}, err
			}
			return load.Copied{}, errors.New("signal: killed")
		}, "signal: killed"},
		"rows are missing": {func(ctx context.Context, c load.Copy) (load.Copied, error) {
			c.Rows["main.calls"]++
			return elsewhere(ctx, c)
		}, "the copy has 20 rows of main.calls, and there are 21"},
	} {
		if _, err := w.Publish(t.Context(), load.Publishing{Path: path, Now: time.Now, Copy: c.copying}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		onlyFiles(t, dir, "calls.duckdb", "calls.read.duckdb")
		read, err := load.OpenReadOnly(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, read, `SELECT count(*) FROM calls`, "10")
		read.Close()
	}
	if _, err := w.Publish(t.Context(), load.Publishing{Path: path, Now: time.Now, Copy: elsewhere}); err != nil {
		t.Error(err)
	}
}

// The copy knows by the file's headers that a checkpoint has changed it meanwhile.
func TestACopyOfAFileThatChangesIsNone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "calls.duckdb")
	w := open(t, path)
	upsert(t, w, batch(0, 10)...)
	if err := errors.Join(w.Checkpoint(t.Context()), w.Close(), os.Truncate(path, 64<<20)); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, stop := context.WithCancel(t.Context())
	var changing sync.WaitGroup
	changing.Go(func() {
		for n := uint64(0); ctx.Err() == nil; n++ {
			if _, err := f.WriteAt(binary.LittleEndian.AppendUint64(nil, n), 4096+64); err != nil {
				t.Error(err)
				return
			}
		}
	})
	// On a busy machine nothing may be written for as long as one copy takes: that one is found to be broken as it is.
	for n := 0; ; n++ {
		_, err = elsewhere(t.Context(), load.Copy{From: path, To: filepath.Join(dir, fmt.Sprintf("copy%d.duckdb", n))})
		if err != nil && strings.Contains(err.Error(), "a checkpoint changed the file while it was copied") {
			break
		}
		if err == nil || n == 20 {
			t.Errorf("got %v", err)
			break
		}
	}
	stop()
	changing.Wait()
}

// A copy says of its views what the warehouse says of them, and a log that somebody has left beside it does no harm.
func TestACopyIsDocumentedAndCanBeOpened(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "calls.read.duckdb")
	w := open(t, filepath.Join(dir, "calls.duckdb"))
	defer w.Close()
	upsert(t, w, batch(0, 10)...)
	if err := os.WriteFile(path+".wal", []byte("of another file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Publish(t.Context(), load.Publishing{Path: path, Now: time.Now, Copy: elsewhere}); err != nil {
		t.Fatal(err)
	}
	const said = `SELECT schema_name, view_name, '', comment FROM duckdb_views() WHERE NOT internal
		UNION ALL SELECT schema_name, table_name, column_name, comment FROM duckdb_columns() WHERE schema_name IN ('main', 'sync') AND table_name NOT IN ('published', 'stage', 'moved') ORDER BY ALL`
	want := lines(t, w, said)
	read, err := load.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	expect(t, read, said, want...)
	if _, err := w.Publish(t.Context(), load.Publishing{Path: filepath.Join(dir, "sync.duckdb"), Now: time.Now, Copy: elsewhere}); err == nil || !strings.Contains(err.Error(), "choose another name") {
		t.Errorf("a copy named sync.duckdb: got %v", err)
	}
}

func TestThereMustBeRoomForACopy(t *testing.T) {
	smalldisk.Run(t, 64<<20, func(t *testing.T, dir string) {
		w := open(t, filepath.Join(dir, "calls.duckdb"))
		defer w.Close()
		upsert(t, w, batch(0, 100)...)
		if err := w.Checkpoint(t.Context()); err != nil {
			t.Fatal(err)
		}
		smalldisk.Fill(t, dir, 12<<20)
		_, err := w.Publish(t.Context(), load.Publishing{Path: filepath.Join(dir, "calls.read.duckdb"), Now: time.Now, Copy: elsewhere})
		if err == nil || !strings.Contains(err.Error(), "of room; make some, or put the copy elsewhere (warehouse.publish)") {
			t.Errorf("got %v", err)
		}
		upsert(t, w, batch(100, 100)...)
		expect(t, w, `SELECT count(*) FROM calls`, "200")
	})
}

// A copy that is put in the place of a lost warehouse is one: what goes by the time goes by the present again.
func TestACopyCanBecomeTheWarehouse(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "calls.duckdb"), filepath.Join(dir, "calls.read.duckdb")
	w, err := load.Open(t.Context(), load.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	upsert(t, w, batch(0, 10)...)
	views := lines(t, w, `SELECT view_name, sql, comment FROM duckdb_views() WHERE schema_name = 'sync' ORDER BY ALL`)
	if _, err := w.Publish(t.Context(), load.Publishing{Path: copied, Now: time.Now, Copy: elsewhere}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), os.Rename(copied, path)); err != nil {
		t.Fatal(err)
	}
	if w, err = load.Open(t.Context(), load.Options{Path: path}); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	expect(t, w, `SELECT count(*), (SELECT count(*) FROM duckdb_tables() WHERE table_name = 'published') FROM calls`, "10 0")
	if got := lines(t, w, `SELECT view_name, sql, comment FROM duckdb_views() WHERE schema_name = 'sync' ORDER BY ALL`); fmt.Sprint(got) != fmt.Sprint(views) {
		t.Errorf("its views are\n%v\nand were\n%v", got, views)
	}
}
