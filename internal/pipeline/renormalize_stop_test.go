package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
	"syncd/internal/pipeline"
	"syncd/internal/proof"
	"syncd/internal/proof/prooftest"
	"syncd/internal/transform"
)

// stopAfter ends a context after so many batches.
type stopAfter struct {
	n    int
	stop context.CancelFunc
}

func (s *stopAfter) Committed(pipeline.Progress) {
	if s.n--; s.n < 0 {
		s.stop()
	}
}

func TestOneThatIsStoppedBetweenAnyTwoBatchesGoesOnThere(t *testing.T) {
	forEach(t, []fakeapi.Provider{fakeapi.Burki, fakeapi.Millis}, 60, settledCalls, func(l *life) {
		l.sync(withDetails)
		want := l.rows(wrong)
		l.execute(older...)
		looked, stops := int64(0), 0
		for ; ; stops++ {
			ctx, stop := context.WithCancel(l.t.Context())
			told, err := l.pipeline.Renormalize(ctx, l.source, pipeline.RenormalizeOptions{By: "one", AtOnce: 15, Watcher: &stopAfter{stops % 2, stop}})
			stop()
			looked += told.Calls
			if told.Resumed != (stops > 0 && looked > told.Calls) {
				l.t.Errorf("stop %d: %+v", stops, told)
			}
			l.promises()
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) || stops > 30 {
				l.t.Fatalf("after %d stops: %v", stops, err)
			}
			l.restart()
		}
		if stops < 5 || looked != 60 {
			l.t.Errorf("%d stops, and %d calls were looked at", stops, looked)
		}
		if diff := cmp.Diff(want, l.rows(`SELECT call_id, field FROM call_revisions ORDER BY ALL`)); diff != "" {
			l.t.Errorf("fields that were wrong and revisions (-wrong +revisions):\n%s", diff)
		}
		l.proven()
		l.sameAsFresh(withDetails, prooftest.Drift())
	})
}

// promises holds the file against what must be so in the midst of it, too.
func (l *life) promises() {
	l.t.Helper()
	prooftest.Warehouse(l.t, l.file, proof.Options{TwoIDs: func(string) bool { return l.source.Provider == string(fakeapi.Millis) }})
}

func TestOneThatIsDoneByAnotherSyncdOrOtherRulesStartsOver(t *testing.T) {
	inBubble(t, fakeapi.Voicy, 60, settledCalls, func(l *life) {
		l.sync(everything)
		half := func(by string) pipeline.Renormalized {
			ctx, stop := context.WithCancel(l.t.Context())
			defer stop()
			told, err := l.pipeline.Renormalize(ctx, l.source, pipeline.RenormalizeOptions{By: by, AtOnce: 20, Watcher: &stopAfter{1, stop}})
			if !errors.Is(err, context.Canceled) {
				l.t.Errorf("error %v", err)
			}
			return told
		}
		half("one")
		if told := half("two"); told.Resumed {
			l.t.Error("another syncd goes on")
		}
		l.rules("others", func(*transform.Options) {})
		if told := l.renormalize(pipeline.RenormalizeOptions{By: "two"}); told.Resumed || told.Calls != 60 {
			l.t.Errorf("by other rules: %+v", told)
		}
	})
}

// Every commit of a renormalisation fails once, before it is durable and after; the next one goes on from what is in the file.
func TestACommitOfARenormalisationThatFailsCostsNothingWhicheverItIs(t *testing.T) {
	broken := errors.New("the disk said no")
	for _, durable := range []bool{false, true} {
		t.Run(fmt.Sprintf("durable %t", durable), func(t *testing.T) {
			inBubble(t, fakeapi.Burki, 60, settledCalls, func(l *life) {
				l.sync(withDetails)
				want := l.rows(wrong)
				at, armed, hits := 0, false, 0
				l.close()
				l.commit = func(commit func() error) error {
					if !armed {
						return commit()
					}
					if at--; at >= 0 {
						return commit()
					}
					armed = false
					hits++
					if durable {
						if err := commit(); err != nil {
							return err
						}
					}
					return broken
				}
				l.open()
				for nth := 0; ; nth++ {
					l.execute(older...)
					at, armed = nth, true
					_, err := l.pipeline.Renormalize(l.t.Context(), l.source, pipeline.RenormalizeOptions{AtOnce: 20})
					if !errors.Is(err, broken) {
						if armed = false; err != nil {
							l.t.Fatal(err)
						}
						break
					}
					if _, err := l.pipeline.Renormalize(l.t.Context(), l.source, pipeline.RenormalizeOptions{AtOnce: 20}); err != nil {
						l.t.Fatal(err)
					}
					if diff := cmp.Diff(want, l.rows(`SELECT call_id, field FROM call_revisions ORDER BY ALL`)); diff != "" {
						l.t.Errorf("commit %d: fields that were wrong and revisions (-wrong +revisions):\n%s", nth, diff)
					}
					l.proven()
				}
				if hits < 6 {
					l.t.Errorf("%d commits failed: this shows too little", hits)
				}
				l.sameAsFresh(withDetails)
			})
		})
	}
}
