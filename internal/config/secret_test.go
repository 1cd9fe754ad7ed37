package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"syncd/internal/config"
)

// environment is a lookup in a map.
func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		text, set := vars[name]
		return text, set
	}
}

// load writes a configuration beside its key files and loads it.
func load(t *testing.T, dir, text string) *config.Config {
	t.Helper()
	c, err := config.Load(write(t, filepath.Join(dir, "syncd.yaml"), text, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const twoKeys = `sources:
  - {name: a, provider: voicy, api_key_env: KEY, start: 2025-01-01}
  - {name: b, provider: burki, api_key_file: keys/b, start: 2025-01-01}
privacy: {phone_numbers: hash, hash_key_file: keys/hash}
`

func TestSecretsComeFromEnvironmentAndFiles(t *testing.T) {
	dir := t.TempDir()
	c := load(t, dir, twoKeys)
	write(t, filepath.Join(dir, "keys", "b"), "sk-b\r\n", 0o444)
	write(t, filepath.Join(dir, "keys", "hash"), "a phrase of words", 0o400)
	got, err := c.Secrets(environment(map[string]string{"KEY": "sk-a"}), c.Sources)
	if err != nil {
		t.Fatal(err)
	}
	revealed := map[string]string{"hash": got.HashKey.Reveal()}
	for name, key := range got.APIKeys {
		revealed[name] = key.Reveal()
	}
	if diff := cmp.Diff(map[string]string{"a": "sk-a", "b": "sk-b", "hash": "a phrase of words"}, revealed); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}

	// What is not asked for is not looked for.
	if err := os.Remove(filepath.Join(dir, "keys", "b")); err != nil {
		t.Fatal(err)
	}
	some, err := c.Select([]string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err = c.Secrets(environment(map[string]string{"KEY": "sk-a"}), some); err != nil || len(got.APIKeys) != 1 {
		t.Errorf("with one source: %v, %v", got, err)
	}
}

func TestMissingSecretsAreNamedTogether(t *testing.T) {
	c := load(t, t.TempDir(), twoKeys)
	_, err := c.Secrets(environment(nil), c.Sources)
	var errs config.Errors
	if !errors.As(err, &errs) {
		t.Fatalf("got %v", err)
	}
	want := c.File + ":2:45: sources[0].api_key_env: the environment variable KEY is not set; export it\n" +
		c.File + ":3:46: sources[1].api_key_file: the file named here does not exist; a relative path starts at the configuration file's folder\n" +
		c.File + ":4:47: privacy.hash_key_file: the file named here does not exist; a relative path starts at the configuration file's folder"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestUnusableSecretsAreRefusedUnseen(t *testing.T) {
	const key = "sk-never-shown"
	fromEnv := func(text string) func(t *testing.T) error {
		return func(t *testing.T) error {
			c := load(t, t.TempDir(), minimal)
			_, err := c.Secrets(environment(map[string]string{"KEY": text}), c.Sources)
			return err
		}
	}
	fromFile := func(make func(t *testing.T, path string)) func(t *testing.T) error {
		return func(t *testing.T) error {
			dir := t.TempDir()
			c := load(t, dir, "sources:\n  - {name: a, provider: voicy, api_key_file: key, start: 2025-01-01}\n")
			make(t, filepath.Join(dir, "key"))
			_, err := c.Secrets(environment(nil), c.Sources)
			return err
		}
	}
	file := func(text string, mode os.FileMode) func(t *testing.T) error {
		return fromFile(func(t *testing.T, path string) { write(t, path, text, mode) })
	}
	const badText = "the key found has a space, a line break or another character that no key has; give the key alone, on one line"
	for name, c := range map[string]struct {
		resolve func(t *testing.T) error
		want    string
	}{
		"empty variable":       {fromEnv(""), "the environment variable KEY is empty; export the key in it"},
		"variable with a line": {fromEnv(key + "\n"), badText},
		"Bearer":               {fromEnv("Bearer " + key), badText},
		"no ASCII":             {fromEnv("“" + key + "”"), badText},
		"empty file":           {file("", 0o600), "the file named here is empty; want the key in it"},
		"only a line end":      {file("\n", 0o600), "the file named here is empty; want the key in it"},
		"two lines":            {file(key+"\n"+key+"\n", 0o600), badText},
		"two line ends":        {file(key+"\n\n", 0o600), badText},
		"a byte of nothing":    {file(key+"\x00", 0o600), badText},
		"far too large":        {file(strings.Repeat("x", 70_000), 0o600), "the file named here is larger than 64 KiB, which no key is"},
		"a way through a file": {func(t *testing.T) error {
			c := load(t, t.TempDir(), "sources:\n  - {name: a, provider: voicy, api_key_file: syncd.yaml/key, start: 2025-01-01}\n")
			_, err := c.Secrets(environment(nil), c.Sources)
			return err
		}, "the file named here cannot be read: not a directory"},
		"a folder": {fromFile(func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}), "the file named here is a folder, a pipe or a device; want a plain file that holds the key"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.resolve(t)
			if err == nil {
				t.Fatal("accepted")
			}
			_, message, _ := strings.Cut(err.Error(), "sources[0].api_key_")
			_, message, _ = strings.Cut(message, ": ")
			if message != c.want {
				t.Errorf("got  %s\nwant %s", err, c.want)
			}
			if strings.Contains(err.Error(), key) {
				t.Error("the key is in the error")
			}
		})
	}
}

func TestHashKeyMustBeOneLineAndHardToGuess(t *testing.T) {
	const base = minimal + "privacy: {phone_numbers: hash, hash_key_env: HASH}\n"
	c := load(t, t.TempDir(), base)
	for text, ok := range map[string]bool{
		"größer als sechzehn": true, "with a space in the middle": true, "two\nlines of a longer key": false, "\xff\xfe": false, "": false, "fifteen letters": false,
	} {
		_, err := c.Secrets(environment(map[string]string{"KEY": "k", "HASH": text}), c.Sources)
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A secret reaches output by ways that nobody thought of: every one that is known is tried, with the value itself, a pointer to it, and
// in fields exported and not.
func TestSecretNeverShows(t *testing.T) {
	const key = "sk-never-shown"
	c := load(t, t.TempDir(), minimal)
	found, err := c.Secrets(environment(map[string]string{"KEY": key}), c.Sources)
	if err != nil {
		t.Fatal(err)
	}
	secret := found.APIKeys["a"]
	type exported struct{ Key config.Secret }
	type hidden struct{ key config.Secret }
	values := []any{
		secret, &secret, found, &found, []config.Secret{secret}, map[string]config.Secret{"a": secret},
		exported{secret}, &exported{secret}, hidden{secret}, &hidden{secret}, []any{hidden{secret}}, fmt.Errorf("wrapped: %v", secret),
	}
	var out bytes.Buffer
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%20.3s", "%w", "%T"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		fmt.Fprintln(&out, v)
		asJSON, err := json.Marshal(v)
		if err != nil {
			t.Errorf("json of %T: %v", v, err)
		}
		asYAML, err := yaml.Marshal(v)
		if err != nil {
			t.Errorf("yaml of %T: %v", v, err)
		}
		out.Write(asJSON)
		out.Write(asYAML)
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("key", "v", v)
		}
	}
	for _, form := range []string{key, fmt.Sprintf("%x", key), fmt.Sprintf("%X", key), "never"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%s shows in:\n%s", form, out.String())
		}
	}
	if n := strings.Count(out.String(), "[redacted]"); n < len(values)*4 {
		t.Errorf("only %d times redacted: is anything printed at all?", n)
	}
	if secret.Reveal() != key {
		t.Error("the secret does not reveal itself")
	}
	if (config.Secret{}).Reveal() != "" {
		t.Error("no secret reveals something")
	}
}
