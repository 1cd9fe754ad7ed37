package transform

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/call"
)

// A call that started outside these years is a misread unit or a made-up value.
var (
	earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

func plausible(t time.Time) bool { return !t.Before(earliest) && t.Before(latest) }

// The units that epoch times come in, as decimal places below the second.
const (
	unixSeconds      int32 = 0
	unixMilliseconds int32 = 3
)

// epoch reads a Unix time in the unit, kept to the microsecond. An ISO time in its place is read, with drift.
func (o *object) epoch(name string, unit int32) *time.Time {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	if raw.Kind() == '"' {
		if t, ok := parseISO(unquote(raw)); ok {
			o.odd(name, raw, "a number")
			return o.plausible(name, raw, t)
		}
	}
	text := o.number(name)
	if text == "" {
		return nil
	}
	t, ok := unixTime(text, unit)
	if !ok {
		o.notes.add(o.at(name)+": implausible time", text)
		return nil
	}
	return o.plausible(name, raw, t)
}

// iso reads an ISO 8601 time; one without an offset is UTC. A Unix time in its place is read, with drift: seconds and milliseconds of the
// years in question cannot be taken for each other.
func (o *object) iso(name string) *time.Time {
	raw := o.raw(name)
	if raw == nil {
		return nil
	}
	if raw.Kind() == '"' {
		text := unquote(raw)
		if text == "" {
			return nil
		}
		if t, ok := parseISO(text); ok {
			return o.plausible(name, raw, t)
		}
		o.notes.add(o.at(name)+": not a time", text)
		return nil
	}
	o.odd(name, raw, "a text")
	if raw.Kind() != '0' {
		return nil
	}
	for _, unit := range []int32{unixSeconds, unixMilliseconds} {
		if t, ok := unixTime(string(raw), unit); ok && plausible(t) {
			return &t
		}
	}
	return nil
}

// plausible passes a time on, unless no call can have had it.
func (o *object) plausible(name string, raw jsontext.Value, t time.Time) *time.Time {
	if !plausible(t) {
		o.notes.addValue(o.at(name)+": implausible time", raw)
		return nil
	}
	return &t
}

// unixTime reads a Unix time without passing through a float.
func unixTime(text string, unit int32) (time.Time, bool) {
	us, _, err := call.ParseScaled(text, 6-unit)
	if err != nil {
		return time.Time{}, false
	}
	return time.UnixMicro(us).UTC(), true
}

// isoLayouts are the forms in which providers write a time. Go reads a fraction after the seconds of each.
var isoLayouts = []string{
	"2006-01-02T15:04:05Z07:00",
	"2006-01-02T15:04:05",
	"2006-01-02T15:04:05Z0700",
	"2006-01-02T15:04:05Z07",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04",
}

// parseISO reads an ISO 8601 time of day into UTC, to the microsecond. A day alone is no instant.
func parseISO(text string) (time.Time, bool) {
	text = strings.TrimSpace(text)
	if len(text) > len("2006-01-02") && (text[10] == ' ' || text[10] == 't') {
		text = text[:10] + "T" + text[11:]
	}
	for _, layout := range isoLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Truncate(time.Microsecond), true
		}
	}
	return time.Time{}, false
}

// maxTimeText is how long a time is written at most.
const maxTimeText = len("2006-01-02T15:04:05.123456789+07:00")

// timeForm reports whether a text is an ISO 8601 time and nothing more: no digits but its own are in it.
func timeForm(text string) bool {
	text = strings.TrimSpace(text)
	if len(text) > maxTimeText || text == "" || text[0] < '0' || text[0] > '9' {
		return false
	}
	_, ok := parseISO(text)
	return ok && timeText.FindString(text) == text
}

// finish works out the end of a call for which the provider tells none: start and duration, once the call is over. A call known to be
// under way has not ended, whatever its running length.
func finish(c *call.Call) {
	underWay := !c.Status.Final() && c.Status != call.Unknown
	if c.EndedAt != nil || c.StartedAt == nil || c.DurationMS == nil || underWay {
		return
	}
	end := c.StartedAt.Add(time.Duration(*c.DurationMS) * time.Millisecond)
	c.EndedAt = &end
}

// id reads the id of the call itself: a text, or a whole number as it is written.
func (o *object) id(name string) (string, *fault) {
	raw := o.raw(name)
	text := idText(raw)
	switch {
	case raw == nil:
		return "", nil
	case text == "" && raw.Kind() != '"':
		return "", &fault{reasonUnusableID, fmt.Sprintf("%s is %s, and an id is a text or a whole number", o.at(name), kindName(raw.Kind()))}
	case len(text) > maxID:
		return "", &fault{reasonUnusableID, fmt.Sprintf("%s is %d bytes long, and an id has at most %d", o.at(name), len(text), maxID)}
	}
	return text, nil
}

// idText is the text of an id; "" where the value cannot be one.
func idText(raw jsontext.Value) string {
	switch raw.Kind() {
	case '"':
		return strings.TrimSpace(unquote(raw))
	case '0':
		if strings.ContainsAny(string(raw), ".eE") {
			return ""
		}
		return string(raw)
	}
	return ""
}
