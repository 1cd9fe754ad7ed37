package checkpoint_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"syncd/internal/checkpoint"
)

// want is a Want from a minute on, at another, for all there is to do.
func want(since, now int, ages ...time.Duration) checkpoint.Want {
	return checkpoint.Want{
		Span: checkpoint.Span{Since: at(since)}, Now: at(now), Ages: ages, Step: checkpoint.FirstStep, Scope: checkpoint.All,
	}
}

// order lets a plan be carried out, each reading at the given minute, and returns what was done.
func order(t *testing.T, b checkpoint.Book, w checkpoint.Want, readAt int) []string {
	t.Helper()
	var done []string
	for {
		work, ok := checkpoint.Next(b, w)
		if !ok {
			return done
		}
		name := work.Span.String()
		if work.Head {
			name = "head " + name
		}
		if work.Again {
			name += " again"
		}
		if work.Position != "" {
			name += " from " + work.Position
		}
		if done = append(done, name); len(done) > 20 {
			t.Fatalf("the plan does not end: %q", done)
		}
		b.Facts = checkpoint.Compact(append(b.Facts, checkpoint.Read(work.Span, at(readAt), w.Ages)...), w.Ages)
		for i := range b.Open {
			if b.Open[i].ID == work.ID {
				b.Open = append(b.Open[:i:i], b.Open[i+1:]...)
				break
			}
		}
	}
}

func TestPlanOrder(t *testing.T) {
	b := checkpoint.Book{
		Open: []checkpoint.Window{
			{ID: 1, Span: span(100, 200), Position: "p1"},
			{ID: 2, Span: span(300, 400), Position: "p2"},
		},
		Facts: []checkpoint.Fact{{Span: span(400, 9000), ReadAt: at(9100), Age: 100 * time.Minute}},
	}
	if diff := cmp.Diff([]string{
		"head [2026-01-07T06:00:00Z, 2026-01-07T22:40:00Z)", // newest missing stretch, with the last minute
		"[2026-01-01T05:00:00Z, 2026-01-01T06:40:00Z) from p2",
		"[2026-01-01T01:40:00Z, 2026-01-01T03:20:00Z) from p1",
		"[2026-01-06T07:40:00Z, 2026-01-06T22:40:00Z) again", // was read, but younger than a day
		"[2026-01-01T03:20:00Z, 2026-01-01T05:00:00Z)",       // history
		"[2026-01-01T00:00:00Z, 2026-01-01T01:40:00Z)",
	}, order(t, b, want(0, 10_000, 24*time.Hour), 10_000)); diff != "" {
		t.Errorf("order of work (-want +got):\n%s", diff)
	}
}

func TestWhatTouchesIsReadAsOneWindow(t *testing.T) {
	// A tick every five minutes, the last at 1000; each call is read again at five minutes and at an hour.
	ages := []time.Duration{5 * time.Minute, time.Hour}
	var b checkpoint.Book
	for m := 0; m <= 1000; m += 5 {
		for {
			work, ok := checkpoint.Next(b, want(0, m, ages...))
			if !ok {
				break
			}
			b.Facts = checkpoint.Compact(append(b.Facts, checkpoint.Read(work.Span, at(m), ages)...), ages)
		}
	}
	got := order(t, b, want(0, 1005, ages...), 1005)
	wanted := []string{
		"head [2026-01-01T16:35:00Z, 2026-01-01T16:45:00Z) again", // the head and what is five minutes old
		"[2026-01-01T15:35:00Z, 2026-01-01T15:45:00Z) again",      // two ticks' worth of what is an hour old
	}
	if len(got) == 1 {
		wanted = wanted[:1] // this tick was the one that lets the slice of an hour grow
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("work of a tick (-want +got):\n%s", diff)
	}
	if len(b.Facts) > 8 {
		t.Errorf("%d facts after 200 ticks, want a handful", len(b.Facts))
	}
}

func TestASliceWaitsUntilItIsWorthARequest(t *testing.T) {
	ages := []time.Duration{time.Hour}
	b := checkpoint.Book{Facts: checkpoint.Read(span(0, 200), at(200), ages)} // an hour old up to minute 140
	if got := order(t, b, checkpoint.Want{Span: span(0, 199), Now: at(205), Ages: ages, Step: time.Hour, Scope: checkpoint.Rereads}, 205); got != nil {
		t.Errorf("five minutes of an age of an hour are read already: %q", got)
	}
	got := order(t, b, checkpoint.Want{Span: span(0, 199), Now: at(206), Ages: ages, Step: time.Hour, Scope: checkpoint.Rereads}, 206)
	if diff := cmp.Diff([]string{"[2026-01-01T02:20:00Z, 2026-01-01T02:26:00Z) again"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASmallHoleThatNeverGrowsIsReadAgainAllTheSame(t *testing.T) {
	ages := []time.Duration{24 * time.Hour}
	old := func(since, until int) checkpoint.Fact {
		return checkpoint.Fact{Span: span(since, until), ReadAt: at(5000), Age: time.Duration(5000-until) * time.Minute}
	}
	b := checkpoint.Book{Facts: []checkpoint.Fact{old(0, 1000), old(1001, 2000), {Span: span(1000, 1001), ReadAt: at(1100), Age: 99 * time.Minute}}}
	got := order(t, b, checkpoint.Want{Span: span(0, 2000), Now: at(6000), Ages: ages, Step: time.Hour, Scope: checkpoint.Rereads}, 6000)
	if diff := cmp.Diff([]string{"[2026-01-01T16:40:00Z, 2026-01-01T16:41:00Z) again"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestHistoryOlderThanTheLargestAgeIsReadOnce(t *testing.T) {
	ages := []time.Duration{5 * time.Minute, time.Hour, 24 * time.Hour}
	w := want(0, 30*24*60, ages...)
	w.Step = 365 * 24 * time.Hour
	if got := order(t, checkpoint.Book{}, w, 30*24*60); len(got) != 1 {
		t.Errorf("a first reading of a month took %q", got)
	}
}

func TestAFailedWindowBlocksNothing(t *testing.T) {
	failed := checkpoint.Window{ID: 1, Span: span(50, 100), Failures: 1}
	w := want(0, 101)
	w.Taken = []checkpoint.Span{failed.Span}
	work, ok := checkpoint.Next(checkpoint.Book{Open: []checkpoint.Window{failed}}, w)
	if want := span(0, 50); !ok || !work.Equal(want) {
		t.Errorf("next is %s, %v; want %s", work.Span, ok, want)
	}
}

func TestAPatientPlanLeavesAFailedWindowAloneUntilItsTime(t *testing.T) {
	b := checkpoint.Book{
		Open:  []checkpoint.Window{{ID: 1, Span: span(50, 100), Failures: 1, RetryAt: at(500)}},
		Facts: checkpoint.Read(span(0, 399), at(600), nil),
	}
	w := want(0, 400)
	w.Patient = true
	if work, ok := checkpoint.Next(b, w); ok {
		t.Errorf("next is %s, want nothing before its time", work.Span)
	}
	w.Now, w.Until = at(500), at(399)
	if work, ok := checkpoint.Next(b, w); !ok || work.ID != 1 {
		t.Errorf("next is %v, %v; want the failed window at its time", work, ok)
	}
}

func TestScopesShareTheWorkOut(t *testing.T) {
	ages := []time.Duration{24 * time.Hour}
	b := checkpoint.Book{
		Facts: checkpoint.Read(span(5000, 9000), at(9000), ages),
		Open:  []checkpoint.Window{{ID: 1, Span: span(3000, 4000)}, {ID: 2, Span: span(9500, 9600)}, {ID: 3, Span: span(5000, 5100)}},
	}
	took := make(map[checkpoint.Scope][]string)
	for _, scope := range []checkpoint.Scope{checkpoint.Head, checkpoint.Rereads, checkpoint.History} {
		w := want(2000, 12_000, ages...)
		w.Scope = scope
		took[scope] = order(t, b, w, 12_000)
	}
	if diff := cmp.Diff(map[checkpoint.Scope][]string{
		checkpoint.Head: {
			"head [2026-01-08T07:59:00Z, 2026-01-09T08:00:00Z)",
		},
		checkpoint.Rereads: {
			"[2026-01-04T11:20:00Z, 2026-01-04T13:00:00Z) again", // unfinished
			"[2026-01-06T06:00:00Z, 2026-01-07T05:59:00Z) again", // up to what is not read at all
		},
		checkpoint.History: {
			"[2026-01-07T14:20:00Z, 2026-01-07T16:00:00Z)", // unfinished
			"[2026-01-03T02:00:00Z, 2026-01-03T18:40:00Z)", // unfinished
			"[2026-01-07T16:00:00Z, 2026-01-08T07:59:00Z)",
			"[2026-01-07T05:59:00Z, 2026-01-07T14:20:00Z)",
			"[2026-01-03T18:40:00Z, 2026-01-04T11:20:00Z)",
			"[2026-01-02T09:20:00Z, 2026-01-03T02:00:00Z)",
		},
	}, took); diff != "" {
		t.Errorf("work by scope (-want +got):\n%s", diff)
	}
}

// Right after the head was read a second of the present is missing again. Whoever is asked for history alone leaves it to the next tick.
func TestHistoryLeavesTheHeadAlone(t *testing.T) {
	b := checkpoint.Book{Facts: checkpoint.Read(span(0, 1000), at(1000), nil)}
	w := checkpoint.Want{Span: span(0, 1000), Now: at(1000).Add(time.Second), Step: time.Hour, Scope: checkpoint.History}
	w.Until = time.Time{}
	if work, ok := checkpoint.Next(b, w); ok {
		t.Errorf("next is %v, want nothing", work)
	}
	w.Scope = checkpoint.All
	if work, ok := checkpoint.Next(b, w); !ok || !work.Head {
		t.Errorf("with the head, next is %v, %v; want that", work, ok)
	}
}

func TestAnInterruptedReReadingIsKnownForOne(t *testing.T) {
	b := checkpoint.Book{Facts: checkpoint.Read(span(0, 100), at(200), nil), Open: []checkpoint.Window{{ID: 1, Span: span(50, 150), Position: "p"}}}
	work, ok := checkpoint.Next(b, checkpoint.Want{Span: span(0, 199), Now: at(260), Step: time.Hour, Scope: checkpoint.All})
	if !ok || work.ID != 1 || !work.Again {
		t.Errorf("next is %+v, %v; want window 1, which reads again what was read", work, ok)
	}
}

func TestARangeHasNoHead(t *testing.T) {
	w := want(0, 10_000)
	w.Until = at(500)
	if diff := cmp.Diff([]string{"[2026-01-01T00:00:00Z, 2026-01-01T08:20:00Z)"}, order(t, checkpoint.Book{}, w, 10_000)); diff != "" {
		t.Errorf("work of a range (-want +got):\n%s", diff)
	}
}

func TestAStartInTheFutureIsNoWork(t *testing.T) {
	if w, ok := checkpoint.Next(checkpoint.Book{}, want(100, 50, time.Hour)); ok {
		t.Errorf("next is %s, want nothing", w.Span)
	}
}

func TestAnEmptyYearCostsAHandfulOfWindows(t *testing.T) {
	var b checkpoint.Book
	w := want(0, 0)
	w.Since, w.Now = t0.AddDate(-1, 0, 0), t0
	windows := 0
	for {
		work, ok := checkpoint.Next(b, w)
		if !ok {
			break
		}
		windows++
		b.Facts = checkpoint.Compact(append(b.Facts, checkpoint.Read(work.Span, t0, nil)...), nil)
		w.Step = checkpoint.NextStep(w.Step, work.Until.Sub(work.Since), 1)
	}
	if windows > 5 {
		t.Errorf("an empty year took %d windows", windows)
	}
}

func TestForcedReadingShrinksToNothing(t *testing.T) {
	left := []checkpoint.Span{span(0, 100)}
	var done []string
	for {
		work, ok := checkpoint.NextForced(checkpoint.Book{}, left, []checkpoint.Span{span(80, 90)}, 40*time.Minute)
		if !ok {
			break
		}
		done = append(done, work.Span.String())
		left = checkpoint.Without(left, work.Span)
	}
	if diff := cmp.Diff([]string{
		"[2026-01-01T01:30:00Z, 2026-01-01T01:40:00Z)",
		"[2026-01-01T00:40:00Z, 2026-01-01T01:20:00Z)",
		"[2026-01-01T00:00:00Z, 2026-01-01T00:40:00Z)",
	}, done); diff != "" {
		t.Errorf("forced readings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]checkpoint.Span{span(80, 90)}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestHalvesEndAtAMinute(t *testing.T) {
	s, cuts := span(0, 1440), 0
	for {
		older, newer, ok := checkpoint.Halves(s)
		if !ok {
			break
		}
		if !older.Until.Equal(newer.Since) || !older.Since.Equal(s.Since) || !newer.Until.Equal(s.Until) {
			t.Fatalf("%s is cut into %s and %s", s, older, newer)
		}
		s = newer
		cuts++
	}
	if got := s.Until.Sub(s.Since); got > time.Minute || cuts > 11 {
		t.Errorf("a day ends at %s after %d cuts", got, cuts)
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
