package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"unicode"
)

// redacted is what every printed form of a secret says.
const redacted = "[redacted]"

// maxSecret is far more than any key.
const maxSecret = 64 << 10

// Secret is a key. However it is printed or encoded, it says [redacted]; only Reveal tells it. The zero Secret is none.
type Secret struct {
	// A pointer, because fmt prints what lies in another type's unexported field without asking the value's own methods.
	text *string
}

func newSecret(s string) Secret { return Secret{text: &s} }

// Reveal returns the secret itself, "" for none.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String returns [redacted].
func (Secret) String() string { return redacted }

// GoString returns [redacted].
func (Secret) GoString() string { return redacted }

// Format writes [redacted] for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) } // fmt's own buffer takes everything

// MarshalText returns [redacted], for JSON, YAML and every other encoding of text.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns [redacted].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// SecretRef says where a secret comes from: an environment variable or a file, one of the two. The zero SecretRef is none.
type SecretRef struct {
	Env  string // the variable's name
	File string // the file's path
	at   place
}

// Secrets are what the references of a configuration lead to.
type Secrets struct {
	APIKeys map[string]Secret // by the source's name
	HashKey Secret            // the zero Secret unless phone numbers are hashed
}

// Secrets finds the API keys of the sources, and the key that numbers are hashed with. Variables are looked up with lookup
// (os.LookupEnv). Its error is an Errors that names together everything missing or unusable: a variable unset or empty, a file that
// is not there, empty, or open to be written by others, a key with a space or a line break in it. No secret is ever shown in it.
func (c *Config) Secrets(lookup func(string) (string, bool), sources []Source) (Secrets, error) {
	found := Secrets{APIKeys: make(map[string]Secret, len(sources))}
	var errs []Error
	resolve := func(ref SecretRef, usable func(string) error) Secret {
		text, err := ref.resolve(lookup)
		if err == nil {
			err = usable(text)
		}
		if err != nil {
			errs = append(errs, Error{File: c.File, Line: ref.at.line, Column: ref.at.column, Path: ref.at.path, Message: err.Error()})
			return Secret{}
		}
		return newSecret(text)
	}
	for _, s := range sources {
		found.APIKeys[s.Name] = resolve(s.APIKey, usableInHeader)
	}
	if c.Privacy.PhoneNumbers == Hash {
		found.HashKey = resolve(c.Privacy.HashKey, hardToGuess)
	}
	if len(errs) > 0 {
		return Secrets{}, inOrder(errs)
	}
	return found, nil
}

// resolve reads the secret. Its errors never hold the secret; nor the file's path, unless there is such a file, as it may be a secret in the
// wrong place: the position in the configuration leads there.
func (r SecretRef) resolve(lookup func(string) (string, bool)) (string, error) {
	if r.Env != "" {
		text, set := lookup(r.Env)
		if !set {
			return "", fmt.Errorf("the environment variable %s is not set; export it", r.Env)
		}
		if text == "" {
			return "", fmt.Errorf("the environment variable %s is empty; export the key in it", r.Env)
		}
		return text, nil
	}
	text, err := readSecret(r.File)
	if err != nil {
		return "", fmt.Errorf("the file named here %w", err)
	}
	return text, nil
}

func readSecret(path string) (text string, err error) {
	f, err := openAtOnce(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", errors.New("does not exist; a relative path starts at the configuration file's folder")
	case err != nil:
		return "", unreadable(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is a folder, a pipe or a device; want a plain file that holds the key")
	}
	var data []byte
	if err == nil {
		data, err = readGuarded(f, maxSecret)
	}
	if err = errors.Join(err, bare(f.Close())); err != nil {
		return "", err
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("is larger than %d KiB, which no key is", maxSecret>>10)
	}
	text = strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return "", errors.New("is empty; want the key in it")
	}
	return text, nil
}

// usableInHeader refuses what no API key holds and no HTTP header should: usually a line too many, or "Bearer" copied with the key.
func usableInHeader(key string) error {
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the key found has a space, a line break or another character that no key has; give the key alone, on one line")
	}
	return nil
}

// oneLine refuses a key of more than one line, and one that is not text.
func oneLine(key string) error {
	if strings.ContainsFunc(key, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return errors.New("the key found has a line break or another control character; give it on one line")
	}
	return nil
}

// shortestHashKey keeps hashes from being undone by trying keys: phone numbers are few.
const shortestHashKey = 16

func hardToGuess(key string) error {
	if err := oneLine(key); err != nil {
		return err
	}
	if len(key) < shortestHashKey {
		return fmt.Errorf("the key found is shorter than %d characters, so that hashes could be undone by trying; make one with: openssl rand -hex 32", shortestHashKey)
	}
	return nil
}
