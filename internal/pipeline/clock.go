package pipeline

import (
	"time"

	"syncd/internal/checkpoint"
)

// # Whose clock
//
// What a reading proves depends on when it was made by the provider's clock, which every answer tells. It is learnt from the first page of each
// run: a clock of ours that runs ahead must not prove what was not there yet, and one that runs behind must not keep fresh calls waiting. But
// one answer may be wrong (of several servers one may be), and what it would prove too much nobody would ever read again. So an answer
// that is suddenly ahead is believed when a second run hears the same, and until then proves no more than the clock as it was known.

// behind reports whether our clock, as it was corrected last, lies before what was read already: it is behind, or was set back. The desk is
// locked.
func (d *desk) behind(now time.Time) (read time.Time, behind bool) {
	for _, f := range d.book.Facts {
		if f.Until.After(read) {
			read = f.Until
		}
	}
	return read, now.Add(d.skew).Before(read)
}

// presentAt is the present by the provider's clock, as far as that is known. Where our clock is seen to be behind, it is just so late that there is
// a head to be asked for, whose answer tells. The desk is locked.
func (d *desk) presentAt(now time.Time) time.Time {
	if read, behind := d.behind(now); behind {
		return read.Add(2 * checkpoint.Settle)
	}
	return now.Add(d.skew)
}

// readClock takes the provider's clock from the first page of a window, and returns when that was read as far as the answer is believed. The
// present of the run is learnt once, as every answer tells it a little differently, and never put later than a reading of the head: what that
// proves must satisfy the plan, or the plan would have no end.
func (r *run) readClock(told, sent time.Time, head bool) (readAt time.Time) {
	d := r.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	if !r.clockRead {
		d.learn(told.Sub(sent), sent)
		r.present, r.clockRead = r.startedAt.Add(d.skew), true
	}
	readAt = told
	if known := sent.Add(d.skew); told.After(known.Add(checkpoint.Settle)) {
		readAt = known
	}
	if head && r.present.After(readAt) {
		r.present = readAt
	}
	return readAt
}

// learn takes over how far the provider's clock is from ours, unless it is suddenly ahead. The desk is locked.
func (d *desk) learn(skew time.Duration, sent time.Time) {
	_, behind := d.behind(sent)
	if d.skewed && !behind && skew > d.skew+checkpoint.Settle && (skew-d.doubted).Abs() > checkpoint.Settle {
		d.doubted = skew
		return
	}
	d.skew, d.skewed, d.doubted = skew, true, 0
}
