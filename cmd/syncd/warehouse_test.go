package main

import (
	"testing"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/proof"
	"syncd/internal/proof/prooftest"
	"syncd/internal/transform"
)

// patience is for how long a process is waited for that should end by itself.
const patience = time.Minute

// checkWarehouse holds a file that nobody writes against everything that must never happen. Its sources are called after their providers.
func checkWarehouse(t *testing.T, path string) {
	t.Helper()
	readers := make(map[string]*transform.Transformer)
	o := proof.Options{
		Now:    time.Now().Add(time.Minute),
		TwoIDs: func(source string) bool { return source == string(fakeapi.Millis) },
		Derive: func(source string) proof.Deriver { return readers[source] },
	}
	for _, p := range providers {
		o.Secrets = append(o.Secrets, keys[p])
		to, err := transform.New(transform.Options{Source: string(p), Provider: string(p),
			Privacy: transform.Privacy{Numbers: transform.NumbersKeep, Transcripts: transform.TranscriptsKeep}})
		must(t, err)
		readers[string(p)] = to
	}
	prooftest.File(t, path, o)
}

// sameWarehouse holds a warehouse that something happened to against one that nothing did, and both against what must never happen.
func sameWarehouse(t *testing.T, got, want string) {
	t.Helper()
	checkWarehouse(t, want)
	checkWarehouse(t, got)
	prooftest.Same(t, got, want, prooftest.Revisions(), prooftest.Rejects(), prooftest.Drift())
}
