package pipeline_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"syncd/internal/call"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/proof"
	"syncd/internal/proof/prooftest"
	"syncd/internal/transform"
)

// execute runs statements on the open file, as an older or another syncd would have left it.
func (l *life) execute(statements ...string) {
	l.t.Helper()
	if err := l.file.Write(l.t.Context(), func(tx *load.Tx) error {
		for _, s := range statements {
			if _, err := tx.ExecContext(l.t.Context(), s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	}); err != nil {
		l.t.Fatal(err)
	}
}

// renormalize rebuilds the source, without an error and without a request, and holds the file against all promises.
func (l *life) renormalize(o pipeline.RenormalizeOptions) pipeline.Renormalized {
	l.t.Helper()
	sent := l.fake.RequestCount()
	told, err := l.pipeline.Renormalize(l.t.Context(), l.source, o)
	if err != nil {
		l.t.Fatal(err)
	}
	if more := l.fake.RequestCount() - sent; more != 0 {
		l.t.Errorf("%d requests were sent", more)
	}
	if told.Calls != told.Changed+told.Unchanged+told.WithoutPayload+told.Unreadable || told.Run.Records != told.Run.Inserted+told.Run.Updated+told.Run.Unchanged+told.Run.Rejected {
		l.t.Errorf("the counts do not add up: %+v", told)
	}
	l.proven()
	l.expect(`SELECT source FROM sync.renormalize`)
	return told
}

// proven holds the open file against all promises, as the source reads it now.
func (l *life) proven() {
	l.t.Helper()
	prooftest.Warehouse(l.t, l.file, proof.Options{
		TwoIDs: func(string) bool { return l.source.Provider == string(fakeapi.Millis) },
		Derive: func(string) proof.Deriver { return l.source.Transform },
	})
}

// fresh is the file of a sync of the same provider now, by the source as it is.
func (l *life) fresh(o pipeline.Options) (path string) {
	l.t.Helper()
	path = filepath.Join(l.t.TempDir(), "fresh.duckdb")
	w, err := load.Open(l.t.Context(), load.Options{Path: path, Threads: 1})
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := (&pipeline.Pipeline{Warehouse: w, Now: time.Now, Log: zap.NewNop()}).Sync(l.t.Context(), l.source, o); err != nil {
		l.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		l.t.Fatal(err)
	}
	return path
}

// sameAsFresh holds the file, which it closes, against that of a fresh sync.
func (l *life) sameAsFresh(o pipeline.Options, more ...prooftest.Table) {
	l.t.Helper()
	want := l.fresh(o)
	l.close()
	prooftest.Same(l.t, l.path, want, more...)
}

// rules gives the source other rules.
func (l *life) rules(words string, change func(*transform.Options)) {
	l.t.Helper()
	o := transform.Options{Source: l.source.Name, Provider: l.source.Provider,
		Privacy: transform.Privacy{Numbers: transform.NumbersKeep, Transcripts: transform.TranscriptsKeep}}
	change(&o)
	to, err := transform.New(o)
	if err != nil {
		l.t.Fatal(err)
	}
	l.source.Transform, l.source.Rules = to, words
}

// older are what a syncd would have stored that had no name for a status, a role and a channel, and read one price less.
var older = []string{
	`DELETE FROM call_revisions`, `UPDATE calls SET revision = 1, changed_at = first_seen_at WHERE deleted_at IS NULL`,
	`UPDATE calls SET status = 'unknown', end_reason = NULL, is_final = false WHERE status = 'completed' AND hash(call_id) % 3 > 0`,
	`UPDATE calls SET channel = 'unknown' WHERE channel = 'web'`,
	`UPDATE call_messages SET role = NULL WHERE role = 'tool'`,
	`DELETE FROM call_costs WHERE component = 'tts'`,
	`UPDATE call_costs SET seq = n FROM (SELECT rowid AS id, row_number() OVER (PARTITION BY call_id ORDER BY seq) - 1 AS n FROM call_costs) WHERE call_costs.rowid = id`,
}

// wrong names the calls that older touches, and the fields.
const wrong = `SELECT DISTINCT call_id, field FROM (
	SELECT call_id, unnest(['status', 'is_final', 'end_reason']) AS field FROM calls WHERE status = 'completed' AND hash(call_id) % 3 > 0
	UNION ALL SELECT call_id, 'channel' FROM calls WHERE channel = 'web'
	UNION ALL SELECT call_id, 'messages' FROM call_messages WHERE role = 'tool'
	UNION ALL SELECT call_id, 'costs' FROM call_costs WHERE component = 'tts')
	WHERE field <> 'is_final' AND (field <> 'end_reason' OR call_id IN (SELECT call_id FROM calls WHERE end_reason IS NOT NULL)) ORDER BY ALL`

func TestAChangedMappingIsAppliedToWhatIsStored(t *testing.T) {
	forEach(t, allProviders, 150, settledCalls, func(l *life) {
		l.sync(withDetails)
		want := l.rows(wrong)
		seen := l.rows(`SELECT call_id, first_seen_at FROM calls ORDER BY ALL`)
		payloads := l.rows(`FROM raw_calls ORDER BY ALL`)
		l.execute(older...)
		time.Sleep(time.Hour)
		told := l.renormalize(pipeline.RenormalizeOptions{AtOnce: 40})
		if told.Changed < 50 || told.Calls != 150 || told.Run.Updated != told.Changed || told.Run.Kind != "renormalize" || told.Run.Outcome != "done" {
			l.t.Errorf("%+v", told)
		}
		if diff := cmp.Diff(want, l.rows(`SELECT call_id, field FROM call_revisions ORDER BY ALL`)); diff != "" {
			l.t.Errorf("fields that were wrong and revisions (-wrong +revisions):\n%s", diff)
		}
		if diff := cmp.Diff(seen, l.rows(`SELECT call_id, first_seen_at FROM calls ORDER BY ALL`)); diff != "" {
			l.t.Errorf("when calls were seen first (-before +after):\n%s", diff)
		}
		if diff := cmp.Diff(payloads, l.rows(`FROM raw_calls ORDER BY ALL`)); diff != "" {
			l.t.Errorf("payloads (-before +after):\n%s", diff)
		}
		l.expect(`SELECT count(*) > 0 FROM calls WHERE revision = 2 AND changed_at > first_seen_at`, "true")
		l.expect(`SELECT records = updated + unchanged, updated, requests FROM sync.runs WHERE kind = 'renormalize'`, fmt.Sprintf("true | %d | 0", told.Changed))
		l.sameAsFresh(withDetails, prooftest.Rejects(), prooftest.Drift())
	})
}

func TestANewValueOfACreditIsAppliedToWhatIsStored(t *testing.T) {
	inBubble(t, fakeapi.Millis, 120, settledCalls, func(l *life) {
		l.sync(withDetails)
		l.rules("credit 0.01 USD", func(o *transform.Options) { o.Credit = transform.CreditValue{Amount: "0.01", Currency: "USD"} })
		told := l.renormalize(pipeline.RenormalizeOptions{})
		if told.Changed < 50 {
			l.t.Errorf("%+v", told)
		}
		l.expect(`SELECT DISTINCT field FROM call_revisions ORDER BY 1`, "cost", "cost_currency", "costs")
		l.expect(`SELECT rules = stored_rules FROM sync.sources`, "true")
		l.sameAsFresh(withDetails, prooftest.Drift())
	})
}

func TestWhereNothingIsOtherwiseNothingIsWritten(t *testing.T) {
	tables := []string{"calls", "call_costs", "call_messages", "call_functions", "call_revisions", "raw_calls", "sync.rejects", "sync.drift", "sync.windows",
		"sync.details", "sync.sources"}
	for _, policy := range []transform.Privacy{{}, {Numbers: transform.NumbersHash, HashKey: []byte("a key of the test's"), Transcripts: transform.TranscriptsDrop}, {Numbers: transform.NumbersMask}, {Numbers: transform.NumbersDrop}} {
		t.Run("numbers "+string(policy.Numbers), func(t *testing.T) {
			forEach(t, allProviders, 40, settledCalls, func(l *life) {
				l.rules("by these", func(o *transform.Options) { o.Privacy = policy })
				l.source.Wordless = policy.Transcripts == transform.TranscriptsDrop
				plant(l.t, l.setup, l.fake.Provider())
				l.sync(withDetails)
				before := make(map[string][]string)
				for _, table := range tables {
					before[table] = l.rows(`SELECT rowid, COLUMNS(*)::VARCHAR FROM ` + table + ` ORDER BY rowid`)
				}
				changes := l.file.Changes()
				for range 2 {
					told := l.renormalize(pipeline.RenormalizeOptions{AtOnce: 15})
					if told.Changed != 0 || told.Unchanged != told.Calls || told.Run.Updated+told.Run.Drift != 0 {
						l.t.Errorf("%+v", told)
					}
				}
				for _, table := range tables {
					if diff := cmp.Diff(before[table], l.rows(`SELECT rowid, COLUMNS(*)::VARCHAR FROM `+table+` ORDER BY rowid`)); diff != "" {
						l.t.Errorf("%s (-before +after):\n%s", table, diff)
					}
				}
				if l.file.Changes() != changes {
					l.t.Error("readers are told of a change")
				}
			})
		})
	}
}

func TestARejectThatCanBeReadNowBecomesACall(t *testing.T) {
	forEach(t, allProviders, 60, settledCalls, func(l *life) {
		l.sync(everything)
		gone := l.fake.All()[7]
		list := l.rows(`SELECT payload FROM raw_calls WHERE call_id = ?`, gone)[0]
		run := l.rows(`SELECT run_id FROM sync.runs`)[0]
		for _, table := range []string{"calls", "call_costs", "call_messages", "call_functions", "raw_calls"} {
			l.execute(`DELETE FROM ` + table + ` WHERE call_id = '` + gone + `'`)
		}
		known := l.rows(`SELECT payload FROM raw_calls ORDER BY call_id LIMIT 1`)[0]
		l.execute(`UPDATE sync.runs SET inserted = inserted - 1, rejected = 4, records = records + 3`)
		if err := l.file.Write(l.t.Context(), func(tx *load.Tx) error {
			at := time.Now().UTC()
			return tx.Reject(l.t.Context(), run, []call.Reject{
				{Source: l.source.Name, Reason: "no id", Payload: list, FetchedAt: at},
				{Source: l.source.Name, Reason: "no id", Payload: known, FetchedAt: l.began.Add(-time.Hour)},
				{Source: l.source.Name, Reason: "unusable id", Payload: known, FetchedAt: at.Add(time.Hour)},
				{Source: l.source.Name, Reason: "no id", Payload: `{"nothing":true}`, FetchedAt: at},
			})
		}); err != nil {
			l.t.Fatal(err)
		}
		l.restart()
		told := l.renormalize(pipeline.RenormalizeOptions{})
		if told.Resolved != 2 || told.Rejected != 2 || told.Run.Inserted != 1 || told.Run.Rejected != 2 || told.Changed != 0 {
			l.t.Errorf("%+v", told)
		}
		l.expect(`SELECT count(resolved_at), count(*) FROM sync.rejects`, "2 | 4")
		l.latest()
		// Nothing is done twice, and one that is met again is no longer resolved.
		if again := l.renormalize(pipeline.RenormalizeOptions{}); again.Resolved != 0 || again.Rejected != 2 || again.Run.Inserted != 0 {
			l.t.Errorf("again: %+v", again)
		}
		if err := l.file.Write(l.t.Context(), func(tx *load.Tx) error {
			return tx.Reject(l.t.Context(), run, []call.Reject{{Source: l.source.Name, Reason: "no id", Payload: list}})
		}); err != nil {
			l.t.Fatal(err)
		}
		l.expect(`SELECT count(resolved_at), count(*) FROM sync.rejects`, "1 | 4")
		l.sameAsFresh(everything)
	})
}

func TestCallsWhosePayloadsAreNoLongerKeptStayAsTheyAre(t *testing.T) {
	inBubble(t, fakeapi.Voicy, 60, settledCalls, func(l *life) {
		l.sync(withDetails)
		l.execute(`UPDATE raw_calls SET payload = NULL WHERE part = 'detail' AND hash(call_id) % 2 = 0`, older[2])
		without := l.rows(`SELECT count(*) FROM raw_calls WHERE payload IS NULL`)[0]
		kept := l.rows(`SELECT call_id, status FROM calls WHERE hash(call_id) % 2 = 0 ORDER BY ALL`)
		told, err := l.pipeline.Renormalize(l.t.Context(), l.source, pipeline.RenormalizeOptions{})
		if err != nil || fmt.Sprint(told.WithoutPayload) != without || told.Changed == 0 {
			l.t.Errorf("%+v, error %v; %s have lost a payload", told, err, without)
		}
		l.expect(`SELECT count(*) FROM calls WHERE hash(call_id) % 2 > 0 AND status = 'unknown'`, "0")
		if diff := cmp.Diff(kept, l.rows(`SELECT call_id, status FROM calls WHERE hash(call_id) % 2 = 0 ORDER BY ALL`)); diff != "" {
			l.t.Errorf("calls without a payload (-before +after):\n%s", diff)
		}
	})
}

func TestDeletedMovedAndRekeyedCallsStayRight(t *testing.T) {
	forEach(t, allProviders, 100, settledCalls, func(l *life) {
		l.sync(everything)
		all := l.fake.All()
		for _, at := range []int{3, 40, 77} {
			l.fake.Remove(all[at])
		}
		l.sleepUntil(26 * time.Hour)
		l.sync(everything)
		deleted := l.rows(`SELECT call_id, deleted_at FROM calls WHERE deleted_at IS NOT NULL ORDER BY ALL`)
		if len(deleted) != 3 {
			l.t.Fatalf("%d are marked as deleted", len(deleted))
		}
		// As a syncd left it that read starts an hour wrong, and one of them not at all.
		moved, undated := all[10], all[11]
		for _, table := range []string{"calls", "call_costs", "call_messages", "call_functions", "raw_calls"} {
			l.execute(`UPDATE `+table+` SET started_at = started_at + INTERVAL 1 HOUR WHERE call_id = '`+moved+`'`, `UPDATE `+table+` SET started_at = NULL WHERE call_id = '`+undated+`'`)
		}
		l.execute(older[2], `UPDATE calls SET status = 'unknown', is_final = false WHERE deleted_at IS NOT NULL`)
		told := l.renormalize(pipeline.RenormalizeOptions{AtOnce: 30})
		if told.Changed < 5 {
			l.t.Errorf("%+v", told)
		}
		if diff := cmp.Diff(deleted, l.rows(`SELECT call_id, deleted_at FROM calls WHERE deleted_at IS NOT NULL ORDER BY ALL`)); diff != "" {
			l.t.Errorf("deleted calls (-before +after):\n%s", diff)
		}
		l.expect(`SELECT count(*) FROM calls WHERE status = 'unknown'`, "0")
		l.expect(`SELECT field FROM call_revisions WHERE call_id = '`+undated+`' AND field = 'started_at'`, "started_at")
		l.latest()
	})
}

func TestACallThatIsKnownByAnotherIDNowIsRekeyedAndMerges(t *testing.T) {
	inBubble(t, fakeapi.Millis, 60, settledCalls, func(l *life) {
		l.sync(everything)
		tables := []string{"calls", "call_costs", "call_messages", "call_functions", "raw_calls", "call_revisions"}
		ids := l.rows(`SELECT call_id FROM calls ORDER BY call_id LIMIT 2`)
		for _, table := range tables {
			l.execute(`UPDATE `+table+` SET call_id = 'earlier' WHERE call_id = '`+ids[0]+`'`,
				`INSERT INTO `+table+` SELECT * REPLACE ('twice' AS call_id) FROM `+table+` WHERE call_id = '`+ids[1]+`'`)
		}
		l.execute(`UPDATE raw_calls SET reading = reading + 1 WHERE call_id = '` + ids[1] + `'`)
		told := l.renormalize(pipeline.RenormalizeOptions{})
		if told.Changed != 2 {
			l.t.Errorf("%+v", told)
		}
		l.expect(`SELECT old_value, new_value FROM call_revisions WHERE field = 'call_id' AND old_value = 'earlier'`, "earlier | "+ids[0])
		l.sameAsFresh(everything)
	})
}
