// Package fakeapi is the three providers, faked from a seed and served over real HTTP, for the tests and for the demo.
//
// It owns the providers' side of the contract: paths, authentication, filters, page sizes, order, positions, totals, error bodies and the
// wire format, field for field as the vendors document them, and a plausible population of calls, some of which are under way and settle
// as the clock goes on. It refuses to know anything of syncd: it imports nothing of ours, so that it can never agree with a mistake.
//
// A call is a pure function of the seed, its number and the provider's clock. Two servers with equal options answer alike, byte for byte, at
// equal times; only the signature of Voicy's recording_url changes at every request, as the vendor's does.
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
	Key      string // the one valid API key

	Calls        int       // how many calls there are between Since and Until
	Since, Until time.Time // [Since, Until); a call is listed from the moment when the provider's clock reaches its start

	Now         func() time.Time // the provider's clock; nil: time.Now
	MaxPageSize int              // the largest limit accepted; 0: the documented one
	RateLimit   int              // requests a minute before 429; 0: no limit is enforced
	Legacy      bool             // Burki as its older servers were: a bare array, assistant_graph_name, times without an offset

	// Intercept wraps the provider, once, at New: the seam for faults. A request that it answers itself is logged like any other.
	Intercept func(http.Handler) http.Handler
}

// Server is one account of one provider. It is an [http.Handler] and safe for concurrent use.
type Server struct {
	opts    Options
	vendor  vendor
	handler http.Handler
	log     requestLog
	limiter limiter
	signed  atomic.Uint64 // how many URLs were signed so far: no two are alike

	mu    sync.RWMutex // guards calls
	calls calls
}

// vendor is what each provider does its own way.
type vendor interface {
	routes(*http.ServeMux)
	basePath() string
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
	if o.Provider == Voicy {
		s.calls.markTests(func(n int) bool { return s.isTest(n) })
	}
	mux := http.NewServeMux()
	s.vendor.routes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { s.vendor.fail(w, http.StatusNotFound, "Not Found") })
	s.handler = s.limited(mux)
	if o.Intercept != nil {
		s.handler = o.Intercept(s.handler)
	}
	return s
}

// BasePath is the path that the provider's base URL ends with: "/functions/v1" for Voicy, "" for the others.
func (s *Server) BasePath() string { return s.vendor.basePath() }

// ServeHTTP answers as the provider does, by the provider's clock.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := s.opts.Now()
	// net/http would write the machine's own clock, which need not be the provider's.
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
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
