package extract

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/rawjson"
)

// How Burki's further answers about a call are known for what they are. Both name the call; an answer that names another is refused, and one
// that names none is believed, as it is the path that it was asked by.

// burkiTranscripts reads the transcript: an array of what was said, which is empty where nothing was.
func burkiTranscripts(answer jsontext.Value, id string) (time.Time, error) {
	if kind := answer.Kind(); kind != '[' {
		return time.Time{}, fmt.Errorf("the answer is %s, where an array is documented", kindName(kind))
	}
	for _, segment := range rawjson.Elements(answer) {
		if !names(member(segment, "call_id"), id) {
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
	summary := member(answer, "call_summary")
	if summary.Kind() != '{' && member(answer, "detailed_entries").Kind() != '[' {
		return time.Time{}, errors.New(`the answer is no costs: it has neither "call_summary" nor "detailed_entries"`)
	}
	if !names(member(summary, "call_id"), id) {
		return time.Time{}, errOtherCall
	}
	start, _ := isoTime(member(summary, "started_at"))
	return start, nil
}

// names reports whether an id that an answer tells, if it tells one, is the id.
func names(told jsontext.Value, id string) bool {
	text := idOf(told)
	return text == "" || text == id
}
