package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"syncd/internal/config"
)

var update = flag.Bool("update", false, "write the expected messages of the bad files anew; read the difference before keeping it")

// typed compares configurations by what they mean: zones by name, references to secrets without their position.
var typed = cmp.Options{
	cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() }),
	cmpopts.IgnoreUnexported(config.SecretRef{}),
}

// in is where the tests say that a configuration lies.
const in = "/etc/syncd/"

func defaults(file string, sources ...config.Source) *config.Config {
	return &config.Config{
		File: file,
		Warehouse: config.Warehouse{
			Path: in + "calls.duckdb", Publish: in + "calls.read.duckdb", PublishEvery: time.Minute,
			Timezone: time.UTC, MemoryLimit: 2_000_000_000,
		},
		Sources: sources,
		Query:   config.Query{MemoryLimit: 1_000_000_000, Timeout: 5 * time.Minute, MaxRows: 10_000},
		Server:  config.Server{HTTP: "127.0.0.1:8080"},
		Privacy: config.Privacy{PhoneNumbers: config.Keep, Transcripts: config.Keep},
		Log:     config.Log{Level: "info", Format: "text"},
	}
}

func source(name, provider, key string, perMinute int) config.Source {
	return config.Source{
		Name: name, Provider: provider, APIKey: config.SecretRef{Env: key},
		Schedule: "@every 5m", Start: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
		PageSize:  map[string]int{"millis": 100, "burki": 1000, "voicy": 1000}[provider],
		RateLimit: config.Rate{Requests: perMinute, Per: time.Minute},
		Reread:    []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour},
		Details:   true, Timeout: 30 * time.Second,
	}
}

func everything(file string) *config.Config {
	millis := source("millis-eu", "millis", "MILLIS_API_KEY", 0)
	millis.BaseURL = "https://api-eu-west.millis.ai"
	millis.Start = time.Date(2025, 1, 1, 7, 0, 0, 0, time.UTC)
	millis.PageSize = 20
	millis.RateLimit = config.Rate{Requests: 5, Per: time.Second}
	millis.Timeout = 90 * time.Second
	millis.CreditValue = &config.CreditValue{Amount: "0.01", Currency: "USD"}

	burki := source("2nd_burki", "burki", "", 0)
	burki.BaseURL = "http://127.0.0.1:9999/fake"
	burki.APIKey = config.SecretRef{File: in + "secrets/burki"}
	burki.Start = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	burki.RateLimit = config.Rate{Requests: 1000, Per: time.Hour}

	voicy := source("voicy", "voicy", "", 60)
	voicy.APIKey = config.SecretRef{File: in + "voicy"}
	voicy.Start = time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	voicy.PageSize = 1000
	voicy.Timeout = 500 * time.Millisecond

	c := defaults(file, millis, burki, voicy)
	c.Warehouse.Publish, c.Warehouse.PublishEvery, c.Warehouse.Views = in+"copies/calls.read.duckdb", 90*time.Second, in+"my views"
	c.Query = config.Query{MemoryLimit: 512_000_000, Timeout: 90 * time.Second, MaxRows: 25}
	c.Warehouse.Path = "/var/lib/syncd/calls.duckdb"
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err) // the package brings the zones with it
	}
	c.Warehouse.Timezone = berlin
	c.Warehouse.MemoryLimit = 1_610_612_736
	c.Warehouse.Threads = 2
	c.Warehouse.TempDirectory = in + "spill"
	c.Privacy = config.Privacy{PhoneNumbers: config.Hash, Transcripts: config.Drop, HashKey: config.SecretRef{Env: "HASH_KEY"}}
	c.Log = config.Log{Level: "debug", Format: "json"}
	return c
}

func TestGoodFiles(t *testing.T) {
	want := map[string]func(file string) *config.Config{
		"minimal":      func(f string) *config.Config { return defaults(f, source("a", "voicy", "KEY", 60)) },
		"crlf_and_bom": func(f string) *config.Config { return defaults(f, source("a", "voicy", "KEY", 60)) },
		"everything":   everything,
	}
	files, err := filepath.Glob("testdata/*.good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(want) {
		t.Errorf("testdata has %d good files, the test expects %d", len(files), len(want))
	}
	for name, expected := range want {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("testdata/" + name + ".good.yaml")
			if err != nil {
				t.Fatal(err)
			}
			got, err := config.Parse(in+name, data)
			if err != nil {
				t.Fatalf("refused:\n%v", err)
			}
			if diff := cmp.Diff(expected(in+name), got, typed); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.bad.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".bad.yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := config.Parse("syncd.yaml", data)
			var errs config.Errors
			if !errors.As(err, &errs) || c != nil {
				t.Fatalf("got %v, %v; want Errors alone", c, err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".txt"
			got := err.Error() + "\n"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
			if strings.Count(got, "\n") != len(errs) {
				t.Errorf("%d errors in %d lines", len(errs), strings.Count(got, "\n"))
			}
		})
	}
}

func TestTenMistakesAreTenErrorsInOrder(t *testing.T) {
	data, err := os.ReadFile("testdata/ten_mistakes.bad.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = config.Parse("syncd.yaml", data)
	var errs config.Errors
	if !errors.As(err, &errs) {
		t.Fatalf("got %v", err)
	}
	type where struct {
		Line, Column int
		Path         string
	}
	var got []where
	for _, e := range errs {
		got = append(got, where{e.Line, e.Column, e.Path})
	}
	want := []where{
		{3, 9, "warehouse.path"},
		{4, 13, "warehouse.timezone"},
		{5, 17, "warehouse.memory_limit"},
		{6, 12, "warehouse.threads"},
		{9, 15, "sources[0].provider"},
		{10, 15, "sources[0].base_url"},
		{12, 5, "sources[0].scedule"},
		{13, 12, "sources[0].start"},
		{18, 14, "sources[1].details"},
		{19, 5, "sources[1].name"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestExampleIsWhatSyncdDoesByItself(t *testing.T) {
	data, err := os.ReadFile("../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.Parse(in+"example", data)
	if err != nil {
		t.Fatalf("refused:\n%v", err)
	}
	millis, burki, voicy := source("millis-us", "millis", "MILLIS_API_KEY", 60), source("burki", "burki", "BURKI_API_KEY", 100), source("voicy", "voicy", "VOICY_API_KEY", 60)
	millis.BaseURL, millis.PageSize = "https://api-west.millis.ai", 100
	burki.BaseURL, burki.PageSize = "https://api.burki.dev", 1000
	voicy.BaseURL, voicy.PageSize = "https://api.voicy.co/functions/v1", 1000
	if diff := cmp.Diff(defaults(in+"example", millis, burki, voicy), got, typed); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestExampleShowsEveryKey(t *testing.T) {
	data, err := os.ReadFile("../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Comments that show a key are made keys, one after the other, as a user would.
	text := string(data)
	for _, key := range []string{"# credit_value:", "# hash_key_env:"} {
		if !strings.Contains(text, key) {
			t.Errorf("the example does not show %q", key)
		}
		text = strings.Replace(text, key, strings.TrimPrefix(key, "# "), 1)
	}
	text = strings.Replace(text, "phone_numbers: keep ", "phone_numbers: hash ", 1)
	text = strings.Replace(text, "    api_key_env: MILLIS_API_KEY", "    # api_key_env: MILLIS_API_KEY", 1)
	text = strings.Replace(text, "# api_key_file:", "api_key_file:", 1)
	got, err := config.Parse(in+"example", []byte(text))
	if err != nil {
		t.Fatalf("refused:\n%v", err)
	}
	if got.Sources[0].CreditValue == nil || got.Privacy.HashKey.Env == "" || got.Sources[0].APIKey.File == "" {
		t.Errorf("a key that was made one had no effect: %+v", got)
	}
	// What the messages list as allowed must all stand in the example, except what has no default to show.
	_, err = config.Parse("f", []byte("x: 1\nwarehouse: {x: 1}\nsources: [{x: 1}]\nserver: {x: 1}\nprivacy: {x: 1}\nlog: {x: 1}\n"))
	shown := 0
	for line := range strings.Lines(err.Error()) {
		_, allowed, ok := strings.Cut(strings.TrimSpace(line), "allowed: ")
		if !ok {
			continue
		}
		for key := range strings.SplitSeq(allowed, ", ") {
			shown++
			if !strings.Contains(string(data), key+":") && key != "token_env" && key != "tls" && key != "hash_key_file" {
				t.Errorf("the example does not show %s", key)
			}
		}
	}
	if shown < 30 {
		t.Errorf("only %d keys were looked for", shown)
	}
	if !strings.Contains(string(data), "hash_key_file") {
		t.Error("the example does not name hash_key_file")
	}
}
