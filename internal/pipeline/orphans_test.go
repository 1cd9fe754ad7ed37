package pipeline_test

import (
	"bytes"
	"strings"
	"testing"

	"syncd/internal/load"
	"syncd/internal/repair"
	"syncd/internal/transform"
)

// What is left of calls whose rows are gone is moved aside, and a forced reading then brings the calls whole, once.
func TestCallsThatLostTheirRowsAreReadAgainOnceTheRestIsMovedAside(t *testing.T) {
	t.Parallel()
	v := newTown(t, transform.Privacy{})
	v.sync(withDetails)
	const all = `SELECT t::VARCHAR FROM (SELECT * EXCLUDE (first_seen_at, changed_at, revision, recording_url) FROM calls) AS t ORDER BY ALL`
	want := rows(t, v.w, all)
	ids := "'" + strings.Join(rows(t, v.w, `SELECT min(call_id) FROM calls GROUP BY source`), "', '") + "'"
	v.execute(`INSERT INTO call_revisions SELECT source, call_id, 2, changed_at, 'summary', 'earlier', summary FROM calls WHERE call_id IN (`+ids+`)`,
		`DELETE FROM calls WHERE call_id IN (`+ids+`)`)
	var kept bytes.Buffer
	for _, r := range repair.All(present) {
		if err := v.w.Write(t.Context(), func(tx *load.Tx) error {
			tx.NewEpoch()
			_, err := r.Do(t.Context(), tx, &kept)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"raw_calls", "call_costs", "call_messages", "call_revisions"} {
		expect(t, v.w, `SELECT call_id FROM `+table+` WHERE call_id IN (`+ids+`)`, []string{}...)
		if !strings.Contains(kept.String(), `{"table":"`+table+`","why":"`) {
			t.Errorf("no row of %s is kept", table)
		}
	}
	for range 2 {
		for _, s := range v.sources() {
			if _, err := v.pipeline.Sync(t.Context(), s, wholeRange()); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect(t, v.w, all, want...)
	expect(t, v.w, `SELECT source, call_id, part FROM raw_calls GROUP BY ALL HAVING count(*) > 1`, []string{}...)
	// The calls were inserted twice, as the runs say, and that cannot be made right. It is told of the sources whose calls have one id.
	var left []string
	for _, f := range v.findings() {
		left = append(left, f.What)
	}
	if len(left) != 1 || !strings.HasPrefix(left[0], "fewer calls than the runs inserted") {
		t.Errorf("left: %q", left)
	}
	v.execute(`UPDATE sync.runs SET inserted = inserted - 1, unchanged = unchanged + 1 WHERE kind = 'backfill' AND inserted > 0`)
	v.proven()
}
