package fakeapi

import "fmt"

// Kind is a way in which an answer goes wrong. Its zero value is none.
type Kind int

// Kinds of the connection.
const (
	// Refused: nobody listens. In memory the client's error is ECONNREFUSED; over a port, where the connection stands already, it is Reset,
	// and [Listening.Shut] is the true thing.
	Refused Kind = iota + 1
	// Reset: the connection ends by a RST before the answer; in memory, ECONNRESET.
	Reset
	// HangUp: the connection is closed before the answer. Over a port, net/http's client asks again by itself, unseen by its caller, where the
	// connection had served before and the method is idempotent; the same holds for Reset.
	HangUp
	// CutBody: the answer is right up to the byte At, where the connection is closed.
	CutBody
	// SlowHeaders: nothing comes for the time For, or until the client gives up; then the answer.
	SlowHeaders
	// SlowBody: the body comes in ten pieces over the time For.
	SlowBody
)

// Kinds of refusals: the provider, or a proxy before it, answers with another status and does nothing.
const (
	// RetryAfterSeconds: 429 that asks to wait For, in seconds.
	RetryAfterSeconds Kind = iota + 1 + SlowBody
	// RetryAfterDate: 429 that asks to wait until For from now, as an HTTP date by the provider's clock.
	RetryAfterDate
	// RetryAfterAbsent: 429 without a Retry-After.
	RetryAfterAbsent
	// RetryAfterAbsurd: 429 whose Retry-After is Text; without one, the seed chooses among "99999999999999", "-5", "soon" and a date a year ahead.
	RetryAfterAbsurd
	// InternalServerError: 500 with the vendor's error body.
	InternalServerError
	// BadGateway: 502 with a proxy's HTML page.
	BadGateway
	// ServiceUnavailable: 503 with the vendor's error body.
	ServiceUnavailable
	// GatewayTimeout: 504 with a proxy's HTML page.
	GatewayTimeout
	// Unauthorized: 401 as for a wrong key. With Skip, the key is withdrawn in mid-run.
	Unauthorized
	// Forbidden: 403, as for a key that lost its rights.
	Forbidden
	// RedirectHere: 307 to the same host and path, with the parameter redirected=1 in the query; a request that has it is served.
	RedirectHere
	// RedirectElsewhere: 307 to the same path on another host: Text, or http://elsewhere.example. A request to that host is served.
	RedirectElsewhere
	// RedirectLoop: 307 to the very URL that was asked for.
	RedirectLoop
	// HTMLPage: 200 with a page for people, as a proxy's login is.
	HTMLPage
	// EmptyBody: 200, application/json, and nothing.
	EmptyBody
	// ErrorObject: 200 with a JSON object that tells of an error, and has nothing of what was asked for.
	ErrorObject
	// ExpiredPosition: a request for a further page is refused as one with a forgotten position is. The vendor's words: Millis 422, Voicy 400.
	// Burki, whose position is a plain offset, has no such answer, and is left alone.
	ExpiredPosition
)

// Kinds of the frame around a body.
const (
	// ShortBody: the body ends at the byte At, and Content-Length agrees.
	ShortBody Kind = iota + 1 + ExpiredPosition
	// WrongContentType: the right body as Text, or text/html.
	WrongContentType
	// LongContentLength: Content-Length promises Size bytes more (0: 100) than come before the connection is closed.
	LongContentLength
	// NoContentLength: the right body, chunked.
	NoContentLength
	// Gzipped: the right body with Content-Encoding gzip, whether or not the client asked for it.
	Gzipped
	// GzipBomb: the right body, padded by Size bytes (0: 1 GiB and 1 MiB) and gzipped to a thousandth of it.
	GzipBomb
	// EndlessBody: the right body, padded by Size bytes (0: 300 MiB), chunked. All of it is valid JSON.
	EndlessBody
	// ClockSkew: the Date header, and only it, is For (0: 24 h) ahead of the provider's clock; behind it where For is negative.
	ClockSkew
	// NoDate: there is no Date header.
	NoDate
	// NonsenseDate: the Date header is Text, or a day that no calendar has.
	NonsenseDate
)

// Kinds of the list.
const (
	// RepeatedPage: a request for a further page is answered with the first one, positions and all. Asked for the second page, that is a
	// cursor that does not move.
	RepeatedPage Kind = iota + 1 + NonsenseDate
	// EmptyPage: the rows are gone, and the rest of the page is as it was.
	EmptyPage
	// ShuffledRows: the rows of a page in another order.
	ShuffledRows
	// DuplicatedRows: about a quarter of a page's rows, one at least, come twice.
	DuplicatedRows
	// VanishedRows: about a quarter of the rows are not in the answer. What is missing from one answer that it breaks is never missing from the next.
	VanishedRows
	// TotalOneMore: the total is one too high. Millis tells no total, and is left alone by the kinds that break it.
	TotalOneMore
	// TotalOneFewer: the total is one too low.
	TotalOneFewer
	// TotalZero: the total is 0.
	TotalZero
	// TotalNegative: the total is −1.
	TotalNegative
)

// Kinds of records. The ids stay as they are unless said otherwise. An answer with a part of a call (Burki) is broken as the call is.
const (
	// UnknownFields: a record has fields that no vendor documents.
	UnknownFields Kind = iota + 1 + TotalNegative
	// NumbersAsStrings: every number in a record, the id among them, is a string.
	NumbersAsStrings
	// ObjectsAsStrings: every object and array within a record is a string that holds its JSON.
	ObjectsAsStrings
	// StringsAsNumbers: every string in a record is a number: its own, or its length.
	StringsAsNumbers
	// NullFields: every field is null.
	NullFields
	// MissingID: a record has no id.
	MissingID
	// GiantIntegers: every number is 10^40.
	GiantIntegers
	// HugeFloats: every number is 1e400, which no float holds.
	HugeFloats
	// NotANumber: a record holds NaN, as one does that is poisoned by InvalidJSON.
	NotANumber
	// LoneSurrogates: every text in a record holds the escape \ud800 without its other half.
	LoneSurrogates
	// InvalidUTF8: every text in a record holds the bytes ff fe.
	InvalidUTF8
	// DeepNesting: a free-form field of the record holds objects in objects, 10 deep unless Depth says otherwise.
	DeepNesting
	// DeepestNesting: the same, 10,000 deep.
	DeepestNesting
	// HugeTranscript: a transcript holds a turn of Size bytes (0: 50 MB), which is made while it is sent. Only answers that hold a transcript are met.
	HugeTranscript
	// EmptyRecord: {} in place of a record.
	EmptyRecord
	// ArrayRecord: an array that holds the record in its place.
	ArrayRecord
)

// stage is when a fault has its turn.
type stage int

const (
	onConnection stage = iota // before anything is asked
	beforeAnswer              // the wait
	inStead                   // an answer that is not the provider's
	onRequest                 // the provider is asked for something else
	onRecords
	onList
	onFrame
	onStream // while the body is sent
)

// group is what a fault leaves of an answer.
type group int

const (
	transient group = iota
	refusing
	malformed
	misshapen
	misleading
	benign
)

type kindEntry struct {
	name  string
	stage stage
	group group
	scope operation // callOperation: an answer with records; listOperation: a page of the list; otherOperation: any answer
}

// kinds is the catalogue, by Kind.
var kinds = [...]kindEntry{
	Refused:     {"refused", onConnection, transient, otherOperation},
	Reset:       {"reset", onConnection, transient, otherOperation},
	HangUp:      {"hang-up", onConnection, transient, otherOperation},
	CutBody:     {"cut-body", onStream, transient, otherOperation},
	SlowHeaders: {"slow-headers", beforeAnswer, transient, otherOperation},
	SlowBody:    {"slow-body", onStream, transient, otherOperation},

	RetryAfterSeconds:   {"retry-after-seconds", inStead, transient, otherOperation},
	RetryAfterDate:      {"retry-after-date", inStead, transient, otherOperation},
	RetryAfterAbsent:    {"retry-after-absent", inStead, transient, otherOperation},
	RetryAfterAbsurd:    {"retry-after-absurd", inStead, transient, otherOperation},
	InternalServerError: {"internal-server-error", inStead, transient, otherOperation},
	BadGateway:          {"bad-gateway", inStead, transient, otherOperation},
	ServiceUnavailable:  {"service-unavailable", inStead, transient, otherOperation},
	GatewayTimeout:      {"gateway-timeout", inStead, transient, otherOperation},
	Unauthorized:        {"unauthorized", inStead, refusing, otherOperation},
	Forbidden:           {"forbidden", inStead, refusing, otherOperation},
	RedirectHere:        {"redirect-here", inStead, benign, otherOperation},
	RedirectElsewhere:   {"redirect-elsewhere", inStead, refusing, otherOperation},
	RedirectLoop:        {"redirect-loop", inStead, refusing, otherOperation},
	HTMLPage:            {"html-page", inStead, malformed, otherOperation},
	EmptyBody:           {"empty-body", inStead, malformed, otherOperation},
	ErrorObject:         {"error-object", inStead, malformed, otherOperation},
	ExpiredPosition:     {"expired-position", inStead, refusing, listOperation},

	ShortBody:         {"short-body", onFrame, malformed, otherOperation},
	WrongContentType:  {"wrong-content-type", onFrame, benign, otherOperation},
	LongContentLength: {"long-content-length", onFrame, transient, otherOperation},
	NoContentLength:   {"no-content-length", onFrame, benign, otherOperation},
	Gzipped:           {"gzipped", onFrame, benign, otherOperation},
	GzipBomb:          {"gzip-bomb", onFrame, malformed, otherOperation},
	EndlessBody:       {"endless-body", onFrame, malformed, otherOperation},
	ClockSkew:         {"clock-skew", onFrame, benign, otherOperation},
	NoDate:            {"no-date", onFrame, benign, otherOperation},
	NonsenseDate:      {"nonsense-date", onFrame, benign, otherOperation},

	RepeatedPage:   {"repeated-page", onRequest, misleading, listOperation},
	EmptyPage:      {"empty-page", onList, misleading, listOperation},
	ShuffledRows:   {"shuffled-rows", onList, benign, listOperation},
	DuplicatedRows: {"duplicated-rows", onList, benign, listOperation},
	VanishedRows:   {"vanished-rows", onList, misleading, listOperation},
	TotalOneMore:   {"total-one-more", onList, misleading, listOperation},
	TotalOneFewer:  {"total-one-fewer", onList, misleading, listOperation},
	TotalZero:      {"total-zero", onList, misleading, listOperation},
	TotalNegative:  {"total-negative", onList, misleading, listOperation},

	UnknownFields:    {"unknown-fields", onRecords, benign, callOperation},
	NumbersAsStrings: {"numbers-as-strings", onRecords, misshapen, callOperation},
	ObjectsAsStrings: {"objects-as-strings", onRecords, misshapen, callOperation},
	StringsAsNumbers: {"strings-as-numbers", onRecords, misshapen, callOperation},
	NullFields:       {"null-fields", onRecords, misshapen, callOperation},
	MissingID:        {"missing-id", onRecords, misshapen, callOperation},
	GiantIntegers:    {"giant-integers", onRecords, misshapen, callOperation},
	HugeFloats:       {"huge-floats", onRecords, misshapen, callOperation},
	NotANumber:       {"not-a-number", onRecords, malformed, callOperation},
	LoneSurrogates:   {"lone-surrogates", onRecords, malformed, callOperation},
	InvalidUTF8:      {"invalid-utf8", onRecords, malformed, callOperation},
	DeepNesting:      {"deep-nesting", onRecords, misshapen, callOperation},
	DeepestNesting:   {"deepest-nesting", onRecords, malformed, callOperation},
	HugeTranscript:   {"huge-transcript", onRecords, misshapen, callOperation},
	EmptyRecord:      {"empty-record", onRecords, misshapen, callOperation},
	ArrayRecord:      {"array-record", onRecords, misshapen, callOperation},
}

// String is the kind's name: words with hyphens between them.
func (k Kind) String() string {
	if k <= 0 || int(k) >= len(kinds) {
		return fmt.Sprintf("kind-%d", int(k))
	}
	return kinds[k].name
}

// must panics where there is no such kind.
func (k Kind) must() {
	if k <= 0 || int(k) >= len(kinds) {
		panic(fmt.Sprintf("fakeapi: there is no fault of kind %d", int(k)))
	}
}

// fits says whether an answer to the operation may hold what the kind breaks.
func (k Kind) fits(op operation) bool {
	switch kinds[k].scope {
	case listOperation:
		return op == listOperation
	case callOperation:
		return op != otherOperation
	}
	return true
}

// Kinds are all kinds there are. Each is in one of the groups that follow, which say what the fake does, not what a client should make of it.
func Kinds() []Kind {
	all := make([]Kind, 0, len(kinds)-1)
	for k := range kinds[1:] {
		all = append(all, Kind(k+1))
	}
	return all
}

// Transient are the kinds that give nothing, or no whole answer, and say nothing of the data: the same request, asked again when the fault is
// over, is answered rightly.
func Transient() []Kind { return of(transient) }

// Refusing are the kinds that send the client away, by a status that asking again in the same way will not change.
func Refusing() []Kind { return of(refusing) }

// Malformed are the kinds that answer 200 with a body that is not JSON of the vendor's form, or is beyond what anyone should read: the page, or
// the answer for one call, is unreadable as a whole. A lenient reader may yet read some of them.
func Malformed() []Kind { return of(malformed) }

// Misshapen are the kinds that leave a page readable, and make records of it what the vendor does not document.
func Misshapen() []Kind { return of(misshapen) }

// Misleading are the kinds that leave every record as it is, and tell something untrue of the list.
func Misleading() []Kind { return of(misleading) }

// Benign are the kinds that leave the data right, and all of it there.
func Benign() []Kind { return of(benign) }

func of(g group) (out []Kind) {
	for _, k := range Kinds() {
		if kinds[k].group == g {
			out = append(out, k)
		}
	}
	return out
}
