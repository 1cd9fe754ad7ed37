package pipeline_test

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/transform"
)

// everyText returns every text that a warehouse holds, decoded: each value of each column of each table, and where it is JSON, every
// string, number and key in it, and so on inwards.
func everyText(t *testing.T, w *load.Warehouse) []string {
	t.Helper()
	var all []string
	for _, table := range rows(t, w, `SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE database_name = current_database() AND NOT temporary`) {
		for _, column := range rows(t, w, `SELECT column_name FROM duckdb_columns() WHERE schema_name || '.' || table_name = ?`, table) {
			for _, value := range rows(t, w, `SELECT DISTINCT "`+column+`"::VARCHAR FROM `+table+` WHERE "`+column+`" IS NOT NULL`) {
				all = decode(all, value)
			}
		}
	}
	return all
}

// decode adds a text, and what it holds where it is JSON.
func decode(all []string, text string) []string {
	all = append(all, text)
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() {
		return all
	}
	return inside(all, v)
}

func inside(all []string, v any) []string {
	switch v := v.(type) {
	case string:
		return decode(all, v)
	case json.Number:
		return append(all, v.String())
	case []any:
		for _, e := range v {
			all = inside(all, e)
		}
	case map[string]any:
		for k, e := range v {
			all = inside(append(all, k), e)
		}
	}
	return all
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// found counts how many of the needles stand in the texts.
func found(texts, needles []string) (n int) {
	all := strings.Join(texts, "\n")
	for _, needle := range needles {
		if strings.Contains(all, needle) {
			n++
		}
	}
	return n
}

// TestPrivacyReachesEveryValue scans every decoded value of every table for every number and turn that the providers have: with keep the
// scan finds them (the positive control), with hash and drop it finds none.
func TestPrivacyReachesEveryValue(t *testing.T) {
	sync := func(p transform.Privacy) *load.Warehouse {
		w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
		t.Cleanup(func() { _ = w.Close() })
		for _, name := range []fakeapi.Provider{fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy} {
			s := provider(t, name, 150, func(_ *fakeapi.Options, _ *extract.Account, o *transform.Options) { o.Privacy = p })
			plant(t, s, name)
			if _, err := newPipeline(w).Sync(t.Context(), s.source, everything); err != nil {
				t.Fatal(err)
			}
		}
		return w
	}
	kept := sync(transform.Privacy{Numbers: transform.NumbersKeep, Transcripts: transform.TranscriptsKeep})
	hidden := sync(transform.Privacy{Numbers: transform.NumbersHash, HashKey: []byte("a key of the test's"), Transcripts: transform.TranscriptsDrop})

	var numbers []string
	for _, n := range rows(t, kept, `SELECT DISTINCT n FROM (SELECT unnest([from_number, to_number, customer_number]) AS n FROM calls) WHERE n IS NOT NULL`) {
		numbers = append(numbers, digits(n))
	}
	numbers = append(numbers, plantedDigits)
	turns := rows(t, kept, `SELECT DISTINCT content FROM call_messages WHERE length(content) >= 12 AND role IN ('agent', 'customer')`)
	if len(numbers) < 20 || len(turns) < 100 {
		t.Fatalf("%d numbers and %d turns to look for: this shows too little", len(numbers), len(turns))
	}
	scan := func(w *load.Warehouse) (int, int) {
		texts := everyText(t, w)
		var onlyDigits []string
		for _, s := range texts {
			onlyDigits = append(onlyDigits, digits(s))
		}
		return found(onlyDigits, numbers), found(texts, turns)
	}
	if n, m := scan(kept); n != len(numbers) || m != len(turns) {
		t.Errorf("with keep the scan finds %d of %d numbers and %d of %d turns", n, len(numbers), m, len(turns))
	}
	if n, m := scan(hidden); n != 0 || m != 0 {
		t.Errorf("with hash and drop the scan finds %d numbers and %d turns", n, m)
	}
	// One number hashes alike everywhere: as many different ones as before, and the planted one alike at each of its three providers.
	different := func(as string) string {
		return `SELECT count(DISTINCT ` + as + `) FROM (SELECT unnest([from_number, to_number, customer_number]) AS n FROM calls)`
	}
	before := rows(t, kept, different(`regexp_replace(regexp_replace(n, '[^0-9]', '', 'g'), '^00', '')`))
	if after := rows(t, hidden, different("n")); before[0] != after[0] {
		t.Errorf("%s different numbers became %s different hashes", before, after)
	}
	expect(t, hidden, `SELECT count(DISTINCT source), count(DISTINCT n) FROM (SELECT source, customer_number AS n FROM calls WHERE call_id IN ('planted', '990001')
		UNION ALL SELECT source, from_number FROM calls WHERE call_id = 'planted') WHERE n LIKE 'tel_%'`, "3 | 1")
}

const plantedDigits = "442079460999"

// plant adds one call of one and the same person, whose number is written differently at each provider and stands where numbers do not belong.
func plant(t *testing.T, s setup, p fakeapi.Provider) {
	t.Helper()
	at := present.Add(-48 * time.Hour)
	record := map[fakeapi.Provider]string{
		fakeapi.Millis: `{"session_id":"planted","ts":` + seconds(at) + `,"duration":12.5,"call_status":"user-ended",
			"voip":{"from":"+44 (20) 7946-0999","to":"+15550001111","direction":"inbound"},
			"chat":"[{\"role\":\"user\",\"content\":\"call me on 020 7946 0999 or +44 20 7946 0999 please\"}]",
			"metadata":{"crm":{"contact":["tel:+442079460999",442079460999]},"+442079460999":"as a key"},
			"function_calls":[{"name":"lookup","params":"{\"phone\":\"\\u002b442079460999\"}","result":{"said":"call me on 020 7946 0999 or +44 20 7946 0999 please"}}],
			"caller_id_x":"0044 2079460999"}`,
		fakeapi.Burki: `{"id":990001,"call_sid":"CA1","assistant_id":1,"to_phone_number":"+15550001111","customer_phone_number":"+442079460999","status":"completed",
			"duration":12,"started_at":"` + at.Format(time.RFC3339) + `","call_meta":{"notes":"ring 44-20-7946-0999 back","deep":[[{"n":442079460999}]]}}`,
		fakeapi.Voicy: `{"call_id":"planted","call_type":"phone_call","call_status":"user_hangup","agent":null,"from_number":"00442079460999","to_number":"+15550001111",
			"direction":"incoming","start_timestamp":` + seconds(at) + `000,"duration_ms":1000,"new_field":"sip:+442079460999@example.org"}`,
	}[p]
	if err := s.fake.Insert(fakeapi.Record{At: at, List: record}); err != nil {
		t.Fatal(err)
	}
}

func seconds(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
