package query

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"
	"go.uber.org/goleak"
)

// asWriter makes this test binary a writer of the file that the variable names: locks between processes need a second process.
const asWriter = "SYNCD_QUERY_TEST_WRITER"

func TestMain(m *testing.M) {
	if spec := os.Getenv(asWriter); spec != "" {
		mode, path, _ := strings.Cut(spec, ":")
		if err := runWriter(mode, path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m) // which exits
}

// runWriter inserts a row that stays in the write-ahead log, says so, and then holds the file until its input ends, or goes on
// inserting and checkpointing until it is killed.
func runWriter(mode, path string) error {
	db, err := sql.Open("duckdb", path)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Exec("INSERT INTO calls (call_id) VALUES ('from the writer')"); err != nil {
		return err
	}
	fmt.Println("ready")
	if mode == "hold" {
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	for {
		if _, err := db.Exec("INSERT INTO calls (call_id) SELECT 'more' FROM range(100); CHECKPOINT"); err != nil {
			return err
		}
	}
}

// startWriter starts the second process and returns once it holds the file.
func startWriter(t *testing.T, mode, path string) (*exec.Cmd, io.WriteCloser) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asWriter+"="+mode+":"+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait() // a killed writer's status is no news
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the writer said %q, %v", line, err)
	}
	return cmd, in
}

// warehouse makes a file with a few calls in it, and whatever else the statements say.
func warehouse(t testing.TB, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	db, err := sql.Open("duckdb", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := append([]string{
		`CREATE TABLE calls (source VARCHAR, call_id VARCHAR, from_number VARCHAR, status VARCHAR, started_at TIMESTAMPTZ, cost DECIMAL(18,9), duration_ms BIGINT)`,
		`INSERT INTO calls VALUES
			('millis-us', 'a', '+491701234567', 'completed', '2024-01-15 10:00:00+00', 0.123456789, 61000),
			('burki', 'b', NULL, 'failed', '2024-01-15 10:00:00.25+00', 12, 9007199254740993),
			('voicy', 'c', 'it''s "me", +49170', 'completed', NULL, NULL, NULL)`,
		`CREATE SEQUENCE seq`,
	}, statements...)
	for _, s := range all {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return path
}

// open opens a reader that the test closes.
func open(t testing.TB, o Options) *Reader {
	t.Helper()
	r, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// ask runs a statement that must be answered.
func ask(t testing.TB, r *Reader, sql string, f Format) string {
	t.Helper()
	var b strings.Builder
	if _, err := r.Run(t.Context(), sql, f, &b); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return b.String()
}
