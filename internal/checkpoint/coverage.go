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

// Compact returns the fewest facts that prove, for every age class, exactly what the given ones prove: each stretch is kept in the highest
// class that any fact proves it for, and neighbours of one class are one fact. Facts that stay as they are keep their ID; others have none.
// It never claims more: see the package's own words.
func Compact(facts []Fact, ages []time.Duration) []Fact {
	bounds := classes(ages)
	var kept []Fact
	last := -1 // the class of the fact kept last
	for _, piece := range pieces(facts, bounds) {
		class, f, ok := best(facts, piece, bounds)
		if !ok {
			continue
		}
		if n := len(kept); n > 0 && class == last && kept[n-1].Until.Equal(f.Since) {
			kept[n-1].Until = f.Until
			kept[n-1].ReadAt = minTime(kept[n-1].ReadAt, f.ReadAt)
			kept[n-1].Age = min(kept[n-1].Age, f.Age)
			continue
		}
		kept, last = append(kept, f), class
	}
	for i, k := range kept {
		if at := slices.IndexFunc(facts, func(f Fact) bool { return f.Equal(k.Span) && f.ReadAt.Equal(k.ReadAt) && f.Age == k.Age }); at >= 0 {
			kept[i].ID = facts[at].ID
		}
	}
	return kept
}

// pieces cuts time wherever what some fact proves for some class begins or ends, oldest first.
func pieces(facts []Fact, bounds []time.Duration) []Span {
	var edges []time.Time
	for _, f := range facts {
		for _, age := range bounds {
			if s := f.Proves(age); !s.Empty() {
				edges = append(edges, s.Since, s.Until)
			}
		}
	}
	slices.SortFunc(edges, time.Time.Compare)
	edges = slices.CompactFunc(edges, time.Time.Equal)
	all := make([]Span, 0, len(edges))
	for i := 1; i < len(edges); i++ {
		all = append(all, Span{edges[i-1], edges[i]})
	}
	return all
}

// best is the piece as the fact that read it at the greatest age proves it, with the class of that age; false where none proves it.
func best(facts []Fact, piece Span, bounds []time.Duration) (class int, b Fact, ok bool) {
	for _, f := range facts {
		if f.Since.After(piece.Since) || f.Until.Before(piece.Until) {
			continue
		}
		age := max(f.Age, f.ReadAt.Sub(piece.Until))
		if age < Settle || ok && (age < b.Age || age == b.Age && !f.ReadAt.After(b.ReadAt)) {
			continue
		}
		b, ok = Fact{Span: piece, ReadAt: f.ReadAt, Age: age}, true
	}
	class, exact := slices.BinarySearch(bounds, b.Age)
	if !exact {
		class-- // the largest bound that the age reaches
	}
	return class, b, ok
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
