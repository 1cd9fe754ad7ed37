package pipeline

import (
	"errors"
	"slices"
	"time"

	"syncd/internal/call"
	"syncd/internal/extract"
	"syncd/internal/load"
)

// sorted is what became of a batch of answers about single calls.
type sorted struct {
	batch batch
	tries []load.DetailTry
	whole []load.DetailKey
	gone  []detailAnswer
}

// sort tells answers that came whole from those that did not.
func (r *run) sort(answers []detailAnswer, stored map[string]map[call.Part]load.StoredPart) sorted {
	var k sorted
	for _, a := range answers {
		single := a.due.Part == call.PartDetail
		switch {
		case a.err != nil && single && isClass(a.err, extract.Missing) && r.goneSingly < vanishedLimit && r.unfinished(a, stored[a.due.ID]):
			// It was never listed again as final, and now there is none. Of a final call this says no more than that its details are not there: a
			// re-reading of the list tells whether the call is.
			r.goneSingly++
			k.gone = append(k.gone, a)
		case errors.Is(a.err, errTokenID):
			k.tries = append(k.tries, r.try(a, "failed", a.err.Error(), nil))
		case a.err != nil && isClass(a.err, extract.Missing):
			k.tries = append(k.tries, r.try(a, "missing", a.err.Error(), onceMore))
		case a.err != nil:
			k.tries = append(k.tries, r.try(a, "failed", a.err.Error(), someMore))
		default:
			r.readDetail(a, stored[a.due.ID], &k)
		}
	}
	k.leaveOut()
	return k
}

// leaveOut forgets what else came of calls of which an answer is kept out: they will not be there.
func (k *sorted) leaveOut() {
	if len(k.batch.suppressed) == 0 {
		return
	}
	out := make(map[string]bool)
	for _, s := range k.batch.suppressed {
		for _, id := range s.IDs {
			out[id] = true
		}
	}
	k.tries = slices.DeleteFunc(k.tries, func(t load.DetailTry) bool { return out[t.ID] })
	k.whole = slices.DeleteFunc(k.whole, func(w load.DetailKey) bool { return out[w.ID] })
	k.gone = slices.DeleteFunc(k.gone, func(a detailAnswer) bool { return out[a.due.ID] })
}

// unfinished reports whether a call, as its list payload tells it, is not final.
func (r *run) unfinished(a detailAnswer, stored map[call.Part]load.StoredPart) bool {
	list, ok := stored[call.PartList]
	if !ok || list.Dropped {
		return false
	}
	result := r.stored.Record(recordOf(a.due.ID, list))
	return result.Reject == nil && !result.Observation.Call.Status.Final()
}

// readDetail derives the call of an answer that came, and notes whether it came whole.
func (r *run) readDetail(a detailAnswer, stored map[call.Part]load.StoredPart, k *sorted) {
	parts := map[call.Part]extract.Record{a.due.Part: a.record}
	for name, p := range stored {
		if name != a.due.Part && !p.Dropped {
			parts[name] = recordOf(a.due.ID, p)
		}
	}
	k.batch.records++
	result := r.source.Transform.Parts(a.due.Part, parts)
	if out := result.Suppressed; out != nil {
		// The call is here: it turns out by this answer that it is to be kept out.
		out.IDs = append(out.IDs, a.due.ID)
		k.batch.suppressed = append(k.batch.suppressed, *out)
		return
	}
	if result.Reject != nil {
		k.batch.rejects = append(k.batch.rejects, *result.Reject)
		k.tries = append(k.tries, r.try(a, "failed", result.Reject.Reason+": "+result.Reject.Detail, someMore))
		return
	}
	o := result.Observation
	o.Reading = a.reading
	k.batch.observations = append(k.batch.observations, &o)
	switch {
	case !o.Call.Status.Final():
		k.tries = append(k.tries, r.try(a, "incomplete", "the call is not final", dailyForAWeek))
	case r.lacks(a.due.Part, o.Call):
		k.tries = append(k.tries, r.try(a, "incomplete", "", onceMore))
	default:
		k.whole = append(k.whole, load.DetailKey{ID: a.due.ID, Part: a.due.Part})
	}
}

// lacks reports whether an answer leaves out what it is asked for: a conversation has a transcript, and a call a price, once they are worked
// out, which may take the provider a while.
func (r *run) lacks(part call.Part, c call.Call) bool {
	spoken := c.Status == call.Completed || c.Status == call.Voicemail
	switch part {
	case call.PartDetail, call.PartTranscripts:
		return spoken && len(c.Messages) == 0 && !r.source.Wordless
	case call.PartCosts:
		return spoken && len(c.Costs) == 0
	}
	return false
}

// patience is how long to wait after each try, and so how often to try: after the last there is none.
type patience []time.Duration

var (
	// onceMore is for what the provider may still be working out.
	onceMore = patience{24 * time.Hour}
	// someMore is for an answer that could not be read.
	someMore = patience{time.Hour, 6 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}
	// dailyForAWeek is for a call that was still under way long after its start.
	dailyForAWeek = patience{24 * time.Hour, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour}
)

// try is the record of an answer that did not come whole.
func (r *run) try(a detailAnswer, state, reason string, p patience) load.DetailTry {
	now := r.now()
	t := load.DetailTry{Source: r.source.Name, ID: a.due.ID, Part: a.due.Part, State: state, Attempts: a.due.Attempts + 1,
		ListReading: a.due.ListReading, At: now, Error: reason}
	if n := a.due.Attempts; n < len(p) {
		again := now.Add(p[n])
		t.RetryAt = &again
	}
	return t
}
