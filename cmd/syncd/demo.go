package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"syncd/internal/config"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/query"
)

func newDemo(a *app) *cobra.Command {
	d := demo{app: a}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "show the main job with nothing to set up: no keys, no network",
		Long: `demo starts local fakes of the three providers with a year of made-up calls, syncs
them into a DuckDB file, and prints what arrived and a first few answers.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if d.calls < 1 {
				return usageError{fmt.Errorf("--calls %d: must be at least 1", d.calls)}
			}
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().IntVar(&d.calls, "calls", 24_000, "how many calls the three providers have together")
	cmd.Flags().StringVar(&d.dir, "dir", "syncd-demo", "the folder to work in; its demo files are made anew")
	cmd.Flags().BoolVar(&d.keep, "keep", false, "leave the fakes up until Ctrl-C")
	return cmd
}

// demo is one showing of the main job.
type demo struct {
	*app
	calls int
	dir   string
	keep  bool
	fakes []*demoFake
}

// demoFake is one provider of the demo.
type demoFake struct {
	source   string
	provider fakeapi.Provider
	key      string
	server   *fakeapi.Server
	at       *fakeapi.Listening
}

func (d *demo) run(ctx context.Context) (err error) {
	began := time.Now()
	if err := d.prepareFolder(); err != nil {
		return err
	}
	now := time.Now().UTC()
	if err := d.startFakes(ctx, now); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stopFakes()) }()
	c, err := d.configure(now)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.term.out, "Three fake providers on this machine, with a year of made-up calls.\nThe warehouse: %s\n", filepath.Join(d.dir, "calls.duckdb"))
	all, err := sources(c, c.Sources)
	if err != nil {
		return err
	}
	copies := newPublisher(c, time.Now)
	w, err := load.Open(ctx, warehouseOptions(c.Warehouse))
	if err != nil {
		return err
	}
	results, err := d.syncSources(ctx, copies.of(w), w, c, all, job{Command: "sync"})
	if err != nil {
		return err
	}
	if err := outcome(d.term.err, results); err != nil {
		return err
	}
	took := time.Since(began)
	equal, err := d.compare(ctx, c.Warehouse.Publish)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.term.out, "\nSynced in %s.\n", took.Round(100*time.Millisecond))
	if err := d.answer(ctx, c.Warehouse.Publish); err != nil {
		return err
	}
	if err := d.sayMore(ctx, c.File); err != nil {
		return err
	}
	if !equal {
		return errors.New("the warehouse does not hold what the providers have: please report this")
	}
	return nil
}

// demoFiles are the files that a demo leaves in its folder, and that the next one makes anew.
var demoFiles = []string{"syncd.yaml", "calls.duckdb", "calls.duckdb.wal", "calls.read.duckdb", "millis.key", "burki.key", "voicy.key"}

// demoMark is how a demo's configuration begins.
const demoMark = "# Written by 'syncd demo'."

// prepareFolder makes the folder, or clears the demo's own files out of it. A folder that holds anything else and no demo is not touched.
func (d *demo) prepareFolder() error {
	entries, err := os.ReadDir(d.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("demo folder: %w", err)
	}
	if len(entries) > 0 {
		if head, err := os.ReadFile(filepath.Join(d.dir, "syncd.yaml")); err != nil || !bytes.HasPrefix(head, []byte(demoMark)) {
			return fmt.Errorf("the folder %s holds something that is no demo; name another with --dir", d.dir)
		}
		if key, err := os.ReadFile(filepath.Join(d.dir, "millis.key")); err != nil || !bytes.HasPrefix(key, []byte("demo-")) {
			return fmt.Errorf("the folder %s began as a demo and holds keys of your own now; name another with --dir", d.dir)
		}
	}
	for _, name := range demoFiles {
		if err := os.Remove(filepath.Join(d.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clear the last demo away: %w", err)
		}
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return fmt.Errorf("demo folder: %w", err)
	}
	return nil
}

// startFakes starts the providers. Their year ends now, so that no call arrives while they are counted; some are still under way.
func (d *demo) startFakes(ctx context.Context, now time.Time) error {
	d.fakes = []*demoFake{{source: "millis-us", provider: fakeapi.Millis}, {source: "burki", provider: fakeapi.Burki}, {source: "voicy", provider: fakeapi.Voicy}}
	for i, f := range d.fakes {
		f.key = "demo-" + rand.Text()
		f.server = fakeapi.New(fakeapi.Options{
			Provider: f.provider, Seed: uint64(i) + 1, Key: f.key,
			Calls: (d.calls + i) / len(d.fakes), Since: now.AddDate(-1, 0, 0), Until: now,
		})
		var err error
		if f.at, err = fakeapi.Listen(ctx, f.server); err != nil {
			return errors.Join(fmt.Errorf("start the fake of %s: %w", f.provider, err), d.stopFakes())
		}
	}
	return nil
}

func (d *demo) stopFakes() error {
	var all []error
	for _, f := range d.fakes {
		if f.at != nil {
			all = append(all, f.at.Close())
		}
	}
	return errors.Join(all...)
}

// configure writes the configuration a user would write, and reads it back the way a user's is read.
func (d *demo) configure(now time.Time) (*config.Config, error) {
	var y strings.Builder
	y.WriteString(demoMark + " The fakes that it names are gone once the demo ends; with --keep they stay until Ctrl-C.\n")
	y.WriteString("warehouse:\n  path: calls.duckdb\nsources:\n")
	for _, f := range d.fakes {
		if err := os.WriteFile(filepath.Join(d.dir, string(f.provider)+".key"), []byte(f.key+"\n"), 0o600); err != nil {
			return nil, fmt.Errorf("write the demo's key: %w", err)
		}
		fmt.Fprintf(&y, "  - name: %s\n    provider: %s\n    base_url: %s\n    api_key_file: %s.key\n    start: %s\n    rate_limit: 10000/s\n",
			f.source, f.provider, f.at.BaseURL, f.provider, now.AddDate(-1, 0, -1).Format(time.DateOnly))
	}
	path := filepath.Join(d.dir, "syncd.yaml")
	if err := os.WriteFile(path, []byte(y.String()), 0o600); err != nil {
		return nil, fmt.Errorf("write the demo's configuration: %w", err)
	}
	return config.Load(path)
}

// compare prints, per source, what the provider has and what the warehouse has, and reports whether all are equal.
func (d *demo) compare(ctx context.Context, path string) (equal bool, err error) {
	stored, err := countStored(ctx, path)
	if err != nil {
		return false, err
	}
	t := tabwriter.NewWriter(d.term.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nSOURCE\tPROVIDER HAS\tWAREHOUSE HAS\tVERDICT")
	equal = true
	for _, f := range d.fakes {
		has := int64(len(f.server.All()))
		verdict := "equal"
		if has != stored[f.source] {
			verdict, equal = "DIFFERENT", false
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.source, thousands(has), thousands(stored[f.source]), verdict)
	}
	return equal, t.Flush()
}

// countStored counts the calls of each source in the file, as any reader of it would.
func countStored(ctx context.Context, path string) (counts map[string]int64, err error) {
	r, err := query.Open(ctx, query.Options{Path: path})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var rows bytes.Buffer
	if _, err := r.Run(ctx, `SELECT source, count(*) AS calls FROM calls GROUP BY source`, query.NDJSON, &rows); err != nil {
		return nil, err
	}
	counts = make(map[string]int64)
	for d := json.NewDecoder(&rows); d.More(); {
		var row struct {
			Source string
			Calls  int64
		}
		if err := d.Decode(&row); err != nil {
			return nil, fmt.Errorf("read the counts: %w", err)
		}
		counts[row.Source] = row.Calls
	}
	return counts, nil
}

// demoQueries are the first few answers.
var demoQueries = []struct{ title, sql string }{
	{"How calls end", `SELECT status, count(*) AS calls, round(100 * count(*) / sum(count(*)) OVER (), 1) AS percent
FROM calls GROUP BY status ORDER BY calls DESC`},
	{"What they cost (Voicy tells no costs; a Millis credit is no money by itself)", `SELECT source, component, sum(amount) AS amount, currency
FROM call_costs GROUP BY ALL ORDER BY source, amount DESC`},
	{"The busiest agents, and how long their calls last", `SELECT coalesce(agent_name, agent_id) AS agent, source, count(*) AS calls,
round(avg(duration_ms) / 60000, 1) AS minutes_each FROM calls WHERE agent IS NOT NULL GROUP BY ALL ORDER BY calls DESC, agent LIMIT 6`},
}

func (d *demo) answer(ctx context.Context, path string) (err error) {
	r, err := query.Open(ctx, query.Options{Path: path, Width: width(d.term.out)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, q := range demoQueries {
		fmt.Fprintf(d.term.out, "\n%s\n", q.title)
		if _, err := r.Run(ctx, q.sql, query.Table, d.term.out); err != nil {
			return err
		}
	}
	return nil
}

// sayMore says how to look further, and with --keep waits until it is told to stop.
func (d *demo) sayMore(ctx context.Context, file string) error {
	fmt.Fprintf(d.term.out, `
Look further:
  go build -o syncd ./cmd/syncd
  ./syncd -c %[1]s query 'SELECT status, cost FROM calls LIMIT 5'
  ./syncd -c %[1]s query 'FROM sync.runs' --format json
  any DuckDB client can open calls.read.duckdb, at any time: it is a copy for you
Your own calls: copy config.example.yaml to syncd.yaml, then ./syncd check, ./syncd sync
`, file)
	if !d.keep {
		return nil
	}
	fmt.Fprintln(d.term.out, "\nThe fakes stay up until Ctrl-C:")
	for _, f := range d.fakes {
		fmt.Fprintf(d.term.out, "  %s  %s\n", f.source, f.at.BaseURL)
	}
	fmt.Fprintf(d.term.out, "In another terminal: ./syncd -c %s sync\n", file)
	<-ctx.Done()
	fmt.Fprintln(d.term.err, "syncd: the fakes are stopped")
	return nil
}
