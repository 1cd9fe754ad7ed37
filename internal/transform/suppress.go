package transform

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"slices"
	"sync"
	"time"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/rawjson"
)

// # Those who are kept out
//
// Whoever was forgotten is kept out of everything that is read later: [Transformer.Without] makes a transformer that holds every record against a list
// before anything else looks at it, privacy included, so that it does not matter what privacy would have made of a number. A record that holds a
// number of the list, or is of a call of the list, is neither an observation nor a reject, and all that is told of it is which call it was of.
//
// The list tells no number: it holds digests by a key that is kept elsewhere, and of each its length. The digits of a record are digested as they
// are met, wherever there are as many as a number of the list has.

// Mark is an entry of the list: a number or a call as a digest.
type Mark struct {
	Kind   string // number, national, call
	Length int    // of a number: how many digits
	Hash   string
}

// The kinds of marks.
const (
	MarkNumber   = "number"   // a number with its country code
	MarkNational = "national" // the same without
	MarkCall     = "call"
)

// MarkKey is the key that marks are made with. However it is printed, it says nothing of itself.
type MarkKey struct{ secret []byte }

// NewMarkKey makes a key of its bytes.
func NewMarkKey(secret []byte) MarkKey { return MarkKey{secret} }

// String says that there is a key, and not which.
func (MarkKey) String() string { return "[redacted]" }

// GoString is as String.
func (MarkKey) GoString() string { return "[redacted]" }

// Check is what shows that a key is the one that a list was made with.
func (k MarkKey) Check() string { return hexOf(k.digest("key", "")) }

// Numbers are the marks of a number.
func (k MarkKey) Numbers(n Number) []Mark {
	marks := []Mark{{MarkNumber, len(n.full()), hexOf(k.digest(MarkNumber, n.full()))}}
	if short := n.short(); short != "" {
		marks = append(marks, Mark{MarkNational, len(short), hexOf(k.digest(MarkNational, short))})
	}
	return marks
}

// Call is the mark of a call of a source.
func (k MarkKey) Call(source, id string) Mark {
	return Mark{Kind: MarkCall, Hash: hexOf(k.digest(MarkCall, source+"\x00"+id))}
}

type digest [sha256.Size]byte

func (k MarkKey) digest(kind, text string) (d digest) {
	mac := hmac.New(sha256.New, k.secret)
	mac.Write([]byte(kind + "\x00" + text))
	mac.Sum(d[:0])
	return d
}

func hexOf(d digest) string { return hex.EncodeToString(d[:]) }

// Suppressions is the list. It is safe for concurrent use; the nil list holds nobody.
type Suppressions struct {
	key         MarkKey
	full, short uint32
	numbers     map[string]map[digest]struct{} // by kind

	mu    sync.RWMutex
	calls map[digest]struct{}
}

// NewSuppressions makes a list of marks that were made with the key; nil of none.
func NewSuppressions(key MarkKey, marks []Mark) *Suppressions {
	if len(marks) == 0 {
		return nil
	}
	s := &Suppressions{key: key, calls: make(map[digest]struct{}),
		numbers: map[string]map[digest]struct{}{MarkNumber: {}, MarkNational: {}}}
	for _, m := range marks {
		d := digestOf(m.Hash)
		switch m.Kind {
		case MarkNumber:
			s.full |= 1 << m.Length
			s.numbers[m.Kind][d] = struct{}{}
		case MarkNational:
			s.short |= 1 << m.Length
			s.numbers[m.Kind][d] = struct{}{}
		case MarkCall:
			s.calls[d] = struct{}{}
		}
	}
	return s
}

func digestOf(text string) (d digest) {
	sum, err := hex.DecodeString(text)
	if err == nil {
		copy(d[:], sum)
	}
	return d
}

// Key is the key of the list.
func (s *Suppressions) Key() MarkKey { return s.key }

// Add puts calls on the list, once that is durable.
func (s *Suppressions) Add(calls []Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range calls {
		s.calls[digestOf(m.Hash)] = struct{}{}
	}
}

// HasCall reports whether a call is on the list.
func (s *Suppressions) HasCall(source, id string) bool {
	if s == nil || id == "" {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.calls) == 0 {
		return false
	}
	_, ok := s.calls[s.key.digest(MarkCall, source+"\x00"+id)]
	return ok
}

// holds reports whether any of a call's parts holds a number of the list, or is of a call of the list, as the extractor knows it.
func (s *Suppressions) holds(source string, parts []part) bool {
	f := finder{full: s.full, short: s.short, is: s.isNumber()}
	for i := range parts {
		if s.heldBy(&f, parts[i].record) || s.HasCall(source, parts[i].record.ID) {
			return true
		}
	}
	return false
}

func (s *Suppressions) heldBy(f *finder, r extract.Record) bool {
	return f.full != 0 && len(r.Payload) > 0 && f.in(rawjson.View(r.Payload))
}

// isNumber returns what digests digits and looks for them. Its hash is made where the first digits are met that could be a number, and used for
// all of the record's.
func (s *Suppressions) isNumber() func([]byte, bool) bool {
	var (
		mac hash.Hash
		d   digest
	)
	return func(digits []byte, withCountry bool) bool {
		if mac == nil {
			mac = hmac.New(sha256.New, s.key.secret)
		} else {
			mac.Reset()
		}
		kind := MarkNational
		if withCountry {
			kind = MarkNumber
		}
		mac.Write([]byte(kind))
		mac.Write([]byte{0})
		mac.Write(digits)
		mac.Sum(d[:0])
		_, ok := s.numbers[kind][d]
		return ok
	}
}

// Suppressed is all that is told of a record that was kept out.
type Suppressed struct {
	IDs       []string // of its call, as far as they are known
	StartedAt *time.Time
}

// Without makes a transformer that keeps out who is on a list; the nil list, nobody.
func (t *Transformer) Without(s *Suppressions) *Transformer {
	without := *t
	without.suppressions = s
	return &without
}

// held decides what becomes of a record that was read: what is on the list is kept out.
func (t *Transformer) held(parts []part, read int, all bool) Result {
	holds := t.suppressions.holds(t.opts.Source, parts)
	result := t.derive(parts, read, all)
	var ids []string
	if result.Reject == nil {
		ids = []string{result.Observation.Call.ID}
		if alias := result.Observation.Alias; alias != "" {
			ids = append(ids, alias)
		}
	} else {
		// A record that cannot be a call may be of one that could be one before, and is here.
		ids = t.idsOf(&parts[read])
	}
	for _, id := range ids {
		holds = holds || t.suppressions.HasCall(t.opts.Source, id)
	}
	if !holds {
		return result
	}
	out := &Suppressed{IDs: ids}
	if result.Reject == nil {
		out.StartedAt = result.Observation.Call.StartedAt
	}
	return Result{Suppressed: out}
}

// IDs are the ids that a list element or an answer about a single call tells of its call, whether or not it can be read as one.
func (t *Transformer) IDs(r extract.Record) []string {
	parts := []part{{name: call.PartList, record: r}}
	t.derive(parts, 0, false)
	return t.idsOf(&parts[0])
}

// idsOf are the ids that a part tells that has been derived: that by which it was paged or asked for, and those that it holds. What privacy has put in an
// id's place may be any call's, unless it is the hash of that id.
func (t *Transformer) idsOf(p *part) (ids []string) {
	add := func(id string) {
		if id != "" && !isToken(id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	add(p.record.ID)
	if p.object == nil || p.name != call.PartList && p.name != call.PartDetail {
		return ids
	}
	for _, name := range t.provider.ids {
		if id, f := p.object.id(name); f == nil {
			add(id)
		}
	}
	return ids
}
