package pipeline_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/transform"
)

// TestStricterPrivacyReachesAllThatIsStored keeps everything first, in payloads, rows, revisions, rejects and samples of oddities, and then looks at every
// decoded value of every table for every number and turn.
func TestStricterPrivacyReachesAllThatIsStored(t *testing.T) {
	for _, policy := range []transform.Privacy{
		{Numbers: transform.NumbersHash, HashKey: []byte("a key of the test's"), Transcripts: transform.TranscriptsDrop},
		{Numbers: transform.NumbersMask, Transcripts: transform.TranscriptsDrop},
		{Numbers: transform.NumbersDrop, Transcripts: transform.TranscriptsDrop},
	} {
		t.Run(string(policy.Numbers), func(t *testing.T) {
			forEach(t, allProviders, 40, settledCalls, func(l *life) {
				plant(l.t, l.setup, l.fake.Provider())
				l.source.Start = l.began.AddDate(0, 0, -4)
				l.sync(withDetails)
				// As a syncd left it that read another number, which is a revision twice; and of one call the payloads are no longer kept.
				one := l.rows(`SELECT call_id FROM calls WHERE from_number IS NOT NULL OR customer_number IS NOT NULL ORDER BY call_id LIMIT 1`)[0]
				l.execute(older[0], older[1], `UPDATE calls SET customer_number = '+15550009999', summary = 'ask +1 555 000 9999 again' WHERE call_id = '`+one+`'`)
				l.renormalize(pipeline.RenormalizeOptions{})
				l.expect(`SELECT count(*) > 0 FROM call_revisions WHERE old_value = '+15550009999'`, "true")
				dropped := l.rows(`SELECT call_id FROM calls WHERE call_id <> '` + one + `' ORDER BY call_id LIMIT 1`)[0]
				l.execute(`UPDATE raw_calls SET payload = NULL WHERE call_id = '` + dropped + `'`)
				if err := l.file.Write(l.t.Context(), func(tx *load.Tx) error {
					run := l.source.Name
					if err := tx.SaveRun(l.t.Context(), load.Run{ID: run, Source: run, Kind: "sync", StartedAt: l.began, FinishedAt: l.began, Outcome: "done", Records: 2, Rejected: 2, Drift: 1}); err != nil {
						return err
					}
					if err := tx.AddDrift(l.t.Context(), run, call.Drift{Path: "odd", Sample: "call +15550009999"}, time.Now(), 1); err != nil {
						return err
					}
					return tx.Reject(l.t.Context(), run, []call.Reject{
						{Source: run, Reason: "no id", Payload: `{"note":"call +15550009999 at once"}`, FetchedAt: l.began},
						{Source: run, Reason: "part of another call", Payload: `[{"content":"call +15550009999 at once"}]`, FetchedAt: l.began},
					})
				}); err != nil {
					l.t.Fatal(err)
				}
				var numbers []string
				for _, n := range l.rows(`SELECT DISTINCT n FROM (SELECT unnest([from_number, to_number, customer_number]) AS n FROM calls) WHERE n IS NOT NULL`) {
					numbers = append(numbers, digits(n))
				}
				numbers = append(numbers, "15550009999", plantedDigits)
				turns := l.rows(`SELECT DISTINCT content FROM call_messages WHERE length(content) >= 12 AND role IN ('agent', 'customer')`)
				scan := func() (int, int) {
					texts := everyText(l.t, l.file)
					var onlyDigits []string
					for _, s := range texts {
						onlyDigits = append(onlyDigits, digits(s))
					}
					return found(onlyDigits, numbers), found(texts, turns)
				}
				if n, m := scan(); n != len(numbers) || m != len(turns) || n < 10 || m < 50 {
					l.t.Fatalf("the scan finds %d of %d numbers and %d of %d turns: this shows too little", n, len(numbers), m, len(turns))
				}
				l.rules("stricter", func(o *transform.Options) { o.Privacy = policy })
				l.source.Wordless = true
				told, err := l.pipeline.Renormalize(l.t.Context(), l.source, pipeline.RenormalizeOptions{AtOnce: 25})
				if err != nil || told.WithoutPayload != 1 || told.Unreadable != 0 {
					l.t.Errorf("%+v, error %v", told, err)
				}
				if n, m := scan(); n != 0 || m != 0 {
					l.t.Errorf("%d of %d numbers and %d of %d turns are left", n, len(numbers), m, len(turns))
				}
				// What was another number still tells that it was, unless both are taken out alike.
				want := map[transform.NumberPolicy]string{transform.NumbersHash: "1 | true", transform.NumbersMask: "1 | true", transform.NumbersDrop: "0 | "}[policy.Numbers]
				l.expect(`SELECT count(*), bool_and(old_value[:3] IN ('tel', '***')) FROM call_revisions WHERE field LIKE '%number'`, want)
				before := l.file.Changes()
				again, err := l.pipeline.Renormalize(l.t.Context(), l.source, pipeline.RenormalizeOptions{AtOnce: 25})
				if err != nil || again.Changed+again.Run.Updated != 0 || l.file.Changes() != before {
					l.t.Errorf("a second time: %+v, error %v", again, err)
				}
				l.execute(`DELETE FROM calls WHERE call_id = '`+dropped+`'`, `DELETE FROM raw_calls WHERE call_id = '`+dropped+`'`, `DELETE FROM call_costs WHERE call_id = '`+dropped+`'`,
					`DELETE FROM call_revisions WHERE call_id = '`+dropped+`'`, `UPDATE sync.runs SET inserted = inserted - 1, unchanged = unchanged + 1 WHERE inserted > 0`,
					`DELETE FROM sync.details WHERE call_id = '`+dropped+`'`)
				l.proven()
			})
		})
	}
}

// A source may be synced while it is rebuilt: nothing is lost, and what is newer stays.
func TestASyncAndARenormalisationGoOnSideBySide(t *testing.T) {
	forEach(t, allProviders, 60, func(w world) {
		w.source.Ages = []time.Duration{5 * time.Minute, time.Hour}
		w.fake.Until = w.fake.Until.Add(80 * time.Minute)
		w.fake.Settling.StatusAt, w.fake.Settling.CostAt = 2*time.Minute, 30*time.Minute
	}, func(l *life) {
		l.sync(withDetails)
		done := make(chan error)
		go func() {
			for range 18 {
				time.Sleep(5 * time.Minute)
				if _, err := l.pipeline.Sync(l.t.Context(), l.source, withDetails); err != nil {
					done <- err
					return
				}
			}
			close(done)
		}()
		rebuilt := 0
		for {
			select {
			case err := <-done:
				if err != nil || rebuilt < 5 {
					l.t.Errorf("rebuilt %d times, error %v", rebuilt, err)
				}
				time.Sleep(2 * time.Hour) // everything is due for the last time
				l.sync(withDetails)
				l.proven()
				l.latest()
				return
			case <-time.After(7*time.Minute + 13*time.Millisecond):
			}
			told, err := l.pipeline.Renormalize(l.t.Context(), l.source, pipeline.RenormalizeOptions{AtOnce: 20})
			if err != nil || told.Changed != 0 {
				l.t.Errorf("%+v, error %v", told, err)
			}
			rebuilt++
		}
	})
}

// Payloads that say no call any more hold numbers and words all the same.
func TestStricterPrivacyReachesCallsThatCannotBeReadAnyMore(t *testing.T) {
	for name, payload := range map[string]string{
		"without an id": `{"customer_phone_number":"+15550009999","status":"completed","summary":"call +15550009999"}`,
		"no JSON":       `call +15550009999 at once`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, fakeapi.Burki, 20, settledCalls, func(l *life) {
				l.sync(withDetails)
				one := l.rows(`SELECT call_id FROM call_messages GROUP BY ALL ORDER BY call_id LIMIT 1`)[0]
				l.execute(`UPDATE calls SET customer_number = '+15550009999', summary = 'call +15550009999' WHERE call_id = '`+one+`'`,
					`INSERT INTO call_revisions SELECT source, call_id, 2, changed_at, 'customer_number', '+15550008888', '+15550009999' FROM calls WHERE call_id = '`+one+`'`,
					`DELETE FROM raw_calls WHERE part <> 'list' AND call_id = '`+one+`'`, `UPDATE raw_calls SET payload = '`+payload+`' WHERE call_id = '`+one+`'`)
				l.rules("stricter", func(o *transform.Options) {
					o.Privacy = transform.Privacy{Numbers: transform.NumbersMask, Transcripts: transform.TranscriptsDrop}
				})
				l.source.Wordless = true
				if told, err := l.pipeline.Renormalize(l.t.Context(), l.source, pipeline.RenormalizeOptions{}); err != nil || told.Unreadable != 1 {
					l.t.Errorf("%+v, error %v", told, err)
				}
				l.expect(`SELECT stored_rules FROM sync.sources`, "stricter")
				var left []string
				for _, s := range everyText(l.t, l.file) {
					left = append(left, digits(s))
				}
				if n := found(left, []string{"15550009999", "15550008888"}); n != 0 {
					l.t.Errorf("%d numbers are left", n)
				}
				l.expect(`SELECT count(*) FROM call_messages WHERE call_id = '`+one+`'`, "0")
				const stored = `SELECT COLUMNS(* EXCLUDE content_hash) FROM raw_calls ORDER BY ALL`
				before := l.rows(stored)
				if told, err := l.pipeline.Renormalize(l.t.Context(), l.source, pipeline.RenormalizeOptions{}); err != nil || told.Unreadable != 1 || !cmp.Equal(before, l.rows(stored)) {
					l.t.Errorf("a second time: %+v, error %v", told, err)
				}
				for _, table := range []string{"calls", "raw_calls", "call_costs", "call_revisions"} {
					l.execute(`DELETE FROM ` + table + ` WHERE call_id = '` + one + `'`)
				}
				l.execute(`UPDATE sync.runs SET inserted = inserted - 1, unchanged = unchanged + 1 WHERE inserted > 0`)
				l.proven()
			})
		})
	}
}
