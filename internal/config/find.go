package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Find returns the path of the configuration file: the explicit one (--config) as it is, else syncd.yaml in the working folder, else
// syncd/config.yaml in $XDG_CONFIG_HOME (~/.config where that is not set, or not absolute). Variables are looked up with getenv (os.Getenv). Where
// there is none its error, an Errors, names the places.
func Find(explicit string, getenv func(string) string) (string, error) {
	if explicit != "" {
		return explicit, nil
	}
	places := []string{"syncd.yaml"}
	base := getenv("XDG_CONFIG_HOME")
	if home := getenv("HOME"); !filepath.IsAbs(base) && home != "" {
		base = filepath.Join(home, ".config")
	}
	if filepath.IsAbs(base) {
		places = append(places, filepath.Join(base, "syncd", "config.yaml"))
	}
	for _, p := range places {
		// A file that is there and cannot be looked at is the one meant: Load says what is wrong with it.
		if _, err := os.Stat(p); !errors.Is(err, fs.ErrNotExist) {
			return p, nil
		}
	}
	return "", Errors{{Message: "no configuration found: looked for " + strings.Join(places, " and ") +
		"; copy config.example.yaml to syncd.yaml and change it, or name a file with --config"}}
}

// Source returns the source of a name.
func (c *Config) Source(name string) (Source, bool) {
	for _, s := range c.Sources {
		if s.Name == name {
			return s, true
		}
	}
	return Source{}, false
}

// Select returns the named sources, each once and in the file's order, or all of them for no names. Its error is an Errors with every
// name that there is not.
func (c *Config) Select(names []string) ([]Source, error) {
	if len(names) == 0 {
		return append([]Source(nil), c.Sources...), nil
	}
	var all []string
	for _, s := range c.Sources {
		all = append(all, s.Name)
	}
	wanted := make(map[string]bool, len(names))
	var errs Errors
	for _, name := range names {
		if _, ok := c.Source(name); !ok && !wanted[name] {
			errs = append(errs, Error{File: c.File,
				Message: "no source " + excerpt(name) + didYouMean(nearest(name, all)) + " there are: " + strings.Join(all, ", ")})
		}
		wanted[name] = true
	}
	if len(errs) > 0 {
		return nil, errs
	}
	var chosen []Source
	for _, s := range c.Sources {
		if wanted[s.Name] {
			chosen = append(chosen, s)
		}
	}
	return chosen, nil
}
