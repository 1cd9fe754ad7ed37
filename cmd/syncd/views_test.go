package main

import (
	"os"
	"path/filepath"
	"testing"

	"syncd/internal/fakeapi"
)

// TestViewsOfAUsersOwnAndTheirDaysAreInTheCopy changes the two settings of a warehouse that is there, and in which nothing else changes.
func TestViewsOfAUsersOwnAndTheirDaysAreInTheCopy(t *testing.T) {
	t.Parallel()
	s := newSite(t, 40, fakeapi.Burki)
	published := filepath.Join(filepath.Dir(s.warehouse), "calls.read.duckdb")
	if out, code := s.run("sync"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	const zone = `SELECT sync.time_zone() AS v`
	if got := column(t, published, zone); got[0] != "UTC" {
		t.Errorf("the zone of the views is %s before anybody has set one", got)
	}
	views := filepath.Join(filepath.Dir(s.warehouse), "views")
	if err := os.Mkdir(views, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(views, "mine.sql"), []byte("CREATE VIEW mine AS SELECT status AS v, count(*) AS n FROM calls GROUP BY status;"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.edit("path: calls.duckdb\n", "path: calls.duckdb\n  timezone: Asia/Tokyo\n  views: views\n")
	if out, code := s.run("sync"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	if got := column(t, published, zone); got[0] != "Asia/Tokyo" {
		t.Errorf("the zone of the views is %s, want Asia/Tokyo", got)
	}
	if got := column(t, published, `SELECT v FROM mine`); len(got) == 0 {
		t.Error("the view is empty")
	}
	if got := column(t, s.warehouse, `SELECT view_name AS v FROM duckdb_views() WHERE view_name = 'mine'`); len(got) > 0 {
		t.Error("the view is in the warehouse itself")
	}
}
