package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"syncd/internal/fakeapi"
)

// faultCases are all of them, those that wait longest first.
func faultCases() (all []faultCase) {
	all = append(all, lastingFaults()...)
	all = append(all, largeFaults()...)
	all = append(all, passingFaults()...)
	all = append(all, refusals()...)
	all = append(all, unreadableAnswers()...)
	all = append(all, oddRecords()...)
	all = append(all, untrueLists()...)
	return append(all, harmlessFaults()...)
}

// lastingFaults outlast the attempts of a run. The provider, or the way to it, is in trouble: nothing is stored, and nothing else is asked for.
func lastingFaults() []faultCase {
	down := func(k fakeapi.Kind, p fakeapi.Provider, says ...string) faultCase {
		return faultCase{kind: k, how: "lasting", at: p, code: exitFailed, row: nothing, says: says, retried: true}
	}
	shut := down(fakeapi.Refused, fakeapi.Burki, "{where}", "dial: connection refused, "+network)
	shut.how = "by a closed port"
	headers := down(fakeapi.SlowHeaders, fakeapi.Voicy, "{where}", "no whole answer within 1s, "+network)
	headers.timeout = "1s"
	body := down(fakeapi.SlowBody, fakeapi.Burki, "{where}", "no whole answer within 1s, tried 6 times (status 200)")
	body.timeout = "1s"
	return []faultCase{
		headers, body, shut,
		down(fakeapi.Refused, fakeapi.Millis, "{where}", "read: connection reset by peer, "+network),
		down(fakeapi.Reset, fakeapi.Voicy, "{where}", "read: connection reset by peer, "+network),
		down(fakeapi.HangUp, fakeapi.Millis, "{where}", "the connection was closed, "+network),
		down(fakeapi.CutBody, fakeapi.Burki, "{where}", "the answer broke off after ", ": the connection was closed, tried 6 times (status 200)"),
		down(fakeapi.LongContentLength, fakeapi.Voicy, "{where}", "the answer broke off after ", ": the connection was closed, tried 6 times (status 200)"),
		down(fakeapi.InternalServerError, fakeapi.Millis, "{where}", crowded+"500): answer begins "),
		down(fakeapi.BadGateway, fakeapi.Burki, "{where}", crowded+`502): answer begins "502 Bad Gateway`),
		down(fakeapi.ServiceUnavailable, fakeapi.Voicy, "{where}", crowded+"503): answer begins "),
		down(fakeapi.GatewayTimeout, fakeapi.Millis, "{where}", crowded+`504): answer begins "504 Gateway Time`),
	}
}

// passingFaults are over before the attempts are: nobody is told but who looks at sync.runs.
func passingFaults() []faultCase {
	passing := func(k fakeapi.Kind, p fakeapi.Provider, f fakeapi.Fault) faultCase {
		f.Times = 2
		return faultCase{kind: k, how: "passing", at: p, fault: f, quiet: true, retried: true}
	}
	once := func(k fakeapi.Kind, p fakeapi.Provider, f fakeapi.Fault) faultCase {
		c := passing(k, p, f)
		c.fault.Times = 1
		return c
	}
	headers, body := passing(fakeapi.SlowHeaders, fakeapi.Millis, fakeapi.Fault{Skip: 2}), passing(fakeapi.SlowBody, fakeapi.Voicy, fakeapi.Fault{Skip: 30})
	headers.timeout, body.timeout = "2s", "2s"
	later := func(k fakeapi.Kind, p fakeapi.Provider, f fakeapi.Fault) faultCase { // it asks for a wait that nobody sleeps: the error says until when
		return faultCase{kind: k, how: "lasting", at: p, fault: f, code: exitFailed, row: "failed 0 0 0 0 1",
			says: []string{"{where}", "the provider cannot answer now (status 429), asks to be left alone until 20", "Z: answer begins"}}
	}
	return []faultCase{
		// A 429 that tells nothing holds up the account for ten seconds: that is the pause, and a lasting one would wait for a minute.
		once(fakeapi.RetryAfterAbsent, fakeapi.Burki, fakeapi.Fault{}),
		once(fakeapi.RetryAfterAbsurd, fakeapi.Millis, fakeapi.Fault{Text: "soon"}),
		headers, body,
		once(fakeapi.RetryAfterSeconds, fakeapi.Voicy, fakeapi.Fault{For: 2 * time.Second}),
		once(fakeapi.RetryAfterDate, fakeapi.Millis, fakeapi.Fault{For: 2 * time.Second}),
		later(fakeapi.RetryAfterSeconds, fakeapi.Burki, fakeapi.Fault{For: 10 * time.Minute}),
		later(fakeapi.RetryAfterDate, fakeapi.Voicy, fakeapi.Fault{For: 10 * time.Minute}),
		later(fakeapi.RetryAfterAbsurd, fakeapi.Burki, fakeapi.Fault{Text: "99999999999999"}),
		passing(fakeapi.Refused, fakeapi.Voicy, fakeapi.Fault{Skip: 3}),
		passing(fakeapi.Reset, fakeapi.Burki, fakeapi.Fault{Skip: 20}),
		passing(fakeapi.HangUp, fakeapi.Voicy, fakeapi.Fault{Skip: 20}),
		passing(fakeapi.CutBody, fakeapi.Millis, fakeapi.Fault{Skip: 2}),
		passing(fakeapi.LongContentLength, fakeapi.Burki, fakeapi.Fault{Skip: 1}),
		passing(fakeapi.InternalServerError, fakeapi.Burki, fakeapi.Fault{Skip: 50}),
		passing(fakeapi.BadGateway, fakeapi.Voicy, fakeapi.Fault{}),
		passing(fakeapi.ServiceUnavailable, fakeapi.Millis, fakeapi.Fault{Skip: 1}),
		passing(fakeapi.GatewayTimeout, fakeapi.Voicy, fakeapi.Fault{Skip: 40}),
	}
}

// largeFaults are bodies that no process should hold: the limit is 64 MiB, and what is beyond it is never read.
func largeFaults() []faultCase {
	turn := int64(50_000_000)
	if raceDetector {
		turn /= 10
	}
	large := []string{"{where}", "the answer is larger than 67108864 bytes (status 200)", "a smaller page_size makes smaller answers"}
	return []faultCase{
		{kind: fakeapi.GzipBomb, how: "of a gigabyte", at: fakeapi.Voicy, fault: fakeapi.Fault{Times: 1, On: pagesOnly}, code: exitFailed, row: `failed \d+ \d+ \d+ 0 \d+`, says: large, most: 500},
		{kind: fakeapi.EndlessBody, how: "of two gigabytes", at: fakeapi.Burki, fault: fakeapi.Fault{Times: 1, On: pagesOnly, Size: 2 << 30}, code: exitFailed, row: `failed \d+ \d+ \d+ 0 \d+`, says: large, most: 500},
		{kind: fakeapi.HugeTranscript, how: "of 50 MB", at: fakeapi.Voicy, fault: fakeapi.Fault{One: true, Size: turn}, quiet: true, most: 1000, again: lied, also: holdsAll(turn)},
	}
}

// holdsAll fails unless the longest turn is as long as the provider's.
func holdsAll(bytes int64) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		want := `{"n":` + strconv.FormatInt(bytes, 10) + `}`
		if got := strings.TrimSpace(answers(t, path, `SELECT max(strlen(content)) AS n FROM call_messages`)[0]); got != want {
			t.Errorf("the longest turn is %s, want %s", got, want)
		}
	}
}

// refusals send the client away; one of a position reaches Voicy alone, as Millis and Burki are asked by times and offsets. A lasting one ends with what a person must do; a passing one is no reason to lose what was read before it.
func refusals() []faultCase {
	const first = "failed 0 0 0 0 1"
	key := []string{"{where}", "the provider refuses the key (status 40", badKey}
	expired := []string{"{where}", " at position voicy1 read 25: the provider refuses the position (status 400)", "the window starts over"}
	return []faultCase{
		{kind: fakeapi.Unauthorized, how: "from the start", at: fakeapi.Millis, code: exitFailed, row: first, says: key},
		{kind: fakeapi.Unauthorized, how: "in mid-run", at: fakeapi.Burki, fault: fakeapi.Fault{Skip: 3}, code: exitFailed, row: `failed \d+ 0 \d+ 0 4`, says: key},
		{kind: fakeapi.Unauthorized, how: "of single calls", at: fakeapi.Voicy, fault: fakeapi.Fault{On: func(r fakeapi.Request) bool { return !pagesOnly(r) }}, code: exitFailed,
			row: `failed 60 0 \d+ 0 \d+`, says: []string{"syncd: voicy: GET /call-get/{call_id}: the provider refuses the key (status 401)", badKey}},
		{kind: fakeapi.Forbidden, how: "lasting", at: fakeapi.Voicy, code: exitFailed, row: first, says: key},
		{kind: fakeapi.RedirectElsewhere, how: "lasting", at: fakeapi.Burki, code: exitFailed, row: first,
			says: []string{"{where}", "redirected to another host, http://elsewhere.example:80, where the key is not sent (status 307); set base_url to where the provider's API is now"}},
		{kind: fakeapi.RedirectLoop, how: "lasting", at: fakeapi.Voicy, code: exitFailed, row: "failed 0 0 0 0 6",
			says: []string{"{where}", "redirected more than 5 times; set base_url to where the provider's API is now"}},
		{kind: fakeapi.ExpiredPosition, how: "passing", at: fakeapi.Voicy, fault: fakeapi.Fault{Times: 1}, quiet: true},
		{kind: fakeapi.ExpiredPosition, how: "lasting", at: fakeapi.Voicy, code: exitFailed, row: `failed \d+ \d+ \d+ 0 \d+`, says: expired},
	}
}

// unreadableAnswers leave their windows open. Where there is nothing else, the run asks no more after five; one alone costs its window, and only until
// the next run.
func unreadableAnswers() []faultCase {
	const five = `failed 0 0 0 0 \d`
	unreadable := func(k fakeapi.Kind, p fakeapi.Provider, says ...string) faultCase {
		return faultCase{kind: k, how: "lasting", at: p, code: exitFailed, row: five, says: append(append([]string{"{where}"}, says...), stays, asksOn)}
	}
	one := func(k fakeapi.Kind, p fakeapi.Provider, says ...string) faultCase {
		return faultCase{kind: k, how: "once", at: p, fault: fakeapi.Fault{Times: 1, On: pagesOnly}, code: exitFailed, row: `failed \d+ \d+ \d+ 0 \d+`,
			says: append(append([]string{"{where}"}, says...), stays)}
	}
	const notJSON = "the answer stops being JSON at byte "
	return []faultCase{
		unreadable(fakeapi.HTMLPage, fakeapi.Burki, notJSON+"0; it calls itself text/html (status 200): answer begins \"HTML of 163 bytes with the title Please sign in\""),
		one(fakeapi.HTMLPage, fakeapi.Millis, notJSON+"0; it calls itself text/html (status 200)"),
		unreadable(fakeapi.ErrorObject, fakeapi.Burki, "(status 200)"),
		one(fakeapi.ErrorObject, fakeapi.Voicy, "(status 200)"),
		unreadable(fakeapi.EmptyBody, fakeapi.Millis, "the answer is empty (status 200)"),
		one(fakeapi.EmptyBody, fakeapi.Voicy, "the answer is empty (status 200)"),
		unreadable(fakeapi.ShortBody, fakeapi.Voicy, "the answer is JSON that breaks off after "),
		one(fakeapi.ShortBody, fakeapi.Burki, "the answer is JSON that breaks off after "),
		unreadable(fakeapi.NotANumber, fakeapi.Millis, notJSON),
		unreadable(fakeapi.DeepestNesting, fakeapi.Burki, notJSON),
	}
}

// oddRecords are records of another shape in pages that can be read. What can be told of them is stored, what cannot is rejected, with its bytes.
func oddRecords() []faultCase {
	odd := func(k fakeapi.Kind, p fakeapi.Provider, f fakeapi.Fault) faultCase {
		return faultCase{kind: k, how: "at " + string(p), at: p, fault: f, quiet: true, again: lied}
	}
	listed := fakeapi.Fault{On: pagesOnly}
	rejected := func(k fakeapi.Kind) faultCase { // Millis' cursor is the time of a page's last call: the list goes on without an id
		c := odd(k, fakeapi.Millis, fakeapi.Fault{})
		c.row = `done 0 0 0 6\d \d+`
		return c
	}
	lost := func(k fakeapi.Kind, p fakeapi.Provider) faultCase { // the others go on from a call, and there is none
		c := odd(k, p, fakeapi.Fault{})
		c.code, c.row, c.quiet, c.says = exitFailed, `failed 0 0 0 \d+ \d+`, false, []string{"{where}", noID, stays}
		return c
	}
	return []faultCase{
		odd(fakeapi.NumbersAsStrings, fakeapi.Burki, fakeapi.Fault{}), odd(fakeapi.NumbersAsStrings, fakeapi.Voicy, fakeapi.Fault{}),
		odd(fakeapi.ObjectsAsStrings, fakeapi.Millis, fakeapi.Fault{}), odd(fakeapi.ObjectsAsStrings, fakeapi.Voicy, listed),
		inDetails(fakeapi.ObjectsAsStrings),
		odd(fakeapi.StringsAsNumbers, fakeapi.Burki, fakeapi.Fault{}), odd(fakeapi.StringsAsNumbers, fakeapi.Voicy, fakeapi.Fault{}),
		odd(fakeapi.NullFields, fakeapi.Burki, fakeapi.Fault{}), odd(fakeapi.NullFields, fakeapi.Voicy, fakeapi.Fault{}),
		rejected(fakeapi.MissingID), lost(fakeapi.MissingID, fakeapi.Voicy),
		rejected(fakeapi.EmptyRecord), lost(fakeapi.EmptyRecord, fakeapi.Burki),
		rejected(fakeapi.ArrayRecord), lost(fakeapi.ArrayRecord, fakeapi.Voicy),
		odd(fakeapi.GiantIntegers, fakeapi.Burki, fakeapi.Fault{}),
		odd(fakeapi.HugeFloats, fakeapi.Millis, fakeapi.Fault{}), odd(fakeapi.HugeFloats, fakeapi.Voicy, fakeapi.Fault{}),
		odd(fakeapi.LoneSurrogates, fakeapi.Burki, fakeapi.Fault{}), odd(fakeapi.LoneSurrogates, fakeapi.Voicy, listed),
		odd(fakeapi.InvalidUTF8, fakeapi.Millis, fakeapi.Fault{}), odd(fakeapi.InvalidUTF8, fakeapi.Voicy, listed),
		odd(fakeapi.DeepNesting, fakeapi.Millis, fakeapi.Fault{}), odd(fakeapi.DeepNesting, fakeapi.Burki, fakeapi.Fault{}),
		odd(fakeapi.UnknownFields, fakeapi.Burki, fakeapi.Fault{}),
	}
}

// inDetails is a lie in the answers about single calls, while the list is right.
func inDetails(k fakeapi.Kind) faultCase {
	return faultCase{kind: k, how: "in details alone", at: fakeapi.Voicy, fault: fakeapi.Fault{On: func(r fakeapi.Request) bool { return !pagesOnly(r) }}, quiet: true, again: lied}
}

// untrueLists say what is not so of the list. What can be seen to disagree is an error with both numbers, and the window stays open; Millis tells no
// total, so that a page of its list is believed.
func untrueLists() []faultCase {
	disagree := func(k fakeapi.Kind, p fakeapi.Provider, f fakeapi.Fault, row string) faultCase {
		return faultCase{kind: k, how: "at " + string(p), at: p, fault: f, code: exitFailed, row: row,
			says: []string{"syncd: " + string(p) + ": [20", "the provider's count and what it returned disagree: it counts ", " calls and returned ", "; read again at the next sync"}}
	}
	strange := func(k fakeapi.Kind, p fakeapi.Provider, row string, says ...string) faultCase {
		return faultCase{kind: k, how: "at " + string(p), at: p, code: exitFailed, row: row, says: append(append([]string{"{where}"}, says...), stays)}
	}
	const some = `failed \d+ \d+ \d+ 0 \d+`
	emptied := faultCase{kind: fakeapi.EmptyPage, how: "at millis", at: fakeapi.Millis, code: exitFailed, row: some,
		says: []string{"{where}", "a page without calls names a page after it (status 200)", stays}, again: "Millis tells no total: a window of one page is believed to be empty"}
	vanished := faultCase{kind: fakeapi.VanishedRows, how: "at millis", at: fakeapi.Millis, row: `done \d+ \d+ \d+ 0 \d+`, quiet: true, again: "Millis tells no total: a list that lacks some is believed"}
	return []faultCase{
		strange(fakeapi.RepeatedPage, fakeapi.Burki, some, " at position burki2 row 2", "the page is the same as the one before (status 200)"),
		strange(fakeapi.RepeatedPage, fakeapi.Voicy, some, " at position voicy1 read 25: the position does not move (status 200)"),
		strange(fakeapi.EmptyPage, fakeapi.Burki, some, "the page has no calls, and the provider says that "),
		emptied, vanished,
		disagree(fakeapi.VanishedRows, fakeapi.Burki, fakeapi.Fault{}, some),
		disagree(fakeapi.VanishedRows, fakeapi.Voicy, fakeapi.Fault{}, some),
		disagree(fakeapi.TotalOneMore, fakeapi.Voicy, fakeapi.Fault{}, some),
		disagree(fakeapi.TotalOneFewer, fakeapi.Voicy, fakeapi.Fault{}, some),
		disagree(fakeapi.TotalZero, fakeapi.Burki, fakeapi.Fault{}, some),
		strange(fakeapi.TotalNegative, fakeapi.Burki, some, `"total" is no count (status 200)`),
		strange(fakeapi.TotalNegative, fakeapi.Voicy, some, `"total_count" is no count (status 200)`),
	}
}

// harmlessFaults leave the data right, and nobody is told of them.
func harmlessFaults() []faultCase {
	harmless := func(k fakeapi.Kind, p fakeapi.Provider) faultCase {
		return faultCase{kind: k, how: "at " + string(p), at: p, quiet: true}
	}
	skewed := func(how string, p fakeapi.Provider, by time.Duration) faultCase {
		c := harmless(fakeapi.ClockSkew, p)
		c.how, c.fault.For, c.again = how, by, "what was read was dated by a wrong clock, and proves another age than it was read at"
		if by > 0 { // what is believed of a clock that is behind proves less, and nothing is lost by it
			c.quiet, c.says = false, []string{"the provider's clock is ahead of this machine's, and is not believed yet"}
		}
		return c
	}
	return []faultCase{
		harmless(fakeapi.RedirectHere, fakeapi.Voicy), harmless(fakeapi.RedirectHere, fakeapi.Burki),
		harmless(fakeapi.WrongContentType, fakeapi.Millis),
		harmless(fakeapi.NoContentLength, fakeapi.Burki),
		harmless(fakeapi.Gzipped, fakeapi.Voicy),
		harmless(fakeapi.NoDate, fakeapi.Burki),
		harmless(fakeapi.NonsenseDate, fakeapi.Millis),
		harmless(fakeapi.ShuffledRows, fakeapi.Burki), harmless(fakeapi.ShuffledRows, fakeapi.Millis),
		harmless(fakeapi.DuplicatedRows, fakeapi.Burki), harmless(fakeapi.DuplicatedRows, fakeapi.Voicy),
		skewed("a day ahead", fakeapi.Millis, 24*time.Hour), skewed("a day behind", fakeapi.Voicy, -24*time.Hour),
	}
}
