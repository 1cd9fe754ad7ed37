package pipeline_test

import (
	"strings"
	"testing"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/transform"
)

// rejectAll puts records of a source among those that could not become calls.
func (v *town) rejectAll(source string, payloads ...string) {
	v.Helper()
	for _, p := range payloads {
		v.reject(source, "no id", p)
	}
}

func (v *town) execute(statements ...string) {
	v.Helper()
	for _, s := range statements {
		if err := v.w.Write(v.Context(), func(tx *load.Tx) error { _, err := tx.ExecContext(v.Context(), s); return err }); err != nil {
			v.Fatalf("%s: %v", s, err)
		}
	}
}

func (v *town) renormalize(name fakeapi.Provider) pipeline.Renormalized {
	v.Helper()
	told, err := v.pipeline.Renormalize(v.Context(), v.setups[name].source, pipeline.RenormalizeOptions{By: "test"})
	if err != nil {
		v.Fatal(err)
	}
	return told
}

// A reject that can be read now may be of somebody who was forgotten: by its call, by its number, or as another reject tells of its call.
func TestARejectOfSomebodyWhoIsKeptOutGoesAndBecomesNoCall(t *testing.T) {
	t.Parallel()
	v := newTown(t, transform.Privacy{})
	v.settle(48 * time.Hour)
	v.sync(withDetails)
	known := rows(t, v.w, `SELECT payload FROM raw_calls WHERE call_id = '880002' AND part = 'list'`)[0]
	v.forget(false)
	before := v.others()
	other := strings.ReplaceAll(known, "880002", "990001")
	v.rejectAll("burki", known, other, strings.Replace(other, "{", `{"note":"+14155550100",`, 1), strings.ReplaceAll(known, "880002", "990002"))
	told := v.renormalize(fakeapi.Burki)
	if told.Resolved != 1 || told.Rejected != 0 || told.Run.Inserted != 1 {
		t.Errorf("%+v", told)
	}
	expect(t, v.w, `SELECT count(*), count(resolved_at) FROM sync.rejects WHERE source = 'burki'`, "1 | 1")
	expect(t, v.w, `SELECT call_id FROM calls WHERE call_id IN ('', '880002', '990001', '990002')`, "990002")
	v.gone("renormalizing")
	v.proven()
	// What tells of nobody is as it was, and a call that was found to be the person's is kept out by this process, too.
	v.rejectAll("burki", other)
	if told := v.renormalize(fakeapi.Burki); told.Resolved+told.Rejected+told.Run.Inserted != 0 {
		t.Errorf("again: %+v", told)
	}
	v.proven()
	v.execute(`DELETE FROM sync.rejects WHERE source = 'burki'`)
	for _, table := range []string{"calls", "call_costs", "raw_calls"} {
		v.execute(`DELETE FROM ` + table + ` WHERE call_id = '990002'`)
	}
	v.same("renormalizing", before)
}

// Two rows that turn out to be one call may be of somebody who was forgotten.
func TestCallsThatMergeAndAreOfSomebodyWhoIsKeptOutGo(t *testing.T) {
	t.Parallel()
	v := newTown(t, transform.Privacy{})
	v.forget(false)
	v.sync(withDetails)
	id := rows(t, v.w, `SELECT call_id FROM calls WHERE source = 'millis' ORDER BY call_id LIMIT 1`)[0]
	v.execute(`UPDATE raw_calls SET payload = '{"note":"ring +14155550100",' || payload[2:] WHERE part = 'list' AND call_id = '` + id + `'`)
	for _, table := range []string{"calls", "call_costs", "call_messages", "call_functions", "raw_calls", "call_revisions"} {
		v.execute(`INSERT INTO ` + table + ` SELECT * REPLACE ('twice' AS call_id) FROM ` + table + ` WHERE call_id = '` + id + `'`)
	}
	v.execute(`UPDATE sync.runs SET inserted = inserted + 1, records = records + 1 WHERE run_id = (SELECT min(run_id) FROM sync.runs WHERE source = 'millis')`)
	v.renormalize(fakeapi.Millis)
	expect(t, v.w, `SELECT call_id FROM calls WHERE call_id IN ('', 'twice', '`+id+`')`, []string{}...)
	v.gone("renormalizing")
	v.proven()
	expect(t, v.w, `SELECT count(*) FROM sync.suppressed WHERE kind = 'call' AND erased`, "2")
}
