package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"syncd/internal/fakeapi"
	"syncd/internal/load"
)

// poison has a provider answer with what is no JSON wherever its middle call is: poison PROVIDER
func poison(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: poison PROVIDER")
	}
	fake, ok := ts.Value(args[0]).(*fakeapi.Server)
	if !ok {
		ts.Fatalf("there is no provider %q", args[0])
	}
	all := fake.All()
	fake.Poison(all[len(all)/2], fakeapi.InvalidJSON)
}

// shows waits until status shows all that is asked for: shows PATTERN…
func shows(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: shows PATTERN…")
	}
	deadline := time.Now().Add(30 * time.Second)
wait:
	for {
		ts.Check(ts.Exec("syncd", "status"))
		text := ts.ReadFile("stdout")
		for _, pattern := range args {
			if !regexp.MustCompile(pattern).MatchString(text) {
				if time.Now().After(deadline) {
					ts.Fatalf("status never shows %q:\n%s", pattern, text)
				}
				time.Sleep(50 * time.Millisecond)
				continue wait
			}
		}
		return
	}
}

// varying is what no two runs have in common.
var varying = []struct {
	pattern *regexp.Regexp
	name    string
}{
	{regexp.MustCompile(`\A(?s:.*?), \d+ calls`), "FILE, N calls"}, // its name may be too long for one line
	{regexp.MustCompile(`answer\s+begins\s+"(?:\\\s*(?s:.)|[^"\\])*"`), "answer begins EXCERPT"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?Z| \d\d:\d\d)`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d`), "DAY"},
	{regexp.MustCompile(`\b(now|\d+s ago|\d+m ago|\d+h\d\dm ago)`), "AGO"},
	{regexp.MustCompile(`\d+(\.\d)? [kM]B`), "SIZE"},
	{regexp.MustCompile(`\b(\d+d|\d+h\d\dm|\d+m|\d+s)\b`), "SPAN"},
	{regexp.MustCompile(`\b\d[\d,]*\b`), "N"},
	{regexp.MustCompile(`(?m)(\S)[ ]{2,}`), "$1  "},
}

// fits fails if a line of what was printed is wider than a terminal, and compares the words, whatever their lines, with those of a file in
// which times, sizes and numbers of calls stand by their names: fits COLUMNS FILE
func fits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: fits COLUMNS FILE")
	}
	columns, err := strconv.Atoi(args[0])
	ts.Check(err)
	text := ts.ReadFile("stdout")
	if line, n := widest(text); n > columns {
		ts.Fatalf("a line is %d columns wide: %s", n, line)
	}
	want := ts.ReadFile(args[1])
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.name)
	}
	// Where a line, or a long word in it, is broken depends on how long the times and numbers in it are: only what is no blank is compared.
	got := regexp.MustCompile(`\n    (\S)`).ReplaceAllString(text, " $1")
	solid := func(text string) []string { return strings.Split(strings.ReplaceAll(text, " ", ""), "\n") }
	if diff := cmp.Diff(solid(want), solid(got)); diff != "" {
		ts.Fatalf("status (-want +got):\n%s", diff)
	}
}

func widest(text string) (widest string, columns int) {
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > columns {
			widest, columns = line, n
		}
	}
	return widest, columns
}

// TestStatusNamesAPoisonMinuteAParkedAndARemovedSource prints a warehouse in every kind of trouble, at 80 columns.
func TestStatusNamesAPoisonMinuteAParkedAndARemovedSource(t *testing.T) {
	now := time.Date(2025, 6, 15, 12, 0, 0, 0, time.UTC)
	before := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	total := func(n int64) *int64 { return &n }
	poisoned := time.Date(2025, 3, 4, 5, 6, 0, 0, time.UTC)
	r := statusReport{
		Status: load.Status{At: now, Warehouse: load.FileStatus{Path: "/srv/warehouses/of-a-company-with-a-long-name/and-a-deeper-folder-still/calls.duckdb",
			Exists: true, SizeBytes: 1_234_567_890, Calls: 1_234_567},
			Sources: []load.SourceStatus{
				{Source: "burki", Provider: "burki", Configured: true, State: "active", Problem: "1 stretch of time could not be read", Advice: "the provider must mend it",
					FreshUntil: before(2 * time.Minute), CoveredSince: before(365 * 24 * time.Hour), Calls: 1_200_000, UnsettledCalls: 12, Rejects: 3, Drift: 4,
					DetailsFailed: 1, ProviderTotal: total(1_200_001), WarehouseTotal: total(1_200_000), ReconciledAt: before(5 * time.Hour),
					Missing: load.Missing{Stretches: 1, Seconds: 60, Newest: []load.Gap{{Since: poisoned, Until: poisoned.Add(time.Minute),
						Error: `burki: GET /api/v1/calls/ for [2025-03-04T05:06:00Z, 2025-03-04T05:07:00Z): the answer is no JSON: ` + strings.Repeat("x", 100)}}},
					LastRun: &load.RunStatus{Kind: "live", Outcome: "done", FinishedAt: before(time.Minute), Inserted: 3, Updated: 1}},
				{Source: "millis-of-the-northern-office", Provider: "millis", Configured: true, State: "parked", Reason: "the provider refuses the key",
					Problem: "it is parked: the provider refuses the key", Advice: "put the right key in MILLIS_KEY and restart", Calls: 34_000,
					LastRun: &load.RunStatus{Kind: "live", Outcome: "failed", FinishedAt: before(49 * time.Hour)}},
				{Source: "voicy", Provider: "voicy", State: "active", Calls: 567, FreshUntil: before(100 * 24 * time.Hour), Problem: "shown to nobody"},
			}},
		Process: &processStatus{PID: 4711, Version: "v1.2.3", Daemon: true, StartedAt: *before(50 * time.Hour),
			Running: []runningNow{{Source: "burki", Kind: "details", Records: 1000, Requests: 1010, Details: 1000, DetailsDue: 1_200_000, Covered: 1}}},
	}
	var out strings.Builder
	if err := printStatus(&out, r, 80); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(troubled, "\n"), strings.Split(out.String(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for columns := 1; columns < 200; columns++ {
		out.Reset()
		if err := printStatus(&out, r, columns); err != nil {
			t.Fatal(err)
		}
		if line, n := widest(out.String()); columns >= 80 && n > columns {
			t.Errorf("at %d columns a line is %d wide: %s", columns, n, line)
		}
	}
}

const troubled = `/srv/warehouses/of-a-company-with-a-long-name/and-a-deeper-folder-still/calls.du
  ckdb, 1,234,567 calls, 1.2 GB
the daemon runs since 2d ago (process 4711, version v1.2.3)

SOURCE            STATE    FRESH TO  COVERED FROM  MISSING  UNSETTLED  CALLS
burki             trouble  2m ago    2024-06-15    1m       12         1,200,000
millis-of-the-n…  parked   never     -             -        0          34,000
voicy             removed  100d ago  -             -        0          567

burki
  1 stretch of time could not be read
  → the provider must mend it
  missing 2025-03-04 05:06 to 2025-03-04 05:07: burki: GET /api/v1/calls/ for
    [2025-03-04T05:06:00Z, 2025-03-04T05:07:00Z): the answer is no JSON:
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    xxxxxxxxxxxxxxxxxxxxxxxx
  rejected records: 3; 'FROM sync.rejects' tells why
  oddities met: 4; 'FROM sync.drift' names them
  details that could not be had: 1; 'FROM sync.details' tells why
  the provider has 1,200,001 calls in all, the warehouse 1,200,000 (5h00m ago)
  last run 1m ago: live, done; 3 new, 1 changed
  now: details, 1,000 records in 1,010 requests, details 1,000 of 1,200,000

millis-of-the-northern-office
  it is parked: the provider refuses the key
  → put the right key in MILLIS_KEY and restart
  last run 2d ago: live, failed; 0 new, 0 changed

voicy
  not in the configuration (removed, or renamed): its rows stay, and nothing is
    asked for it
`
