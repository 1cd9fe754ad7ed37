package pipeline_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/checkpoint"
	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
)

// backfill is a run over a stretch of a life, in days before its beginning.
func (l *life) backfill(from, to float64) pipeline.Options {
	day := func(n float64) time.Time { return l.after(-time.Duration(n * 24 * float64(time.Hour))) }
	return pipeline.Options{Kind: "backfill", Range: checkpoint.Span{Since: day(from), Until: day(to)}}
}

func TestABackfillCoversJustItsRangeAlsoBeforeTheStartOfTheSource(t *testing.T) {
	forEach(t, allProviders, 500, func(w world) {
		aYear(w)
		w.source.Start = w.fake.Until.AddDate(0, 0, -30)
	}, func(l *life) {
		run := l.sync(l.backfill(200, 100))
		within := l.fake.IDs(l.after(-200*24*time.Hour), l.after(-100*24*time.Hour))
		if stored := len(l.rows(`SELECT 1 FROM calls`)); stored < len(within) || stored > len(within)+10 || run.Kind != "backfill" {
			l.t.Errorf("%d calls are stored, %d are in the range, %+v", stored, len(within), run)
		}
		l.expect(`SELECT min(since), max(until), bool_and(state = 'closed') FROM sync.windows`,
			l.after(-200*24*time.Hour).Format(time.RFC3339)+" | "+l.after(-100*24*time.Hour).Format(time.RFC3339)+" | true")
		sent := l.fake.RequestCount()
		if again := l.sync(l.backfill(200, 100)); again.Requests != 0 || l.fake.RequestCount() != sent {
			l.t.Errorf("the second time sent %d requests", l.fake.RequestCount()-sent)
		}
		// What a range has in common with it is not read again, and the live work is not touched by it.
		l.sync(l.backfill(210, 90))
		if got := l.fake.RequestCount() - sent; got > 6 {
			l.t.Errorf("ten days on either side cost %d requests", got)
		}
		l.sync(everything)
		l.sync(l.backfill(366, 0))
		l.mirrors()
	})
}

func TestAForcedBackfillReadsAgainAndGoesOnWhereItWasInterrupted(t *testing.T) {
	var stop atomic.Pointer[context.CancelFunc]
	var pages atomic.Int64
	forEach(t, []fakeapi.Provider{fakeapi.Burki}, 1500, func(w world) {
		aYear(w)
		w.account.PageSize = 10
		w.fake.Intercept = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(rw, r)
				if cancel := stop.Load(); cancel != nil && pages.Add(1)%45 == 0 { // about two windows
					(*cancel)()
				}
			})
		}
	}, func(l *life) {
		l.sync(l.backfill(370, 0))
		const raw = `SELECT call_id, reading, fetched_at FROM raw_calls ORDER BY ALL`
		before := l.rows(raw)
		forced := l.backfill(300, 20)
		forced.Force = true
		sent, stops, least := l.fake.RequestCount(), 0, time.Duration(1<<62)
		for ; ; stops++ {
			ctx, cancel := context.WithCancel(l.t.Context())
			stop.Store(&cancel)
			_, err := l.pipeline.Sync(ctx, l.source, forced)
			cancel()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) || stops > 20 {
				l.t.Fatalf("after %d stops: %v", stops, err)
			}
			left := l.spanOf(l.rows(`SELECT epoch_us(min(since)), epoch_us(max(until)) FROM sync.forced`)[0])
			if got := left.Until.Sub(left.Since); got > least || left.Until.After(forced.Range.Until) {
				l.t.Errorf("%s is left, %s was before", got, least)
			} else {
				least = got
			}
			l.restart()
		}
		stop.Store(nil)
		if stops < 2 {
			l.t.Errorf("it was stopped %d times: this shows nothing", stops)
		}
		calls := len(l.fake.IDs(forced.Range.Since, forced.Range.Until))
		if got := l.fake.RequestCount() - sent; got < int64(calls/9) || got > int64(calls/9+45*(stops+1)) {
			l.t.Errorf("%d requests for %d calls in %d runs", got, calls, stops+1)
		}
		l.expect(`SELECT * FROM sync.forced`)
		if diff := cmp.Diff(before, l.rows(raw)); diff != "" {
			l.t.Errorf("payloads that did not change were written (-before +after):\n%s", diff)
		}
		l.expect(`SELECT sum(updated)::BIGINT FROM sync.runs`, "0")
		// Done is done: to force it once more reads it once more.
		sent = l.fake.RequestCount()
		l.sync(forced)
		if got := l.fake.RequestCount() - sent; got < int64(calls/9) {
			l.t.Errorf("the second time sent %d requests", got)
		}
		l.mirrors()
	})
}

func TestAForcedBackfillOfALongerRangeReadsAllOfIt(t *testing.T) {
	inBubble(t, fakeapi.Burki, 200, settledCalls, func(l *life) {
		l.sync(everything)
		whole := checkpoint.Span{Since: l.source.Start, Until: l.began.Add(-time.Hour)}
		cut := l.began.Add(-20 * time.Hour)
		// An earlier one, up to the cut, was interrupted with its first hour left.
		if err := l.file.Write(l.t.Context(), func(tx *load.Tx) error {
			left := checkpoint.Span{Since: whole.Since, Until: whole.Since.Add(time.Hour)}
			return checkpoint.SaveForcedTx(l.t.Context(), tx, l.source.Name, checkpoint.Span{Since: whole.Since, Until: cut}, []checkpoint.Span{left}, time.Now())
		}); err != nil {
			l.t.Fatal(err)
		}
		run := l.sync(pipeline.Options{Kind: "backfill", Range: whole, Force: true})
		want := l.rows(`SELECT count(*) FROM calls WHERE started_at >= ? AND started_at < ?`, cut, whole.Until)[0]
		if got := strconv.FormatInt(run.Records, 10); got < want && len(got) <= len(want) {
			l.t.Errorf("%s records were read of at least %s", got, want)
		}
		l.expect(`SELECT since FROM sync.forced`)
	})
}
