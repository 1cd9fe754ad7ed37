// Package config reads syncd's configuration: one strict YAML file, made into typed values.
//
// It owns the file's grammar: which keys there are, their defaults, what each may hold, and the words that say what is wrong, all of
// it at once, with line and column. It refuses to guess: an unknown, repeated or misspelt key, a value of another type, anchors, aliases,
// merge keys and tags, a second document and an empty file are errors, nothing is expanded from variables, and a key whose feature is not
// built yet may only stand at its default. It knows no provider beyond its name, no database and no network, imports nothing of this
// project, and touches secrets only when asked to, after parsing. A file that others than its owner could have written is refused, be it the
// configuration or a key.
//
// Paths in the file that are not absolute start at the file's own folder, wherever syncd is started: a job run by cron and a
// shell find the same warehouse.
package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	_ "time/tzdata" // warehouse.timezone must mean the same on a machine without a tz database
)

// Config is a whole configuration, every default filled in.
type Config struct {
	File      string // as the user named it
	Warehouse Warehouse
	Sources   []Source // at least one, in the file's order
	Query     Query
	Server    Server
	Privacy   Privacy
	Log       Log
}

// Warehouse is where calls are kept.
type Warehouse struct {
	Path          string         // syncd's own DuckDB file
	Publish       string         // the copy for readers; "": none
	PublishEvery  time.Duration  // copy at most this often
	Views         string         // a folder with views of the user's own, as .sql files, for the copy; "": none
	KeepRaw       time.Duration  // how long payloads are kept; 0: for ever
	Timezone      *time.Location // what a day is, in views; never nil
	MemoryLimit   int64          // DuckDB's, in bytes
	Threads       int            // DuckDB's; 0: all cores
	TempDirectory string         // DuckDB's, for what outgrows memory; "": its own choice, beside the warehouse
}

// Source is one account of one provider.
type Source struct {
	Name        string // the user's, unique: letters, digits, _ and -, all lower case
	Provider    string // millis, burki or voicy
	BaseURL     string // https, or http on loopback, without the last slash; "": the provider's default
	APIKey      SecretRef
	Schedule    string    // a valid cron expression or descriptor
	Start       time.Time // nothing older is wanted; UTC
	PageSize    int       // of a list; the provider's maximum where the file says none
	RateLimit   Rate
	Reread      []time.Duration // ages at which a call is read again, ascending; empty: never
	Details     bool            // fetch what the list leaves out
	Timeout     time.Duration   // of one request
	CreditValue *CreditValue    // what a Millis credit is worth; nil: nobody said
}

// Rate allows Requests in any span of time Per. Neither is ever 0.
type Rate struct {
	Requests int
	Per      time.Duration
}

// CreditValue is the price of one credit.
type CreditValue struct {
	Amount   string // decimal text such as 0.01, above 0, at most nine digits on either side of the point
	Currency string // three capitals
}

// Query bounds what a question of a reader may take.
type Query struct {
	MemoryLimit int64         // DuckDB's, in bytes
	Timeout     time.Duration // for one question, its answer included
	MaxRows     int           // of one answer over HTTP
}

// Server is what syncd serves over HTTP.
type Server struct {
	HTTP string // host:port on loopback; "": off
}

// Policy is what becomes of personal data before anything is stored.
type Policy string

// The policies. Transcripts know Keep and Drop alone.
const (
	Keep Policy = "keep"
	Mask Policy = "mask"
	Hash Policy = "hash"
	Drop Policy = "drop"
)

// Privacy is what becomes of personal data.
type Privacy struct {
	PhoneNumbers Policy
	Transcripts  Policy
	HashKey      SecretRef // zero unless PhoneNumbers is Hash
}

// Log is how syncd logs.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // text or json
}

// Load reads and checks a configuration file. A file that others than its owner may write, or put another in the place of, is refused, as is
// one that cannot be read. Its error is an Errors.
func Load(path string) (*Config, error) {
	data, err := readConfig(path)
	if err != nil {
		return nil, Errors{{File: path, Message: err.Error()}}
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, Errors{{File: path, Message: "cannot tell the file's folder: " + bare(err).Error()}}
	}
	return parseIn(folder, path, data)
}

// Parse checks a configuration that has been read already. The name is for errors, and its folder is where relative paths start. Its
// error is an Errors with everything that is wrong, in the order of the file.
func Parse(name string, data []byte) (*Config, error) {
	return parseIn(filepath.Dir(name), name, data)
}

func parseIn(folder, name string, data []byte) (*Config, error) {
	root, bad := parseYAML(name, data)
	if bad != nil {
		return nil, Errors{*bad}
	}
	d := &decoder{file: name}
	if root == nil {
		d.failAt(place{line: 1, column: 1}, "the file is empty; copy config.example.yaml and change it")
		return nil, inOrder(d.errs)
	}
	c := &Config{File: name}
	if v, ok := (value{d: d, node: root}).plain(); ok {
		c.read(v, folder)
	}
	if len(d.errs) > 0 {
		return nil, inOrder(d.errs)
	}
	return c, nil
}

// readConfig reads the file's bytes.
func readConfig(path string) (data []byte, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("no such file; copy config.example.yaml there, or name another with --config")
	}
	if err != nil {
		return nil, unreadable(err)
	}
	data, err = readGuarded(f, maxSize)
	return data, errors.Join(err, bare(f.Close()))
}
