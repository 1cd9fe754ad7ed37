package pipeline

import (
	"time"

	"go.uber.org/zap"

	"syncd/internal/checkpoint"
)

// # Whose clock
//
// What a reading proves depends on when it was made by the provider's clock, which every answer tells. It is learnt from the first page of each
// run: a clock of ours that runs ahead must not prove what was not there yet, and one that runs behind must not keep fresh calls waiting. But
// one answer may be wrong (of several servers one may be), and what it would prove too much nobody would ever read again. So an answer
// that is suddenly ahead is believed when a second run hears the same, and until then proves no more than the clock as it was known. One that is more than an hour ahead of ours is not believed however often it is heard: were it wrong, all that
// starts until our clock has caught up would be taken for read. Where it is ours that is so late, what is read lags as far behind, and a warning says why.

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
		if d.learn(told.Sub(sent), sent) {
			r.Log.Warn("the provider's clock is ahead of this machine's, and is not believed yet: is this machine's clock right?",
				zap.String("source", r.source.Name), zap.Duration("ahead", told.Sub(sent).Round(time.Second)))
		}
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

// farAhead is how far the provider's clock may be ahead of ours and be believed.
const farAhead = time.Hour

// learn takes over how far the provider's clock is from ours, unless it is suddenly ahead, or too far. It reports whether that is doubted, and was
// not heard before. The desk is locked.
func (d *desk) learn(skew time.Duration, sent time.Time) (doubted bool) {
	_, behind := d.behind(sent)
	heard := (skew - d.doubted).Abs() <= checkpoint.Settle
	if !behind && skew > d.skew+checkpoint.Settle && (skew > farAhead || d.skewed && !heard) {
		d.doubted = skew
		return !heard
	}
	d.skew, d.skewed, d.doubted = skew, true, 0
	return false
}
