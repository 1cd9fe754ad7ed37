// Package peers runs the scripts that a user would write instead of syncd, so that its speed is held against theirs on the same machine, at the
// same source, in the same hour.
//
// It owns the scripts, written for Node.js and the DuckDB client named in package-lock.json: [Decent] is the one that most engineers would write,
// [Tuned] the same one tuned by an expert. Both page through Voicy's list into typed columns, upsert by call id, remember where they were and end
// with a file that is closed; neither keeps payloads, revisions or a ledger. It refuses to slow them down, to serve the calls that they read, and
// to judge their figures.
package peers

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Script names one of the scripts.
type Script string

// The scripts.
const (
	Decent Script = "decent" // a page a transaction, INSERT OR REPLACE into a table with a primary key
	Tuned  Script = "tuned"  // 20 pages a transaction, no primary key, DELETE and INSERT
)

// Options are what a script is run with. All but PageSize are required.
type Options struct {
	URL      string // what the paths of Voicy's API are put behind, "/functions/v1" included
	Key      string
	Database string // the DuckDB file, made where it is missing
	State    string // the JSON file with the position to go on from; removed, everything is read again

	Since, Until time.Time // the calls that start in [Since, Until), to the millisecond
	PageSize     int       // 0: 1000, the most that Voicy's list gives
}

// Result is what a run took: of the whole process, as the system tells it, and as the script itself does.
type Result struct {
	Wall time.Duration // from the process's start to its end
	CPU  time.Duration // user and system time
	Peak int64         // the most bytes of memory that were resident

	Rows, Pages int
	Seconds     float64 // from the script's first request until its file was closed
}

// Install installs what the scripts need, where it is missing or older than package-lock.json. It takes a few seconds, and the network.
func Install(ctx context.Context) error {
	dir, err := folder()
	if err != nil {
		return err
	}
	if fresh, err := installed(dir); err != nil || fresh {
		return err
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("the peers need Node.js 20 or newer with npm, install it: %w", err)
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--no-audit", "--no-fund", "--silent") //nolint:gosec // the path is where npm was found
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci in %s: %w: %s", dir, err, bytes.TrimSpace(out))
	}
	if err := os.WriteFile(marker(dir), nil, 0o600); err != nil {
		return fmt.Errorf("note that the peers' packages are installed: %w", err)
	}
	return nil
}

// marker is touched last, so that an installation that was cut short is not taken for a whole one.
func marker(dir string) string { return filepath.Join(dir, "node_modules", ".installed") }

func installed(dir string) (bool, error) {
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return false, fmt.Errorf("find the peers' lock file: %w", err)
	}
	mark, err := os.Stat(marker(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find out whether the peers' packages are installed: %w", err)
	}
	return !mark.ModTime().Before(lock.ModTime()), nil
}

// Run runs a script to its end. Its packages must be there: see [Install]. A run that failed is told with what the script said of it.
func Run(ctx context.Context, s Script, o Options) (Result, error) {
	dir, err := folder()
	if err != nil {
		return Result{}, err
	}
	millis := func(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
	cmd := exec.CommandContext(ctx, "node", filepath.Join(dir, string(s)+".mjs"), //nolint:gosec // a script of this folder, by its name
		"--url", o.URL, "--key", o.Key, "--database", o.Database, "--state", o.State,
		"--since", millis(o.Since), "--until", millis(o.Until), "--page-size", strconv.Itoa(cmp.Or(o.PageSize, 1000)))
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return Result{}, fmt.Errorf("run %s.mjs: %w: %s", s, err, bytes.TrimSpace(said.Bytes()))
	}
	r := Result{Wall: time.Since(began), CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.Peak = usage.Maxrss * 1024
	}
	var line struct {
		Rows    int     `json:"rows"`
		Pages   int     `json:"pages"`
		Seconds float64 `json:"seconds"`
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		return Result{}, fmt.Errorf("read what %s.mjs says of its run, %q: %w", s, out.Bytes(), err)
	}
	r.Rows, r.Pages, r.Seconds = line.Rows, line.Pages, line.Seconds
	return r, nil
}

// Count is how many calls a script's file holds, as the scripts' own client tells.
func Count(ctx context.Context, database string) (int64, error) {
	dir, err := folder()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "node", filepath.Join(dir, "dump.mjs"), database, "SELECT count(*)::VARCHAR FROM calls") //nolint:gosec // a script of ours
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("count the calls in %s: %w: %s", database, err, bytes.TrimSpace(said.Bytes()))
	}
	var rows [][]string
	if err := json.Unmarshal(out, &rows); err != nil {
		return 0, fmt.Errorf("count the calls in %s: dump.mjs answered %q: %w", database, out, err)
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return 0, fmt.Errorf("count the calls in %s: dump.mjs answered %q, which is not one number", database, out)
	}
	return strconv.ParseInt(rows[0][0], 10, 64)
}

// folder is this package's folder, below the module's root: the nearest folder with a go.mod from the working directory up.
func folder() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the peers' scripts: %w", err)
	}
	for root := wd; ; root = filepath.Dir(root) {
		switch _, err := os.Stat(filepath.Join(root, "go.mod")); {
		case err == nil:
			return filepath.Join(root, "bench", "peers"), nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("find the peers' scripts: %w", err)
		case root == filepath.Dir(root):
			return "", fmt.Errorf("find the peers' scripts: there is no go.mod in %s or above it; run this within the module", wd)
		}
	}
}
