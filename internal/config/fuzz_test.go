package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/config"
)

// FuzzParse: no file ends the program; whatever is refused is refused with a reason in the file's order; and whatever is accepted, written
// out in full, is accepted again and means the same.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range append(files, "../../config.example.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("syncd.yaml", data)
		if err != nil {
			var errs config.Errors
			if !errors.As(err, &errs) || len(errs) == 0 || c != nil {
				t.Fatalf("refused with %v, %v", c, err)
			}
			for i, e := range errs {
				if e.Message == "" || e.Line > 0 && e.Column < 1 {
					t.Errorf("half an error: %+v", e)
				}
				if i > 0 && (e.Line < errs[i-1].Line || e.Line == errs[i-1].Line && e.Column < errs[i-1].Column) {
					t.Errorf("out of order: %v", err)
				}
				if strings.ContainsAny(e.Error(), "\n\r\x00\x1b") {
					t.Errorf("not one plain line: %q", e.Error())
				}
			}
			return
		}
		text := written(t, c)
		again, err := config.Parse("syncd.yaml", []byte(text))
		if err != nil {
			t.Fatalf("accepted, and refused when written as\n%s\n%v", text, err)
		}
		if diff := cmp.Diff(c, again, typed); diff != "" {
			t.Errorf("written and read, it means something else: %s\n%s", diff, text)
		}
	})
}

// written is a configuration as a file with every key that it may have.
func written(t *testing.T, c *config.Config) string {
	t.Helper()
	var b strings.Builder
	line := func(indent, key string, v any) {
		text, err := json.Marshal(v) // JSON's quoted text is YAML's
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s%s: %s\n", indent, key, text)
	}
	ref := func(indent, prefix string, r config.SecretRef) {
		if r.Env != "" {
			line(indent, prefix+"_env", r.Env)
		}
		if r.File != "" {
			line(indent, prefix+"_file", r.File)
		}
	}
	b.WriteString("warehouse:\n")
	line("  ", "path", c.Warehouse.Path)
	line("  ", "publish", c.Warehouse.Publish)
	line("  ", "publish_every", c.Warehouse.PublishEvery.String())
	line("  ", "views", c.Warehouse.Views)
	line("  ", "keep_raw", "forever")
	line("  ", "timezone", c.Warehouse.Timezone.String())
	line("  ", "memory_limit", fmt.Sprintf("%dB", c.Warehouse.MemoryLimit))
	line("  ", "threads", c.Warehouse.Threads)
	line("  ", "temp_directory", c.Warehouse.TempDirectory)
	b.WriteString("sources:\n")
	for _, s := range c.Sources {
		fmt.Fprintf(&b, "  - name: %q\n", s.Name)
		line("    ", "provider", s.Provider)
		if s.BaseURL != "" {
			line("    ", "base_url", s.BaseURL)
		}
		ref("    ", "api_key", s.APIKey)
		line("    ", "schedule", s.Schedule)
		line("    ", "start", s.Start.Format(time.RFC3339Nano))
		if s.PageSize > 0 {
			line("    ", "page_size", s.PageSize)
		}
		line("    ", "rate_limit", fmt.Sprintf("%d/%s", s.RateLimit.Requests,
			map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h"}[s.RateLimit.Per]))
		reread := make([]string, len(s.Reread))
		for i, age := range s.Reread {
			reread[i] = age.String()
		}
		line("    ", "reread", reread)
		line("    ", "details", s.Details)
		line("    ", "timeout", fmt.Sprintf("%.6fs", s.Timeout.Seconds()))
		if s.CreditValue != nil {
			line("    ", "credit_value", map[string]string{"amount": s.CreditValue.Amount, "currency": s.CreditValue.Currency})
		}
	}
	line("", "query", map[string]any{"memory_limit": fmt.Sprintf("%dB", c.Query.MemoryLimit), "timeout": c.Query.Timeout.String(), "max_rows": c.Query.MaxRows})
	line("", "server", map[string]string{"http": c.Server.HTTP})
	b.WriteString("privacy:\n")
	line("  ", "phone_numbers", c.Privacy.PhoneNumbers)
	line("  ", "transcripts", c.Privacy.Transcripts)
	ref("  ", "hash_key", c.Privacy.HashKey)
	line("", "log", map[string]string{"level": c.Log.Level, "format": c.Log.Format})
	return b.String()
}
