package proof_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/load"
	"syncd/internal/proof"
)

// corruption is a way to spoil a file, and the beginnings of the findings that it must lead to: these and no others.
type corruption struct {
	name   string
	sql    []string
	want   []string
	derive bool
	change func(*proof.Options)
}

// The rows that are spoiled: a call as it was first seen, with one of its children; one whose transcript was replaced; the window that is open.
const (
	aCall = `(source, call_id) IN (SELECT (source, call_id) FROM calls WHERE revision = 1 AND source = 'millis' AND started_at IS NOT NULL
		AND (source, call_id) NOT IN (SELECT (source, call_id) FROM sync.details) ORDER BY call_id LIMIT 1)`
	anOpen   = `window_id = (SELECT max(window_id) FROM sync.windows WHERE state = 'open' AND pages > 0)`
	aFact    = `window_id = (SELECT min(window_id) FROM sync.windows WHERE state = 'closed' AND source = 'millis')`
	quietRun = `run_id = (SELECT min(run_id) FROM sync.runs WHERE inserted + drift + rejected = 0 AND unchanged > 0)`
)

// child is a call of revision 1 that has rows in a table.
func child(table string) string {
	return fmt.Sprintf(`(source, call_id) IN (SELECT (source, call_id) FROM calls SEMI JOIN %s USING (source, call_id) WHERE revision = 1 ORDER BY ALL LIMIT 1)`, table)
}

// changed is a call of which a field has a revision.
func changed(field string) string {
	return fmt.Sprintf(`(source, call_id) IN (SELECT (source, call_id) FROM call_revisions WHERE field = '%s' ORDER BY ALL LIMIT 1)`, field)
}

// one is the condition that a table's row is the first of some.
func one(table, where string) string {
	return fmt.Sprintf(`rowid = (SELECT min(rowid) FROM %s WHERE %s)`, table, where)
}

// another inserts a copy of a row.
func another(table, where, replace string) string {
	return fmt.Sprintf(`INSERT INTO %[1]s SELECT * %[3]s FROM %[1]s WHERE %[2]s`, table, one(table, where), replace)
}

// kept puts somebody on the list of those who are kept out, and the key that it is made with.
func kept(values string) string {
	return `INSERT INTO sync.suppressed VALUES ('key', repeat('a', 64), NULL, NULL, false, now()), (` + values + `, now())`
}

func corruptions() []corruption {
	const holed, chain, end = "3 call_revisions: a call's revisions do not", "3 call_revisions: a field changed from", "3 call_revisions: the last change"
	const inserted = `UPDATE sync.runs SET inserted = inserted + 1, records = records + 1 WHERE run_id = (SELECT min(run_id) FROM sync.runs WHERE inserted > 0 AND source = '%s')`
	all := []corruption{
		{name: "a call twice", sql: []string{another("calls", aCall, ""), fmt.Sprintf(inserted, "millis")}, want: []string{"9 calls: a call has more"}},
		{name: "no provider", sql: []string{`UPDATE calls SET provider = '' WHERE ` + aCall}, want: []string{"9 calls: a call without"}},
		{name: "a channel", sql: []string{`UPDATE calls SET channel = 'fax' WHERE ` + aCall}, want: []string{"3 calls: a status"}},
		{name: "not final", sql: []string{`UPDATE calls SET is_final = NOT is_final WHERE ` + aCall}, want: []string{"3 calls: a status"}},
		{name: "a component", sql: []string{`UPDATE call_costs SET component = 'x' WHERE ` + child("call_costs")}, want: []string{"3 call_costs: a component"}},
		{name: "a role", sql: []string{`UPDATE call_messages SET role = 'x' WHERE ` + child("call_messages")}, want: []string{"3 call_messages: a role"}},

		{name: "a call that was erased and never inserted", sql: []string{kept(`'call', repeat('b', 64), NULL, 'burki', true`)}, want: []string{"2 calls: calls that no run"}},
		{name: "a call erased twice", sql: []string{kept(`'call', repeat('b', 64), NULL, 'burki', false`), another("sync.suppressed", "kind = 'call'", "")}, want: []string{"9 sync.suppressed"}},
		{name: "a name instead of a digest", sql: []string{kept(`'number', '14155550100', 11, NULL, false`)}, want: []string{"7 sync.suppressed"}},
		{name: "somebody kept out by no key", sql: []string{`INSERT INTO sync.suppressed VALUES ('number', repeat('b', 64), 11, NULL, false, now())`}, want: []string{"2 sync.suppressed"}},

		{name: "a payload's call", sql: []string{another("raw_calls", aCall, "REPLACE ('gone' AS call_id)")}, want: []string{"1 raw_calls: a payload of a call"}},
		{name: "no payload", sql: []string{`DELETE FROM raw_calls WHERE ` + aCall}, want: []string{"1 raw_calls: a call without any"}},
		{name: "a payload's start", sql: []string{`UPDATE raw_calls SET started_at = started_at + INTERVAL 1 SECOND WHERE ` + one("raw_calls", aCall)}, want: []string{"1 raw_calls: payloads that bear"}},
		{name: "a payload twice", sql: []string{another("raw_calls", aCall, "")}, want: []string{"9 raw_calls: a part"}},
		{name: "no reading", sql: []string{`UPDATE raw_calls SET reading = 0 WHERE ` + one("raw_calls", aCall)}, want: []string{"5 raw_calls: a payload without the number"}},
		{name: "a reading given twice", sql: []string{`UPDATE raw_calls SET reading = (SELECT max(reading) FROM raw_calls WHERE source = 'burki') WHERE ` + one("raw_calls", aCall)},
			want: []string{"5 raw_calls: one reading"}},
		{name: "a payload gone", sql: []string{`UPDATE raw_calls SET payload = NULL WHERE ` + one("raw_calls", aCall)}, want: []string{"6 raw_calls: a payload is not there"}},
		{name: "an empty payload", sql: []string{`UPDATE raw_calls SET payload = '' WHERE ` + one("raw_calls", aCall)}, want: []string{"6 raw_calls: a payload that is empty"}},
		{name: "half a payload", sql: []string{`UPDATE raw_calls SET payload = payload[:40] WHERE ` + one("raw_calls", aCall)}, want: []string{"6 raw_calls: a payload that is empty"}},

		{name: "a revision's call", sql: []string{another("call_revisions", "field = 'summary'", "REPLACE ('gone' AS call_id)")}, want: []string{"1 call_revisions"}},
		{name: "a revision too many", sql: []string{`UPDATE calls SET revision = revision + 1 WHERE ` + aCall}, want: []string{holed}},
		{name: "a revision lost", sql: []string{`DELETE FROM call_revisions WHERE (source, call_id, revision) IN (SELECT (source, call_id, revision) FROM call_revisions
			WHERE revision = 2 AND (source, call_id) IN (SELECT (source, call_id) FROM calls WHERE revision > 2) ORDER BY ALL LIMIT 1)`}, want: []string{holed}},
		{name: "a revision twice", sql: []string{another("call_revisions", "field = 'summary'", "")}, want: []string{chain, "9 call_revisions"}},
		{name: "a silent deletion", sql: []string{`UPDATE calls SET deleted_at = changed_at WHERE ` + aCall}, want: []string{"3 call_revisions: a call was marked"}},
		{name: "a broken chain", sql: []string{`UPDATE call_revisions SET old_value = '0.5' WHERE ` + one("call_revisions",
			`field = 'cost' AND (source, call_id, revision) IN (SELECT (source, call_id, max(revision)) FROM call_revisions WHERE field = 'cost' GROUP BY source, call_id HAVING count(*) > 1)`)},
			want: []string{chain}},
		{name: "no change", sql: []string{`UPDATE call_revisions SET old_value = new_value WHERE ` + one("call_revisions", `field = 'summary' AND old_value IS NULL`)},
			want: []string{"3 call_revisions: a field changed to what it was"}},
		{name: "another date", sql: []string{`UPDATE calls SET changed_at = changed_at + INTERVAL 1 SECOND WHERE ` + aCall}, want: []string{"3 calls: changed_at"}},
		{name: "another date of a change", sql: []string{`UPDATE calls SET changed_at = changed_at + INTERVAL 1 SECOND WHERE ` + changed("summary")}, want: []string{"3 calls: changed_at"}},

		{name: "neither open nor closed", sql: []string{`UPDATE sync.windows SET state = 'half' WHERE ` + anOpen}, want: []string{"4 sync.windows: a window that is neither"}},
		{name: "a fact with pages", sql: []string{`UPDATE sync.windows SET pages = 1 WHERE ` + aFact}, want: []string{"4 sync.windows: a fact that does not tell"}},
		{name: "a fact too young", sql: []string{`UPDATE sync.windows SET age_ms = age_ms - 1 WHERE age_ms = 60000`},
			want: []string{"4 sync.windows: a fact that claims", "4 sync.windows: the ledger is not"}},
		{name: "facts that overlap", sql: []string{`UPDATE sync.windows SET since = since - INTERVAL 1 MINUTE WHERE source = 'millis' AND age_ms = 60000`},
			want: []string{"4 sync.windows: the ledger is not", "4 sync.windows: two facts overlap"}},
		{name: "the future", change: func(o *proof.Options) { o.Now = began }, want: []string{"4 sync.windows: a fact about calls of the future"}},
		{name: "a position lost", sql: []string{`UPDATE sync.windows SET position = NULL WHERE ` + anOpen}, want: []string{"1 sync.windows: an open window whose"}},
		{name: "a failure without a word", sql: []string{`UPDATE sync.windows SET error = NULL WHERE ` + anOpen}, want: []string{"1 sync.windows: an open window that failed"}},
		{name: "a window twice", sql: []string{another("sync.windows", anOpen, "")}, want: []string{"9 sync.windows"}},
		{name: "ids of no window", sql: []string{`INSERT INTO sync.window_ids VALUES (999999999, 1)`}, want: []string{"1 sync.window_ids"}},
		{name: "an id twice", sql: []string{`INSERT INTO sync.window_ids SELECT window_id, 7 FROM sync.windows, range(2) WHERE ` + anOpen}, want: []string{"9 sync.window_ids"}},
		{name: "nothing left to be read again", sql: []string{`INSERT INTO sync.forced SELECT 'voicy', now(), now(), now(), now(), now()`}, want: []string{"3 sync.forced"}},
		{name: "a fact in two", sql: []string{
			`INSERT INTO sync.windows SELECT * REPLACE (nextval('sync.window_id') AS window_id, since + INTERVAL 1 DAY AS since) FROM sync.windows WHERE ` + aFact,
			`UPDATE sync.windows SET until = since + INTERVAL 1 DAY WHERE ` + aFact}, want: []string{"4 sync.windows: the ledger is not"}},
		{name: "another rule", sql: []string{`CREATE OR REPLACE MACRO sync.coverage_at(as_of) AS TABLE
			SELECT source, since, until, 'settled' AS state, true AS wanted, NULL AS error FROM sync.windows`}, want: []string{"4 sync.coverage_at"}},
		{name: "a gap that is hidden", sql: []string{`CREATE OR REPLACE MACRO sync.coverage_at(as_of) AS TABLE
			SELECT source, min(since) AS since, max(until) AS until, 'settling' AS state, true AS wanted, NULL AS error FROM sync.windows GROUP BY source`}, want: []string{"4 sync.coverage_at"}},

		{name: "a record too many", sql: []string{`UPDATE sync.runs SET records = records + 1 WHERE ` + quietRun}, want: []string{"2 sync.runs: the counts"}},
		{name: "less than none", sql: []string{`UPDATE sync.runs SET retries = -1 WHERE ` + quietRun}, want: []string{"2 sync.runs: a count below"}},
		{name: "an odd outcome", sql: []string{`UPDATE sync.runs SET outcome = 'odd' WHERE ` + quietRun}, want: []string{"2 sync.runs: a run whose outcome"}},
		{name: "a run twice", sql: []string{another("sync.runs", quietRun, "")}, want: []string{"9 sync.runs"}},
		{name: "a call from nowhere", sql: []string{`UPDATE sync.runs SET inserted = inserted - 1, unchanged = unchanged + 1 WHERE ` + one("sync.runs", "inserted > 0")},
			want: []string{"2 calls: calls that no run"}},
		{name: "a call vanished", sql: []string{`UPDATE sync.runs SET inserted = inserted + 1, unchanged = unchanged - 1 WHERE ` + quietRun}, want: []string{"2 calls: fewer calls"}},
		{name: "an oddity lost", sql: []string{`UPDATE sync.drift SET occurrences = occurrences - 1`}, want: []string{"2 sync.drift"}},
		{name: "an oddity twice", sql: []string{another("sync.drift", "true", "REPLACE (0 AS occurrences)")}, want: []string{"9 sync.drift"}},

		{name: "a reject twice", sql: []string{another("sync.rejects", "true", "")}, want: []string{"2 sync.rejects", "9 sync.rejects"}},
		{name: "no reason", sql: []string{`UPDATE sync.rejects SET reason = ''`}, want: []string{"6 sync.rejects: a reject without a reason"}},
		{name: "a reject's bytes", sql: []string{`UPDATE sync.rejects SET payload = NULL`}, want: []string{"6 sync.rejects: a reject without its bytes"}},
		{name: "a reject's run", sql: []string{`UPDATE sync.rejects SET run_id = 'gone'`}, want: []string{"2 sync.rejects"}},

		{name: "a try's call", sql: []string{another("sync.details", "true", "REPLACE ('gone' AS call_id)")}, want: []string{"1 sync.details"}},
		{name: "a try twice", sql: []string{another("sync.details", "true", "")}, want: []string{"9 sync.details"}},
		{name: "a try never made", sql: []string{`UPDATE sync.details SET attempts = 0`}, want: []string{"2 sync.details"}},
		{name: "a try of the future", sql: []string{`UPDATE sync.details SET reading = 1000000000`}, want: []string{"5 sync.details"}},

		{name: "a source twice", sql: []string{another("sync.sources", "source = 'millis'", "")}, want: []string{"9 sync.sources"}},
		{name: "a source unknown", sql: []string{another("sync.drift", "true", "REPLACE ('ghost' AS source, 0 AS occurrences)")}, want: []string{"1 sync.sources: rows of a source"}},
		{name: "a source asleep", sql: []string{`UPDATE sync.sources SET state = 'asleep' WHERE source = 'millis'`}, want: []string{"1 sync.sources: a source that is neither"}},
		{name: "half a total", sql: []string{`UPDATE sync.sources SET reconciled_at = NULL WHERE source = 'burki'`}, want: []string{"2 sync.sources"}},

		{name: "a secret", sql: []string{`UPDATE sync.runs SET error = error || ' with ` + key + `' WHERE ` + one("sync.runs", "error IS NOT NULL")}, want: []string{"7 sync.runs: a secret is in the column error"}},
		{name: "a number", sql: []string{`UPDATE sync.windows SET error = 'nobody answers at +4915550001234' WHERE ` + anOpen}, want: []string{"7 sync: a text"}},

		{name: "another hash", derive: true, sql: []string{`UPDATE raw_calls SET content_hash = content_hash + 1 WHERE ` + one("raw_calls", aCall)}, want: []string{"5 raw_calls: a payload is not what"}},
		{name: "payloads of nothing", derive: true, sql: []string{`UPDATE raw_calls SET payload = '{}' WHERE ` + aCall}, want: []string{"5 raw_calls: the payloads"}},
		{name: "an earlier id", derive: true, sql: []string{
			`CREATE TEMP TABLE twin AS SELECT call_id, payload->>'$.call_id' AS other, started_at FROM raw_calls WHERE source = 'millis' AND (payload->>'$.call_id') IS NOT NULL
				AND call_id IN (SELECT call_id FROM calls WHERE revision = 1) ORDER BY ALL LIMIT 1`,
			`INSERT INTO calls SELECT c.* REPLACE (t.other AS call_id) FROM calls AS c JOIN twin AS t USING (call_id)`,
			`INSERT INTO raw_calls SELECT c.* REPLACE (t.other AS call_id) FROM raw_calls AS c JOIN twin AS t USING (call_id)`,
			fmt.Sprintf(inserted, "millis")}, want: []string{"5 calls: call_id", "9 calls: a call is stored a second"}},
	}
	for _, table := range []string{"call_costs", "call_messages", "call_functions"} {
		of := child(table)
		all = append(all,
			corruption{name: table + " of no call", sql: []string{another(table, "seq = 0", "REPLACE ('gone' AS call_id)")}, want: []string{"1 " + table + ": rows of a call"}},
			corruption{name: table + " elsewhere", sql: []string{`UPDATE ` + table + ` SET started_at = started_at + INTERVAL 1 SECOND WHERE ` + of}, want: []string{"1 " + table + ": rows that bear"}},
			corruption{name: table + " twice", sql: []string{another(table, of, "")}, want: []string{"9 " + table}},
			corruption{name: table + " with a hole", sql: []string{`UPDATE ` + table + ` SET seq = seq + 1 WHERE ` + of}, want: []string{"3 " + table + ": the numbers"}})
	}
	for field, set := range map[string]string{"summary": "summary = summary || '!'", "cost": "cost = cost + 0.000000001", "ended_at": "ended_at = ended_at + INTERVAL 1 MICROSECOND",
		"deleted_at": "deleted_at = deleted_at + INTERVAL 1 SECOND", "duration_ms": "duration_ms = duration_ms + 1", "metadata": "metadata = NULL"} {
		all = append(all, corruption{name: "a change of " + field, sql: []string{`UPDATE calls SET ` + set + ` WHERE ` + changed(field)}, want: []string{end}})
	}
	return append(append(all,
		corruption{name: "a change of words", sql: []string{`UPDATE call_messages SET content = content || '!' WHERE ` + changed("messages")}, want: []string{end}},
		corruption{name: "a change of prices", sql: []string{`UPDATE call_costs SET amount = amount + 0.000000001 WHERE ` + changed("costs")}, want: []string{end}}), derived()...)
}

// derived spoils each field of a call that its payloads tell.
func derived() []corruption {
	everywhere := func(set string) (sql []string) {
		const spoiled = `(source, call_id) IN (SELECT (source, call_id) FROM spoiled)`
		sql = append(sql, `CREATE TEMP TABLE spoiled AS SELECT source, call_id FROM calls WHERE `+aCall)
		for _, table := range []string{"calls", "call_costs", "call_messages", "call_functions", "raw_calls"} {
			sql = append(sql, `UPDATE `+table+` SET `+set+` WHERE `+spoiled)
		}
		return sql
	}
	var all []corruption
	for _, f := range proof.Fields() {
		c := corruption{name: f + " of an older reading", derive: true, want: []string{"5 calls: " + f + " is not"}}
		set := f + ` = 'x'`
		switch f {
		case "call_id", "started_at":
			if set = `call_id = 'x'`; f == "started_at" {
				set = `started_at = started_at + INTERVAL 1 SECOND`
			}
			c.sql = everywhere(set)
		case "call_costs", "call_functions":
			c.sql = []string{`DELETE FROM ` + f + ` WHERE ` + child(f)}
		case "call_messages":
			c.sql = []string{`UPDATE call_messages SET content = content || '!' WHERE ` + child(f)}
		case "channel", "direction":
			set = f + ` = 'unknown'`
		case "status":
			set = `status = CASE status WHEN 'failed' THEN 'busy' ELSE 'failed' END`
		case "ended_at":
			set = `ended_at = coalesce(ended_at, started_at) + INTERVAL 1 SECOND`
		case "duration_ms", "cost":
			set = f + ` = coalesce(` + f + `, 0) + 1`
		case "is_test":
			set = `is_test = is_test IS DISTINCT FROM true`
		}
		if c.sql == nil {
			c.sql = []string{`UPDATE calls SET ` + set + ` WHERE ` + aCall}
		}
		all = append(all, c)
	}
	return all
}

// errUndo ends a transaction of which nothing is to stay.
var errUndo = errors.New("undo")

// TestEachCorruptionIsFoundAndNothingElse makes a real file, spoils it in every way that a check is for, and expects that finding alone. A check
// that no corruption triggers proves nothing, and fails.
func TestEachCorruptionIsFoundAndNothingElse(t *testing.T) {
	w := newWorld(t, 120)
	w.live()
	file, err := load.Open(t.Context(), load.Options{Path: w.path, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}()
	triggered := make(map[string]bool)
	for _, c := range corruptions() {
		o := w.options()
		if !c.derive {
			o.Derive = nil
		}
		if c.change != nil {
			c.change(&o)
		}
		if err := file.Write(t.Context(), func(tx *load.Tx) error {
			changed := int64(0)
			for _, sql := range c.sql {
				result, err := tx.ExecContext(t.Context(), sql)
				if err != nil {
					return fmt.Errorf("%s: %w", sql, err)
				}
				n, err := result.RowsAffected()
				changed += n
				if err != nil {
					return err
				}
			}
			if changed == 0 && c.change == nil && !strings.HasPrefix(c.sql[0], "CREATE") {
				t.Errorf("%s: nothing was spoiled: the world lacks what it takes", c.name)
			}
			findings, err := proof.Check(t.Context(), tx, o)
			if err != nil {
				return err
			}
			var got []string
			for _, f := range findings {
				got = append(got, name(f))
				triggered[name(f)] = true
				if f.Count < 1 || f.Statement < 1 || f.Statement > 9 {
					t.Errorf("%s: a finding of nothing: %+v", c.name, f)
				}
			}
			slices.Sort(got)
			if !slices.EqualFunc(c.want, got, func(want, got string) bool { return strings.HasPrefix(got, want) }) {
				t.Errorf("%s (-want +got):\n%s", c.name, cmp.Diff(c.want, got))
			}
			return errUndo
		}); !errors.Is(err, errUndo) {
			t.Fatalf("%s: %v", c.name, err)
		}
	}
	for _, f := range proof.AllChecks() {
		if !triggered[name(f)] {
			t.Errorf("nothing triggers %s", name(f))
		}
	}
}

func name(f proof.Finding) string { return fmt.Sprintf("%d %s: %s", f.Statement, f.Table, f.What) }
