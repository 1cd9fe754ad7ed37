package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"syncd/internal/fakeapi"
)

// experiment measures one thing.
type experiment struct {
	name   string
	about  string
	binary bool // it runs the real binary
	run    func(context.Context, lab) ([]row, error)
}

// experiments are all there are, in the order in which they are run and printed.
func experiments() []experiment {
	var all []experiment
	for _, p := range populations() {
		all = append(all, experiment{"memory/" + string(p.provider), "pages in memory to a file that is whole, against CTAS; forced again; the file's size", false,
			func(ctx context.Context, l lab) ([]row, error) { return fromMemory(ctx, l, p) }})
	}
	for _, p := range populations() {
		all = append(all, experiment{"http/" + string(p.provider), "a backfill over HTTP, the whole process, against CTAS", true,
			func(ctx context.Context, l lab) ([]row, error) { return overHTTP(ctx, l, p) }})
	}
	all = append(all, experiment{"peers", "a backfill over HTTP against two scripts that a user would write", true, againstPeers})
	for _, p := range []population{{fakeapi.Voicy, 1_000_000}, {fakeapi.Millis, 200_000}} {
		all = append(all, experiment{"rss/" + string(p.provider), "the most memory that a backfill over HTTP takes", true,
			func(ctx context.Context, l lab) ([]row, error) { return peakMemory(ctx, l, p) }})
	}
	return append(all,
		experiment{"latency", "a page of a provider that takes 100 ms to answer", true, slowPages},
		experiment{"growth", "commits, reopening and the file's growth at ten million calls against one", false, grown},
		experiment{"publish", "a copy for readers of a million and of ten million calls, while commits go on", true, published},
		experiment{"idle", "the daemon while nothing is new", true, idle},
		experiment{"start", "how soon a command has answered", true, started},
	)
}

func selected(only *regexp.Regexp) (some []experiment) {
	for _, e := range experiments() {
		if only.MatchString(e.name) {
			some = append(some, e)
		}
	}
	return some
}

// lab is what an experiment is given.
type lab struct {
	Dir    string // a folder of its own; TMPDIR is below it as well
	Binary string // syncd; "" where the experiment does not run it
	Rounds int
	Scale  float64

	progress io.Writer
}

// scaled is a size by the factor that was asked for, and at least so much that the experiment still works.
func (l lab) scaled(n, least int) int { return max(least, int(float64(n)*l.Scale)) }

func (l lab) path(name string) string { return filepath.Join(l.Dir, name) }

// say tells a person who waits.
func (l lab) say(format string, args ...any) { fmt.Fprintf(l.progress, "  "+format+"\n", args...) }

// bench runs the experiments that were asked for and prints their table. The error joins those of the experiments that failed.
func bench(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-") // a short name: the path of a socket below it may not be long
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	about, err := describe(ctx)
	if err != nil {
		return err
	}
	chosen := selected(o.only)
	binary, err := build(ctx, dir, chosen)
	if err != nil {
		return err
	}
	var rows []row
	var failed []error
	for _, e := range chosen {
		if ctx.Err() != nil {
			break
		}
		fmt.Fprintln(progress, e.name)
		l := lab{Dir: filepath.Join(dir, strings.ReplaceAll(e.name, "/", "-")), Rounds: o.rounds, Scale: o.scale}
		if e.binary {
			l.Binary = binary
		}
		got, err := apart(ctx, e, l, progress)
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(progress, "%s failed: %v\n", e.name, err)
			failed = append(failed, fmt.Errorf("%s: %w", e.name, err))
		}
		rows = append(rows, got...)
	}
	if ctx.Err() != nil {
		failed = append(failed, errors.New("stopped: the table holds what was measured until then"))
	}
	return errors.Join(printTable(out, about, o, rows), errors.Join(failed...))
}

// build builds the binary as a user does, without the debug tables, which take most of the linking and are never loaded.
func build(ctx context.Context, dir string, chosen []experiment) (string, error) {
	binary := filepath.Join(dir, "syncd")
	for _, e := range chosen {
		if !e.binary {
			continue
		}
		cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", binary, "syncd/cmd/syncd") //nolint:gosec // a folder of ours
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build syncd, which is done within its module: %w\n%s", err, out)
		}
		break
	}
	return binary, nil
}

// report is what the process of an experiment prints.
type report struct {
	Rows  []row
	Error string
}

// apart runs an experiment in a process of its own, and removes its folder.
func apart(ctx context.Context, e experiment, l lab, progress io.Writer) (_ []row, err error) {
	if err := os.Mkdir(l.Dir, 0o700); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(l.Dir)) }()
	given, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, progress, l.Dir, experimentArgument, e.name, string(given))
	if err != nil {
		return nil, err
	}
	var r report
	told := json.NewDecoder(p.out).Decode(&r)
	ended := p.end()
	switch {
	case r.Error != "":
		return r.Rows, errors.New(r.Error)
	case told != nil || ended != nil:
		return nil, fmt.Errorf("its process ended without a word: %w", errors.Join(ended, told))
	}
	return r.Rows, nil
}

// runExperiment is the process of an experiment.
func runExperiment(ctx context.Context, name, given string, out, progress io.Writer) error {
	l := lab{progress: progress}
	if err := json.Unmarshal([]byte(given), &l); err != nil {
		return err
	}
	for _, e := range experiments() {
		if e.name != name {
			continue
		}
		var r report
		rows, err := e.run(ctx, l)
		for _, one := range rows {
			one.Experiment = name
			r.Rows = append(r.Rows, one)
		}
		if err != nil {
			r.Error = err.Error()
		}
		return json.NewEncoder(out).Encode(r)
	}
	return fmt.Errorf("there is no experiment %q", name)
}
