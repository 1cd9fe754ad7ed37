// Package checkpoint is the coverage ledger: what was read, what that proves, and what is work.
//
// It owns the ledger's facts, the proof that follows from them, the plan that follows from the proof, and the rows of sync.windows
// in which both are kept, always on the caller's transaction. It refuses to fetch, to know any provider's position from the inside,
// and to know the warehouse: it is given a transaction and writes its own tables with it.
//
// # Facts and proof
//
// No provider tells what changed since a moment; all list by start time. So the checkpoint is no high-water mark but a ledger of
// facts: everything that started in [Since, Until) was read, beginning at ReadAt by the provider's clock. A call can be listed a
// little after it started, and it goes on changing, so what a fact is worth depends on how old its calls were when they were read.
// For an age L, a fact proves the part of itself that was at least L old: [Since, min(Until, ReadAt − max(L, 60 s))).
//
// Two facts side by side become one row with the earlier ReadAt and the smaller Age. Both keep the row honest: whatever the row
// claims for an age, each of its parts claimed too. Compact merges only where nothing is lost by it either, so that ten years of
// history are a handful of rows and mean exactly what the thousands of readings meant.
package checkpoint

import (
	"slices"
	"time"
)

// Settle is the youngest age at which a reading proves anything: a provider may list a call some seconds after it started.
const Settle = 60 * time.Second

// Span is the half-open stretch of time [Since, Until), in UTC.
type Span struct {
	Since, Until time.Time
}

// Empty reports whether the span holds no instant.
func (s Span) Empty() bool { return !s.Since.Before(s.Until) }

// Equal reports whether two spans are the same stretch of time.
func (s Span) Equal(o Span) bool { return s.Since.Equal(o.Since) && s.Until.Equal(o.Until) }

// Fact says that everything that started in the span was read.
type Fact struct {
	ID int64 // the row's id in the ledger; 0 before it has one
	Span
	ReadAt time.Time     // the provider's clock when the first request of the earliest reading in it was sent
	Age    time.Duration // the smallest age that the youngest call of any reading in it had: ReadAt − Until, of each
}

// Proves returns the part of the fact that was at least the age old when it was read.
func (f Fact) Proves(age time.Duration) Span {
	age = max(age, Settle)
	if f.Age >= age {
		return f.Span
	}
	if cut := f.ReadAt.Add(-age); cut.Before(f.Until) {
		return Span{f.Since, cut}
	}
	return f.Span
}

// standardAges bound the classes within which facts merge, beside the configured ages, so that the ledger still says
// something useful about its history when a user asks for another age later.
var standardAges = []time.Duration{24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 365 * 24 * time.Hour}

// classes returns the bounds of the age classes, ascending: Settle, the configured ages and the standard ones.
func classes(ages []time.Duration) []time.Duration {
	all := append([]time.Duration{Settle}, standardAges...)
	for _, a := range ages {
		all = append(all, max(a, Settle))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Read turns one finished reading into facts: it is cut where its calls pass from one age class to the next, so that each piece
// proves its class wholly and can later merge with its like. What was younger than Settle proves nothing and is not kept.
func Read(s Span, readAt time.Time, ages []time.Duration) []Fact {
	var facts []Fact
	bounds := classes(ages)
	for i, bound := range bounds {
		piece := Span{s.Since, minTime(s.Until, readAt.Add(-bound))}
		if i+1 < len(bounds) {
			piece.Since = maxTime(s.Since, readAt.Add(-bounds[i+1]))
		}
		if !piece.Empty() {
			facts = append(facts, Fact{Span: piece, ReadAt: readAt, Age: readAt.Sub(piece.Until)})
		}
	}
	slices.Reverse(facts) // oldest first
	return facts
}

// Missing returns what the facts do not prove of a span for an age, oldest first.
func Missing(facts []Fact, age time.Duration, within Span) []Span {
	proven := make([]Span, 0, len(facts))
	for _, f := range facts {
		proven = append(proven, f.Proves(age))
	}
	return subtract(within, proven)
}

// subtract returns what is left of a span once others are taken out of it, oldest first.
func subtract(whole Span, others []Span) []Span {
	slices.SortFunc(others, func(a, b Span) int { return a.Since.Compare(b.Since) })
	var left []Span
	for _, o := range others {
		if o.Empty() || !o.Until.After(whole.Since) {
			continue
		}
		if !o.Since.Before(whole.Until) {
			break
		}
		if whole.Since.Before(o.Since) {
			left = append(left, Span{whole.Since, o.Since})
		}
		whole.Since = o.Until
	}
	if !whole.Empty() {
		left = append(left, whole)
	}
	return left
}

// Compact returns the fewest facts found that prove, for every age class, exactly what the given ones prove: a fact that the others
// prove already is dropped, and neighbours merge where that loses nothing. Facts that stay as they are keep their ID; merged ones have
// none. It never claims more: see the package's own words.
func Compact(facts []Fact, ages []time.Duration) []Fact {
	bounds := classes(ages)
	facts = slices.Clone(facts)
	slices.SortFunc(facts, func(a, b Fact) int {
		if c := a.Since.Compare(b.Since); c != 0 {
			return c
		}
		return a.Until.Compare(b.Until)
	})
	facts = slices.DeleteFunc(facts, func(f Fact) bool { return f.Proves(Settle).Empty() })
	for i := 0; i < len(facts); {
		rest := slices.Delete(slices.Clone(facts), i, i+1)
		if provesAll(rest, facts[i], bounds) {
			facts = rest
			continue
		}
		i++
	}
	for i := 0; i+1 < len(facts); {
		a, b := facts[i], facts[i+1]
		merged := Fact{
			Span:   Span{a.Since, maxTime(a.Until, b.Until)},
			ReadAt: minTime(a.ReadAt, b.ReadAt),
			Age:    min(a.Age, b.Age),
		}
		if b.Since.After(a.Until) || !keeps(merged, a, bounds) || !keeps(merged, b, bounds) {
			i++
			continue
		}
		facts = slices.Replace(facts, i, i+2, merged)
		i = max(0, i-1)
	}
	return facts
}

// provesAll reports whether the others prove all that a fact proves, for every class.
func provesAll(others []Fact, f Fact, bounds []time.Duration) bool {
	for _, age := range bounds {
		if s := f.Proves(age); !s.Empty() && len(Missing(others, age, s)) > 0 {
			return false
		}
	}
	return true
}

// keeps reports whether a merged fact proves all that one of its parts proved, for every class.
func keeps(merged, part Fact, bounds []time.Duration) bool {
	return provesAll([]Fact{merged}, part, bounds)
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
