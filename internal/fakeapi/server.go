// Package fakeapi is the three providers, faked from a seed and served over HTTP, for the tests and for the demo.
//
// It owns the providers' side of the contract: paths, authentication, filters, page sizes, order, positions, totals, error bodies and the
// wire format, field for field as the vendors document them, and a plausible population of calls, some of which are under way and settle
// as the clock goes on. It refuses to know anything of syncd: it imports nothing of ours, so that it can never agree with a mistake.
//
// A call is a pure function of the seed, its number and the provider's clock. Two servers with equal options answer alike, byte for byte, at
// equal times; only the signature of Voicy's recording_url changes at every request, as the vendor's does.
//
// It knows these faults and hardships, each off until a test asks for it:
//
//   - calls that are listed late, and change their status, their cost and then their cost again at given ages: [Settling];
//   - deletions, at given ages or at random: [Options] Deleted, or [Server.Remove]; [Server.All] and [Server.Deleted] tell the truth of a moment;
//   - outages, cut connections and storms of 429: [Outage]; a rate limit and its Retry-After: [Options];
//   - a list that changes while it is read: [Options] OnList, with [Server.Insert], [Server.Put] and [Server.Remove];
//   - calls that break every page that holds them: [Server.Poison];
//   - positions that are refused: [Server.ForgetPositions], [Server.Forget];
//   - keys that are rotated, or that open another account: [Server.SetKey], [Switch];
//   - everything else that a provider, a proxy or the network can do to an answer, by kind, for chosen requests or by chance: [Server.Inject],
//     [Chaos], [Server.Heal]; [Kinds] are all of them, in groups by what they leave of the data, and [Server.Injected] counts what they broke;
//   - a port that nobody listens on: [Listening.Shut];
//   - anything yet unheard of: [Options] Intercept.
//
// Where several faults meet one request, they have their turns in this order: the connection breaks; the wait before the headers; an answer in
// the provider's stead, a refusal or a redirect; a request for a further page becomes one for the first. Then the provider answers, outages and
// the rate limit included, and of its answer these are broken: the records; the list; the frame, which is the body's length, its encoding and
// the headers; and, while it is sent, the body. Within one of these steps the order is that of Inject. Records and lists are broken only in
// answers with status 200, on the finished bytes: [Server.Call] and [Server.All] go on telling the truth. Intercept stands before all of it.
//
// It also counts for the test what its client did: [Server.Busiest], [Server.Traffic], [Server.Served], [Server.Requests]. It answers over a port
// ([Listen]), over httptest, or in memory ([Transport]), where time may be synctest's.
//
// Every name and number in it is made up; the phone numbers come from ranges that are set aside for fiction.
package fakeapi

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Provider names a vendor, in the words of the configuration file.
type Provider string

// The providers.
const (
	Millis Provider = "millis"
	Burki  Provider = "burki"
	Voicy  Provider = "voicy"
)

// Options are what one fake is made from. Provider and Key are required, as are Since and Until where Calls is not zero.
type Options struct {
	Provider Provider
	Seed     uint64
	Key      string // the one valid API key, until SetKey

	Calls        int       // how many calls there are between Since and Until
	Since, Until time.Time // [Since, Until); a call is listed from the moment when the provider's clock reaches its start

	Now         func() time.Time // the provider's clock; nil: time.Now
	MaxPageSize int              // the largest limit accepted; 0: the documented one
	RateLimit   int              // requests a minute before 429; 0: no limit is enforced
	RetryAfter  time.Duration    // what a 429 tells in Retry-After, in whole seconds, rounded up; 0: what the vendor tells
	Legacy      bool             // Burki as its older servers were: a bare array, assistant_graph_name, times without an offset

	Settling     Settling      // how calls change after their start
	Deleted      float64       // the share of calls that the provider deletes, by chance per call
	DeletedAfter time.Duration // from when a call is first listed until it is deleted; 0: between 30 minutes and five days, by chance per call
	Outages      []Outage      // when every request fails
	CountServed  bool          // count how often each call was listed, for Served
	Faults       Chaos         // what goes wrong by chance

	// OnList is called before the nth request for a list page that gets past outages and limits is answered, from 1 on, and may edit the
	// calls: it is how a list changes while it is read.
	OnList func(s *Server, n int)

	// Intercept wraps the provider, once, at New: the seam for other faults. A request that it answers itself is logged like any other.
	Intercept func(http.Handler) http.Handler
}

// Server is one account of one provider. It is an [http.Handler] and safe for concurrent use.
type Server struct {
	opts    Options
	vendor  vendor
	handler http.Handler
	log     requestLog
	limiter limiter
	traffic traffic
	signed  atomic.Uint64 // how many URLs were signed so far: no two are alike
	lists   atomic.Int64  // how many list requests OnList was told of
	key     atomic.Pointer[string]

	positions positions
	usages    usages
	faults    faults

	mu       sync.RWMutex // guards what follows
	calls    calls
	removed  []string // ids that Remove took out of the list
	poisoned map[string]Poisoning
}

// vendor is what each provider does its own way.
type vendor interface {
	routes(*http.ServeMux)
	basePath() string
	operation(path string) operation
	fail(w http.ResponseWriter, status int, message string)

	unit() time.Duration             // the precision of a start
	outcomes() []outcome             // how calls end, and how often
	ringing(c call) []string         // the statuses that a call passes through until it is answered
	talking(c call) string           // the status of an answered call
	id(n int) string                 // the id of generated call n
	number(id string) (n int)        // the inverse, for any id that id may have returned; anything at all for others
	traits(c call, now int64) traits // what the filters look at
	list(c call, now int64) []byte   // the call as an element of the list
	record(c call, now int64) Record // the call in all its parts
	read(list []byte) handmade       // what a hand-made call says of itself
}

// New makes the fake. It panics where the options could not be meant: an unknown provider, no key, calls without a time to be in.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Key == "" {
		panic("fakeapi: Options.Key is empty: say which key is valid")
	}
	if o.Calls > 0 && !o.Since.Before(o.Until) {
		panic("fakeapi: Options.Since must be before Options.Until")
	}
	// Three fakes of one seed are three accounts, not one account three times.
	for _, b := range []byte(o.Provider) {
		o.Seed = mix(o.Seed ^ uint64(b))
	}
	s := &Server{opts: o}
	s.SetKey(o.Key)
	switch o.Provider {
	case Millis:
		s.vendor = millis{s}
	case Burki:
		s.vendor = burki{s}
	case Voicy:
		s.vendor = voicy{s}
	default:
		panic(fmt.Sprintf("fakeapi: unknown provider %q", o.Provider))
	}
	s.calls = generate(o, s.vendor.unit())
	s.decideFates()
	if o.Provider == Voicy {
		s.calls.markTests(func(n int) bool { return s.isTest(n) })
	}
	mux := http.NewServeMux()
	s.vendor.routes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { s.vendor.fail(w, http.StatusNotFound, "Not Found") })
	s.handler = s.faulty(s.failing(s.limited(s.announced(mux))))
	s.Disturb(o.Faults)
	if o.Intercept != nil {
		s.handler = o.Intercept(s.handler)
	}
	return s
}

// BasePath is the path that the provider's base URL ends with: "/functions/v1" for Voicy, "" for the others.
func (s *Server) BasePath() string { return s.vendor.basePath() }

// Provider is whom it fakes.
func (s *Server) Provider() Provider { return s.opts.Provider }

// ServeHTTP answers as the provider does, by the provider's clock.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := s.opts.Now()
	// net/http would write the machine's own clock, which need not be the provider's.
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	s.traffic.arrived(now, s.vendor.operation(r.URL.Path))
	entry, err := readRequest(r, now)
	answer := &statusWriter{ResponseWriter: w}
	// Deferred, as an interceptor may abort the connection by panicking.
	defer func() {
		entry.Status = answer.status
		s.log.add(entry)
	}()
	if err != nil {
		s.vendor.fail(answer, http.StatusBadRequest, "The request body could not be read")
		return
	}
	s.handler.ServeHTTP(answer, r)
}

// announced tells Options.OnList of each request for a list page.
func (s *Server) announced(next http.Handler) http.Handler {
	if s.opts.OnList == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.vendor.operation(r.URL.Path) == listOperation {
			s.opts.OnList(s, int(s.lists.Add(1)))
		}
		next.ServeHTTP(w, r)
	})
}

// now is the provider's clock in Unix nanoseconds.
func (s *Server) now() int64 { return s.opts.Now().UnixNano() }

// handle registers a documented operation, and answers other methods on its path as the provider's framework does.
func (s *Server) handle(mux *http.ServeMux, method, pattern string, h http.HandlerFunc) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == method {
			h(w, r)
			return
		}
		w.Header().Set("Allow", method)
		s.vendor.fail(w, http.StatusMethodNotAllowed, "Method Not Allowed")
	})
}

// maxPage is the largest limit accepted, where documented is the vendor's.
func (s *Server) maxPage(documented int) int {
	if s.opts.MaxPageSize > 0 {
		return s.opts.MaxPageSize
	}
	return documented
}

// statusWriter remembers the status for the request log.
type statusWriter struct {
	http.ResponseWriter
	status int // 0 until the header is written
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets an interceptor reach the connection through [http.ResponseController].
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
