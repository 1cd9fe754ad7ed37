package pipeline_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/proof"
	"syncd/internal/proof/prooftest"
	"syncd/internal/transform"
)

const (
	person         = "+14155550100"
	personDigits   = "14155550100"
	personNational = "4155550100"
)

// personCalls are the calls of one person, each of whom another place tells: the fields of the numbers, a transcript that the list has, and what
// only an answer about the single call has. The last is nobody's of them, and looks like it.
func personCalls(at time.Time) map[fakeapi.Provider][]fakeapi.Record {
	iso, ms := at.Format(time.RFC3339), seconds(at)+"000"
	return map[fakeapi.Provider][]fakeapi.Record{
		fakeapi.Millis: {
			{List: `{"session_id":"person-1","ts":` + seconds(at) + `,"duration":12.5,"call_status":"user-ended","voip":{"from":"+1 (415) 555-0100","to":"+15550001111","direction":"inbound"},
				"metadata":{"+14155550100":"a name"},"caller_id_x":"tel:+1-415-555-0100","+1 415 555 0100":true}`},
			{List: `{"session_id":"person-2","ts":` + seconds(at) + `,"duration":12.5,"call_status":"user-ended","chat":"[{\"role\":\"user\",\"content\":\"ring my wife at (415) 555-0100\"}]"}`},
			{At: at, List: `{"ts":` + seconds(at) + `,"duration":1,"voip":{"from":"4155550100"}}`}, // it has no id, and is a reject
			{List: `{"session_id":"like-1","ts":` + seconds(at) + `,"duration":1,"call_status":"user-ended","voip":{"from":"+444155550100","to":"+14155550101"},
				"chat":"[{\"role\":\"user\",\"content\":\"ring +44 415 555 0100 or 94155550100\"}]"}`},
		},
		fakeapi.Burki: {
			{List: `{"id":880001,"call_sid":"CA1","to_phone_number":"+15550001111","customer_phone_number":"+14155550100","status":"completed","duration":12,"started_at":"` + iso + `"}`},
			{List: `{"id":880002,"call_sid":"CA2","status":"completed","duration":12,"started_at":"` + iso + `"}`,
				Transcripts: `[{"id":1,"call_id":880002,"content":"4 1 5, 5 5 5, 0 1 0 0","is_final":true,"speaker":"user","segment_start":0.5}]`},
			{List: `{"id":880003,"call_sid":"CA3","status":"completed","duration":12,"started_at":"` + iso + `"}`,
				Transcripts: `[{"id":1,"call_id":880003,"content":"4 1 5, 5 5 5, 0 1 0 1","is_final":true,"speaker":"user","segment_start":0.5}]`},
		},
		fakeapi.Voicy: {
			{List: `{"call_id":"person-1","call_type":"phone_call","call_status":"user_hangup","agent":null,"from_number":"0014155550100","to_number":"+15550001111","direction":"incoming",
				"start_timestamp":` + ms + `,"duration_ms":1000,"new_field":"sip:+14155550100@example.org"}`},
			{List: `{"call_id":"person-2","call_type":"web_call","call_status":"ended","agent":null,"start_timestamp":` + ms + `,"duration_ms":1000}`,
				Detail: `{"call_id":"person-2","call_type":"web_call","call_status":"ended","agent":null,"start_timestamp":` + ms + `,"duration_ms":1000,
				"transcript":[{"role":"caller","content":"it is 415 555 0100","timestamp_ms":1}],"vars_extracted":{"phone":4155550100},"summary":"\u0034155550100"}`},
		},
	}
}

// town is three providers with a person among their customers, in one warehouse.
type town struct {
	*testing.T
	path     string
	w        *load.Warehouse
	pipeline *pipeline.Pipeline
	setups   map[fakeapi.Provider]setup
	privacy  transform.Privacy
}

func newTown(t *testing.T, p transform.Privacy) *town {
	t.Helper()
	v := &town{T: t, path: filepath.Join(t.TempDir(), "calls.duckdb"), setups: make(map[fakeapi.Provider]setup), privacy: p}
	for _, name := range allProviders {
		s := provider(t, name, 25, func(_ *fakeapi.Options, _ *extract.Account, o *transform.Options) { o.Privacy = p })
		s.source.Details = true
		v.setups[name] = s
	}
	v.open()
	t.Cleanup(func() { _ = v.w.Close() })
	return v
}

func (v *town) open() {
	v.w = warehouse(v.T, v.path)
	v.pipeline = newPipeline(v.w)
}

// settle has the person's calls begin so long ago.
func (v *town) settle(ago time.Duration) {
	v.Helper()
	for name, records := range personCalls(present.Add(-ago)) {
		for _, r := range records {
			if err := v.setups[name].fake.Insert(r); err != nil {
				v.Fatal(err)
			}
		}
	}
}

func (v *town) sources() (all []pipeline.Source) {
	for _, name := range allProviders {
		all = append(all, v.setups[name].source)
	}
	return all
}

func (v *town) sync(o pipeline.Options) {
	v.Helper()
	for _, s := range v.sources() {
		if _, err := v.pipeline.Sync(v.Context(), s, o); err != nil {
			v.Fatal(err)
		}
	}
	v.proven()
}

func (v *town) forget(rehearse bool) pipeline.Forgetting {
	v.Helper()
	f, err := v.pipeline.Forget(v.Context(), parsed(v.T, person), v.sources(), rehearse, func(int64, int64) {})
	if err != nil {
		v.Fatal(err)
	}
	v.proven()
	return f
}

func parsed(t *testing.T, text string) transform.Number {
	t.Helper()
	n, err := transform.ParseNumber(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// proven holds the warehouse against all promises.
func (v *town) proven() {
	v.Helper()
	prooftest.Warehouse(v.T, v.w, v.promised())
}

func (v *town) promised() proof.Options {
	return proof.Options{TwoIDs: func(source string) bool { return source == "millis" }, Derive: func(source string) proof.Deriver {
		for name, s := range v.setups {
			if string(name) == source {
				return s.source.Transform
			}
		}
		return nil
	}}
}

// findings are the promises that do not hold.
func (v *town) findings() (found []proof.Finding) {
	v.Helper()
	if err := v.w.Write(v.Context(), func(tx *load.Tx) (err error) {
		found, err = proof.Check(v.Context(), tx, v.promised())
		return err
	}); err != nil {
		v.Fatal(err)
	}
	return found
}

// traces counts the texts of the warehouse, decoded, whose digits hold the person's, but for those of calls that only look like it.
func (v *town) traces() (n int) {
	for _, text := range everyText(v.T, v.w) {
		plain := digits(text)
		for _, other := range []string{"44" + personNational, "9" + personNational} {
			plain = strings.ReplaceAll(plain, other, "")
		}
		if strings.Contains(plain, personNational) {
			n++
		}
	}
	return n
}

// others are all rows that have nothing to do with the person, in every table that tells of calls.
func (v *town) others() (all []string) {
	const not = ` WHERE NOT regexp_matches(call_id, '^(person-.|88000[12])$') ORDER BY ALL`
	for _, table := range []string{"calls", "call_costs", "call_messages", "call_functions", "call_revisions", "raw_calls", "sync.details"} {
		for _, row := range rows(v.T, v.w, `SELECT t::VARCHAR FROM `+table+` AS t`+not) {
			all = append(all, table+": "+row)
		}
	}
	return append(all, rows(v.T, v.w, `SELECT source || reason || payload FROM sync.rejects WHERE payload NOT LIKE '%4155550100%' ORDER BY ALL`)...)
}

func wholeRange() pipeline.Options {
	return pipeline.Options{Kind: "backfill", Details: true, Force: true, Range: checkpoint.Span{Since: present.AddDate(0, -3, -1), Until: present}}
}

func sum(rows load.Erased) (total int64) {
	for _, n := range rows {
		total += n
	}
	return total
}

func (v *town) gone(after string) {
	v.Helper()
	if n := v.traces(); n != 0 {
		v.Errorf("after %s %d texts hold the number", after, n)
	}
	expect(v.T, v.w, `SELECT source || '/' || call_id FROM calls WHERE regexp_matches(call_id, '^(person-.|88000[12])$')`, []string{}...)
	expect(v.T, v.w, `SELECT run_id FROM sync.runs WHERE records <> inserted + updated + unchanged + rejected`, []string{}...)
}

func (v *town) same(after string, before []string) {
	v.Helper()
	if diff := cmp.Diff(before, v.others()); diff != "" {
		v.Errorf("after %s the rows of others differ (-before +after):\n%s", after, diff)
	}
}
