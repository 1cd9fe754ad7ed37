package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/load"
)

// doctorSays runs the doctor and returns what it reports, and its exit code.
func doctorSays(t *testing.T, s *site, args ...string) (r doctorReport, code int) {
	t.Helper()
	cmd := syncd(append([]string{"doctor", "--json", "--no-progress", "-c", s.config}, args...)...)
	out, err := cmd.Output()
	code = exitCode(err)
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("doctor %v: exit code %d: %v\n%s", args, code, err, out)
	}
	noKeys(t, string(out))
	return r, code
}

// complaints are what is wrong, a line each.
func complaints(checks []doctorCheck) string {
	var b strings.Builder
	for _, c := range wrongOnes(checks) {
		b.WriteString(c.Name + ": " + c.found() + " | " + c.Advice + "\n")
	}
	return b.String()
}

func TestAWarehouseThatIsWellIsSaidToBe(t *testing.T) {
	t.Parallel()
	s := newSite(t, 60, providers...)
	if out, code := s.run("doctor"); code != exitFailed || !strings.Contains(out, "there is no warehouse") {
		t.Errorf("without a warehouse: exit code %d\n%s", code, out)
	}
	if out, code := s.run("sync", "--no-progress"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	before := listing(t, filepath.Dir(s.warehouse))
	out, code := s.run("doctor")
	for _, want := range []string{"one row for one call", "ledger of burki", "forget key", "nobody is kept out", "bloat", "disk", "copy for readers"} {
		if !strings.Contains(out, want) || code != exitDone || strings.Contains(out, verdictWrong) || strings.Contains(out, verdictSkipped) {
			t.Fatalf("exit code %d, want %q and no complaint:\n%s", code, want, out)
		}
	}
	if after := listing(t, filepath.Dir(s.warehouse)); after != before {
		t.Errorf("the folder was\n%sand is\n%s", before, after)
	}
	out, code = command(t, keyless(syncd("doctor", "-c", s.config)))
	if code != exitDone || !strings.Contains(out, "no key at hand to look for in the file: millis, burki, voicy") {
		t.Errorf("without keys: exit code %d\n%s", code, out)
	}
	if _, code := s.run("doctor", "--compact"); code != exitUsage {
		t.Errorf("--compact alone: exit code %d", code)
	}
	r, code := doctorSays(t, s, "--fix", "--compact")
	if code != exitDone || r.Compacted == nil || len(r.Repairs) > 0 || r.Removed != "" {
		t.Errorf("exit code %d: %+v\n%s", code, r, complaints(r.Checks))
	}
	checkWarehouse(t, s.warehouse)
}

// spoiling is a way to spoil a file, what the doctor says of it, and what it says is to be done about it after --fix; "": it is gone then.
type spoiling struct{ sql, says, advice string }

// Each way in which a file was spoiled is told with the name of what does not hold, and is gone after --fix or told with what mends it.
func TestWhatIsWrongIsToldAndHealedOrAdvisedOn(t *testing.T) {
	t.Parallel()
	s := newSite(t, 60, fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy)
	if out, code := s.run("sync", "--no-progress"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	sound, err := os.ReadFile(s.warehouse)
	must(t, err)
	first := func(table, where string) string {
		return ` WHERE rowid = (SELECT min(rowid) FROM ` + table + ` WHERE ` + where + `)`
	}
	healed := []spoiling{
		{sql: `INSERT INTO calls FROM calls` + first("calls", "true"), says: "one row for one call: calls: a call has more than one row"},
		{sql: `INSERT INTO raw_calls SELECT * REPLACE (reading - 1 AS reading) FROM raw_calls WHERE rowid = (SELECT max(rowid) FROM raw_calls)`,
			says: "raw_calls: a part of a call has more than one payload"},
		{sql: `INSERT INTO call_costs FROM call_costs` + first("call_costs", "true"), says: "call_costs: two rows of a call bear one number"},
		{sql: `INSERT INTO call_messages SELECT * REPLACE ('gone' AS call_id) FROM call_messages WHERE seq = 0 LIMIT 1`,
			says: "rows and their checkpoints: call_messages: rows of a call that is not there"},
		{sql: `UPDATE call_messages SET started_at = started_at + INTERVAL 1 SECOND` + first("call_messages", "source = 'voicy'"), says: "call_messages: rows that bear another start"},
		{sql: `UPDATE calls SET is_final = NOT is_final` + first("calls", "source = 'voicy'"), says: "histories: calls: a status"},
		{sql: `INSERT INTO sync.window_ids VALUES (999999999, 1)`, says: "sync.window_ids: ids of a window that is not being read"},
		{sql: `UPDATE sync.windows SET age_ms = age_ms - 1 WHERE age_ms = 60000 AND source = 'burki'`, says: "coverage: sync.windows: a fact that claims"},
		{sql: `INSERT INTO sync.windows SELECT source, nextval('sync.window_id'), 'open', since, since + INTERVAL 1 HOUR, NULL, NULL, 'x', 3, NULL, 0, 0, NULL, NULL
			FROM sync.windows WHERE source = 'voicy' LIMIT 1`, says: "sync.windows: an open window whose position"},
		{sql: `UPDATE sync.sources SET reason = 'with ` + keys[fakeapi.Burki] + ` and +4915550001234', state = 'parked' WHERE source = 'burki'`,
			says: "no secrets: sync.sources: a secret is in the column reason"},
		{sql: `INSERT INTO sync.details SELECT source, call_id, 'detail', 'failed', 0, 1, now(), NULL, 'x' FROM calls LIMIT 1`, says: "sync.details: a try for details that does not tell"},
		{sql: `INSERT INTO sync.forced SELECT 'voicy', now(), now(), now(), now(), now()`, says: "sync.forced: what is left to be read again is in disorder"},
		// Of Millis it is not told that a call is missing then, as two ids may be one call.
		{sql: `DELETE FROM calls WHERE call_id = (SELECT max(call_id) FROM calls WHERE source = 'millis')`, says: "raw_calls: a payload of a call that is not there"},
	}
	advised := []spoiling{
		{`DELETE FROM raw_calls WHERE source = 'burki' AND call_id = (SELECT min(call_id) FROM raw_calls WHERE source = 'burki')`, "raw_calls: a call without any payload",
			"'syncd backfill burki --from DATE --force'"},
		{`UPDATE calls SET summary = 'x'` + first("calls", "source = 'voicy'"), "newest readings: calls: summary is not what the call's payloads say", "'syncd renormalize voicy'"},
		{`UPDATE sync.runs SET records = records + 1` + first("sync.runs", "true"), "no record vanishes: sync.runs: the counts of a run", "'syncd backfill"},
		{`INSERT INTO sync.windows SELECT * REPLACE (nextval('sync.window_id') AS window_id, since + INTERVAL 1 DAY AS since) FROM sync.windows
			WHERE state = 'closed' AND until - since > INTERVAL 2 DAY LIMIT 1`, "two facts overlap", "run 'syncd sync"},
	}
	for name, all := range map[string][]spoiling{"healed": healed, "advised on": advised} {
		must(t, os.WriteFile(s.warehouse, sound, 0o600))
		for _, spoil := range all {
			statements(spoil.sql)(t, s.warehouse)
		}
		before := listing(t, filepath.Dir(s.warehouse))
		r, code := doctorSays(t, s)
		if after := listing(t, filepath.Dir(s.warehouse)); after != before || code != exitFailed {
			t.Errorf("exit code %d; the folder was\n%sand is\n%s", code, before, after)
		}
		fixed, code := doctorSays(t, s, "--fix")
		left := complaints(fixed.Checks)
		for _, spoil := range all {
			for when, text := range map[string]string{"before": complaints(r.Checks), "what --fix found": complaints(fixed.Found)} {
				if !strings.Contains(text, spoil.says) {
					t.Errorf("%s: want %q:\n%s", when, spoil.says, text)
				}
			}
			if spoil.advice != "" && !strings.Contains(left, spoil.advice) {
				t.Errorf("after --fix: want %q:\n%s", spoil.advice, left)
			}
		}
		if name == "healed" {
			if code != exitDone || left != "" {
				t.Errorf("after --fix: exit code %d, %+v:\n%s", code, fixed.Repairs, left)
			}
			checkHealed(t, s, fixed)
		}
		must(t, os.Remove(fixed.Removed))
	}
	// What was given up is read again, and what is wrong can then be mended by what was advised.
	if out, code := s.run("sync", "--no-progress"); code != exitDone {
		t.Errorf("sync: exit code %d\n%s", code, out)
	}
	if r, _ := doctorSays(t, s); strings.Contains(complaints(r.Checks), "ledger of") {
		t.Errorf("after a sync:\n%s", complaints(r.Checks))
	}
}

// checkHealed checks what --fix leaves: a warehouse that is well, the rows that went, and no secret.
func checkHealed(t *testing.T, s *site, r doctorReport) {
	t.Helper()
	checkWarehouse(t, s.warehouse)
	removed, err := os.ReadFile(r.Removed)
	must(t, err)
	for _, table := range []string{"calls", "raw_calls", "call_costs", "call_messages", "sync.window_ids", "sync.windows", "sync.details", "sync.forced"} {
		if !strings.Contains(string(removed), `{"table":"`+table+`","why":"`) {
			t.Errorf("no row of %s is kept", table)
		}
	}
	if info, err := os.Stat(r.Removed); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of what was removed: %v, %v", info.Mode(), err)
	}
	file, err := os.ReadFile(s.warehouse)
	must(t, err)
	if strings.Contains(string(file), keys[fakeapi.Burki]) || strings.Contains(string(file), "+4915550001234") {
		t.Error("what was taken out of texts is still in the file")
	}
}

// The doctor looks at the copy for readers while a daemon runs, and the daemon heals and compacts its file between its commits.
func TestADaemonIsExaminedAndCompactsWhileItSyncs(t *testing.T) {
	t.Parallel()
	s := newSite(t, 150, fakeapi.Burki, fakeapi.Voicy)
	s.edit("server: {http: \"\"}\n", "  publish: calls.read.duckdb\n  publish_every: 1s\nserver: {http: \"\"}\n")
	every(t, s.config, "1s")
	s.slow.Store(int64(5 * time.Millisecond))
	daemon := s.daemon()
	eventually(t, "there is a copy", func() bool { return sizeOf(filepath.Join(filepath.Dir(s.warehouse), "calls.read.duckdb")) > 0 })
	for n := range 2 {
		out, code := command(t, keyless(syncd("doctor", "--fix", "--compact", "--no-progress", "-c", s.config)))
		if !strings.Contains(out, "done: compacted") || code != exitDone && code != exitFailed {
			t.Errorf("compaction %d: exit code %d\n%s", n, code, out)
		}
	}
	eventually(t, "all calls are there, after the compactions", func() bool { return s.status().Warehouse.Calls == 300 })
	eventually(t, "all is well", func() bool {
		r, code := doctorSays(t, s)
		return code == exitDone && r.AsOf != nil && strings.HasSuffix(r.Looked, "calls.read.duckdb")
	})
	send(t, daemon.Cmd, os.Interrupt)
	if code := daemon.ends(patience); code != exitDone {
		t.Errorf("the daemon: exit code %d", code)
	}
	checkWarehouse(t, s.warehouse)
}

// Where no copy is made for readers, the daemon looks itself.
func TestADaemonLooksWhereThereIsNoCopy(t *testing.T) {
	t.Parallel()
	s := newSite(t, 20, fakeapi.Burki)
	s.edit("server: {http: \"\"}\n", "  publish: \"\"\nserver: {http: \"\"}\n")
	daemon := s.daemon()
	eventually(t, "all is well", func() bool {
		r, code := doctorSays(t, s)
		return code == exitDone && r.AsOf == nil && filepath.Base(r.Looked) == "calls.duckdb"
	})
	send(t, daemon.Cmd, os.Interrupt)
	if code := daemon.ends(patience); code != exitDone {
		t.Errorf("the daemon: exit code %d", code)
	}
}

// Without the key of those who were forgotten nothing is read, and the doctor names it, at the copy for readers, too.
func TestAKeyOfTheForgottenThatIsLostIsToldByTheDoctor(t *testing.T) {
	t.Parallel()
	s := newSite(t, 20, fakeapi.Burki)
	if out, code := s.run("sync", "--no-progress"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if out, code := s.run("forget", "--number", "+14155550100"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if r, code := doctorSays(t, s); code != exitDone {
		t.Errorf("with the key: exit code %d\n%s", code, complaints(r.Checks))
	}
	key := load.ForgetKeyPath(s.warehouse)
	must(t, os.Remove(key))
	for _, args := range [][]string{nil, {"--fix"}} {
		r, code := doctorSays(t, s, args...)
		if text := complaints(r.Checks); code != exitFailed || !strings.Contains(text, "forget key: the key of those who were forgotten is not there") || !strings.Contains(text, "| put "+key+" back") {
			t.Errorf("doctor %v without the key: exit code %d\n%s", args, code, text)
		}
	}
	must(t, os.WriteFile(key, []byte(strings.Repeat("ab", 32)+"\n"), 0o600))
	if r, code := doctorSays(t, s); code != exitFailed || !strings.Contains(complaints(r.Checks), "is another key than the one with which") {
		t.Errorf("with another key: exit code %d\n%s", code, complaints(r.Checks))
	}
}
