package pipeline_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/pipeline"
)

// useKey makes the source present another key, as a restart with another configuration does.
func (l *life) useKey(key string) {
	l.t.Helper()
	l.account.Key = key
	l.source.Fingerprint = l.account.Fingerprint()
	l.source.Extract = l.opened(l.account)
	l.restart()
}

func TestARenewedKeyOfTheSameAccountGoesOn(t *testing.T) {
	forEach(t, allProviders, 60, settledCalls, func(l *life) {
		l.useKey(key)
		l.sync(everything)
		l.expect(`SELECT account_fingerprint FROM sync.sources`, l.source.Fingerprint)
		l.fake.SetKey("renewed-key-71c2")
		l.useKey("renewed-key-71c2")
		// The newest call may have been deleted meanwhile: the next one is known.
		gone := l.fake.All()[0]
		l.fake.Remove(gone)
		l.sleepUntil(26 * time.Hour)
		l.insert(time.Now().Add(-time.Hour))
		l.sync(everything)
		l.expect(`SELECT account_fingerprint FROM sync.sources`, l.source.Fingerprint)
		if l.latest() != 1 {
			l.t.Errorf("marked are %q, want the one that is gone", l.marked())
		}
		// It was asked for once: to know the account, and to know that it is gone. The next run asks nothing.
		sent := l.fake.Traffic().Calls
		l.restart()
		l.sync(everything)
		if got := l.fake.Traffic().Calls - sent; got != 0 {
			l.t.Errorf("%d single calls were asked for, though the key is known", got)
		}
	})
}

func TestAKeyOfAnotherAccountStopsTheSource(t *testing.T) {
	forEach(t, allProviders, 60, settledCalls, func(l *life) {
		other := fakeapi.New(fakeapi.Options{Provider: l.fake.Provider(), Seed: 99, Key: "other-key-4410", Calls: 40,
			Since: l.after(10 * time.Hour), Until: l.after(20 * time.Hour), Now: time.Now})
		l.account.Transport = &fakeapi.Transport{Handler: fakeapi.Switch(l.fake, other)}
		l.useKey(key)
		l.sync(everything)
		known := l.source.Fingerprint
		l.sleepUntil(26 * time.Hour)
		l.useKey("other-key-4410")
		for range 2 {
			run, err := l.try(withDetails)
			var swapped *pipeline.ErrOtherAccount
			if !errors.As(err, &swapped) || swapped.Asked != 5 || !pipeline.NeedsPerson(err) || run.Outcome != "failed" {
				l.t.Fatalf("error %v, outcome %s", err, run.Outcome)
			}
			if !strings.Contains(err.Error(), "--accept-account") || strings.Contains(err.Error(), "other-key-4410") {
				l.t.Errorf("error %v", err)
			}
		}
		if lists := other.Traffic().Lists; lists != 0 || len(l.marked()) != 0 {
			l.t.Errorf("%d pages were read of the other account, %d calls marked", lists, len(l.marked()))
		}
		l.expect(`SELECT count(*), count(DISTINCT revision) FROM calls`, "60 | 1")
		l.expect(`SELECT account_fingerprint FROM sync.sources`, known)

		// A person says that it is the right one.
		accepted := everything
		accepted.AcceptAccount = true
		l.source.Ages = nil
		l.sync(accepted)
		l.expect(`SELECT account_fingerprint FROM sync.sources`, l.source.Fingerprint)
		if other.Traffic().Lists == 0 {
			l.t.Error("nothing was read of the account that was accepted")
		}
		l.restart()
		l.sync(everything)
	})
}

func TestTheProvidersTotalIsHeldAgainstTheWarehouseOnceADay(t *testing.T) {
	forEach(t, allProviders, 90, settledCalls, func(l *life) {
		l.source.Ages = nil
		l.sync(everything)
		const totals = `SELECT provider_total, warehouse_total FROM sync.sources`
		if l.fake.Provider() == fakeapi.Millis {
			l.expect(totals, " | ")
			return
		}
		l.expect(totals, "90 | 90")
		l.insert(time.Now().AddDate(-1, 0, 0)) // older than the source's start
		l.tick(everything, 6*time.Hour, 18*time.Hour)
		l.restart()
		l.sync(everything)
		l.expect(totals, "90 | 90")
		l.sleepUntil(25 * time.Hour)
		l.sync(everything)
		l.expect(totals, "91 | 90")
		l.expect(`SELECT provider_total, warehouse_total FROM sync.freshness`, "91 | 90")
		unfiltered := 0
		for _, r := range l.fake.Requests() {
			if r.Path != "" && !strings.Contains(r.Body, "threshold") && r.Query.Get("date_from") == "" {
				unfiltered++
			}
		}
		if unfiltered != 2 {
			l.t.Errorf("the whole list was asked for %d times in two days", unfiltered)
		}
	})
}
