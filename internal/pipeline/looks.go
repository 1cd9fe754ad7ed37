package pipeline

import "time"

// looks is when the details that are due were last looked for, and so what the next look has to find: to look through all calls of ten years at
// every tick would cost more than the details themselves. Nothing of it outlives the process, whose first look is for everything.
type looks struct {
	last    time.Time // when the last one that found all it looked for began; zero: there was none
	changes int64     // how many commits had changed a call by then
	next    time.Time // when to look again though none has since: tries whose time has come
	all     time.Time // when to look through all calls again, whatever was read since
}

const (
	// lookAgain is how often all of a source's calls are looked through, though nothing should be found that was not found before.
	lookAgain = 24 * time.Hour
	// lookForTries is how often tries are looked for whose time has come, and calls that do not become final, where nothing else happens.
	lookForTries = time.Hour
	// lookBack is how much further back a look goes than the last one: what was fetched then may have been committed after it.
	lookBack = 10 * time.Minute
)

// due says what to look for now, after so many changes: all calls, which the zero time says, or those that were read since a time. It is false
// where nothing can be found.
func (l looks) due(now time.Time, changes int64) (since time.Time, ok bool) {
	if !now.Before(l.all) {
		return time.Time{}, true
	}
	return l.last.Add(-lookBack), changes != l.changes || !now.Before(l.next)
}

// after is what is known after a look since a time that began then and saw so many changes.
func (l looks) after(since, began time.Time, changes int64) looks {
	if since.IsZero() {
		l.all = began.Add(lookAgain)
	}
	l.last, l.next, l.changes = began, began.Add(lookForTries), changes
	return l
}
