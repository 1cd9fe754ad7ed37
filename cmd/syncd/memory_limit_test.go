//go:build !race

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"syncd/internal/fakeapi"
)

// This is not built with the race detector, which takes half a minute to look at so large a record. make proof, which is part of make test, runs it.

// One record that is larger than DuckDB may hold fails its commit with advice; with more memory, the next sync ends as one that nothing happened to.
func TestTooLittleMemoryIsToldAndCostsNothing(t *testing.T) {
	t.Parallel()
	fake, url := startFake(t, fakeapi.Voicy, 20)
	fake.Inject(fakeapi.Fault{Kind: fakeapi.HugeTranscript, One: true, Size: 55 << 20})
	urls := map[fakeapi.Provider]string{fakeapi.Voicy: url}
	whole, tight := t.TempDir(), t.TempDir()
	if out, code := command(t, syncd("sync", "-c", configure(t, whole, urls, ""))); code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	out, code := command(t, syncd("sync", "-c", configure(t, tight, urls, "  memory_limit: 64MB\n")))
	if code != exitFailed || !strings.Contains(out, "DuckDB may use no more memory: raise warehouse.memory_limit") || strings.Contains(out, "SET ") {
		t.Fatalf("exit code %d, want %d and advice:\n%s", code, exitFailed, out)
	}
	checkWarehouse(t, filepath.Join(tight, "calls.duckdb"))
	if out, code := command(t, syncd("sync", "-c", configure(t, tight, urls, ""))); code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	sameWarehouse(t, filepath.Join(tight, "calls.duckdb"), filepath.Join(whole, "calls.duckdb"))
}
