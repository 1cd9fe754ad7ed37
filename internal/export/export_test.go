package export_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/export"
	"syncd/internal/query"
)

func TestDuckDBReadsBackEveryValueInItsTypeAndMonth(t *testing.T) {
	t.Parallel()
	path, dir := warehouse(t, 600), filepath.Join(t.TempDir(), "it's an", "export [1]")
	r := run(t, options(path, dir))
	at := r.Dir // links resolved
	// DuckDB takes brackets in a path for a pattern.
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.Symlink(at, plain); err != nil {
		t.Fatal(err)
	}
	if n := exported(t, path, plain, allTables...); n < 600*13 {
		t.Errorf("%d rows were compared", n)
	}
	for name, info := range files(t, dir) {
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others: %v", name, info.Mode())
		}
	}
	m := manifest(t, dir)
	rows, size := int64(0), int64(0)
	for _, l := range r.Lines {
		rows, size = rows+l.Rows, size+l.Bytes
	}
	for name, info := range files(t, dir) {
		i := slices.IndexFunc(m.Files, func(f export.File) bool { return f.Path == filepath.ToSlash(name) })
		if i < 0 || m.Files[i].Bytes != info.Size() {
			t.Errorf("%s is not as the manifest lists it", name)
			continue
		}
		rows, size = rows-m.Files[i].Rows, size-m.Files[i].Bytes
	}
	if rows != 0 || size != 0 || !m.Complete || m.Format != 1 || !m.AsOf.Equal(r.AsOf) {
		t.Errorf("the report counts %d rows and %d bytes more than the manifest: %+v", rows, size, m)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{".exporting", "call_costs", "call_functions", "call_messages", "call_revisions", "calls", "manifest.json", "raw_calls"}, names); diff != "" {
		t.Errorf("the folder (-want +got):\n%s", diff)
	}
}

func manifest(t *testing.T, dir string) (m export.Manifest) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOnlyWhatHasChangedIsWrittenAgain(t *testing.T) {
	t.Parallel()
	path, dir := warehouse(t, 400), t.TempDir()
	o := options(path, dir)
	run(t, o)
	before := files(t, dir)
	run(t, o)
	if again := changed(before, files(t, dir)); again != nil {
		t.Errorf("nothing has changed, and these were written again: %v", again)
	}

	for _, c := range []struct {
		name    string
		sql     []string
		written []string
		removed []string
	}{
		{name: "a turn's text", sql: []string{`UPDATE call_messages SET content = 'other words' WHERE call_id = 'call-10' AND seq = 2`},
			written: []string{"call_messages/source=millis-us/month=2025-01/call_messages.parquet"}},
		{name: "a NULL that becomes an empty text", sql: []string{`UPDATE calls SET end_reason = '' WHERE call_id = 'call-399'`},
			written: []string{"calls/source=burki/month=2025-04/calls.parquet"}},
		{name: "two rows that swap a value", sql: []string{`UPDATE call_costs SET input_tokens = 7 - input_tokens WHERE call_id = 'call-11' AND seq < 2`},
			written: []string{"call_costs/source=burki/month=2025-01/call_costs.parquet"}},
		{name: "a payload that is there twice", sql: []string{`INSERT INTO raw_calls SELECT * FROM raw_calls WHERE call_id = 'call-398'`},
			written: []string{"raw_calls/source=millis-us/month=2025-04/raw_calls.parquet"}},
		{name: "what is the writer's own", sql: []string{`UPDATE raw_calls SET reading = 2, content_hash = 3`}},
		{name: "a revision of a call that has no start", sql: []string{`INSERT INTO call_revisions SELECT source, call_id, 3, now(), 'summary', NULL, 'x' FROM calls WHERE call_id = 'call-57'`},
			written: []string{"call_revisions/source=burki/month=unknown/call_revisions.parquet"}},
		{name: "a month without payloads", sql: []string{`DELETE FROM raw_calls WHERE source = 'burki' AND started_at < '2025-02-01'`},
			removed: []string{"raw_calls/source=burki/month=2025-01/raw_calls.parquet"}},
		{name: "a call whose start moves into another month, and what belongs to it", sql: []string{
			`UPDATE calls SET started_at = '2025-08-01 00:00:00+00' WHERE call_id = 'call-10'`,
			`UPDATE call_messages SET started_at = '2025-08-01 00:00:00+00' WHERE call_id = 'call-10'`,
			`DELETE FROM call_costs WHERE call_id = 'call-10'`, `DELETE FROM call_functions WHERE call_id = 'call-10'`,
			`DELETE FROM raw_calls WHERE call_id = 'call-10'`, `DELETE FROM call_revisions WHERE call_id = 'call-10'`},
			written: []string{"call_costs/source=millis-us/month=2025-01/call_costs.parquet", "call_messages/source=millis-us/month=2025-01/call_messages.parquet",
				"call_messages/source=millis-us/month=2025-08/call_messages.parquet", "call_revisions/source=millis-us/month=2025-01/call_revisions.parquet",
				"calls/source=millis-us/month=2025-01/calls.parquet", "calls/source=millis-us/month=2025-08/calls.parquet",
				"raw_calls/source=millis-us/month=2025-01/raw_calls.parquet"}},
		{name: "another column", sql: []string{`ALTER TABLE call_functions ADD COLUMN took_ms BIGINT`},
			written: []string{"call_functions/source=burki/month=2025-01/call_functions.parquet", "call_functions/source=burki/month=2025-02/call_functions.parquet",
				"call_functions/source=burki/month=2025-03/call_functions.parquet", "call_functions/source=burki/month=2025-04/call_functions.parquet",
				"call_functions/source=millis-us/month=2025-01/call_functions.parquet", "call_functions/source=millis-us/month=2025-02/call_functions.parquet",
				"call_functions/source=millis-us/month=2025-03/call_functions.parquet", "call_functions/source=millis-us/month=2025-04/call_functions.parquet"}},
	} {
		change(t, path, c.sql...)
		before := files(t, dir)
		r := run(t, o)
		after := files(t, dir)
		written := changed(before, after)
		written = slices.DeleteFunc(written, func(name string) bool { // which months have tool calls of calls without a start is up to a hash
			return strings.HasPrefix(name, "call_functions/") && (c.name != "another column" || strings.Contains(name, "unknown"))
		})
		slices.Sort(written)
		if diff := cmp.Diff(c.written, written); diff != "" {
			t.Errorf("%s: written (-want +got):\n%s", c.name, diff)
		}
		var removed []string
		for name := range before {
			if after[name] == nil {
				removed = append(removed, name)
			}
		}
		if diff := cmp.Diff(c.removed, removed); diff != "" {
			t.Errorf("%s: removed (-want +got):\n%s", c.name, diff)
		}
		counted := 0
		for _, l := range r.Lines {
			counted += l.Removed
		}
		if counted != len(c.removed) {
			t.Errorf("%s: %d files are reported as removed", c.name, counted)
		}
	}
	exported(t, path, dir, allTables...)
}

func TestFilesThatSomebodyTouchedAreWrittenAgain(t *testing.T) {
	t.Parallel()
	path, dir := warehouse(t, 200), t.TempDir()
	o := options(path, dir)
	run(t, o)
	at := func(table string) string {
		return filepath.Join(dir, table, "source=burki", "month=2025-02", table+".parquet")
	}
	whole, err := os.ReadFile(at("call_costs"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(whole)
	damaged[len(damaged)/2] ^= 0xff
	if err := errors.Join(os.Remove(at("calls")), os.Truncate(at("call_messages"), 100), os.WriteFile(at("call_costs"), damaged, 0o600),
		os.Remove(at("call_revisions")), os.Symlink(at("raw_calls"), at("call_revisions")),
		os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("mine"), 0o600)); err != nil {
		t.Fatal(err)
	}
	written := 0
	for _, l := range run(t, o).Lines {
		written += l.Written
	}
	if written != 4 {
		t.Errorf("%d files were written, want 4", written)
	}
	exported(t, path, dir, allTables...)
	if _, err := os.Stat(filepath.Join(dir, "notes.txt")); err != nil {
		t.Error("a file of somebody's own was removed")
	}
}

// What an export that died has left is removed, also where no manifest ever listed it.
func TestLeftoversAreRemoved(t *testing.T) {
	t.Parallel()
	path, dir := warehouse(t, 100), t.TempDir()
	o := options(path, dir)
	orphan := filepath.Join(dir, "calls", "source=gone", "month=2020-01", "calls.parquet")
	own := filepath.Join(dir, "calls", "source=gone", "month=2020-01", "notes.txt")
	run(t, o)
	if err := errors.Join(os.MkdirAll(filepath.Dir(orphan), 0o700), os.WriteFile(orphan, []byte("x"), 0o600), os.WriteFile(own, nil, 0o600),
		os.WriteFile(filepath.Join(dir, ".staged.ABCDEFGH.part"), nil, 0o600), os.WriteFile(filepath.Join(dir, "staged"), nil, 0o600),
		os.MkdirAll(filepath.Join(dir, ".temp", "syncd-query-1"), 0o700), os.WriteFile(filepath.Join(dir, ".manifest.json.part"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	run(t, o)
	for _, name := range []string{orphan, filepath.Join(dir, ".staged.ABCDEFGH.part"), filepath.Join(dir, "staged"), filepath.Join(dir, ".temp"), filepath.Join(dir, ".manifest.json.part")} {
		if _, err := os.Lstat(name); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	if _, err := os.Stat(own); err != nil {
		t.Error("a file of somebody's own was removed")
	}
}

func TestSourcesThatAreNotNamedStayAsTheyAre(t *testing.T) {
	t.Parallel()
	path, dir := warehouse(t, 200), t.TempDir()
	o := options(path, dir)
	run(t, o)
	before := files(t, dir)
	change(t, path, `UPDATE calls SET summary = 'another'`, `DELETE FROM call_costs`)
	o.Sources, o.Raw = []string{"burki"}, nil
	run(t, o)
	after := files(t, dir)
	for _, name := range changed(before, after) {
		if !strings.HasPrefix(name, "calls/source=burki/") {
			t.Errorf("%s was written", name)
		}
	}
	for name := range before {
		if after[name] == nil && !strings.HasPrefix(name, "call_costs/source=burki/") {
			t.Errorf("%s was removed", name)
		}
	}
	if len(changed(before, after)) == 0 || len(before) == len(after) {
		t.Error("nothing was done")
	}

	// A folder of one source becomes no folder of all by an export as before.
	one := filepath.Join(t.TempDir(), "one")
	o.Dir = one
	run(t, o)
	change(t, path, `UPDATE calls SET summary = 'one more'`)
	o.Sources, o.AsBefore = nil, true
	run(t, o)
	for name := range files(t, one) {
		if !strings.Contains(name, "/source=burki/") || strings.HasPrefix(name, "raw_calls") {
			t.Errorf("%s was not asked for", name)
		}
	}
	o.AsBefore = false
	if run(t, o); len(manifest(t, one).Sources) > 0 {
		t.Error("an export of all sources is not noted as one")
	}
	exported(t, path, one, "calls", "call_messages")
}

func TestPayloadsAreExportedWhereTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	path, dir := warehouse(t, 100), t.TempDir()
	count := func() (n int) {
		for name := range files(t, dir) {
			if strings.HasPrefix(name, "raw_calls/") {
				n++
			}
		}
		return n
	}
	with, without := true, false
	for i, c := range []struct {
		raw  *bool
		want bool
	}{{nil, false}, {&with, true}, {nil, true}, {&without, false}, {nil, false}} {
		o := options(path, dir)
		o.Raw = c.raw
		run(t, o)
		if n := count(); n > 0 != c.want {
			t.Errorf("export %d: %d files of payloads", i, n)
		}
	}
}

func TestAnExportThatIsStoppedGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	path, dir := warehouse(t, 200), t.TempDir()
	o := options(path, dir)
	ctx, stop := context.WithCancel(t.Context())
	done := 0
	o.Tell = func(p export.Progress) {
		if p.What == "rows" {
			if done++; done == 5 {
				stop()
			}
		}
	}
	if _, err := export.Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if m := manifest(t, dir); m.Complete || len(m.Files) != 5 {
		t.Errorf("the manifest lists %d files, complete: %t", len(m.Files), m.Complete)
	}
	before := files(t, dir)
	o.Tell = nil
	run(t, o)
	for name, info := range files(t, dir) {
		if was := before[name]; was != nil && !os.SameFile(was, info) {
			t.Errorf("%s was written again", name)
		}
	}
	exported(t, path, dir, allTables...)
}

func TestOneExportAtATime(t *testing.T) {
	t.Parallel()
	path, dir := warehouse(t, 50), t.TempDir()
	o, second := options(path, dir), options(path, dir)
	open := o.Open
	o.Open = func(ctx context.Context, output, temp string) (*query.Reader, error) {
		if _, err := export.Run(ctx, second); err == nil || !strings.Contains(err.Error(), "another export to it goes on (process ") {
			t.Errorf("the second export: %v", err)
		}
		return open(ctx, output, temp)
	}
	run(t, o)
	run(t, second)
	exported(t, path, dir, allTables...)
}
