package transform_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/transform"
)

// TestFakePopulation sends a made-up account of each provider through, every call in all its parts: nothing is rejected, nothing drifts, and
// under the strictest privacy no number and no turn is left in anything that would be stored.
func TestFakePopulation(t *testing.T) {
	until := time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)
	strict := transform.Privacy{Numbers: transform.NumbersHash, HashKey: []byte("key"), Transcripts: transform.TranscriptsDrop}
	for _, provider := range []fakeapi.Provider{fakeapi.Millis, fakeapi.Burki, fakeapi.Voicy} {
		fake := fakeapi.New(fakeapi.Options{
			Provider: provider, Seed: 7, Key: "k", Calls: 80, Since: until.AddDate(0, -6, 0), Until: until, Now: func() time.Time { return until },
		})
		keep, scrub := open(t, string(provider)), open(t, string(provider), private(strict))
		scanned := map[string]int{}
		for _, id := range fake.All() {
			r, ok := fake.Call(id)
			if !ok {
				t.Fatalf("%s has no call %s", provider, id)
			}
			parts := map[call.Part]extract.Record{call.PartList: record(r.List)}
			for part, payload := range map[call.Part]string{call.PartDetail: r.Detail, call.PartTranscripts: r.Transcripts, call.PartCosts: r.Costs} {
				if payload != "" {
					parts[part] = record(payload)
				}
			}
			kept := accepted(t, keep.Parts(call.PartList, parts))
			if kept.Call.ID != id || kept.Call.StartedAt == nil || len(kept.Drift) > 0 {
				t.Errorf("%s %s: id %q, start %v, status %q, drift %v", provider, id, kept.Call.ID, kept.Call.StartedAt, kept.Call.StatusRaw, kept.Drift)
			}
			for part := range parts {
				numbers, turns := secrets(t, kept.Call), said(kept.Call)
				all := decoded(t, everything(t, scrub.Parts(part, parts)))
				for _, v := range decoded(t, everything(t, keep.Parts(part, parts))) {
					scanned["number"] += count(digitsOf(v), numbers)
					scanned["turn"] += count(v, turns)
				}
				for _, v := range all {
					if count(digitsOf(v), numbers) > 0 || count(v, turns) > 0 {
						t.Errorf("%s %s, %s: %.200q is left", provider, id, part, v)
					}
				}
			}
		}
		if scanned["number"] == 0 || scanned["turn"] == 0 {
			t.Errorf("%s: where everything is kept the scan finds %v", provider, scanned)
		}
	}
}

// secrets are the digits of the call's numbers.
func secrets(t *testing.T, c call.Call) []string {
	var out []string
	for _, n := range []string{c.FromNumber, c.ToNumber, c.CustomerNumber} {
		if d := digitsOf(n); len(d) >= 7 {
			out = append(out, d)
		}
	}
	return out
}

// said are the turns long enough to be told from other words.
func said(c call.Call) []string {
	var out []string
	for _, m := range c.Messages {
		if utf8.RuneCountInString(m.Content) >= 12 {
			out = append(out, strings.TrimSpace(m.Content))
		}
	}
	return out
}

func count(text string, in []string) int {
	n := 0
	for _, s := range in {
		n += strings.Count(text, s)
	}
	return n
}
