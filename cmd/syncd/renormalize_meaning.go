package main

import (
	"errors"
	"os"
	"regexp"

	"syncd/internal/config"
	"syncd/internal/pipeline"
)

// errOtherMeaning refuses a command that a daemon would not do as it was meant: its configuration was read, and its program begun, before either changed.
var errOtherMeaning = errors.New("the running daemon has another configuration (or version); restart it")

// hashedBy is what rules tell of the key of hashed numbers.
var hashedBy = regexp.MustCompile(` with key \w+`)

// rulesAsked are the rules of sources by the configuration that a command has read. A person's shell need not have the key that numbers are hashed with, as
// the daemon has it: then the rules say nothing of it.
func rulesAsked(c *config.Config, chosen []config.Source) map[string]string {
	secrets, err := c.Secrets(os.LookupEnv, nil)
	all := make(map[string]string, len(chosen))
	for _, s := range chosen {
		all[s.Name] = rules(c.Privacy, secrets.HashKey, meaning(c, s, secrets.HashKey).Credit)
		if err != nil {
			all[s.Name] = hashedBy.ReplaceAllString(all[s.Name], "")
		}
	}
	return all
}

// means reports whether whoever does the work would do it as it was asked for: by the same version, of the same sources, by the same rules.
func (a renormalizeArgs) means(all []pipeline.Source) bool {
	if a.Version != version() || len(a.Rules) != len(all) {
		return false
	}
	for _, s := range all {
		asked, known := a.Rules[s.Name]
		if !known || asked != s.Rules && asked != hashedBy.ReplaceAllString(s.Rules, "") {
			return false
		}
	}
	return true
}
