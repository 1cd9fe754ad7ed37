package pipeline_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
)

func TestPositionsThatAreForgottenWhileAWindowIsReadLoseNothing(t *testing.T) {
	forEach(t, []fakeapi.Provider{fakeapi.Millis, fakeapi.Voicy}, 600, func(w world) {
		settledCalls(w)
		w.fake.OnList = func(s *fakeapi.Server, n int) {
			if n == 4 {
				s.ForgetPositions()
			}
		}
	}, func(l *life) {
		l.sync(everything)
		l.latest()
		l.expect(`SELECT since FROM sync.windows WHERE state = 'open'`)
		if l.fake.Traffic().Lists < 9 {
			l.t.Errorf("%d list requests: this shows nothing", l.fake.Traffic().Lists)
		}
	})
}

func TestAPaginationKeyThatIsDeletedOrForgottenLosesNothing(t *testing.T) {
	for name, lose := range map[string]func(s *fakeapi.Server, id string) bool{
		"deleted":   (*fakeapi.Server).Remove,
		"forgotten": (*fakeapi.Server).Forget,
	} {
		t.Run(name, func(t *testing.T) {
			forEach(t, []fakeapi.Provider{fakeapi.Millis, fakeapi.Voicy}, 600, func(w world) {
				settledCalls(w)
				w.fake.OnList = func(s *fakeapi.Server, n int) {
					if n == 5 {
						lose(s, s.IDs(time.Time{}, time.Time{})[4*50-1])
					}
					if ids := s.All(); n == 7 {
						lose(s, ids[6*50-1])
					}
				}
			}, func(l *life) {
				for range 4 {
					if _, err := l.try(everything); err == nil {
						break
					}
					time.Sleep(5 * time.Minute)
				}
				// What was deleted after it was read is marked when it is read again. A key that is refused for good is met again then, until the
				// window has been halved.
				l.sleepUntil(26 * time.Hour)
				for range 4 {
					if _, err := l.try(everything); err == nil {
						break
					}
				}
				l.latest()
				for _, id := range l.marked() {
					if !slices.Contains(l.fake.Deleted(), id) {
						l.t.Errorf("%s is marked and was not deleted", id)
					}
				}
				l.expect(`SELECT since FROM sync.windows WHERE state = 'open'`)
			})
		})
	}
}

func TestACallWithoutAStartIsKeptUntilItHasOne(t *testing.T) {
	forEach(t, allProviders, 60, settledCalls, func(l *life) {
		id := l.insert(l.began.Add(-5 * time.Hour))
		whole, _ := l.fake.Call(id)
		without := whole
		for _, name := range []string{"ts", "started_at", "start_timestamp"} {
			if at := strings.Index(without.List, `"`+name+`":`); at >= 0 {
				from := at + len(name) + 3
				to := from + strings.IndexAny(without.List[from:], ",}")
				without.List = without.List[:from] + "null" + without.List[to:]
			}
		}
		without.Detail = ""
		if err := l.fake.Put(without); err != nil {
			l.t.Fatal(err)
		}
		l.sync(everything)
		l.expect(`SELECT started_at IS NULL FROM calls WHERE call_id = '`+id+`'`, "true")
		l.latest()
		if err := l.fake.Put(whole); err != nil {
			l.t.Fatal(err)
		}
		l.sleepUntil(26 * time.Hour)
		l.sync(everything)
		l.expect(`SELECT started_at IS NOT NULL, deleted_at IS NULL, revision FROM calls WHERE call_id = '`+id+`'`, "true | true | 2")
		l.latest()
		if l.fake.Traffic().Calls != 0 {
			l.t.Errorf("%d single calls were asked for: it was taken for deleted", l.fake.Traffic().Calls)
		}
	})
}

func TestAListThatChangesAtEveryPageSkipsNothing(t *testing.T) {
	var reading atomic.Bool
	var added, removed []string
	rng := rand.New(rand.NewPCG(5, 8))
	inBubble(t, fakeapi.Burki, 5000, func(w world) {
		settledCalls(w)
		w.account.PageSize = 100
		w.source.Ages = []time.Duration{24 * time.Hour}
		w.fake.OnList = func(s *fakeapi.Server, n int) {
			if !reading.Load() || len(removed) == 50 {
				return
			}
			all := s.All()
			gone := all[rng.IntN(len(all))]
			s.Remove(gone)
			removed = append(removed, gone)
			id := strconv.Itoa(8_000_000 + n)
			at := present.Add(-8*time.Hour + time.Duration(rng.Int64N(int64(4*time.Hour)))).UTC()
			if err := s.Insert(fakeapi.Record{At: at, List: fmt.Sprintf(`{"id":%s,"status":"completed","duration":3,"started_at":%q}`, id, at.Format(time.RFC3339Nano))}); err != nil {
				panic(err)
			}
			added = append(added, id)
		}
	}, func(l *life) {
		there := l.fake.All()
		reading.Store(true)
		run := l.sync(everything)
		if len(removed) != 50 || len(added) != 50 {
			l.t.Fatalf("%d removed, %d added: this shows nothing", len(removed), len(added))
		}
		if run.Drift == 0 {
			l.t.Error("no drift was counted")
		}
		l.expect(`SELECT path FROM sync.drift`, "list: rows moved between pages")
		stored := l.rows(`SELECT call_id FROM calls`)
		for _, id := range append(there, added...) {
			if !slices.Contains(removed, id) && !slices.Contains(stored, id) {
				l.t.Errorf("%s was skipped", id)
			}
		}
		known := slices.DeleteFunc(slices.Clone(removed), func(id string) bool { return !slices.Contains(stored, id) })
		if len(known) < 10 {
			l.t.Fatalf("%d calls were deleted after they had been read: this shows nothing", len(known))
		}
		l.sleepUntil(26 * time.Hour)
		l.sync(everything)
		slices.Sort(known)
		if diff := cmp.Diff(known, l.marked()); diff != "" {
			l.t.Errorf("calls that were read and then deleted, and those marked (-want +got):\n%s", diff)
		}
		l.latest()
	})
}
