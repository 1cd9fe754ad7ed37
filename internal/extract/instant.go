package extract

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"syncd/internal/rawjson"
)

// farthest is how many seconds from 1970 a start is still read. It is far beyond any call, so that a start in another unit than the provider's
// is seen to lie far outside its window, instead of being taken for none.
const farthest = 1e14

// unixSeconds and unixMillis read an instant from a JSON number, which may have a fraction. It is cut to the nanosecond.
//
// A start in another form than the documented one is read too, wherever the transform reads it: a call must not have a start in the
// warehouse and none for the paging.
func unixSeconds(v jsontext.Value) (time.Time, bool) { return unixValue(v, time.Second) }
func unixMillis(v jsontext.Value) (time.Time, bool)  { return unixValue(v, time.Millisecond) }

func unixValue(v jsontext.Value, unit time.Duration) (time.Time, bool) {
	switch v.Kind() {
	case '0':
		return unixTime(string(v), unit)
	case '"':
		if at, ok := isoTime(v); ok {
			return at, true
		}
		if text := jsontext.Value(strings.TrimSpace(stringOf(v))); text.Kind() == '0' && text.IsValid() {
			return unixTime(string(text), unit)
		}
	}
	return time.Time{}, false
}

// unixTime reads a decimal number of units since 1970. It never goes through a float, which would move a start of sixteen digits, and with
// it the edge of a page; a float only decides whether the number is of a sane size.
func unixTime(text string, unit time.Duration) (time.Time, bool) {
	if at, ok := plainUnix(text, unit); ok {
		return at, true
	}
	return carefulUnix(text, unit)
}

func carefulUnix(text string, unit time.Duration) (time.Time, bool) {
	size, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(size)*unit.Seconds() > farthest {
		return time.Time{}, false
	}
	if !plainDecimal(text) {
		text = strconv.FormatFloat(size, 'f', -1, 64) // an exponent could be made to cost gigabytes
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok {
		return time.Time{}, false
	}
	nanos := new(big.Int).Mul(exact.Num(), big.NewInt(int64(unit)))
	nanos.Div(nanos, exact.Denom())
	seconds, rest := new(big.Int).DivMod(nanos, big.NewInt(int64(time.Second)), new(big.Int))
	return time.Unix(seconds.Int64(), rest.Int64()).UTC(), true
}

// plainUnix reads what nearly every start is: digits of a sane number, with few decimals or none. It reports false for all others.
func plainUnix(text string, unit time.Duration) (time.Time, bool) {
	const most = 13 // digits: of seconds, a tenth of what is farthest
	whole, fraction, point := strings.Cut(text, ".")
	if whole == "" || len(whole) > most || point && fraction == "" || len(fraction) > 9 {
		return time.Time{}, false
	}
	var units, parts, of int64 = 0, 0, 1
	for i := range len(whole) {
		if whole[i] < '0' || whole[i] > '9' {
			return time.Time{}, false
		}
		units = 10*units + int64(whole[i]-'0')
	}
	for i := range len(fraction) {
		if fraction[i] < '0' || fraction[i] > '9' {
			return time.Time{}, false
		}
		parts, of = 10*parts+int64(fraction[i]-'0'), 10*of
	}
	perSecond := int64(time.Second / unit)
	nanos := units%perSecond*int64(unit) + parts*int64(unit)/of
	return time.Unix(units/perSecond, nanos).UTC(), true
}

// plainDecimal reports whether a number is digits, a point and a sign, and not long.
func plainDecimal(text string) bool {
	for _, c := range text {
		if (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return len(text) <= 64
}

// isoLayouts are how ISO 8601 is written in the wild. Go reads a fraction of a second after the seconds of any of them.
var isoLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
}

// isoTime reads an instant from a JSON string in ISO 8601. One without an offset is UTC. A number is a Unix time in seconds or
// milliseconds: of a call of this century, whichever it is can be told.
func isoTime(v jsontext.Value) (time.Time, bool) {
	switch v.Kind() {
	case '"':
		return isoText(strings.TrimSpace(stringOf(v)))
	case '0':
		for _, unit := range []time.Duration{time.Second, time.Millisecond} {
			if at, ok := unixTime(string(v), unit); ok && at.Year() >= 2000 && at.Year() < 2100 {
				return at, true
			}
		}
	}
	return time.Time{}, false
}

func isoText(text string) (time.Time, bool) {
	const day = len("2006-01-02")
	if len(text) > day && (text[day] == ' ' || text[day] == 't') {
		text = text[:day] + "T" + text[day+1:]
	}
	for _, layout := range isoLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// stringOf is the text of a JSON string; what is no valid UTF-8 in it is replaced.
func stringOf(v jsontext.Value) string {
	if plain := rawjson.Text(v); utf8.ValidString(plain) {
		return plain
	}
	text, err := jsontext.AppendUnquote(nil, v)
	if err != nil && len(text) == 0 {
		return ""
	}
	return string(text)
}

// floor and ceil round to a unit since 1970; time.Truncate counts from the year 1, which comes to the same for units up to a second.
func floor(t time.Time, unit time.Duration) time.Time { return t.Truncate(unit) }
func ceil(t time.Time, unit time.Duration) time.Time {
	if down := floor(t, unit); !down.Equal(t) {
		return down.Add(unit)
	}
	return t
}
