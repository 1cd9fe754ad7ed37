package export_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/export"
)

// killed has an export done by a process of its own, and kills it some time after so many of its steps, or lets it end where it has no more.
func killed(t *testing.T, warehouse, dir string, steps int, after time.Duration) {
	t.Helper()
	cmd, said := exec.Command(os.Args[0]), new(bytes.Buffer)
	cmd.Env = append(os.Environ(), asExporter+"="+warehouse+"\n"+dir)
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); steps > 0 && lines.Scan(); steps-- {
		if _, err := in.Write([]byte{'\n'}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(after)
	_ = cmd.Process.Kill() // it may have ended
	_ = cmd.Wait()         // and if not, its state says nothing
	if said.Len() > 0 {
		t.Fatalf("it said: %s", said)
	}
}

// TestKilledAtAnyMoment kills exports (SIGKILL) at random moments, and changes the warehouse before each. After each of them every file with a final name
// is whole, and every file that the manifest lists is as it says; in the end the folder is that of an export that nobody disturbed.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	const kills = 12
	seed := uint64(time.Now().UnixNano())
	t.Logf("the seed of the moments is %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	path, dir := warehouse(t, 1000), filepath.Join(t.TempDir(), "export")
	amidst := 0
	for n := range kills {
		// A text that comes back: what an earlier export has written, and no manifest lists, must not be taken for what is there now.
		change(t, path, fmt.Sprintf(`UPDATE call_messages SET content = 'change %d' WHERE seq = 0`, n%3),
			fmt.Sprintf(`UPDATE calls SET summary = 'change %d'`, n%2))
		if n%4 == 3 {
			change(t, path, fmt.Sprintf(`DELETE FROM call_functions WHERE source = 'burki' AND month(started_at) = %d`, n/4+1))
		}
		steps := 1 + rng.IntN(25) // of which the first six compare, and then each writes a file
		if n%4 == 2 {
			steps = 1000
		}
		killed(t, path, dir, steps, time.Duration(rng.IntN(10))*time.Millisecond)
		if wholeFiles(t, dir) {
			amidst++
		}
	}
	t.Logf("%d of %d were killed amidst their writing", amidst, kills)
	if amidst < 3 {
		t.Error("this shows too little")
	}
	run(t, options(path, dir))
	exported(t, path, dir, allTables...)
	fresh := filepath.Join(t.TempDir(), "fresh")
	run(t, options(path, fresh))
	if diff := cmp.Diff(digests(t, fresh), digests(t, dir)); diff != "" {
		t.Errorf("the files (-of an export that nobody disturbed +of this one):\n%s", diff)
	}
	forget := func(m export.Manifest) export.Manifest {
		m.AsOf = time.Time{}
		for i := range m.Files {
			m.Files[i].AsOf, m.Files[i].ModifiedAt = time.Time{}, time.Time{}
		}
		return m
	}
	if diff := cmp.Diff(forget(manifest(t, fresh)), forget(manifest(t, dir))); diff != "" {
		t.Errorf("the manifest (-of an export that nobody disturbed +of this one):\n%s", diff)
	}
}

// wholeFiles checks what lies in a folder whose export was killed, and reports whether that was while it wrote.
func wholeFiles(t *testing.T, dir string) (amidst bool) {
	t.Helper()
	found := files(t, dir)
	if len(found) == 0 {
		return false
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows := make(map[string]int64)
	for _, table := range allTables {
		if tables, err := filepath.Glob(filepath.Join(dir, table, "*", "*", "*.parquet")); err != nil || len(tables) == 0 {
			continue // the export did not come to it
		}
		// All columns of all rows: what DuckDB cannot decompress is an error.
		var counts string
		if err := db.QueryRow(`SELECT json_group_object(filename, n)::VARCHAR FROM (SELECT filename, count(*) AS n
			FROM (SELECT filename, hash(COLUMNS(*)) FROM read_parquet(?, filename = true)) GROUP BY filename)`,
			filepath.Join(dir, table, "*", "*", "*.parquet")).Scan(&counts); err != nil {
			t.Fatalf("a file of %s is not whole: %v", table, err)
		}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(counts, dir+"/", "")), &rows); err != nil {
			t.Fatal(err)
		}
	}
	for name := range found {
		if rows[name] == 0 {
			t.Errorf("%s has no rows", name)
		}
	}
	m := manifest(t, dir)
	for _, f := range m.Files {
		if rows[f.Path] != f.Rows || found[f.Path] == nil || found[f.Path].Size() != f.Bytes {
			t.Errorf("the manifest lists %s with %d rows: there are %d", f.Path, f.Rows, rows[f.Path])
		}
	}
	return !m.Complete
}

// digests are hashes of all files of an export.
func digests(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for name := range files(t, dir) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = fmt.Sprintf("%x", sha256.Sum256(text))
	}
	return all
}
