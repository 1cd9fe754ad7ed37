package load_test

import (
	"errors"
	"path/filepath"
	"testing"

	"syncd/internal/call"
	"syncd/internal/load"
)

func TestAnOlderReadingThatArrivesLateNeverWins(t *testing.T) {
	for _, order := range []string{"older first", "newer first", "newer first, in one transaction", "newer first, under an earlier id"} {
		t.Run(order, func(t *testing.T) {
			w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
			defer w.Close()
			a := observation("1", 1, noon)
			a.Reading, a.Call.AgentName = w.NextReading(), "a"
			upsert(t, w, a)
			w.EndReading(a.Reading)
			// Two readings are under way at once: the older one saw the call change, the newer one saw it changed back.
			older, newer := observation("1", 2, noon), a
			older.Reading, older.Call.AgentName = w.NextReading(), "b"
			newer.Reading = w.NextReading()
			switch order {
			case "older first":
				upsert(t, w, older)
				w.EndReading(older.Reading)
				if got := upsert(t, w, newer); got.Updated != 1 {
					t.Errorf("newer: %+v", got)
				}
				w.EndReading(newer.Reading)
			case "newer first, in one transaction":
				if err := w.Write(t.Context(), func(tx *load.Tx) error {
					if got, err := tx.Upsert(t.Context(), "s", obs(newer)); err != nil || got.Unchanged != 1 {
						t.Errorf("newer: %+v %v", got, err)
					}
					got, err := tx.Upsert(t.Context(), "s", obs(older))
					if got.Unchanged != 1 {
						t.Errorf("older: %+v", got)
					}
					return err
				}); err != nil {
					t.Fatal(err)
				}
			default:
				upsert(t, w, newer)
				w.EndReading(newer.Reading)
				if order == "newer first, under an earlier id" {
					older.Call.ID, older.Alias = "session-1", "1"
				}
				if got := upsert(t, w, older); got.Unchanged != 1 {
					t.Errorf("older: %+v", got)
				}
				w.EndReading(older.Reading)
			}
			expect(t, w, `SELECT agent_name FROM calls`, "a")
		})
	}
}

func TestWhatARolledBackTransactionSawIsNotRemembered(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	a := observation("1", 1, noon)
	a.Reading = w.NextReading()
	upsert(t, w, a)
	older, newer := observation("1", 2, noon), a
	older.Reading = w.NextReading()
	newer.Reading = w.NextReading()
	if err := w.Write(t.Context(), func(tx *load.Tx) error {
		if _, err := tx.Upsert(t.Context(), "s", obs(newer)); err != nil {
			t.Error(err)
		}
		return errGivenUp
	}); !errors.Is(err, errGivenUp) {
		t.Fatal(err)
	}
	if got := upsert(t, w, older); got.Updated != 1 {
		t.Errorf("%+v", got)
	}
}

// A commit that is durable and of which its caller is told that it failed has seen what it has seen.
func TestWhatACommitThatFailedSawUnchangedIsRemembered(t *testing.T) {
	fail := false
	w, err := load.Open(t.Context(), load.Options{Path: filepath.Join(t.TempDir(), "calls.duckdb"), Commit: func(commit func() error) error {
		if err := commit(); err != nil || !fail {
			return err
		}
		return errGivenUp
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	a := observation("1", 1, noon)
	a.Reading = w.NextReading()
	upsert(t, w, a)
	older, newer := observation("1", 2, noon), a
	older.Reading = w.NextReading()
	newer.Reading = w.NextReading()
	fail = true
	if err := w.Write(t.Context(), func(tx *load.Tx) error {
		_, err := tx.Upsert(t.Context(), "s", obs(newer))
		return err
	}); !errors.Is(err, errGivenUp) {
		t.Fatal(err)
	}
	fail = false
	if got := upsert(t, w, older); got.Unchanged != 1 {
		t.Errorf("an older reading that came late: %+v", got)
	}
}

func TestEndingAReadingTwiceOrOneThatNeverBeganIsHarmless(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	first, second := w.NextReading(), w.NextReading()
	for _, n := range []int64{second, second, 99, 0, -1, first, first} {
		w.EndReading(n)
	}
	if next := w.NextReading(); next != second+1 {
		t.Errorf("the next reading is %d after %d", next, second)
	}
}

func TestReadingNumbersGoOnAfterTheFileIsOpenedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w := open(t, path)
	o := observation("1", 1, noon)
	o.Reading = 41
	upsert(t, w, o)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = open(t, path)
	defer w.Close()
	if n := w.NextReading(); n != 42 {
		t.Errorf("the next reading is %d", n)
	}
}

var errGivenUp = errors.New("given up")

func obs(o ...call.Observation) []call.Observation { return o }
