package simulation_test

import (
	"time"

	"syncd/internal/load"
	"syncd/internal/proof"
	"syncd/internal/proof/prooftest"
)

// promises holds the file against everything that must never happen.
func (w *world) promises() {
	w.t.Helper()
	o := proof.Options{
		NewReread: w.newReread, RunsSince: w.housekept,
		TwoIDs: func(source string) bool { return source == "millis" },
		Derive: w.deriver,
	}
	if w.ending {
		o.Secrets = []string{key} // what is written there stays
	}
	if !w.skewed {
		o.Now = time.Now().Add(time.Minute)
	}
	// With so few rows, planning is most of what a question costs.
	w.pragma("disable_optimizer")
	defer w.pragma("enable_optimizer")
	prooftest.Warehouse(w.t, w.file, o)
}

func (w *world) pragma(name string) {
	w.t.Helper()
	if err := w.file.Write(w.t.Context(), func(tx *load.Tx) error {
		_, err := tx.ExecContext(w.t.Context(), "PRAGMA "+name)
		return err
	}); err != nil {
		w.t.Error(err)
	}
}

func (w *world) deriver(source string) proof.Deriver {
	for _, s := range w.sources {
		if s.config.Name == source {
			return s.config.Transform
		}
	}
	return nil
}
