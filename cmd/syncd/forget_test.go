package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
)

const (
	forgotten         = "+14155550100"
	forgottenNational = "4155550100"
)

// settleForgotten gives each provider calls of one person, who is told by a field, by a transcript in the list, and by a transcript that only an
// answer about the single call has; and one record each that looks like theirs.
func settleForgotten(t *testing.T, s *site) {
	t.Helper()
	at := time.Now().UTC().Add(-72 * time.Hour).Truncate(time.Second)
	iso, sec := at.Format(time.RFC3339), fmt.Sprint(at.Unix())
	for p, records := range map[fakeapi.Provider][]fakeapi.Record{
		fakeapi.Millis: {
			{List: `{"session_id":"person-1","ts":` + sec + `,"duration":12.5,"call_status":"user-ended","voip":{"from":"+1 (415) 555-0100","to":"+15550001111","direction":"inbound"}}`},
			{List: `{"session_id":"person-2","ts":` + sec + `,"duration":12.5,"call_status":"user-ended","chat":"[{\"role\":\"user\",\"content\":\"ring (415) 555-0100\"}]"}`},
			{At: at, List: `{"ts":` + sec + `,"duration":1,"voip":{"from":"4155550100"}}`},
			{List: `{"session_id":"like-1","ts":` + sec + `,"duration":1,"call_status":"user-ended","voip":{"from":"+444155550100","to":"+14155550101"}}`},
		},
		fakeapi.Burki: {
			{List: `{"id":880002,"call_sid":"CA2","status":"completed","duration":12,"started_at":"` + iso + `"}`,
				Transcripts: `[{"id":1,"call_id":880002,"content":"4 1 5 - 5 5 5 - 0 1 0 0","is_final":true,"speaker":"user","segment_start":0.5}]`},
		},
		fakeapi.Voicy: {
			{List: `{"call_id":"person-1","call_type":"phone_call","call_status":"user_hangup","agent":null,"from_number":"14155550100","direction":"incoming","start_timestamp":` + sec + `000,"duration_ms":1000}`},
			{List: `{"call_id":"person-2","call_type":"web_call","call_status":"ended","agent":null,"start_timestamp":` + sec + `000,"duration_ms":1000}`,
				Detail: `{"call_id":"person-2","call_type":"web_call","call_status":"ended","agent":null,"start_timestamp":` + sec + `000,"duration_ms":1000,"transcript":[{"role":"caller","content":"it is 415 555 0100","timestamp_ms":1}]}`},
		},
	} {
		for _, r := range records {
			must(t, s.fakes[p].Insert(r))
		}
	}
}

// forgettable is a site with a copy for readers, and a person among the customers.
func forgettable(t *testing.T, calls int) (s *site, copied string) {
	t.Helper()
	s = newSite(t, calls, providers...)
	s.edit("path: calls.duckdb\n", "path: calls.duckdb\n  publish: calls.read.duckdb\n")
	settleForgotten(t, s)
	return s, filepath.Join(filepath.Dir(s.warehouse), "calls.read.duckdb")
}

func TestForgetErasesAPersonFromTheWarehouseAndItsCopyForEver(t *testing.T) {
	t.Parallel()
	s, copied := forgettable(t, 60)
	if out, code := s.run("sync"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	for _, path := range []string{s.warehouse, copied} {
		if found := traces(t, path); len(found) < 5 {
			t.Fatalf("the number stands in %v of %s: this shows too little", found, path)
		}
	}
	before := theRest(t, s.warehouse)
	if n, m := rawTraces(t, s.warehouse), rawTraces(t, copied); n == 0 || m == 0 {
		t.Errorf("the bytes of the files hold the number %d and %d times: this shows too little", n, m)
	}
	long := time.Now().AddDate(-1, 0, 0).Format(time.DateOnly)
	old, err := os.Open(copied)
	must(t, err)
	defer old.Close()
	log := s.warehouse + ".wal.damaged-20260101T000000.000000Z"
	must(t, os.WriteFile(log, []byte(forgotten), 0o600))
	aside := s.warehouse + ".removed-20260101T000000.000Z.ndjson"
	const another = `{"table":"main.calls","row":{"call_id":"x","from_number":"+444155550100"}}` + "\n"
	must(t, os.WriteFile(aside, []byte(`{"table":"main.calls","row":{"call_id":"y","from_number":"`+forgotten+`"}}`+"\n"+another), 0o600))
	exported := filepath.Join(t.TempDir(), "export")
	if out, code := s.run("export", "--to", exported, "--raw"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if found := tracesIn(exportedColumns(t, exported)); len(found) < 4 {
		t.Errorf("the number stands in %v of the export: this shows too little", found)
	}

	out, code := s.run("forget", "--number", "+1 415 555 0100", "--dry-run")
	if code != exitDone || !strings.Contains(out, "nothing was changed") || !strings.Contains(plain(out), " calls 5 ") || len(traces(t, s.warehouse)) < 5 {
		t.Errorf("a dry run: exit code %d\n%s", code, out)
	}
	forget := syncd("forget", "--number", "-", "-c", s.config, "--log-level", "debug")
	forget.Stdin = strings.NewReader("+1 (415) 555-0100\n")
	out, code = command(t, forget)
	for _, want := range []string{" calls 5 ", " sync.rejects 1 ", "kept out from now on", "calls.read.duckdb was made anew", filepath.Base(log) + " erased", "1 rows erased that", "the export " + exported + " was brought up to date"} {
		if code != exitDone || !strings.Contains(plain(out), want) {
			t.Errorf("exit code %d, want %q in\n%s", code, want, out)
		}
	}
	if strings.Contains(onlyDigits(out), forgottenNational) {
		t.Errorf("it was printed:\n%s", out)
	}
	if _, err := os.Stat(log); err == nil {
		t.Error("a damaged log is left")
	}
	noTrace(t, "forgetting", s.warehouse, copied)
	if found := tracesIn(exportedColumns(t, exported)); len(found) > 0 {
		t.Errorf("after forgetting the number stands in %v of the export", found)
	}
	if left, err := os.ReadFile(aside); err != nil || string(left) != another {
		t.Errorf("rows that were put aside are now %s, %v", left, err)
	}
	if n, m := rawTraces(t, s.warehouse), rawTraces(t, copied); n+m != 0 {
		t.Errorf("the bytes of the files hold the number %d and %d times", n, m)
	}
	checkWarehouse(t, s.warehouse)
	if diff := cmp.Diff(before, theRest(t, s.warehouse)); diff != "" {
		t.Errorf("the rows of others differ (-before +after):\n%s", diff)
	}

	// Whoever has the old copy open keeps it until they close it, and nobody else finds it.
	kept, err := os.ReadFile(fmt.Sprintf("/proc/self/fd/%d", old.Fd()))
	entries, lerr := os.ReadDir(filepath.Dir(copied))
	if err == nil && !bytes.Contains(kept, []byte("person-1")) {
		t.Error("a reader of the old copy has lost it")
	}
	must(t, lerr)
	for _, e := range entries {
		if !slices.Contains([]string{"calls.duckdb", "calls.duckdb.forget.key", "calls.read.duckdb", "syncd.yaml", "calls.duckdb.exports.json", filepath.Base(aside)}, e.Name()) {
			t.Errorf("%s is left beside the warehouse", e.Name())
		}
	}

	for _, args := range [][]string{{"sync"}, append([]string{"backfill"}, "millis", "burki", "voicy", "--from", long, "--force")} {
		if out, code := s.run(args...); code != exitDone || strings.Contains(onlyDigits(out), forgottenNational) {
			t.Errorf("%s: exit code %d\n%s", args, code, out)
		}
		noTrace(t, strings.Join(args, " "), s.warehouse, copied)
		checkWarehouse(t, s.warehouse)
		if out, code := s.run("export", "--to", exported); code != exitDone {
			t.Errorf("an export: exit code %d\n%s", code, out)
		}
		if found := tracesIn(exportedColumns(t, exported)); len(found) > 0 {
			t.Errorf("after %s the number stands in %v of the export", args, found)
		}
	}
	if out, code := s.run("forget", "--number", forgotten); code != exitDone || !strings.Contains(out, "as it was before") || !strings.Contains(out, "(none)") {
		t.Errorf("a second time: exit code %d\n%s", code, out)
	}
	if out, code := s.run("forget", "--number", "+12125550199"); code != exitDone || !strings.Contains(out, "(none)") {
		t.Errorf("somebody of whom there is nothing: exit code %d\n%s", code, out)
	}
}

func TestADaemonForgetsAndItsTicksBringNobodyBack(t *testing.T) {
	t.Parallel()
	s, copied := forgettable(t, 40)
	s.edit("publish: calls.read.duckdb\n", "publish: calls.read.duckdb\n  publish_every: 1s\n")
	s.edit("api_key_env", `schedule: "@every 1s", reread: [5m], api_key_env`)
	if out, code := s.run("sync"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	daemon := s.daemon("--log-level", "debug")
	out, code := command(t, keyless(syncd("forget", "--number", forgotten, "-c", s.config)))
	if code != exitDone || !strings.Contains(plain(out), " calls 5 ") || strings.Contains(onlyDigits(out), forgottenNational) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	noTrace(t, "forgetting", copied)
	asked := s.asked.Load()
	if out, code := s.run("backfill", "millis", "burki", "voicy", "--from", time.Now().AddDate(-1, 0, 0).Format(time.DateOnly), "--force"); code != exitDone {
		t.Errorf("a forced backfill: exit code %d\n%s", code, out)
	}
	eventually(t, "some ticks have passed", func() bool { return s.asked.Load() > asked+20 })
	send(t, daemon.Cmd, os.Interrupt)
	if code := daemon.ends(10 * time.Second); code != exitDone {
		t.Errorf("the daemon: exit code %d", code)
	}
	noTrace(t, "the daemon's ticks", s.warehouse, copied)
	checkWarehouse(t, s.warehouse)
	if strings.Contains(onlyDigits(daemon.out.String()), forgottenNational) {
		t.Error("the daemon has logged the number")
	}
}

func TestForgetRefusesWhatIsNoNumberAndRepeatsNothingOfIt(t *testing.T) {
	t.Parallel()
	s, _ := forgettable(t, 20)
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--number", "+123456"}, exitUsage, "fewer than 7 digits"},
		{[]string{"--number", "2125550199"}, exitUsage, "no country code"},
		{[]string{"--number", "Jane 2125550199"}, exitUsage, "something other"},
		{[]string{"--number", "+1", "212", "5550199"}, exitUsage, "in quotes"},
		{[]string{}, exitUsage, "say whose"},
		{[]string{"--number", "-"}, exitUsage, "say whose"},
		{[]string{"--number", "+12125550199"}, exitFailed, "no such file"},
	} {
		out, code := s.run(append([]string{"forget"}, tt.args...)...)
		if code != tt.code || !strings.Contains(out, tt.want) || strings.Contains(out, "0199") || strings.Contains(out, "212") || strings.Contains(out, "Jane") {
			t.Errorf("%v: exit code %d\n%s", tt.args, code, out)
		}
	}
}
