package pipeline_test

import (
	"context"
	"testing"
	"time"

	"syncd/internal/call"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/transform"
)

// reject stores a reject that a run of a source counts.
func (v *town) reject(source, reason, payload string) {
	v.Helper()
	run := rows(v.T, v.w, `SELECT min(run_id) FROM sync.runs WHERE source = '`+source+`'`)[0]
	if err := v.w.Write(v.Context(), func(tx *load.Tx) error {
		if _, err := tx.ExecContext(v.Context(), `UPDATE sync.runs SET rejected = rejected + 1, records = records + 1 WHERE run_id = ?`, run); err != nil {
			return err
		}
		return tx.Reject(v.Context(), run, []call.Reject{{Source: source, Reason: reason, Payload: payload, FetchedAt: present}})
	}); err != nil {
		v.Fatal(err)
	}
}

// TestARebuildingUnderWayCostsNobodyACall forgets somebody whose number is the name of a field, and so stands in the notes of a rebuilding that has come
// up to a call of somebody else.
func TestARebuildingUnderWayCostsNobodyACall(t *testing.T) {
	t.Parallel()
	v := newTown(t, transform.Privacy{})
	v.settle(48 * time.Hour)
	v.sync(withDetails)
	before := v.others()
	ctx, stop := context.WithCancel(t.Context())
	source := v.setups[fakeapi.Millis].source
	if _, err := v.pipeline.Renormalize(ctx, source, pipeline.RenormalizeOptions{By: "a", AtOnce: 5, Watcher: &stopAfter{2, stop}}); err == nil {
		t.Fatal("it was not interrupted")
	}
	expect(t, v.w, `SELECT source, call_id IS NOT NULL, drift LIKE '%415%' FROM sync.renormalize`, "millis | true | true")
	if f := v.forget(false); f.Rows["calls"] != 6 || f.Rows["sync.renormalize"] != 1 {
		t.Errorf("erased: %+v", f.Rows)
	}
	v.gone("forgetting")
	v.same("forgetting", before)
	v.sync(wholeRange())
	v.same("a forced reading", before)
	told, err := v.pipeline.Renormalize(t.Context(), source, pipeline.RenormalizeOptions{By: "a", AtOnce: 5})
	if err != nil || told.Resumed {
		t.Errorf("the next rebuilding: %+v, %v", told, err)
	}
	v.gone("the next rebuilding")
	v.same("the next rebuilding", before)
}

func TestARejectOfAForgottenCallGoesThoughItHoldsNoNumber(t *testing.T) {
	t.Parallel()
	v := newTown(t, transform.Privacy{})
	v.settle(48 * time.Hour)
	v.sync(withDetails)
	mine := rows(t, v.w, `SELECT payload FROM raw_calls WHERE call_id = '880002' AND part = 'list'`)[0]
	other := rows(t, v.w, `SELECT payload FROM raw_calls WHERE call_id = '880003' AND part = 'list'`)[0]
	v.reject("burki", "no id", mine)
	v.reject("burki", "no id", other)
	v.reject("millis", "unusable id", `{"session_id":"person-2","call_id":{},"note":"of the person"}`)
	v.reject("millis", "unusable id", `{"session_id":"person-9","call_id":{},"note":"of somebody else"}`)
	f := v.forget(false)
	if f.Rows["sync.rejects"] != 3 {
		t.Errorf("erased: %+v", f.Rows)
	}
	v.gone("forgetting")
	expect(t, v.w, `SELECT source, reason FROM sync.rejects WHERE payload LIKE '%880003%' OR payload LIKE '%person-%' ORDER BY ALL`,
		"burki | no id", "millis | unusable id")

	// One of a call that was erased earlier goes, too.
	v.reject("burki", "no id", mine)
	if f := v.forget(false); f.Rows["sync.rejects"] != 1 || sum(f.Rows) != 1 {
		t.Errorf("a second time: %+v", f.Rows)
	}
}

// TestACallGoesWhenARecordOfItThatIsNoneAnyMoreHoldsTheNumber reads again a call that was innocent when it was stored, as a record that cannot be a
// call and holds the number.
func TestACallGoesWhenARecordOfItThatIsNoneAnyMoreHoldsTheNumber(t *testing.T) {
	t.Parallel()
	v := newTown(t, transform.Privacy{})
	fake := v.setups[fakeapi.Millis].fake
	at := seconds(present.Add(-48 * time.Hour))
	if err := fake.Insert(fakeapi.Record{List: `{"session_id":"later","ts":` + at + `,"duration":1,"call_status":"user-ended"}`}); err != nil {
		t.Fatal(err)
	}
	v.sync(withDetails)
	v.reject("millis", "unusable id", `{"session_id":"later","call_id":[]}`)
	v.forget(false)
	expect(t, v.w, `SELECT call_id FROM calls WHERE call_id = 'later'`, "later")
	if err := fake.Put(fakeapi.Record{List: `{"session_id":"later","call_id":{},"ts":` + at + `,"duration":1,"call_status":"user-ended","voip":{"from":"+14155550100"}}`}); err != nil {
		t.Fatal(err)
	}
	v.sync(wholeRange())
	v.gone("a forced reading")
	for _, table := range []string{"calls", "raw_calls"} {
		expect(t, v.w, `SELECT call_id FROM `+table+` WHERE call_id = 'later'`, []string{}...)
	}
	expect(t, v.w, `SELECT reason FROM sync.rejects WHERE payload LIKE '%later%'`, []string{}...)
	expect(t, v.w, `SELECT source, erased FROM sync.suppressed WHERE kind = 'call'`, "millis | true")
}

// TestACallThatIsAskedForSinglyGoesWhenTheAnswerIsNoneAnyMoreAndHoldsTheNumber has a list leave out a call that is there still.
func TestACallThatIsAskedForSinglyGoesWhenTheAnswerIsNoneAnyMoreAndHoldsTheNumber(t *testing.T) {
	t.Parallel()
	v := newTown(t, transform.Privacy{})
	s := v.setups[fakeapi.Millis]
	record := func(ago time.Duration, more string) fakeapi.Record {
		return fakeapi.Record{List: `{"session_id":"later","ts":` + seconds(present.Add(-ago)) + `,"duration":1,"call_status":"user-ended"` + more + `}`}
	}
	if err := s.fake.Insert(record(48*time.Hour, "")); err != nil {
		t.Fatal(err)
	}
	v.sync(withDetails)
	v.forget(false)
	if err := s.fake.Put(record(30*24*time.Hour, `,"call_id":{},"voip":{"from":"+14155550100"}`)); err != nil {
		t.Fatal(err)
	}
	lately := wholeRange()
	lately.Range.Since = present.AddDate(0, 0, -7)
	asked := s.fake.Traffic().Calls
	if _, err := v.pipeline.Sync(t.Context(), s.source, lately); err != nil {
		t.Fatal(err)
	}
	if s.fake.Traffic().Calls == asked {
		t.Error("it was not asked for: this shows nothing")
	}
	v.proven()
	v.gone("a reading whose list left it out")
	expect(t, v.w, `SELECT call_id FROM calls WHERE call_id = 'later'`, []string{}...)
}
