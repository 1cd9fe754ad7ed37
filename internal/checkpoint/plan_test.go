package checkpoint_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"syncd/internal/checkpoint"
)

func TestPlanOrder(t *testing.T) {
	now := at(10_000)
	open := []checkpoint.Window{
		{ID: 1, Span: span(100, 200), Position: "p1"},
		{ID: 2, Span: span(300, 400), Position: "p2"},
	}
	facts := []checkpoint.Fact{{Span: span(400, 9000), ReadAt: at(9100), Age: 100 * time.Minute}}
	want := checkpoint.Want{Start: at(0), Due: now, Step: 24 * time.Hour}

	var order []string
	for {
		w, ok := checkpoint.Next(facts, open, want)
		if !ok {
			break
		}
		name := w.Span.String()
		if w.Head {
			name = "head " + name
		}
		if w.Position != "" {
			name += " from " + w.Position
		}
		order = append(order, name)
		// It is read a second after it was due, and closed.
		facts = checkpoint.Compact(append(facts, checkpoint.Read(w.Span, now.Add(time.Second), nil)...), nil)
		for i := range open {
			if open[i].ID == w.ID {
				open = append(open[:i:i], open[i+1:]...)
				break
			}
		}
		if len(order) > 10 {
			t.Fatal("the plan does not end")
		}
	}
	if diff := cmp.Diff([]string{
		"head [2026-01-07T06:00:00Z, 2026-01-07T22:40:00Z)", // newest missing stretch, with the last minute
		"[2026-01-01T05:00:00Z, 2026-01-01T06:40:00Z) from p2",
		"[2026-01-01T01:40:00Z, 2026-01-01T03:20:00Z) from p1",
		"[2026-01-01T03:20:00Z, 2026-01-01T05:00:00Z)",
		"[2026-01-01T00:00:00Z, 2026-01-01T01:40:00Z)",
	}, order); diff != "" {
		t.Errorf("order of work (-want +got):\n%s", diff)
	}
}

func TestAFailedWindowBlocksNothing(t *testing.T) {
	failed := checkpoint.Window{ID: 1, Span: span(50, 100), Failures: 1}
	w, ok := checkpoint.Next(nil, []checkpoint.Window{failed}, checkpoint.Want{
		Start: at(0), Due: at(101), Step: time.Hour, Skip: []checkpoint.Span{failed.Span},
	})
	if want := span(0, 50); !ok || !w.Equal(want) {
		t.Errorf("next is %s, %v; want %s", w.Span, ok, want)
	}
}

func TestHeadOnlyLeavesHistoryAlone(t *testing.T) {
	facts := checkpoint.Read(span(9000, 10_000), at(10_000), nil)
	if w, ok := checkpoint.Next(facts, nil, checkpoint.Want{Start: at(0), Due: at(10_000), Step: time.Hour, HeadOnly: true}); ok {
		t.Errorf("next is %s, want nothing", w.Span)
	}
}

func TestAStartInTheFutureIsNoWork(t *testing.T) {
	if w, ok := checkpoint.Next(nil, nil, checkpoint.Want{Start: at(100), Due: at(50), Step: time.Hour}); ok {
		t.Errorf("next is %s, want nothing", w.Span)
	}
}

func TestAnEmptyYearCostsAHandfulOfWindows(t *testing.T) {
	now := t0
	var facts []checkpoint.Fact
	step, windows := checkpoint.FirstStep, 0
	for {
		w, ok := checkpoint.Next(facts, nil, checkpoint.Want{Start: t0.AddDate(-1, 0, 0), Due: now, Step: step})
		if !ok {
			break
		}
		windows++
		facts = checkpoint.Compact(append(facts, checkpoint.Read(w.Span, now, nil)...), nil)
		step = checkpoint.NextStep(step, w.Until.Sub(w.Since), 1)
	}
	if windows > 5 {
		t.Errorf("an empty year took %d windows", windows)
	}
}

func TestNextStepAimsAtTwentyPages(t *testing.T) {
	for _, c := range []struct {
		step, last time.Duration
		pages      int
		want       time.Duration
	}{
		{24 * time.Hour, 24 * time.Hour, 1, 8 * 24 * time.Hour},
		{24 * time.Hour, 24 * time.Hour, 20, 24 * time.Hour},
		{24 * time.Hour, 24 * time.Hour, 40, 12 * time.Hour},
		{24 * time.Hour, 24 * time.Hour, 10_000, 3 * time.Hour},
		{24 * time.Hour, 5 * time.Minute, 1, 24 * time.Hour}, // a tick says nothing about history
		{time.Minute, time.Minute, 500, time.Minute},
	} {
		if got := checkpoint.NextStep(c.step, c.last, c.pages); got != c.want {
			t.Errorf("NextStep(%s, %s, %d) = %s, want %s", c.step, c.last, c.pages, got, c.want)
		}
	}
}

func TestMissingIgnoresOrderAndOverlap(t *testing.T) {
	old := func(since, until int) checkpoint.Fact {
		return checkpoint.Fact{Span: span(since, until), ReadAt: at(5000), Age: time.Duration(5000-until) * time.Minute}
	}
	got := checkpoint.Missing([]checkpoint.Fact{old(50, 60), old(10, 30), old(20, 25), old(-5, 2)}, 0, span(0, 55))
	want := []checkpoint.Span{span(2, 10), span(30, 50)}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}
