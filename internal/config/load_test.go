package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/config"
)

const minimal = "sources:\n  - {name: a, provider: voicy, api_key_env: KEY, start: 2025-01-01}\n"

// write makes a file with exactly these permissions, whatever the umask.
func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadTakesPathsFromTheFilesFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "conf", "syncd.yaml"), "warehouse: {path: ../data/w.duckdb}\n"+minimal, 0o644)
	t.Chdir(dir)
	c, err := config.Load("conf/syncd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(wd, "data", "w.duckdb"); c.Warehouse.Path != want {
		t.Errorf("path %s, want %s", c.Warehouse.Path, want)
	}
	if want := filepath.Join(wd, "conf", "calls.read.duckdb"); c.Warehouse.Publish != want {
		t.Errorf("publish %s, want %s", c.Warehouse.Publish, want)
	}
	if c.File != "conf/syncd.yaml" {
		t.Errorf("file %s", c.File)
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct{ path, want string }{
		"missing":       {filepath.Join(dir, "none.yaml"), "no such file; copy config.example.yaml there, or name another with --config"},
		"a folder":      {dir, "is a folder; want a file"},
		"far too large": {write(t, filepath.Join(dir, "large.yaml"), strings.Repeat("# padding\n", 30_000), 0o600), "larger than 256 KiB: this is no configuration of syncd"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(c.path)
			want := config.Errors{{File: c.path, Message: c.want}}
			var got config.Errors
			if !errors.As(err, &got) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			if err.Error() != c.path+": "+c.want {
				t.Errorf("printed as %q", err)
			}
		})
	}
}

func TestDeepBracketsAreRefusedQuickly(t *testing.T) {
	for _, unit := range []string{"[", "{a: "} {
		_, err := config.Parse("f", []byte(strings.Repeat(unit, 60_000)))
		if err == nil || !strings.Contains(err.Error(), "more than 64 brackets within each other") {
			t.Errorf("%.200v", err)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	home, xdg := filepath.Join(dir, "home"), filepath.Join(dir, "xdg")
	find := func(explicit string, getenv func(string) string, want string) {
		t.Helper()
		got, err := config.Find(explicit, getenv)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	none := func(places string) string {
		return "no configuration found: looked for " + places + "; copy config.example.yaml to syncd.yaml and change it, or name a file with --config"
	}
	inHome, inXDG := filepath.Join(home, ".config", "syncd", "config.yaml"), filepath.Join(xdg, "syncd", "config.yaml")

	find("", env(), none("syncd.yaml"))
	find("", env("HOME", home), none("syncd.yaml and "+inHome))
	find("", env("HOME", home, "XDG_CONFIG_HOME", xdg), none("syncd.yaml and "+inXDG))
	find("given.yaml", env(), "given.yaml")
	write(t, inHome, minimal, 0o600)
	find("", env("HOME", home, "XDG_CONFIG_HOME", xdg), none("syncd.yaml and "+inXDG))
	find("", env("HOME", home, "XDG_CONFIG_HOME", "relative"), inHome)
	write(t, inXDG, minimal, 0o600)
	find("", env("HOME", home, "XDG_CONFIG_HOME", xdg), inXDG)
	write(t, "syncd.yaml", minimal, 0o600)
	find("", env("HOME", home, "XDG_CONFIG_HOME", xdg), "syncd.yaml")
}

func TestSelect(t *testing.T) {
	c, err := config.Parse("syncd.yaml", []byte(minimal+"  - {name: millis-us, provider: millis, api_key_env: KEY, start: 2025-01-01}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		ask  []string
		want string // names, or the error
	}{
		{nil, "a millis-us"},
		{[]string{"millis-us"}, "millis-us"},
		{[]string{"millis-us", "a", "millis-us"}, "a millis-us"},
		{[]string{"milis-us", "a", "", "milis-us"}, "syncd.yaml: no source \"milis-us\"; did you mean \"millis-us\"? there are: a, millis-us\n" +
			"syncd.yaml: no source \"\"; there are: a, millis-us"},
	} {
		sources, err := c.Select(one.ask)
		var names []string
		for _, s := range sources {
			names = append(names, s.Name)
		}
		got := strings.Join(names, " ")
		if err != nil {
			got = err.Error()
		}
		if got != one.want {
			t.Errorf("%q: got %s\nwant %s", one.ask, got, one.want)
		}
	}
	if s, ok := c.Source("millis-us"); !ok || s.Provider != "millis" {
		t.Errorf("Source: %+v, %v", s, ok)
	}
	if _, ok := c.Source("none"); ok {
		t.Error("Source found one that is not there")
	}
}
