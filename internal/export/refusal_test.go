package export_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/export"
)

func TestWhatCannotBeMeantIsRefusedAndNothingIsTouched(t *testing.T) {
	t.Parallel()
	path, other, made := warehouse(t, 60), warehouse(t, 40), t.TempDir()
	run(t, options(path, made))
	whole := func(dir string) error { return os.CopyFS(dir, os.DirFS(made)) }
	write := func(name, text string) func(dir string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	}
	edited := func(old, new string) func(dir string) error {
		return func(dir string) error {
			if err := whole(dir); err != nil {
				return err
			}
			name := filepath.Join(dir, "manifest.json")
			text, err := os.ReadFile(name)
			if !strings.Contains(string(text), old) {
				t.Fatalf("the manifest has no %q", old)
			}
			return errors.Join(err, os.WriteFile(name, []byte(strings.Replace(string(text), old, new, 1)), 0o600))
		}
	}
	without := false
	for _, c := range []struct {
		name    string
		prepare func(dir string) error
		options func(o *export.Options)
		says    string
		refused bool
	}{
		{name: "a folder with something else", prepare: write("thesis.txt", "x"), says: "it is not empty, and holds no export (there is thesis.txt", refused: true},
		{name: "a manifest of something else", prepare: write("manifest.json", `{"name": "an app"}`), says: "is not that of an export", refused: true},
		{name: "a file", prepare: write("file", ""), options: func(o *export.Options) { o.Dir = filepath.Join(o.Dir, "file") }, says: "it is not a folder", refused: true},
		{name: "another warehouse's export", prepare: func(dir string) error { run(t, options(other, dir)); return nil }, says: "an export of another warehouse, " + other, refused: true},
		{name: "a newer format", prepare: edited(`"format": 1`, `"format": 2`), says: "a newer syncd made it (its manifest has format 2, and this syncd knows 1): use that syncd"},
		{name: "no JSON", prepare: edited(`"files": [`, `"files": [,`), says: "is damaged"},
		{name: "a path that leads out", prepare: edited(`"path": "calls/`, `"path": "../calls/`), says: "is damaged"},
		{name: "an unknown source", options: func(o *export.Options) { o.Sources = []string{"burki", "miller"} }, says: `no source "miller"; it has burki, millis-us`, refused: true},
		{name: "payloads of one source alone", prepare: whole,
			options: func(o *export.Options) { o.Sources, o.Raw = []string{"burki"}, &without }, says: "leave the sources out", refused: true},
	} {
		dir := t.TempDir()
		if c.prepare != nil {
			if err := c.prepare(dir); err != nil {
				t.Fatal(err)
			}
		}
		before := contents(t, dir)
		o := options(path, dir)
		if c.options != nil {
			c.options(&o)
		}
		_, err := export.Run(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "export to "+dir) || errors.Is(err, export.ErrRefused) != c.refused {
			t.Errorf("%s: error %v, want one that says %q, refused: %t", c.name, err, c.says, c.refused)
		}
		after := contents(t, dir)
		delete(before, ".exporting")
		delete(after, ".exporting")
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("%s: the folder (-before +after):\n%s", c.name, diff)
		}
	}
}

// contents are all files in a folder.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all[strings.TrimPrefix(path, dir+"/")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWhereAWarehouseWasExportedToIsKnown(t *testing.T) {
	t.Parallel()
	path := warehouse(t, 20)
	if known, err := export.Known(path); known != nil || err != nil {
		t.Errorf("before the first export: %v, %v", known, err)
	}
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(a, link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{a, b, link, a} {
		run(t, options(path, dir))
	}
	known, err := export.Known(path)
	if diff := cmp.Diff([]string{a, b}, known); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if info, err := os.Stat(path + ".exports.json"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the list: %v, %v", info, err)
	}

	// Who is erased from the warehouse is gone from every export that is known, and one that is not there any more is told.
	change(t, path, `DELETE FROM calls WHERE call_id = 'call-3'`, `DELETE FROM call_messages WHERE call_id = 'call-3'`, `DELETE FROM call_costs WHERE call_id = 'call-3'`,
		`DELETE FROM call_functions WHERE call_id = 'call-3'`, `DELETE FROM raw_calls WHERE call_id = 'call-3'`, `DELETE FROM call_revisions WHERE call_id = 'call-3'`)
	if err := os.RemoveAll(b); err != nil {
		t.Fatal(err)
	}
	for _, dir := range known {
		o := options(path, dir)
		o.Raw, o.AsBefore = nil, true
		_, err := export.Run(t.Context(), o)
		if gone := errors.Is(err, export.ErrNone); gone != (dir == b) || err != nil && !gone {
			t.Errorf("%s: %v", dir, err)
		}
	}
	exported(t, path, a, allTables...)
	if _, err := os.Stat(b); err == nil {
		t.Error("a folder that was not there was made")
	}
	for range 2 {
		if err := export.Unlist(path, b); err != nil {
			t.Error(err)
		}
		if known, err := export.Known(path); err != nil || !slices.Equal(known, []string{a}) {
			t.Errorf("without the one that is gone: %v, %v", known, err)
		}
	}
	run(t, options(path, b))
	if known, err := export.Known(path); err != nil || !slices.Equal(known, []string{a, b}) {
		t.Errorf("once it is exported to again: %v, %v", known, err)
	}

	if err := os.WriteFile(path+".exports.json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := export.Run(t.Context(), options(path, a)); err == nil || !strings.Contains(err.Error(), "the list of exports "+path+".exports.json is damaged") {
		t.Errorf("a damaged list: %v", err)
	}
}
