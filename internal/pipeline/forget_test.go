package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
	"syncd/internal/transform"
)

func TestAForgottenPersonIsNowhereAndNeverComesBack(t *testing.T) {
	t.Parallel()
	v := newTown(t, transform.Privacy{})
	v.settle(48 * time.Hour)
	v.sync(withDetails)
	if n := v.traces(); n < 15 {
		t.Fatalf("%d texts hold the number: this shows too little", n)
	}
	before := v.others()
	rehearsed := v.forget(true)
	if n := v.traces(); n < 15 {
		t.Errorf("a rehearsal has erased: %d texts are left", n)
	}
	if _, err := os.Stat(load.ForgetKeyPath(v.path)); err == nil {
		t.Error("a rehearsal has made a key")
	}
	f := v.forget(false)
	if diff := cmp.Diff(rehearsed, f); diff != "" {
		t.Errorf("what was rehearsed is not what happened (-rehearsed +happened):\n%s", diff)
	}
	if f.Rows["calls"] != 6 || f.Rows["sync.rejects"] != 1 || f.Rows["raw_calls"] < 8 || f.Rows["call_messages"] < 3 || f.Before {
		t.Errorf("erased: %+v", f)
	}
	v.same("forgetting", before)
	v.gone("forgetting")

	v.sync(withDetails)
	v.gone("the next sync")
	v.sync(wholeRange())
	v.gone("a forced reading of everything")
	v.same("a forced reading of everything", before)
	expect(t, v.w, `SELECT source FROM sync.freshness WHERE open_windows + failing_windows > 0`, []string{}...)
	expect(t, v.w, `SELECT call_id FROM calls WHERE deleted_at IS NOT NULL`, []string{}...)

	again := v.forget(false)
	if total := sum(again.Rows); total != 0 || !again.Before {
		t.Errorf("a second time %d rows were erased: %+v", total, again)
	}
	if err := v.w.Close(); err != nil {
		t.Fatal(err)
	}
	v.open()
	v.sync(wholeRange())
	v.gone("a forced reading by another process")
	expect(t, v.w, `SELECT count(*) FROM sync.suppressed WHERE kind <> 'call'`, "3")
}

// TestWhoeverWasForgottenIsKeptOutOfCallsThatComeLater forgets somebody of whom nothing is there yet, and whose calls begin afterwards: those that
// only a transcript tells of are erased when that comes.
func TestWhoeverWasForgottenIsKeptOutOfCallsThatComeLater(t *testing.T) {
	for name, privacy := range map[string]transform.Privacy{
		"keep": {}, "drop": {Numbers: transform.NumbersDrop},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newTown(t, privacy)
			v.sync(withDetails)
			if f := v.forget(false); sum(f.Rows) != 0 {
				t.Errorf("erased: %+v", f)
			}
			v.settle(48 * time.Hour)
			v.sync(wholeRange())
			v.gone("a forced reading")
			v.sync(withDetails)
			v.gone("the next sync")
			expect(t, v.w, `SELECT source, call_id FROM calls WHERE call_id IN ('like-1', '880003') ORDER BY ALL`, "burki | 880003", "millis | like-1")
			expect(t, v.w, `SELECT source, erased, count(*) FROM sync.suppressed WHERE kind = 'call' GROUP BY ALL ORDER BY ALL`,
				"burki | false | 1", "burki | true | 1", "millis | false | 2", "voicy | false | 1", "voicy | true | 1")
		})
	}
}

// TestHashedNumbersAreErasedAndMaskedOnesWhenTheyAreReadAgain forgets somebody of whom a warehouse has no number as it is dialled.
func TestHashedNumbersAreErasedAndMaskedOnesWhenTheyAreReadAgain(t *testing.T) {
	for name, privacy := range map[string]transform.Privacy{
		"mask": {Numbers: transform.NumbersMask}, "hash": {Numbers: transform.NumbersHash, HashKey: []byte("a key of the test's")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newTown(t, privacy)
			v.settle(48 * time.Hour)
			v.sync(withDetails)
			f := v.forget(false)
			switch {
			case name == "hash" && (f.Rows["calls"] != 6 || f.Hashed != 0 || f.Masked != 0):
				t.Errorf("with a hash: %+v", f)
			case name == "mask" && (f.Rows["calls"] > 1 || // one has it in single digits, which no mask takes for a number
				f.Masked == 0 || f.Hashed != 0):
				t.Errorf("with a mask: %+v", f)
			}
			v.sync(wholeRange())
			v.gone("a forced reading")
		})
	}
}

func TestWithoutTheRightKeyNothingIsRead(t *testing.T) {
	t.Parallel()
	v := newTown(t, transform.Privacy{})
	v.settle(48 * time.Hour)
	v.sync(withDetails)
	v.forget(false)
	key := load.ForgetKeyPath(v.path)
	info, err := os.Stat(key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key: %v, %v", info, err)
	}
	secret, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func() error{
		"is not there":                    func() error { return os.Remove(key) },
		"is another key than":             func() error { return os.WriteFile(key, []byte(strings.Repeat("ab", 32)+"\n"), 0o600) },
		"no key that syncd made":          func() error { return os.WriteFile(key, nil, 0o600) },
		"can be written by others; run '": func() error { return os.Chmod(key, 0o622) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if err := v.w.Close(); err != nil {
			t.Fatal(err)
		}
		v.open()
		asked := v.setups[fakeapi.Burki].fake.RequestCount()
		_, err := v.pipeline.Sync(t.Context(), v.setups[fakeapi.Burki].source, wholeRange())
		if err == nil || strings.Count(err.Error(), name) != 1 || !pipeline.NeedsPerson(err) || v.setups[fakeapi.Burki].fake.RequestCount() != asked {
			t.Errorf("a key that %s: %v", name, err)
		}
		if _, err := v.pipeline.Forget(t.Context(), parsed(t, person), nil, false, nil); err == nil || strings.Contains(err.Error(), personNational) {
			t.Errorf("forgetting with a key that %s: %v", name, err)
		}
		if err := os.WriteFile(key, secret, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(key, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v.sync(wholeRange())
	v.gone("the key came back")
}

// TestNothingTellsWhoWasForgotten looks for the number in the file itself, and for ways to tell it from the list.
func TestNothingTellsWhoWasForgotten(t *testing.T) {
	t.Parallel()
	v := newTown(t, transform.Privacy{})
	v.sync(withDetails)
	v.forget(false)
	if err := v.w.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.w.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(v.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{personDigits, personNational} {
		if bytes.Contains(raw, []byte(text)) {
			t.Errorf("the list tells the number: the file holds %s", text)
		}
	}
	v.open()
	list := rows(t, v.w, `SELECT hash FROM sync.suppressed WHERE kind <> 'key' ORDER BY ALL`)
	other := newTown(t, transform.Privacy{})
	other.sync(everything)
	other.forget(false)
	for _, hash := range rows(t, other.w, `SELECT hash FROM sync.suppressed`) {
		if slices.Contains(list, hash) {
			t.Error("two warehouses say the same of one number: the key does not matter")
		}
	}
}

// TestARunThatHasReadThePersonCommitsNothing forgets somebody while their calls have been read and are not committed yet.
func TestARunThatHasReadThePersonCommitsNothing(t *testing.T) {
	t.Parallel()
	v := newTown(t, transform.Privacy{})
	v.sync(withDetails)
	v.settle(48 * time.Hour)
	s := v.setups[fakeapi.Voicy]
	answered, goOn := make(chan struct{}), make(chan struct{})
	held := false
	v.pipeline.Now = func() time.Time { return present }
	ended := make(chan error, 1)
	source := s.source
	source.Extract = slowPage{Source: s.source.Extract, came: func() {
		if !held {
			held = true
			close(answered)
			<-goOn
		}
	}}
	go func() {
		_, err := v.pipeline.Sync(t.Context(), source, wholeRange())
		ended <- err
	}()
	<-answered
	v.forget(false)
	close(goOn)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "somebody was forgotten") {
		t.Errorf("the run ended with %v", err)
	}
	v.gone("the run that had read them")
	v.sync(wholeRange())
	v.gone("the next run")
}

func TestAnOddTextOfSyncdsOwnLosesTheNumber(t *testing.T) {
	t.Parallel()
	v := newTown(t, transform.Privacy{})
	v.settle(48 * time.Hour)
	v.sync(withDetails)
	drift := rows(t, v.w, `SELECT source, sum(occurrences)::BIGINT FROM sync.drift GROUP BY ALL ORDER BY ALL`)
	if err := v.w.Write(t.Context(), func(tx *load.Tx) error {
		for _, sql := range []string{
			`UPDATE sync.runs SET outcome = 'failed', error = 'odd: 415 555 0100' WHERE run_id = (SELECT min(run_id) FROM sync.runs WHERE outcome = 'done')`,
			`UPDATE sync.sources SET state = 'parked', reason = 'odd: (415) 555-0100' WHERE source = 'burki'`,
			`INSERT INTO sync.windows (source, window_id, state, since, until, read_at, position, pages, attempt, failures, error) SELECT 'voicy', nextval('sync.window_id'), 'open',
				min(since) - INTERVAL 2 DAY, min(since) - INTERVAL 1 DAY, now(), 'at 14155550100', 1, 0, 1, 'odd: 4155550100' FROM sync.windows`,
			`INSERT INTO sync.window_ids SELECT max(window_id), 1 FROM sync.windows WHERE state = 'open'`,
		} {
			if _, err := tx.ExecContext(t.Context(), sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	f := v.forget(false)
	v.gone("forgetting")
	if f.Rows["sync.runs"] != 1 || f.Rows["sync.sources"] != 1 || f.Rows["sync.windows"] != 2 || f.Rows["sync.drift"] == 0 {
		t.Errorf("erased: %+v", f.Rows)
	}
	if diff := cmp.Diff(drift, rows(t, v.w, `SELECT source, sum(occurrences)::BIGINT FROM sync.drift GROUP BY ALL ORDER BY ALL`)); diff != "" {
		t.Errorf("what was odd is counted otherwise (-before +after):\n%s", diff)
	}
}

func TestATableThatNobodyKnowsKeepsEverythingAsItIs(t *testing.T) {
	t.Parallel()
	v := newTown(t, transform.Privacy{})
	v.settle(48 * time.Hour)
	v.sync(withDetails)
	if err := v.w.Write(t.Context(), func(tx *load.Tx) error {
		_, err := tx.ExecContext(t.Context(), `CREATE TABLE notes AS SELECT 'ring +1 415 555 0100' AS note`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	before := v.traces()
	_, err := v.pipeline.Forget(t.Context(), parsed(t, person), v.sources(), false, func(int64, int64) {})
	if err == nil || !strings.Contains(err.Error(), "column note of notes") || strings.Contains(err.Error(), "415") {
		t.Errorf("error %v", err)
	}
	if n := v.traces(); n != before {
		t.Errorf("%d of %d texts are left", n, before)
	}
}

// slowPage tells when a page has come, before anybody reads it.
type slowPage struct {
	extract.Source
	came func()
}

func (s slowPage) Fetch(ctx context.Context, w extract.Window, p extract.Position) (extract.Page, error) {
	page, err := s.Source.Fetch(ctx, w, p)
	s.came()
	return page, err
}
