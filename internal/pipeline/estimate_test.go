package pipeline_test

import (
	"testing"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/pipeline"
)

func TestAnEstimateIsWhatTheRunThenNeeds(t *testing.T) {
	forEach(t, allProviders, 800, aYear, func(l *life) {
		// What is there already has its own due: what the list left out, and a call that never became final.
		l.source.Ages = ages
		l.unfinished(l.after(-220 * 24 * time.Hour))
		l.sync(l.backfill(250, 200))
		o := l.backfill(360, 100)
		o.Details = true
		lists := l.fake.Traffic()
		e, err := l.pipeline.Estimate(l.t.Context(), l.source, o)
		if err != nil {
			l.t.Fatal(err)
		}
		asked := l.fake.Traffic()
		if e.Asked != asked.Lists-lists.Lists || asked.Calls != lists.Calls || len(e.Stretches) != 2 {
			l.t.Errorf("it sent %d list requests for %s, and says %d", asked.Lists-lists.Lists, e.Stretches, e.Asked)
		}
		l.expect(`SELECT count(*) FROM sync.runs WHERE kind = 'backfill'`, "1")
		run := l.sync(o)
		sent := l.fake.Traffic()
		requests, details := sent.Lists-asked.Lists, sent.Calls-asked.Calls
		l.t.Logf("estimated %d calls, %d windows, %d requests, %d details; it took %d and %d, and inserted %d", e.Calls, e.Windows, e.Requests, e.Details, requests, details, run.Inserted)
		// A page overlaps the one before, a window its neighbours, and the last page of each is not full.
		overlap := e.Requests/10 + 2*e.Windows + 4
		if l.fake.Provider() == fakeapi.Millis {
			overlap = e.Requests // it tells no total: the newest page stands for all
		}
		if (requests-e.Requests) > overlap || (e.Requests-requests) > overlap {
			l.t.Errorf("estimated %d list requests, it took %d", e.Requests, requests)
		}
		if e.Exact != (l.fake.Provider() != fakeapi.Millis) {
			l.t.Errorf("exact is %t", e.Exact)
		}
		// Millis has calls of a status that nobody knows, which are asked for singly: that shows only when they are there.
		unknown := int64(len(l.rows(`SELECT 1 FROM calls WHERE status = 'unknown'`)))
		if details < e.Details || details > e.Details+unknown {
			l.t.Errorf("estimated %d details, it took %d", e.Details, details)
		}
		l.expect(`SELECT since FROM sync.windows WHERE state = 'open'`)
	})
}

func TestAnEstimateWithoutAWarehouseKnowsOfNothingCovered(t *testing.T) {
	inBubble(t, fakeapi.Burki, 300, aYear, func(l *life) {
		bare := &pipeline.Pipeline{Now: time.Now, Log: l.pipeline.Log}
		e, err := bare.Estimate(l.t.Context(), l.source, l.backfill(366, 0))
		if err != nil || e.Calls != 300 || len(e.Stretches) != 1 || e.Details != 300*2 {
			l.t.Errorf("%+v, error %v", e, err)
		}
	})
}
