package repair_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/load"
	"syncd/internal/repair"
)

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func warehouse(t *testing.T, statements ...string) *load.Warehouse {
	t.Helper()
	w, err := load.Open(t.Context(), load.Options{Path: filepath.Join(t.TempDir(), "calls.duckdb")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, s := range statements {
		if err := w.Write(t.Context(), func(tx *load.Tx) error { _, err := tx.ExecContext(t.Context(), s); return err }); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return w
}

// number is the answer to a question that has one.
func number(t *testing.T, w *load.Warehouse, query string) (n int64) {
	t.Helper()
	if err := w.Write(t.Context(), func(tx *load.Tx) error {
		rows, err := tx.QueryContext(t.Context(), query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := rows.Scan(&n); err != nil {
				return err
			}
		}
		return rows.Err()
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

const payload = `INSERT INTO raw_calls VALUES ('s', 'c', 'list', '{"v":1}', now(), 1, 1, NULL), ('s', 'c', 'list', '{"v":3}', now(), 3, 3, NULL), ('s', 'c', 'list', '{"v":2}', now(), 2, 2, NULL)`

// Of payloads that are there more than once the newest reading stays, and the others are kept elsewhere.
func TestTheNewestReadingStays(t *testing.T) {
	w := warehouse(t, payload, `INSERT INTO calls (source, provider, call_id, channel, direction, status, is_final, revision, first_seen_at, changed_at)
		VALUES ('s', 'burki', 'c', 'phone', 'inbound', 'completed', true, 1, now(), now())`)
	var kept bytes.Buffer
	done := make(map[string]int64)
	for _, r := range repair.All(time.Now()) {
		if err := w.Write(t.Context(), func(tx *load.Tx) error {
			n, err := r.Do(t.Context(), tx, &kept)
			if n > 0 {
				done[r.Table+": "+r.Name] = n
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff(map[string]int64{"raw_calls: removed the older of two rows": 2}, done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := number(t, w, `SELECT sum(reading)::BIGINT FROM raw_calls`); n != 3 {
		t.Errorf("the readings that are left add up to %d", n)
	}
	if text := kept.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, `\"v\":1`) || !strings.Contains(text, `\"v\":2`) {
		t.Errorf("kept:\n%s", text)
	}
}

// Where rows cannot be kept elsewhere, none goes.
func TestNothingGoesThatCannotBeKept(t *testing.T) {
	w := warehouse(t, payload)
	for _, r := range repair.All(time.Now()) {
		err := w.Write(t.Context(), func(tx *load.Tx) error { _, err := r.Do(t.Context(), tx, fullDisk{}); return err })
		if r.Table == "raw_calls" && r.Removes() && (err == nil || !strings.Contains(err.Error(), "no space left")) {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
	if n := number(t, w, `SELECT count(*) FROM raw_calls`); n != 3 {
		t.Errorf("%d payloads are left of 3", n)
	}
}

func TestSecretsAndNumbersAreTakenOutOfTexts(t *testing.T) {
	w := warehouse(t, `INSERT INTO sync.sources (source, provider, start, state, reason) VALUES ('s', 'burki', now(), 'parked', 'key=k''ey1 from +4915550001234, twice k''ey1')`)
	if err := w.Write(t.Context(), func(tx *load.Tx) error {
		n, err := repair.Redact(t.Context(), tx, []string{"", "k'ey1", "other"})
		if n != 1 {
			t.Errorf("%d texts were changed", n)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	if n := number(t, w, `SELECT count(*) FROM sync.sources WHERE reason = 'key=[redacted] from [number], twice [redacted]'`); n != 1 {
		t.Error("the text is another")
	}
}
