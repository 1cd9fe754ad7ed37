package pipeline_test

import (
	"fmt"
	"testing"
	"time"

	"syncd/internal/fakeapi"
)

// clockOf gives the provider a clock that a test may set, relative to the true time.
func clockOf(off *time.Duration) func(w world) {
	return func(w world) {
		w.fake.Since, w.fake.Until = w.fake.Until.Add(-6*time.Hour), w.fake.Until.Add(6*time.Hour)
		w.fake.Now = func() time.Time { return time.Now().Add(*off) }
		w.source.Interval = 5 * time.Minute
	}
}

func TestACallThatIsListedLateInTheLastMinuteIsFoundWhateverTheLocalClockSays(t *testing.T) {
	for _, ours := range []time.Duration{-10 * time.Minute, 10 * time.Minute} {
		t.Run(ours.String(), func(t *testing.T) {
			var zero time.Duration
			forEach(t, allProviders, 200, clockOf(&zero), func(l *life) {
				l.pipeline.Now = func() time.Time { return time.Now().Add(ours) }
				for i := range 5 {
					l.sync(everything)
					if covered := l.rows(`SELECT until FROM sync.windows WHERE state = 'closed' AND until > ?`, time.Now().Add(-time.Minute)); len(covered) > 0 {
						l.t.Errorf("at %s covered until %q", time.Now(), covered)
					}
					// It started before the reading, which did not show it.
					id := l.insert(time.Now().Add(-time.Duration(5+11*i) * time.Second))
					if i == 2 {
						l.restart()
						l.pipeline.Now = func() time.Time { return time.Now().Add(ours) }
					}
					time.Sleep(5 * time.Minute)
					l.sync(everything)
					l.expect(`SELECT call_id FROM calls WHERE call_id = '`+id+`'`, id)
					l.mirrors()
				}
			})
		})
	}
}

func TestAProvidersClockThatJumpsForOneAnswerClaimsNothingThatWasNotRead(t *testing.T) {
	for _, jump := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			var off time.Duration
			inBubble(t, fakeapi.Voicy, 400, clockOf(&off), func(l *life) {
				for i := range 6 {
					if i == 3 {
						off = jump
					}
					// An error is no shame while the clock is wrong; a claim would be.
					if _, err := l.try(everything); err != nil && off == 0 {
						l.t.Error(err)
					}
					off = 0
					if covered := l.rows(`SELECT until FROM sync.windows WHERE state = 'closed' AND until > ?`, time.Now().Add(-time.Minute)); len(covered) > 0 {
						l.t.Errorf("at %s covered until %q", time.Now(), covered)
					}
					late := l.insert(time.Now().Add(-20 * time.Second))
					time.Sleep(5 * time.Minute)
					l.sync(everything)
					l.expect(`SELECT call_id FROM calls WHERE call_id = '`+late+`'`, late)
				}
				l.mirrors()
			})
		})
	}
}

// A provider that tells tomorrow's date, for one run or for hours, gets nothing claimed that was not read: when its clock is right again, what started
// meanwhile is there.
func TestAProvidersClockThatIsADayAheadClaimsNothingThatWasNotRead(t *testing.T) {
	for _, runs := range []int{1, 2, 5} {
		t.Run(fmt.Sprintf("%d runs", runs), func(t *testing.T) {
			for _, restarts := range []bool{false, true} {
				var off time.Duration
				t.Run(fmt.Sprintf("restarts %t", restarts), func(t *testing.T) {
					inBubble(t, fakeapi.Burki, 400, func(w world) {
						clockOf(&off)(w)
						w.fake.Now = time.Now
					}, func(l *life) {
						remove := l.fake.Inject(fakeapi.Fault{Kind: fakeapi.ClockSkew, For: 24 * time.Hour})
						for range runs {
							l.sync(everything)
							l.expect(`SELECT until FROM sync.windows WHERE state = 'closed' AND until > '` + time.Now().UTC().Format(time.DateTime) + `+00'`)
							if restarts {
								l.restart()
							}
							time.Sleep(5 * time.Minute)
						}
						remove()
						time.Sleep(10 * time.Minute)
						l.sync(everything)
						l.mirrors()
					})
				})
			}
		})
	}
}

func TestTheGapsOfAnOutageAreJustItsHours(t *testing.T) {
	for name, how := range map[string]fakeapi.Failure{"cut": fakeapi.Cut, "throttled": fakeapi.Throttled} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, fakeapi.Burki, 200, func(w world) {
				var zero time.Duration
				clockOf(&zero)(w)
				w.source.Ages = []time.Duration{5 * time.Minute}
				w.fake.Outages = []fakeapi.Outage{{Since: present.Add(time.Hour), Until: present.Add(2 * time.Hour), How: how}}
			}, func(l *life) {
				patient := withDetails
				patient.Patient = true
				l.sync(patient)
				l.tick(patient, 5*time.Minute, 58*time.Minute)
				healthy := l.rows(`SELECT epoch_us(max(until)) FROM sync.windows WHERE state = 'closed'`)[0]
				for time.Now().Before(l.after(2*time.Hour - 6*time.Minute)) {
					time.Sleep(5 * time.Minute)
					if _, err := l.try(patient); err != nil && time.Now().Before(l.after(time.Hour)) {
						l.t.Error(err)
					}
					if time.Now().Before(l.after(time.Hour + 30*time.Minute)) {
						continue
					}
					// What is not read five minutes and one after it began is late.
					want := fmt.Sprintf("%s | %d", healthy, time.Now().Add(-6*time.Minute).UnixMicro())
					if gaps := l.rows(`SELECT epoch_us(since), epoch_us(until) FROM sync.gaps_at(?) WHERE state = 'missing'`, time.Now()); len(gaps) != 1 || gaps[0] != want {
						l.t.Fatalf("missing are %q, want %q", gaps, want)
					}
				}
				l.sleepUntil(2*time.Hour + time.Minute)
				for range 3 { // the pause that the provider asked for may outlast the outage
					_, _ = l.try(patient)
					time.Sleep(5 * time.Minute)
				}
				l.sync(patient)
				if gaps := l.rows(`SELECT since, until FROM sync.gaps_at(?) WHERE state = 'missing'`, time.Now()); len(gaps) != 0 {
					l.t.Errorf("after the outage missing are %q", gaps)
				}
				l.latest()
			})
		})
	}
}
