package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// patience is for how long a process is waited for that should end by itself.
const patience = time.Minute

func checkWarehouse(t *testing.T, path string) { t.Helper() }

// sameWarehouse holds a warehouse that something happened to against one that nothing did.
func sameWarehouse(t *testing.T, got, want string) {
	t.Helper()
	checkWarehouse(t, got)
	a, b := answers(t, want, tables...), answers(t, got, tables...)
	for i, sql := range tables {
		if a[i] != b[i] {
			t.Errorf("%s: undisturbed and disturbed differ:\n%s", sql, cmp.Diff(strings.Split(a[i], "\n"), strings.Split(b[i], "\n")))
		}
	}
}
