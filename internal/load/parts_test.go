package load_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/call"
	"syncd/internal/load"
)

// part is an observation of another part of a call.
func part(o call.Observation, p call.Part, hash, reading int64) call.Observation {
	o.Part, o.ContentHash, o.Reading = p, hash, reading
	o.Payload = fmt.Sprintf(`{"id":%q,%q:%d}`, o.Call.ID, p, hash)
	return o
}

// store finds and stores a batch as the pipeline does: what other parts tell is put together by derive.
func store(t *testing.T, w *load.Warehouse, derive func(p *load.Partial), obs ...call.Observation) load.Counts {
	t.Helper()
	var counts load.Counts
	if err := w.Write(t.Context(), func(tx *load.Tx) error {
		all := make([]*call.Observation, len(obs))
		for i := range obs {
			all[i] = &obs[i]
		}
		f, err := tx.Find(t.Context(), "s", all)
		if err != nil {
			return err
		}
		for _, p := range f.Partial() {
			derive(p)
		}
		counts, err = tx.Store(t.Context(), "s", f)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return counts
}

// fromDetail gives a call what only its detail tells, where there is one.
func fromDetail(p *load.Partial) {
	if d, ok := p.Others[call.PartDetail]; p.Observation.Part == call.PartDetail || ok && !d.Dropped {
		detailed(&p.Observation.Call)
	}
}

func detailed(c *call.Call) {
	c.Summary = "all went well"
	c.Direction = call.Inbound
	c.Messages = []call.Message{{Role: call.RoleAgent, Content: "hello"}}
	c.Costs = []call.Cost{{Component: call.LLM, Amount: ptr(call.Amount(5)), Currency: "USD"}}
}

func execute(t *testing.T, w *load.Warehouse, statement string) {
	t.Helper()
	if err := w.Write(t.Context(), func(tx *load.Tx) error { _, err := tx.ExecContext(t.Context(), statement); return err }); err != nil {
		t.Fatal(err)
	}
}

func TestAListReadAgainNeverErasesWhatADetailBrought(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	list := observation("1", 1, noon)
	if got := store(t, w, func(*load.Partial) { t.Error("one part needs no other") }, list); got != (load.Counts{Inserted: 1}) {
		t.Errorf("the list: %+v", got)
	}
	if got := store(t, w, fromDetail, part(list, call.PartDetail, 2, 2)); got != (load.Counts{Updated: 1}) {
		t.Errorf("the detail: %+v", got)
	}
	list.ContentHash, list.Reading, list.Call.AgentName = 3, 3, "named"
	if got := store(t, w, fromDetail, list); got != (load.Counts{Updated: 1}) {
		t.Errorf("the list again: %+v", got)
	}
	if got := store(t, w, func(*load.Partial) { t.Error("what is unchanged needs nothing") }, list); got != (load.Counts{Unchanged: 1}) {
		t.Errorf("the list, unchanged: %+v", got)
	}
	expect(t, w, `SELECT agent_name, summary, direction, revision::VARCHAR FROM calls`, "named all went well inbound 3")
	expect(t, w, `SELECT (SELECT count(*) FROM call_messages)::VARCHAR, (SELECT count(*) FROM call_costs)::VARCHAR`, "1 1")
	expect(t, w, `SELECT part, content_hash::VARCHAR, reading::VARCHAR FROM raw_calls ORDER BY part`, "detail 2 2", "list 3 3")
	expect(t, w, `SELECT field FROM call_revisions WHERE revision = 3`, "agent_name")
}

func TestTheOtherPartsAreGivenAsTheyAreStored(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	list := observation("1", 1, noon)
	detail := part(list, call.PartDetail, 2, 2)
	detail.FetchedAt = noon.Add(time.Hour)
	upsert(t, w, list)
	upsert(t, w, detail)
	upsert(t, w, observation("2", 1, noon))
	upsert(t, w, part(list, call.PartCosts, 5, 3))
	execute(t, w, `UPDATE raw_calls SET payload = NULL WHERE part = 'costs'`)
	changed := list
	changed.ContentHash, changed.Reading = 7, 7
	var got []map[call.Part]load.StoredPart
	transcripts := part(list, call.PartTranscripts, 8, 8)
	store(t, w, func(p *load.Partial) { got = append(got, p.Others) }, changed, transcripts)
	stored := map[call.Part]load.StoredPart{
		call.PartDetail: {Payload: detail.Payload, FetchedAt: detail.FetchedAt},
		call.PartCosts:  {FetchedAt: noon, Dropped: true},
	}
	want := []map[call.Part]load.StoredPart{
		{call.PartDetail: stored[call.PartDetail], call.PartCosts: stored[call.PartCosts],
			call.PartTranscripts: {Payload: transcripts.Payload, FetchedAt: noon}},
		{call.PartDetail: stored[call.PartDetail], call.PartCosts: stored[call.PartCosts], call.PartList: {Payload: changed.Payload, FetchedAt: noon}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("other parts (-want +got):\n%s", diff)
	}
	stored[call.PartList] = load.StoredPart{Payload: changed.Payload, FetchedAt: noon}
	stored[call.PartTranscripts] = load.StoredPart{Payload: transcripts.Payload, FetchedAt: noon}
	if err := w.Write(t.Context(), func(tx *load.Tx) error {
		// It is found where it was said to be, elsewhere, and not at all.
		for _, at := range []*time.Time{&noon, ptr(noon.AddDate(1, 0, 0)), nil} {
			parts, err := tx.StoredParts(t.Context(), "s", []load.Ref{{ID: "1", StartedAt: at}, {ID: "nobody", StartedAt: at}})
			if err != nil {
				return err
			}
			if diff := cmp.Diff(map[string]map[call.Part]load.StoredPart{"1": stored}, parts); diff != "" {
				t.Errorf("stored parts at %v (-want +got):\n%s", at, diff)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestTwoPartsOfANewCallInOneBatchAreOneCall(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	list := observation("1", 1, noon)
	detail := part(list, call.PartDetail, 2, 2)
	if got := store(t, w, fromDetail, list, detail); got != (load.Counts{Inserted: 1, Updated: 1}) {
		t.Errorf("%+v", got)
	}
	if got := store(t, w, fromDetail, list, detail); got != (load.Counts{Unchanged: 2}) {
		t.Errorf("again: %+v", got)
	}
	list.ContentHash, list.Reading = 3, 3
	detail.ContentHash, detail.Reading = 4, 4
	if got := store(t, w, fromDetail, list, detail); got != (load.Counts{Updated: 2}) {
		t.Errorf("both changed: %+v", got)
	}
	expect(t, w, `SELECT call_id, summary, revision::VARCHAR FROM calls`, "1 all went well 1")
	expect(t, w, `SELECT part, content_hash::VARCHAR FROM raw_calls ORDER BY part`, "detail 4", "list 3")
}

func TestADroppedPayloadKeepsWhatItTold(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	list := observation("1", 1, noon)
	store(t, w, fromDetail, list)
	store(t, w, fromDetail, part(list, call.PartDetail, 2, 2))
	execute(t, w, `UPDATE raw_calls SET payload = NULL WHERE part = 'detail'`)
	list.ContentHash, list.Reading = 3, 3
	list.Call.Status, list.Call.StatusRaw = call.Completed, "completed"
	store(t, w, fromDetail, list)
	expect(t, w, `SELECT status, status_raw, summary, direction, revision::VARCHAR FROM calls`, "completed completed all went well inbound 3")
	expect(t, w, `SELECT (SELECT count(*) FROM call_messages)::VARCHAR, (SELECT count(*) FROM call_costs)::VARCHAR`, "1 1")
	expect(t, w, `SELECT field FROM call_revisions WHERE revision = 3 ORDER BY field`, "status", "status_raw")
	// What is there to derive the call from decides again, once it is.
	store(t, w, func(*load.Partial) {}, part(list, call.PartDetail, 4, 4))
	expect(t, w, `SELECT summary, direction FROM calls`, "NULL unknown")
}

func TestADetailThatIsUnchangedAfterTheListChangedIsAskedForOnce(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	list := observation("1", 1, noon)
	list.Call.Status = call.Completed
	store(t, w, fromDetail, list)
	store(t, w, fromDetail, part(list, call.PartDetail, 2, 2))
	list.ContentHash, list.Reading = 3, 3
	store(t, w, fromDetail, list)
	query := load.DetailsQuery{Source: "s", Parts: []call.Part{call.PartDetail}, Now: noon, Limit: 10}
	if got := due(t, w, query); len(got) != 1 {
		t.Fatalf("the list changed: %v are due", got)
	}
	if got := store(t, w, fromDetail, part(list, call.PartDetail, 2, 4)); got != (load.Counts{Unchanged: 1}) {
		t.Errorf("%+v", got)
	}
	if got := due(t, w, query); len(got) != 0 {
		t.Errorf("it came, and is due again: %v", got)
	}
	expect(t, w, `SELECT revision::VARCHAR FROM calls`, "2")
}

func TestPartsFollowACallThatMovesOrIsRekeyed(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	early := observation("call-9", 1, noon)
	store(t, w, fromDetail, early)
	store(t, w, fromDetail, part(early, call.PartDetail, 2, 2))
	try(t, w, load.DetailTry{Source: "s", ID: "call-9", Part: call.PartCosts, State: "failed", Attempts: 1, ListReading: 1, At: noon})
	early.ContentHash, early.Reading, early.Call.StartedAt = 3, 3, ptr(noon.AddDate(0, 1, 0))
	store(t, w, fromDetail, early)
	expect(t, w, `SELECT part, started_at = TIMESTAMPTZ '2026-04-01 12:00:00Z' FROM raw_calls ORDER BY part`, "detail true", "list true")
	late := observation("session-1", 4, noon)
	late.Alias, late.Reading = "call-9", 4
	store(t, w, fromDetail, late)
	expect(t, w, `SELECT call_id, summary, revision::VARCHAR FROM calls`, "session-1 all went well 4")
	expect(t, w, `SELECT call_id, part, reading::VARCHAR, started_at = TIMESTAMPTZ '2026-03-01 12:00:00Z' FROM raw_calls ORDER BY part`,
		"session-1 detail 2 true", "session-1 list 4 true")
	expect(t, w, `SELECT call_id, part FROM sync.details`, "session-1 costs")
	expect(t, w, `SELECT DISTINCT call_id, revision::VARCHAR FROM call_revisions ORDER BY revision`, "session-1 2", "session-1 3", "session-1 4")
}

func TestTwoRowsThatMergeLeaveOneOfEachPartAndRevisionsInOrder(t *testing.T) {
	w := open(t, filepath.Join(t.TempDir(), "calls.duckdb"))
	defer w.Close()
	// Each id has a list, a detail and costs; the earlier one's detail is the newer, the lasting one's costs are.
	for i, id := range []string{"call-9", "session-1"} {
		o := observation(id, 1, noon.AddDate(0, 0, i))
		o.FetchedAt = noon.Add(time.Duration(i) * time.Minute)
		store(t, w, fromDetail, o)
		store(t, w, fromDetail, part(o, call.PartDetail, int64(10+i), int64(20-i)))
		store(t, w, fromDetail, part(o, call.PartCosts, int64(30+i), int64(30+i)))
		o.Reading = 40
		for n := range 2 {
			o.FetchedAt = o.FetchedAt.Add(time.Hour)
			o.ContentHash, o.Call.AgentName = int64(100+n), fmt.Sprint(id, "'s agent ", n)
			store(t, w, fromDetail, o)
		}
		try(t, w, load.DetailTry{Source: "s", ID: id, Part: call.PartTranscripts, State: "failed", Attempts: i, ListReading: int64(40 + i), At: noon})
	}
	other := observation("other", 1, noon) // what is not part of it stays as it is
	store(t, w, fromDetail, other)
	store(t, w, fromDetail, part(other, call.PartDetail, 50, 50))
	lasting := observation("session-1", 200, noon.AddDate(0, 0, 1))
	lasting.Alias, lasting.Reading, lasting.FetchedAt = "call-9", 60, noon.AddDate(0, 0, 2)
	lasting.Call.AgentName = "session-1's agent 2"
	if got := store(t, w, fromDetail, lasting); got != (load.Counts{Updated: 1}) {
		t.Errorf("%+v", got)
	}
	if got := store(t, w, fromDetail, lasting); got != (load.Counts{Unchanged: 1}) {
		t.Errorf("again: %+v", got)
	}
	expect(t, w, `SELECT call_id, revision::VARCHAR FROM calls WHERE call_id <> 'other'`, "session-1 8")
	expect(t, w, `SELECT call_id, part, content_hash::VARCHAR, started_at::VARCHAR FROM raw_calls WHERE call_id <> 'other' ORDER BY part`,
		"session-1 costs 31 2026-03-02 12:00:00+00", "session-1 detail 10 2026-03-02 12:00:00+00", "session-1 list 200 2026-03-02 12:00:00+00")
	expect(t, w, `SELECT revision::VARCHAR, string_agg(new_value, ',') FILTER (field = 'agent_name'), count(DISTINCT changed_at)::VARCHAR
		FROM call_revisions WHERE call_id = 'session-1' GROUP BY revision ORDER BY revision`,
		"2 NULL 1", "3 NULL 1", "4 call-9's agent 0 1", "5 session-1's agent 0 1", "6 call-9's agent 1 1", "7 session-1's agent 1 1", "8 session-1's agent 2 1")
	expect(t, w, `SELECT call_id, attempts::VARCHAR FROM sync.details`, "session-1 1")
	expect(t, w, `SELECT count(*)::VARCHAR FROM raw_calls WHERE call_id = 'other'`, "2")
	expect(t, w, `SELECT revision::VARCHAR FROM call_revisions WHERE call_id = 'other' AND field = 'summary'`, "2")
}
