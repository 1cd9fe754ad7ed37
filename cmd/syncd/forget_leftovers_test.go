package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// putAside is a line of a file of rows that 'doctor --fix' has put aside.
func putAside(source, id, more string) string {
	return `{"table":"call_messages","why":"a test","row":{"source":"` + source + `","call_id":"` + id + `","content":"` + more + `"}}` + "\n"
}

// TestRowsThatWerePutAsideGoWithTheirCallThoughTheyHoldNoNumber gives the command a second time, too, as after a death: then the call is in no table.
func TestRowsThatWerePutAsideGoWithTheirCallThoughTheyHoldNoNumber(t *testing.T) {
	t.Parallel()
	s := newSite(t, 20, providers...)
	settleForgotten(t, s)
	if out, code := s.run("sync"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	path := s.warehouse + ".removed-20260101T000000.000Z.ndjson"
	others := putAside("millis", "like-1", "hello") + putAside("voicy", "880002", "of another source") + `{"table":"sync.windows","row":{"source":"millis"}}` + "\n"
	aside := func() {
		must(t, os.WriteFile(path, []byte(putAside("millis", "person-2", "hello")+others+putAside("burki", "880002", "good bye")+putAside("burki", "x", forgotten)+
			`{"table":"calls","row":{"source":"millis","ca`), 0o600))
	}
	for _, want := range []string{"kept out from now on", "as it was before"} {
		aside()
		out, code := s.run("forget", "--number", forgotten)
		if code != exitDone || !strings.Contains(out, want) || !strings.Contains(out, "4 rows erased that") {
			t.Errorf("exit code %d, want %q in\n%s", code, want, out)
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != others {
			t.Errorf("rows that were put aside are now\n%s%v", left, err)
		}
	}
}

// TestWhatCannotBeErasedKeepsNothingElseFromIt has a damaged log, and a file of rows, that are folders.
func TestWhatCannotBeErasedKeepsNothingElseFromIt(t *testing.T) {
	t.Parallel()
	s, copied := forgettable(t, 20)
	if out, code := s.run("sync"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	log, folder := s.warehouse+".wal.damaged-20260101T000000.000000Z", s.warehouse+".removed-20260101T000000.000Z.ndjson"
	must(t, os.MkdirAll(filepath.Join(log, "x"), 0o700))
	must(t, os.MkdirAll(filepath.Join(folder, "x"), 0o700))
	path := s.warehouse + ".removed-20260102T000000.000Z.ndjson"
	must(t, os.WriteFile(path, []byte(putAside("millis", "person-2", "hello")), 0o600))
	out, code := s.run("forget", "--number", forgotten)
	if code != exitFailed || !strings.Contains(out, "remove a damaged log") || !strings.Contains(out, "put aside in "+filepath.Base(folder)) || !strings.Contains(out, "give the same command again") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if left, err := os.ReadFile(path); err != nil || len(left) > 0 {
		t.Errorf("rows that were put aside are now %s, %v", left, err)
	}
	noTrace(t, "forgetting", s.warehouse, copied)
	must(t, os.RemoveAll(log))
	must(t, os.RemoveAll(folder))
	if out, code := s.run("forget", "--number", forgotten); code != exitDone {
		t.Errorf("the same command: exit code %d\n%s", code, out)
	}
}

func TestRowsThatWerePutAsideAreFoundWhateverTheWarehouseIsCalled(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"calls.duckdb", "calls[1].duckdb", "calls*.duckdb", "ca?ls.duckdb", `ca\ls.duckdb`} {
		dir := filepath.Join(t.TempDir(), "in [a]")
		must(t, os.Mkdir(dir, 0o700))
		warehouse := filepath.Join(dir, name)
		path, other := warehouse+".removed-2026.ndjson", filepath.Join(dir, "callsx.duckdb.removed-2026.ndjson")
		for _, p := range []string{path, other} {
			must(t, os.WriteFile(p, []byte("one\ntwo\n"), 0o600))
		}
		erased, err := eraseKept(warehouse, func(line []byte) bool { return string(line) == "one\n" })
		left, rerr := os.ReadFile(path)
		must(t, rerr)
		if err != nil || erased != 1 || string(left) != "two\n" {
			t.Errorf("%s: %d erased, %v; left is %q", name, erased, err, left)
		}
		if left, err := os.ReadFile(other); err != nil || string(left) != "one\ntwo\n" {
			t.Errorf("%s: the rows of another warehouse are now %q, %v", name, left, err)
		}
	}
}

func TestAnExportThatIsGoneIsToldOnceAndTakenOffTheList(t *testing.T) {
	t.Parallel()
	s, _ := forgettable(t, 20)
	if out, code := s.run("sync"); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	gone, bare := filepath.Join(t.TempDir(), "gone"), filepath.Join(t.TempDir(), "bare")
	for _, dir := range []string{gone, bare} {
		if out, code := s.run("export", "--to", dir); code != exitDone {
			t.Fatalf("exit code %d\n%s", code, out)
		}
	}
	must(t, os.RemoveAll(gone))
	must(t, os.Remove(filepath.Join(bare, "manifest.json")))
	told := "the export " + gone + " is gone, and is off the list"
	if out, code := s.run("forget", "--number", forgotten); code != exitFailed || !strings.Contains(out, told) || !strings.Contains(out, "not yet from the export "+bare) {
		t.Errorf("one is gone and one has lost its manifest: exit code %d\n%s", code, out)
	}
	must(t, os.RemoveAll(bare))
	if out, code := s.run("forget", "--number", forgotten); code != exitDone || strings.Contains(out, told) || !strings.Contains(out, "the export "+bare+" is gone") {
		t.Errorf("the other is gone, too: exit code %d\n%s", code, out)
	}
	if out, code := s.run("forget", "--number", forgotten); code != exitDone || strings.Contains(out, "export") {
		t.Errorf("none is known: exit code %d\n%s", code, out)
	}
}
