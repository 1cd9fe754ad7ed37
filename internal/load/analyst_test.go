package load_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"syncd/internal/call"
	"syncd/internal/load"
)

// manyKinds are calls of every kind that a view tells apart: of two days by UTC, and of three in Auckland.
func manyKinds() []call.Observation {
	make := func(id string, at time.Time, status call.Status, more func(*call.Call)) call.Observation {
		o := observation(id, 1, at)
		o.Call.Status, o.Call.AgentID, o.Call.Direction = status, "7", call.Outbound
		if more != nil {
			more(&o.Call)
		}
		return o
	}
	priced := func(amount call.Amount, currency string) func(*call.Call) {
		return func(c *call.Call) {
			c.Cost, c.CostCurrency, c.DurationMS, c.AgentName = &amount, currency, ptr(int64(90_000)), "Ada"
			c.Costs = []call.Cost{
				{Component: call.LLM, Vendor: "openai", Amount: &amount, Currency: currency, InputTokens: ptr(int64(11)), OutputTokens: ptr(int64(2))},
				{Component: call.TTS},
			}
			c.CustomerNumber, c.EndReason = "+15550001234", call.EndedByUser
		}
	}
	const cent = 10_000_000
	morning, evening := noon.Add(-90*time.Minute), noon.Add(10*time.Hour)
	unstarted := make("no start", noon, call.Completed, priced(cent, "USD"))
	unstarted.Call.StartedAt = nil
	return []call.Observation{
		make("usd 1", morning, call.Completed, priced(12*cent, "USD")),
		make("usd 2", evening, call.Completed, priced(3*cent, "USD")),
		make("free", evening, call.NoAnswer, priced(0, "USD")),
		make("unpriced", evening, call.Completed, nil),
		make("machine", evening, call.Voicemail, func(c *call.Call) { c.Direction = call.Inbound }),
		make("open", evening, call.InProgress, nil),
		make("credits", noon.AddDate(0, 0, 1), call.Completed, priced(40*cent, "credit")),
		make("euros", noon.AddDate(0, 0, 1), call.Failed, priced(5*cent, "EUR")),
		make("a test", noon, call.Completed, func(c *call.Call) { c.IsTest = ptr(true) }),
		unstarted,
	}
}

const daily = `SELECT day, calls, inbound_calls, completed_calls, no_answer_calls, voicemail_calls, open_calls, answer_rate, talk_minutes, average_seconds,
	priced_calls, unpriced_calls, cost::VARCHAR, cost_currency FROM daily_calls ORDER BY day`

// The views count each call once, on the day that the configured zone says, and add no two currencies.
func TestViewsCountEachCallOnceAndAddNoTwoCurrencies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	w := open(t, path)
	upsert(t, w, manyKinds()...)
	upsert(t, w, observation("deleted", 1, noon))
	execute(t, w, `UPDATE calls SET deleted_at = now() WHERE call_id = 'deleted'`)
	expect(t, w, daily,
		"2026-03-01T00:00:00Z 6 1 3 1 1 1 0.6 3 90 3 3 0.150000000 USD",
		"2026-03-02T00:00:00Z 2 0 1 0 0 0 0.5 1.5 90 2 0 NULL NULL")
	expect(t, w, `SELECT source, agent, agent_name, week, calls, completed_calls, open_calls, ended_by_customer_calls, median_seconds, priced_calls, cost::VARCHAR,
		cost_per_completed_call::VARCHAR FROM agent_performance ORDER BY week`,
		"s 7 Ada 2026-02-23T00:00:00Z 6 3 1 2 90 3 0.150000000 0.075000000",
		"s 7 Ada 2026-03-02T00:00:00Z 2 1 0 1 90 2 NULL NULL")
	expect(t, w, `SELECT month, component, vendor, currency, calls, amount::VARCHAR, unpriced_parts, input_tokens FROM cost_by_component ORDER BY ALL`,
		"2026-03-01T00:00:00Z llm openai EUR 1 0.050000000 0 11",
		"2026-03-01T00:00:00Z llm openai USD 3 0.150000000 0 33",
		"2026-03-01T00:00:00Z llm openai credit 1 0.400000000 0 11",
		"2026-03-01T00:00:00Z tts NULL NULL 5 NULL 5 NULL")
	expect(t, w, `SELECT day, weekday, hour, calls, final_calls, completed_calls, no_answer_calls FROM hourly_volume ORDER BY day, hour`,
		"2026-03-01T00:00:00Z 7 10 1 1 1 0", "2026-03-01T00:00:00Z 7 22 5 4 2 1", "2026-03-02T00:00:00Z 1 12 2 2 1 0")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	auckland, err := time.LoadLocation("Pacific/Auckland") // thirteen hours ahead
	if err != nil {
		t.Fatal(err)
	}
	w, err = load.Open(t.Context(), load.Options{Path: path, Timezone: auckland})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if w.Changes() == 0 {
		t.Error("another zone is no change, and so not in the next copy")
	}
	expect(t, w, `SELECT day, hour, calls FROM hourly_volume ORDER BY day, hour`,
		"2026-03-01T00:00:00Z 23 1", "2026-03-02T00:00:00Z 11 5", "2026-03-03T00:00:00Z 1 2")
	expect(t, w, `SELECT sync.time_zone(), comment LIKE '%warehouse.timezone%' FROM duckdb_functions() WHERE function_name = 'time_zone'`, "Pacific/Auckland true")
	// Whoever reads in another zone sees the same days.
	execute(t, w, `SET TimeZone = 'America/Los_Angeles'`)
	expect(t, w, `SELECT count(*) FROM daily_calls WHERE day BETWEEN '2026-03-01' AND '2026-03-03'`, "3")
}

func TestAZoneThatDuckDBDoesNotKnowIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	_, err := load.Open(t.Context(), load.Options{Path: path, Timezone: time.FixedZone("Mars/Olympus", 3600)})
	if err == nil || !strings.Contains(err.Error(), `no time zone "Mars/Olympus"`) {
		t.Errorf("got %v", err)
	}
}

// The views work in a copy under any name, attached beside other databases.
func TestViewsWorkInAnAttachedCopy(t *testing.T) {
	dir := t.TempDir()
	w := open(t, filepath.Join(dir, "calls.duckdb"))
	upsert(t, w, manyKinds()...)
	path := filepath.Join(dir, "elsewhere.duckdb")
	if _, err := w.Publish(t.Context(), load.Publishing{Path: path, Now: time.Now, Copy: elsewhere}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	other, err := load.Open(context.Background(), load.Options{Path: filepath.Join(dir, "other.duckdb")})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	execute(t, other, `ATTACH '`+path+`' AS theirs (READ_ONLY)`)
	expect(t, other, `SELECT (SELECT sum(calls)::INT FROM theirs.daily_calls), (SELECT sum(calls)::INT FROM theirs.hourly_volume),
		(SELECT sum(calls)::INT FROM theirs.agent_performance), (SELECT count(*) FROM theirs.cost_by_component), (SELECT count(*) FROM daily_calls)`, "8 8 8 4 0")
}
