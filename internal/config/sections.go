package config

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

const day = 24 * time.Hour

// read fills the configuration from the file's top, defaults first.
func (c *Config) read(v value, folder string) {
	c.Warehouse = Warehouse{
		Path: "calls.duckdb", Publish: "calls.read.duckdb", PublishEvery: time.Minute, Timezone: time.UTC, MemoryLimit: 2e9,
	}
	c.Query = Query{MemoryLimit: 1e9, Timeout: 5 * time.Minute, MaxRows: 10_000}
	c.Server = Server{HTTP: "127.0.0.1:8080"}
	c.Privacy = Privacy{PhoneNumbers: Keep, Transcripts: Keep}
	c.Log = Log{Level: "info", Format: "text"}

	var files object
	o, ok := v.object(
		field{name: "warehouse", read: func(v value) { files = c.Warehouse.read(v) }},
		field{name: "sources", required: "a list of at least one source", read: c.readSources},
		field{name: "query", read: c.Query.read},
		field{name: "server", read: c.Server.read},
		field{name: "privacy", read: c.Privacy.read},
		field{name: "log", read: c.Log.read},
	)
	if !ok {
		return
	}
	c.resolve(folder)
	// A place in the file for what is wrong with a default: the section, or the top.
	at := o.begin
	if w, there := o.keys["warehouse"]; there {
		at = w.place()
	}
	c.Warehouse.checkFiles(v.d, files, at)
}

// resolve makes every path start at the folder.
func (c *Config) resolve(folder string) {
	paths := []*string{&c.Warehouse.Path, &c.Warehouse.Publish, &c.Warehouse.Views, &c.Warehouse.TempDirectory, &c.Privacy.HashKey.File}
	for i := range c.Sources {
		paths = append(paths, &c.Sources[i].APIKey.File)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(folder, *p)
		}
	}
}

func (w *Warehouse) read(v value) object {
	o, _ := v.object(
		key("path", &w.Path, file),
		key("publish", &w.Publish, path),
		key("publish_every", &w.PublishEvery, duration(time.Second, 365*day)),
		key("views", &w.Views, path),
		key("keep_raw", &w.KeepRaw, keepRaw),
		key("timezone", &w.Timezone, parsed(parseZone)),
		key("memory_limit", &w.MemoryLimit, parsed(parseMemory)),
		key("threads", &w.Threads, whole(0, 1024)),
		key("temp_directory", &w.TempDirectory, path),
	)
	return o
}

// keepRaw reads "forever", as 0, or a number of days.
func keepRaw(v value) (time.Duration, bool) {
	if n, ok := v.node.(*ast.StringNode); ok && n.Value == "forever" {
		return 0, true
	}
	return duration(day, 36500*day)(v)
}

// checkFiles refuses names under which DuckDB could not tell the file from one of its schemas, and two files that are one.
func (w *Warehouse) checkFiles(d *decoder, o object, fallback place) {
	at := func(name string) place {
		if v, ok := o.keys[name]; ok {
			return v.place()
		}
		return place{fallback.line, fallback.column, "warehouse." + name}
	}
	for _, f := range []struct{ name, path string }{{"path", w.Path}, {"publish", w.Publish}} {
		if f.path == "" {
			continue
		}
		if name := catalog(f.path); slices.Contains(reserved, strings.ToLower(name)) {
			d.failAt(at(f.name), "DuckDB would name this database %q, which it cannot tell from a name of its own; call the file otherwise, such as calls.duckdb", name)
		}
		if filepath.Base(f.path) == ":memory:" {
			d.failAt(at(f.name), "a warehouse in memory would be gone with the program; name a file")
		}
		if strings.Contains(f.path, "?") {
			d.failAt(at(f.name), "DuckDB takes what follows a ? in a path for options; choose a file and folder without one")
		}
	}
	if w.Publish != "" && filepath.Clean(w.Path) == filepath.Clean(w.Publish) {
		d.failAt(at("path"), "the same file as warehouse.publish, the copy made of it for readers; name another")
	}
}

// reserved are the catalog names that a warehouse cannot have, in any letter case: syncd's own schema, and DuckDB's catalogs and schemas.
// Measured with DuckDB 1.5.5: sync.duckdb and MAIN.duckdb make references ambiguous, TEMP.duckdb and SYSTEM.duckdb are internal
// errors, memory.duckdb cannot be attached by a reader.
var reserved = []string{"sync", "main", "temp", "system", "memory", "information_schema", "pg_catalog"}

// catalog is what DuckDB calls the database in a file: the file's name up to its first dot, dots at its beginning aside.
func catalog(path string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(filepath.Base(path), "."), ".")
	return name
}

// readSources reads the list of sources.
func (c *Config) readSources(v value) {
	named := map[string]place{}
	ok := v.list(func(_ int, element value) {
		s := Source{
			Schedule: "@every 5m", Reread: []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour, 168 * time.Hour},
			Details: true, Timeout: 30 * time.Second,
		}
		o := s.read(element)
		c.Sources = append(c.Sources, s)
		if s.Name == "" {
			return
		}
		at := o.keys["name"].place()
		if earlier, taken := named[s.Name]; taken {
			v.d.failAt(at, "%q is taken by %s in line %d; a source's name is its own", s.Name, strings.TrimSuffix(earlier.path, ".name"), earlier.line)
			return
		}
		named[s.Name] = at
	})
	if n, _ := v.node.(*ast.SequenceNode); ok && len(n.Values) == 0 {
		v.fail("found an empty list; want at least one source")
	}
}

var (
	sourceName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	amountForm = regexp.MustCompile(`^[0-9]{1,9}(\.[0-9]{1,9})?$`)
	currency   = regexp.MustCompile(`^[A-Z]{3}$`)
	envName    = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)
)

func (s *Source) read(v value) object {
	o, ok := v.object(
		must("name", "your name for this account, such as millis-us", &s.Name,
			matching(sourceName, "lower-case letters, digits, _ and -, at most 63, the first a letter or digit")),
		must("provider", "one of millis, burki, voicy", &s.Provider, oneOf(providers()...)),
		key("base_url", &s.BaseURL, baseURL),
		key("api_key_env", &s.APIKey.Env, variable),
		key("api_key_file", &s.APIKey.File, file),
		key("schedule", &s.Schedule, parsed(parseSchedule)),
		must("start", "the date before which no call is wanted, such as 2025-01-01", &s.Start, parsed(ParseDate)),
		key("page_size", &s.PageSize, pageSize),
		key("rate_limit", &s.RateLimit, parsed(parseRate)),
		key("reread", &s.Reread, ages),
		key("details", &s.Details, boolean),
		key("timeout", &s.Timeout, duration(time.Millisecond, time.Hour)),
		key("credit_value", &s.CreditValue, creditValue),
	)
	if !ok {
		return o
	}
	s.APIKey.at = secretAt(v, o, "api_key_env", "api_key_file")
	s.providerRules(o)
	return o
}

// limits are what the providers document of themselves, as far as a configuration must know it.
type limits struct {
	maxPage int
	rate    Rate // the default; voicy's is its standard plan's, the others' are unknown or per endpoint
}

func providers() []string { return []string{"millis", "burki", "voicy"} }

func limitsOf(provider string) (limits, bool) {
	switch provider {
	case "millis":
		return limits{maxPage: 100, rate: Rate{60, time.Minute}}, true
	case "burki":
		return limits{maxPage: 1000, rate: Rate{100, time.Minute}}, true
	case "voicy":
		return limits{maxPage: 1000, rate: Rate{60, time.Minute}}, true
	}
	return limits{}, false
}

// providerRules checks what one provider allows and another does not, and fills in its defaults.
func (s *Source) providerRules(o object) {
	l, ok := limitsOf(s.Provider)
	if !ok {
		return // the wrong provider has been told
	}
	if s.RateLimit == (Rate{}) {
		s.RateLimit = l.rate
	}
	if s.PageSize == 0 {
		s.PageSize = l.maxPage
	}
	if s.PageSize > l.maxPage {
		o.keys["page_size"].fail("found %d; want a whole number from 1 to %d, %s's maximum", s.PageSize, l.maxPage, s.Provider)
	}
	if v, ok := o.keys["credit_value"]; ok && s.Provider != "millis" {
		v.fail("%s bills in money, not in credits: this key is for millis alone; leave it out", s.Provider)
	}
}

// pageSize reads a number of calls. How many are too many is the provider's to say, which may stand further down.
func pageSize(v value) (int, bool) {
	const want = "a whole number from 1 to the provider's maximum"
	n, ok := integer(v, want)
	if ok && n < 1 {
		v.fail("found %d; want %s", n, want)
		return 0, false
	}
	return n, ok
}

// ages reads the ages of re-reading.
func ages(v value) ([]time.Duration, bool) {
	before := len(v.d.errs)
	all := []time.Duration{}
	one := duration(time.Minute, 365*day)
	ok := v.list(func(_ int, element value) {
		age, ok := one(element)
		if !ok {
			return
		}
		if n := len(all); n > 0 && age <= all[n-1] {
			element.fail("found %s after %s; want ages that grow", short(age), short(all[n-1]))
			return
		}
		all = append(all, age)
	})
	return all, ok && len(v.d.errs) == before
}

func creditValue(v value) (*CreditValue, bool) {
	before := len(v.d.errs)
	var c CreditValue
	v.object(
		must("amount", `the price of one credit, such as "0.01"`, &c.Amount, creditAmount),
		must("currency", "a currency's three capitals, such as USD", &c.Currency, matching(currency, "a currency's three capitals, such as USD")),
	)
	return &c, len(v.d.errs) == before
}

// creditAmount reads decimal text. A bare number is refused although it looks the same: YAML would have it be a float.
func creditAmount(v value) (string, bool) {
	s, ok := matching(amountForm, `a decimal number above 0 with at most nine digits on either side of the point, such as "0.01"`)(v)
	if ok && strings.Trim(s, "0.") == "" {
		v.fail("found %s; want more than nothing: leave credit_value out to keep credits as credits", excerpt(s))
		return "", false
	}
	return s, ok
}

func (q *Query) read(v value) {
	v.object(
		key("memory_limit", &q.MemoryLimit, parsed(parseMemory)),
		key("timeout", &q.Timeout, duration(time.Second, day)),
		key("max_rows", &q.MaxRows, whole(1, 10_000_000)),
	)
}

func (s *Server) read(v value) {
	v.object(key("http", &s.HTTP, parsed(parseListen)), later("token_env"), later("tls"))
}

func (p *Privacy) read(v value) {
	o, ok := v.object(
		key("phone_numbers", &p.PhoneNumbers, oneOf(Keep, Mask, Hash, Drop)),
		key("transcripts", &p.Transcripts, oneOf(Keep, Drop)),
		key("hash_key_env", &p.HashKey.Env, variable),
		key("hash_key_file", &p.HashKey.File, file),
	)
	if !ok {
		return
	}
	if p.PhoneNumbers == Hash {
		p.HashKey.at = secretAt(v, o, "hash_key_env", "hash_key_file")
		return
	}
	if v.d.failed(v.join("phone_numbers")) {
		return // nobody knows what was meant
	}
	for _, name := range []string{"hash_key_env", "hash_key_file"} {
		if k, there := o.keys[name]; there {
			k.fail("without effect unless phone_numbers is hash; leave it out")
		}
	}
}

func (l *Log) read(v value) {
	v.object(
		key("level", &l.Level, oneOf("debug", "info", "warn", "error")),
		key("format", &l.Format, oneOf("text", "json")),
	)
}

// variable reads the name of an environment variable. What stands there instead may be the key itself, so it is never shown; and only
// capitals are taken for a name, so that a key cannot pass for one.
func variable(v value) (string, bool) {
	s, ok := v.text()
	if ok && !envName.MatchString(s) {
		v.fail("want the name of an environment variable in capitals, such as MILLIS_API_KEY; a key itself never stands in this file")
		return "", false
	}
	return s, ok
}

// file reads the path of a file, which must be one.
func file(v value) (string, bool) {
	s, ok := path(v)
	if ok && (s == "" || strings.HasSuffix(s, "/")) {
		v.fail("found %s; want the path of a file, or leave the key out", excerpt(s))
		return "", false
	}
	return s, ok
}

// secretAt checks that exactly one of two keys names a secret, and returns its place.
func secretAt(v value, o object, env, file string) place {
	e, byEnv := o.keys[env]
	f, byFile := o.keys[file]
	switch {
	case byEnv && byFile:
		f.fail("%s is given too; keep one of the two", env)
	case byEnv:
		return e.place()
	case byFile:
		return f.place()
	case !o.has(env, file):
		v.d.failAt(place{o.begin.line, o.begin.column, v.join(env)}, "missing; want %s or %s", env, file)
	}
	return place{}
}
