package pipeline_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/pipeline"
	"syncd/internal/transform"
)

// The traps that show only when a record has gone the whole way, into the warehouse. Those of paging are extract's tests, those of meaning
// transform's.

// insertMillis adds hand-made calls to a Millis fake, each a minute after the one before, ending two hours ago.
func insertMillis(t *testing.T, s setup, records ...string) {
	t.Helper()
	for i, r := range records {
		at := present.Add(-2*time.Hour + time.Duration(i)*time.Minute)
		if err := s.fake.Insert(fakeapi.Record{At: at, List: strings.ReplaceAll(r, "TS", seconds(at))}); err != nil {
			t.Fatal(err)
		}
	}
}

func syncOnce(t *testing.T, pl *pipeline.Pipeline, s setup) {
	t.Helper()
	run, err := pl.Sync(t.Context(), s.source, everything)
	if err != nil {
		t.Fatal(err)
	}
	if run.Records != run.Inserted+run.Updated+run.Unchanged+run.Rejected {
		t.Errorf("the counts do not add up: %+v", run)
	}
}

func TestTrapAllNullMillisRecordIsKeptAsAReject(t *testing.T) {
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	s := provider(t, fakeapi.Millis, 20)
	insertMillis(t, s, `{"session_id":null,"call_id":null,"ts":null,"chat":null,"duration":null,"call_status":null,"voip":null,"metadata":null}`)
	pl := newPipeline(w)
	syncOnce(t, pl, s)
	expect(t, w, `SELECT count(*) FROM calls`, "20")
	expect(t, w, `SELECT source, reason, payload LIKE '{"session_id":null,%' FROM sync.rejects`, "millis | no id | true")
	expect(t, w, `SELECT rejected FROM sync.runs`, "1")
}

func TestTrapTheSameCallTwiceInAPage(t *testing.T) {
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	s := provider(t, fakeapi.Millis, 20)
	twice := `{"session_id":"twice","ts":TS,"duration":1,"call_status":"user-ended","chars_used":%d}`
	insertMillis(t, s, fmt.Sprintf(twice, 1), fmt.Sprintf(twice, 2))
	pl := newPipeline(w)
	syncOnce(t, pl, s)
	expect(t, w, `SELECT count(*), count(DISTINCT call_id) FROM calls`, "21 | 21")
	expect(t, w, `SELECT count(*) FROM raw_calls WHERE call_id = 'twice'`, "1")
	expect(t, w, `SELECT records, inserted, unchanged FROM sync.runs`, "22 | 21 | 1")
}

func TestTrapAMovedStartTimeIsOneRow(t *testing.T) {
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	provided := present
	s := provider(t, fakeapi.Burki, 200, func(o *fakeapi.Options, _ *extract.Account, _ *transform.Options) {
		o.Now = func() time.Time { return provided }
	})
	pl := newPipeline(w)
	pl.Now = func() time.Time { return provided }
	syncOnce(t, pl, s)
	// An old call is listed anew, under a start of today.
	old := s.fake.All()[150]
	record, ok := s.fake.Call(old)
	if !ok {
		t.Fatal("no such call")
	}
	before := rows(t, w, `SELECT started_at FROM calls WHERE call_id = ?`, old)[0]
	provided = provided.Add(10 * time.Minute)
	moved := provided.Add(-5 * time.Minute)
	at := strings.Index(record.List, `"started_at":"`) + len(`"started_at":"`)
	end := at + strings.IndexByte(record.List[at:], '"')
	record.List, record.At = record.List[:at]+moved.Format(time.RFC3339)+record.List[end:], moved
	if err := s.fake.Put(record); err != nil {
		t.Fatal(err)
	}
	syncOnce(t, pl, s)
	mirrors(t, w, s)
	expect(t, w, `SELECT started_at, revision FROM calls WHERE call_id = '`+old+`'`, moved.Format(time.RFC3339)+" | 2")
	expect(t, w, `SELECT count(*) FROM raw_calls WHERE call_id = '`+old+`'`, "1")
	if got := rows(t, w, `SELECT old_value FROM call_revisions WHERE field = 'started_at'`); len(got) != 1 || got[0] != before {
		t.Errorf("the revision's old value is %v, want %s", got, before)
	}
}

func TestTrapThreeMegabyteTranscriptAndInvalidUTF8(t *testing.T) {
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	s := provider(t, fakeapi.Millis, 20)
	long := strings.Repeat("word ", 600_000)
	insertMillis(t, s,
		`{"session_id":"long","ts":TS,"call_status":"user-ended","chat":"[{\"role\":\"user\",\"content\":\"`+long+`\"}]"}`,
		"{\"session_id\":\"broken\",\"ts\":TS,\"call_status\":\"user-ended\",\"chat\":\"[{\\\"role\\\":\\\"user\\\",\\\"content\\\":\\\"a\xffb\xc3\\\"}]\"}",
	)
	pl := newPipeline(w)
	syncOnce(t, pl, s)
	expect(t, w, `SELECT call_id, role, length(content) FROM call_messages WHERE call_id = 'long'`, "long | customer | 3000000")
	expect(t, w, `SELECT content FROM call_messages WHERE call_id = 'broken'`, "a\uFFFDb\uFFFD")
	expect(t, w, `SELECT count(*) FROM raw_calls WHERE payload IS NULL OR NOT json_valid(payload)`, "0")
}

func TestTrapNumbersKeepEveryDigit(t *testing.T) {
	w := warehouse(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	s := provider(t, fakeapi.Burki, 20)
	call := func(id, total string) string {
		return `{"id":` + id + `,"call_sid":"CA1","assistant_id":9007199254740993,"to_phone_number":"+15550001111","customer_phone_number":"+15550002222",
			"status":"completed","duration":1,"started_at":"` + present.Add(-time.Hour).Format("2006-01-02T15:04:05") + `","total_cost":` + total + `,"cost_currency":"USD"}`
	}
	for id, total := range map[string]string{"9007199254740993": "0.123456789", "9007199254740995": "0.123456789012"} {
		if err := s.fake.Insert(fakeapi.Record{At: present.Add(-time.Hour), List: call(id, total)}); err != nil {
			t.Fatal(err)
		}
	}
	pl := newPipeline(w)
	syncOnce(t, pl, s)
	expect(t, w, `SELECT call_id, agent_id, cost::VARCHAR, started_at = TIMESTAMPTZ '2026-03-18 14:30:00+00' FROM calls WHERE length(call_id) = 16 ORDER BY call_id`,
		"9007199254740993 | 9007199254740993 | 0.123456789 | true",
		"9007199254740995 | 9007199254740993 | 0.123456789 | true")
	expect(t, w, `SELECT path LIKE 'total_cost%', occurrences FROM sync.drift`, "true | 1")
}
