package pipeline_test

import (
	"sync"
	"testing"
	"time"

	"syncd/internal/checkpoint"
	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/pipeline"
)

// busy runs live work, a backfill of four windows at once and details until a time, all under the source's rate limit.
func (l *life) busy(until time.Duration) {
	l.t.Helper()
	var all sync.WaitGroup
	each := func(o pipeline.Options) {
		all.Go(func() {
			for time.Now().Before(l.after(until)) {
				if _, err := l.pipeline.Sync(l.t.Context(), l.source, o); err != nil {
					l.t.Error(err)
					return
				}
				time.Sleep(time.Minute)
			}
		})
	}
	each(pipeline.Options{Kind: "sync", Scope: checkpoint.Head | checkpoint.Rereads})
	four := l.backfill(366, 1)
	four.Parallel = 4
	each(four)
	each(onlyDetails)
	all.Wait()
}

// atMostSixty gives a source the work of a year and a limit of sixty requests a minute.
func atMostSixty(w world) {
	aYear(w)
	w.account.PageSize = 4
	w.account.RateLimit = extract.Rate{Requests: 60, Per: time.Minute}
	w.source.Ages = ages
}

func TestAProviderNeverSeesMoreRequestsThanAllowed(t *testing.T) {
	forEach(t, allProviders, 300, func(w world) {
		atMostSixty(w)
		w.account.Transport = nil
	}, func(l *life) {
		l.account.Transport = &fakeapi.Transport{Handler: l.fake, Latency: 700 * time.Millisecond}
		l.source.Extract = l.opened(l.account)
		l.busy(8 * time.Minute)
		if busiest := l.fake.Busiest(time.Minute); busiest > 60 || busiest < 50 {
			l.t.Errorf("%d requests in one minute, want up to 60", busiest)
		}
		for _, r := range l.fake.Requests() {
			if r.Status != 200 && r.Status != 404 {
				l.t.Errorf("%s was answered %d", r.Path, r.Status)
			}
		}
		l.sync(withDetails)
		l.mirrors()
	})
}

func TestAStormOfRefusalsIsWaitedOutAsTheProviderAsks(t *testing.T) {
	const latency = 300 * time.Millisecond
	forEach(t, allProviders, 400, func(w world) {
		atMostSixty(w)
		w.account.RateLimit = extract.Rate{Requests: 600, Per: time.Minute}
		w.fake.RetryAfter = 30 * time.Second
		for _, at := range []time.Duration{3 * time.Second, 62 * time.Second} {
			w.fake.Outages = append(w.fake.Outages, fakeapi.Outage{Since: present.Add(at), Until: present.Add(at + 20*time.Second), How: fakeapi.Throttled})
		}
	}, func(l *life) {
		l.account.Transport = &fakeapi.Transport{Handler: l.fake, Latency: latency}
		l.source.Extract = l.opened(l.account)
		l.busy(5 * time.Minute)
		refused := 0
		requests := l.fake.Requests()
		for i, r := range requests {
			if r.Status != 429 {
				continue
			}
			refused++
			for _, later := range requests[i+1:] {
				// What had been sent before the refusal arrived is no insistence.
				if after := later.At.Sub(r.At); after > latency && after < 30*time.Second {
					l.t.Errorf("%s after a refusal that asked for 30 s came another request", after)
				}
			}
		}
		if refused < 2 {
			l.t.Errorf("%d requests were refused: this shows nothing", refused)
		}
		l.sync(withDetails)
		l.mirrors()
	})
}
