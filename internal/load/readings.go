package load

import (
	"crypto/sha256"
	"math"
	"sync"

	"syncd/internal/call"
)

// readings hands out the numbers of readings, and remembers which are under way.
//
// A payload that has not changed is not written, so the number of the reading that saw it last is not in the file. While an older reading
// is still under way, that number is kept here: what the older one brings late may differ from what is stored, and must not replace it.
// Once no older reading is under way nothing can come late, and it is forgotten. Nothing of this outlives the process, and need not: the
// readings under way die with it.
type readings struct {
	mu        sync.Mutex
	last      int64
	underWay  map[int64]struct{}
	newest    map[partDigest]int64   // the newest reading that saw a payload unchanged
	byReading map[int64][]partDigest // the keys of newest, by reading, so that forgetting looks at nothing else
}

// partDigest stands for a part of a call. It is a digest: a slow reading may be under way while very many calls are seen.
type partDigest [16]byte

func digestOf(source, id string, part call.Part) partDigest {
	sum := sha256.Sum256([]byte(source + "\x00" + id + "\x00" + string(part)))
	return partDigest(sum[:16])
}

// unchangedAt says which reading saw a part of a call unchanged.
type unchangedAt struct {
	key     partDigest
	reading int64
}

func newReadings() *readings {
	return &readings{underWay: make(map[int64]struct{}), newest: make(map[partDigest]int64), byReading: make(map[int64][]partDigest)}
}

// NextReading takes the number of a reading, when its request is about to be sent: of two payloads of one call, the one with the higher
// number is the newer, whatever any clock says and whichever arrives first. The reading is under way until [Warehouse.EndReading].
func (w *Warehouse) NextReading() int64 {
	r := w.readings
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	r.underWay[r.last] = struct{}{}
	return r.last
}

// EndReading says that what a reading brought is committed or given up. To end one again, or one that never began, is harmless.
func (w *Warehouse) EndReading(n int64) {
	r := w.readings
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.underWay[n]; !ok {
		return
	}
	delete(r.underWay, n)
	oldest := r.oldestUnderWay()
	if n > oldest {
		return
	}
	for reading, keys := range r.byReading {
		if reading > oldest {
			continue
		}
		for _, k := range keys {
			if r.newest[k] == reading {
				delete(r.newest, k)
			}
		}
		delete(r.byReading, reading)
	}
}

// startAt makes n the last number taken, unless a higher one was.
func (r *readings) startAt(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = max(r.last, n)
}

// oldest is the oldest reading under way, but for those that brought the observations of a batch, which cannot come late any more: only what
// is newer than it need be remembered.
func (r *readings) oldest(batch []*call.Observation) int64 {
	brought := make(map[int64]bool)
	for i, o := range batch {
		if i == 0 || o.Reading != batch[i-1].Reading {
			brought[o.Reading] = true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	oldest := int64(math.MaxInt64)
	for n := range r.underWay {
		if !brought[n] {
			oldest = min(oldest, n)
		}
	}
	return oldest
}

func (r *readings) oldestUnderWay() int64 {
	oldest := int64(math.MaxInt64)
	for n := range r.underWay {
		oldest = min(oldest, n)
	}
	return oldest
}

// isEmpty reports whether nothing is remembered, so that nobody need work out a key.
func (r *readings) isEmpty() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.newest) == 0
}

// newestOf is the newest remembered reading of a part of a call; 0: none.
func (r *readings) newestOf(k partDigest) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest[k]
}

// add remembers what a transaction that has committed saw unchanged, as far as an older reading is under way.
func (r *readings) add(seen map[partDigest]int64) {
	if len(seen) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	oldest := r.oldestUnderWay()
	for k, reading := range seen {
		if reading > oldest && reading > r.newest[k] {
			r.newest[k] = reading
			r.byReading[reading] = append(r.byReading[reading], k)
		}
	}
}

// newestUnchanged is the newest reading that saw a part of a call unchanged, in this transaction or before it, as far as that is
// remembered; 0: none.
func (tx *Tx) newestUnchanged(source, id string, part call.Part) int64 {
	if len(tx.unchanged) == 0 && tx.w.readings.isEmpty() {
		return 0
	}
	k := digestOf(source, id, part)
	return max(tx.unchanged[k], tx.w.readings.newestOf(k))
}

// noteUnchanged keeps what the transaction saw unchanged, for when it commits.
func (tx *Tx) noteUnchanged(seen []unchangedAt) {
	for _, s := range seen {
		if tx.unchanged == nil {
			tx.unchanged = make(map[partDigest]int64)
		}
		tx.unchanged[s.key] = max(tx.unchanged[s.key], s.reading)
	}
}
