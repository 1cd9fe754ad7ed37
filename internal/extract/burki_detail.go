package extract

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// How Burki's further answers about a call are known for what they are. Both name the call; an answer that names another is refused, and one
// that names none is believed, as it is the path that it was asked by.

// burkiTranscripts reads the transcript: an array of what was said, which is empty where nothing was.
func burkiTranscripts(answer jsontext.Value, id string) (time.Time, error) {
	if kind := answer.Kind(); kind != '[' {
		return time.Time{}, fmt.Errorf("the answer is %s, where an array is documented", kindName(kind))
	}
	for _, segment := range elements(answer) {
		if !names(members(segment, "call_id")[0], id) {
			return time.Time{}, errOtherCall
		}
	}
	return time.Time{}, nil
}

// burkiCosts reads the itemised costs: an object that has a summary, entries, or both.
func burkiCosts(answer jsontext.Value, id string) (time.Time, error) {
	if kind := answer.Kind(); kind != '{' {
		return time.Time{}, fmt.Errorf("the answer is %s, where an object is documented", kindName(kind))
	}
	parts := members(answer, "call_summary", "detailed_entries")
	summary := parts[0]
	if summary.Kind() != '{' && parts[1].Kind() != '[' {
		return time.Time{}, errors.New(`the answer is no costs: it has neither "call_summary" nor "detailed_entries"`)
	}
	told := members(summary, "call_id", "started_at")
	if !names(told[0], id) {
		return time.Time{}, errOtherCall
	}
	start, _ := isoTime(told[1])
	return start, nil
}

// names reports whether an id that an answer tells, if it tells one, is the id.
func names(told jsontext.Value, id string) bool {
	text := idOf(told)
	return text == "" || text == id
}
