package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/query"
)

// documented is a question of docs/queries.md.
type documented struct{ title, prose, sql string }

var sqlBlock = regexp.MustCompile("(?s)```sql\n(.*?)```\n?")

// questions reads docs/queries.md: each question is a heading, a few words, and one block of SQL.
func questions(t *testing.T) (all []documented) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "queries.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		blocks := sqlBlock.FindAllStringSubmatch(body, -1)
		if len(blocks) != 1 || !strings.HasSuffix(title, "?") || seen[title] {
			t.Fatalf("%q: want a question of its own with one block of SQL; it has %d", title, len(blocks))
		}
		seen[title] = true
		q := documented{title, strings.TrimSpace(sqlBlock.ReplaceAllString(body, "")), blocks[0][1]}
		if !strings.HasSuffix(q.prose, ".") {
			t.Errorf("%q says nothing of what to look out for", title)
		}
		all = append(all, q)
	}
	return all
}

// TestTheQuestionsOfTheDocumentationAreAnswered asks them all of a warehouse that has seen what happens in a year: calls that changed after they were
// read, calls that were deleted, a record without an id and a status that nobody knows.
func TestTheQuestionsOfTheDocumentationAreAnswered(t *testing.T) {
	t.Parallel()
	all := questions(t)
	if len(all) < 20 {
		t.Errorf("docs/queries.md has %d questions, want twenty", len(all))
	}
	s := newSite(t, 200, providers...)
	if out, code := s.run("sync"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	s.live()
	from := time.Now().UTC().AddDate(0, -4, 0).Format(time.DateOnly)
	if out, code := s.run("backfill", "millis", "burki", "voicy", "--from", from, "--force"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	r, err := query.Open(t.Context(), query.Options{Path: filepath.Join(filepath.Dir(s.warehouse), "calls.read.duckdb")})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, q := range all {
		t.Run(q.title, func(t *testing.T) {
			var out strings.Builder
			n, err := r.Run(t.Context(), q.sql, query.NDJSON, &out)
			if err != nil {
				t.Fatalf("%v\n%s", err, q.sql)
			}
			if n == 0 {
				t.Errorf("the answer is empty:\n%s", q.sql)
			}
			addsNoTwoCurrencies(t, q.sql, out.String())
		})
	}
}

// sums finds what is added up in a statement.
var sums = regexp.MustCompile(`(?i)(sum|avg|median)\(\s*([a-z_.]*)(cost|amount|new_value)\b`)

// addsNoTwoCurrencies fails where amounts are added up and their currency is not told beside the sum.
func addsNoTwoCurrencies(t *testing.T, sql, rows string) {
	t.Helper()
	if !sums.MatchString(sql) {
		return
	}
	if !regexp.MustCompile(`(?is)^\s*(WITH.*\)\s*)?SELECT[^;]*currency[^;]*GROUP BY (ALL|[^;]*currency)`).MatchString(sql) {
		t.Errorf("amounts are added up, and not by currency:\n%s", sql)
	}
	told := make(map[string]bool)
	for d := json.NewDecoder(strings.NewReader(rows)); d.More(); {
		var row map[string]any
		if err := d.Decode(&row); err != nil {
			t.Fatal(err)
		}
		for name, v := range row {
			if strings.HasSuffix(name, "currency") {
				told[fmt.Sprint(v)] = true
			}
		}
	}
	if !told["USD"] || !told["credit"] {
		t.Errorf("the answer tells of the currencies %v; the providers have USD and credits:\n%s", told, sql)
	}
}

// live has the providers change what they have told: prices and durations of calls, calls that are gone, a record without an id, a new status.
func (s *site) live() {
	s.t.Helper()
	for p, fake := range s.fakes {
		ids := fake.All()
		for n, id := range ids[:30] {
			record, ok := fake.Call(id)
			if !ok {
				s.t.Fatalf("%s has no call %s", p, id)
			}
			if n%10 == 9 {
				fake.Remove(id)
				continue
			}
			record.List = changed(s.t, p, record.List, n)
			if p == fakeapi.Voicy {
				record.Detail = changed(s.t, p, record.Detail, n)
			}
			if err := fake.Put(record); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	at := time.Now().UTC().Add(-30 * time.Hour)
	if err := s.fakes[fakeapi.Millis].Insert(fakeapi.Record{At: at, List: fmt.Sprintf(`{"ts":%d,"call_status":"user-ended"}`, at.Unix())}); err != nil {
		s.t.Fatal(err)
	}
}

// changed is a record of a provider with another price or duration, and now and then with a status that nobody knows.
func changed(t *testing.T, p fakeapi.Provider, text string, n int) string {
	t.Helper()
	var record map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &record); err != nil {
		t.Fatal(err)
	}
	switch p {
	case fakeapi.Millis:
		record["cost_breakdown"] = json.RawMessage(fmt.Sprintf(`[{"type":"platform","provider":"millis","credit":%d.25}]`, 30+n))
	case fakeapi.Burki:
		record["total_cost"], record["cost_currency"] = json.RawMessage(fmt.Sprintf("%d.125", 1+n)), json.RawMessage(`"USD"`)
		if n == 3 {
			record["status"] = json.RawMessage(`"transferred-to-a-person"`)
		}
	case fakeapi.Voicy:
		record["duration_ms"] = json.RawMessage(fmt.Sprint(61_000 + n))
	}
	out, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
