package proof_test

import (
	"testing"

	"syncd/internal/load"
	"syncd/internal/proof"
)

func TestAnIDThatMayBeANumberIsNotShown(t *testing.T) {
	for example, want := range map[string]string{
		"burki/+4915550001234":       "burki/(an id that may be a number)",
		"burki/0155 500-01234/list":  "burki/(an id that may be a number)",
		"burki/4711":                 "burki/4711",
		"voicy/call_0155500012/list": "voicy/call_0155500012/list",
		"window 12345678":            "window 12345678",
	} {
		if got := proof.Shown(example); got != want {
			t.Errorf("%q is shown as %q, want %q", example, got, want)
		}
	}
}

// TestWhatWasDroppedForItsAgeIsNoFinding drops what housekeeping drops: without being told, the check must complain, or it would see no loss.
func TestWhatWasDroppedForItsAgeIsNoFinding(t *testing.T) {
	w := newWorld(t, 40)
	w.sync(0, w.options())
	file, err := load.Open(t.Context(), load.Options{Path: w.path, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}()
	at := began.AddDate(1, 0, 0)
	if err := file.Write(t.Context(), func(tx *load.Tx) error {
		// A later run that brought nothing, or the last one would stay.
		for _, s := range w.sources {
			if err := tx.SaveRun(t.Context(), load.Run{ID: "later " + s.Name, Source: s.Name, Kind: "sync", StartedAt: at, FinishedAt: at, Outcome: "done"}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	// Fetched by the real clock's time, or by the world's: all of it is older than this.
	cut := at.AddDate(50, 0, 0)
	if _, err := file.Housekeep(t.Context(), load.Housekeeping{Now: cut, KeepRaw: 1, KeepRuns: cut.Sub(at)}); err != nil {
		t.Fatal(err)
	}
	for _, told := range []bool{true, false} {
		o := w.options()
		if told {
			o.RunsSince, o.RawSince = cut, cut
		}
		if err := file.Write(t.Context(), func(tx *load.Tx) error {
			findings, err := proof.Check(t.Context(), tx, o)
			if told && len(findings) > 0 || !told && len(findings) < 2 {
				t.Errorf("told of it: %t: %v", told, findings)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
}
