package config

import (
	"strings"
	"testing"
)

// The table names defaults as text; each must be what the key truly stands at, and a key of the grammar.
func TestNotBuiltNamesTrueDefaults(t *testing.T) {
	for pattern, text := range notBuilt {
		section, name, _ := strings.Cut(pattern, ".")
		source := "{name: a, provider: voicy, api_key_env: KEY, start: 2025-01-01"
		given := name + ": " + text
		if text == "" {
			given = name + ": x"
		}
		file := "sources: [" + source + "}]\n" + section + ": {" + given + "}\n"
		if section == "sources[]" {
			file = "sources: [" + source + ", " + given + "}]\n"
		}
		_, err := Parse("f", []byte(file))
		switch {
		case text != "" && err != nil:
			t.Errorf("%s at its default is refused: %v", pattern, err)
		case text == "" && (err == nil || !strings.Contains(err.Error(), pattern+": not built yet; leave it out")):
			t.Errorf("%s: %v", pattern, err)
		}
	}
}
