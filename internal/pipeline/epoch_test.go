package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/load"
	"syncd/internal/pipeline"
)

// Every commit of a sync fails once, before it is durable and after: the run ends with the error, the next ones go on in the same process from what
// is in the file, and in the end the tables are those of a sync that nothing happened to.
func TestACommitThatFailsCostsNothingWhicheverItIs(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk said no")
	for _, durable := range []bool{false, true} {
		hit := 0
		for n := range 30 {
			hits := false
			t.Run(fmt.Sprintf("durable %t, commit %d", durable, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newLife(t, fakeapi.Burki, 60, func(w world) { w.account.PageSize = 25 })
					defer l.close()
					hits = failsAtCommit(l, n, durable, broken)
				})
			})
			if !hits {
				break
			}
			hit++
		}
		if hit < 5 {
			t.Errorf("a sync has %d commits: this shows too little", hit)
		}
	}
}

// failsAtCommit lets the nth commit of a first sync fail, and reports whether there was one.
func failsAtCommit(l *life, n int, durable bool, broken error) (hit bool) {
	armed := true
	l.close()
	l.commit = func(commit func() error) error {
		if !armed {
			return commit()
		}
		if n--; n >= 0 {
			return commit()
		}
		armed, hit = false, true
		if durable {
			if err := commit(); err != nil {
				return err
			}
		}
		return broken
	}
	armed = false
	l.open() // which commits, too
	armed = true
	if _, err := l.try(withDetails); hit != errors.Is(err, broken) {
		l.t.Errorf("a commit failed: %t, and the run ended with %v", hit, err)
	}
	armed = false
	l.sync(withDetails)
	l.sync(withDetails)
	l.latest()
	l.expect(`SELECT count(*), count(DISTINCT call_id) FROM calls`, fmt.Sprintf("%[1]d | %[1]d", len(l.fake.All())))
	l.expect(`SELECT sum(inserted)::BIGINT FROM sync.runs`, fmt.Sprint(len(l.fake.All())))
	l.expect(`SELECT source, call_id, field, new_value FROM call_revisions GROUP BY ALL HAVING count(*) > 1`)
	l.expect(`SELECT count(*) FROM sync.windows WHERE state = 'open'`, "0")
	l.expect(`SELECT count(*) FROM sync.window_ids`, "0")
	return hit
}

// A run that goes on while the tables may have become others commits nothing more: what it knows of them may be wrong.
func TestARunOfAnOlderEpochCommitsNothingMore(t *testing.T) {
	inBubble(t, fakeapi.Burki, 400, nil, func(l *life) {
		fail := errors.New("the disk said no")
		var failing atomic.Bool
		l.close()
		l.commit = func(commit func() error) error {
			if failing.CompareAndSwap(true, false) {
				return fail
			}
			return commit()
		}
		l.open()
		ended := make(chan error)
		go func() {
			_, err := l.pipeline.Sync(l.t.Context(), l.source, withDetails)
			ended <- err
		}()
		time.Sleep(50 * time.Millisecond) // it has begun, and waits for a page
		failing.Store(true)
		if err := l.file.Write(context.Background(), func(*load.Tx) error { return nil }); !errors.Is(err, fail) {
			t.Fatalf("got %v", err)
		}
		before := l.rows(`SELECT count(*) FROM calls`)[0]
		err := <-ended
		if err == nil || !strings.Contains(err.Error(), "the next run goes on from what is in the file") || pipeline.NeedsPerson(err) {
			t.Errorf("the run ended with %v", err)
		}
		l.expect(`SELECT count(*) FROM calls`, before)
		l.sync(withDetails)
		l.latest()
	})
}
