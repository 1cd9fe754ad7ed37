package extract_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/extract"
	"syncd/internal/fakeapi"
	"syncd/internal/fakeapi/openapitest"
)

// What every provider must do, over the fakes and real HTTP.

const testKey = "key-of-the-contract-suite"

var (
	contractSince = time.Date(2025, 3, 3, 0, 0, 0, 0, time.UTC)
	contractUntil = time.Date(2025, 3, 5, 0, 0, 0, 0, time.UTC)
	contractNow   = time.Date(2025, 3, 6, 12, 0, 0, 0, time.UTC)
)

func eachProvider(t *testing.T, test func(t *testing.T, provider string)) {
	t.Helper()
	names := extract.Providers()
	if diff := cmp.Diff([]string{"millis", "burki", "voicy"}, names); diff != "" {
		t.Errorf("a provider has no fake to run the suite against (-fakes +providers):\n%s", diff)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, name)
		})
	}
}

// fake is a provider with its calls, listening.
type fake struct {
	*fakeapi.Server
	url      string
	received *atomic.Int64 // requests, counted as they come
}

func newFake(t *testing.T, o fakeapi.Options) fake {
	t.Helper()
	return listen(t, o, func(s *fakeapi.Server) http.Handler { return s })
}

// newCheckedFake holds every request and answer against the vendor's OpenAPI document, which takes its time.
func newCheckedFake(t *testing.T, o fakeapi.Options) fake {
	t.Helper()
	return listen(t, o, func(s *fakeapi.Server) http.Handler { return openapitest.Handler(t, o.Provider, s) })
}

func listen(t *testing.T, o fakeapi.Options, wrap func(*fakeapi.Server) http.Handler) fake {
	t.Helper()
	if o.Key == "" {
		o.Key = testKey
	}
	if o.Now == nil {
		o.Now = func() time.Time { return contractNow }
	}
	if o.Calls > 0 && o.Since.IsZero() {
		o.Since, o.Until = contractSince, contractUntil
	}
	s := fakeapi.New(o)
	h, received := wrap(s), new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		received.Add(1)
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return fake{s, server.URL + s.BasePath(), received}
}

func (f fake) open(t *testing.T, provider string, pageSize int) extract.Source {
	t.Helper()
	src, err := extract.New(extract.Account{Source: "src", Provider: provider, BaseURL: f.url, Key: testKey, PageSize: pageSize})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// readAll reads a window to its end. Between two pages the position goes through a string, as it does in the warehouse.
func readAll(t *testing.T, src extract.Source, w extract.Window) []extract.Page {
	t.Helper()
	var pages []extract.Page
	for p := extract.Position(""); ; {
		page, err := src.Fetch(t.Context(), w, p)
		if err != nil {
			t.Fatalf("page %d: %v", len(pages)+1, err)
		}
		pages = append(pages, page)
		if page.Done != (page.Next == "") {
			t.Fatalf("page %d: Done is %v and Next is %q", len(pages), page.Done, page.Next)
		}
		if page.Done {
			return pages
		}
		if len(pages) > 5000 {
			t.Fatal("the reading does not end")
		}
		p = extract.Position(strings.Clone(string(page.Next)))
	}
}

// idsOf are the distinct ids of a reading, with how often each was read.
func idsOf(pages []extract.Page) map[string]int {
	ids := map[string]int{}
	for _, page := range pages {
		for _, r := range page.Records {
			ids[r.ID]++
		}
	}
	return ids
}

func wantAll(t *testing.T, want []string, pages []extract.Page) {
	t.Helper()
	got := idsOf(pages)
	for _, id := range want {
		if got[id] == 0 {
			t.Errorf("call %s was never returned", id)
		}
	}
	if total := pages[len(pages)-1].Total; total != nil && int64(len(got)) != *total {
		t.Errorf("%d distinct calls were returned, and the provider says that %d match", len(got), *total)
	}
}

var contractSizes = map[string][]int{"millis": {1, 2, 7, 100}, "burki": {1, 2, 7, 1000}, "voicy": {1, 2, 7, 1000}}

func TestContractEveryCallIsReturned(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Seed: 1, Calls: 60})
		for _, size := range contractSizes[provider] {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				pages := readAll(t, f.open(t, provider, size), extract.Window{Since: contractSince, Until: contractUntil})
				wantAll(t, f.IDs(contractSince, contractUntil), pages)
				for i, page := range pages {
					if page.Shifts != 0 {
						t.Errorf("page %d: %d shifts in a list that did not change", i+1, page.Shifts)
					}
					for _, r := range page.Records {
						if r.ID == "" || r.StartedAt.IsZero() || r.FetchedAt.IsZero() || len(r.Payload) == 0 || r.Payload[0] != '{' {
							t.Errorf("page %d: record is not whole: id %q, start %s, fetched %s, payload %.20q", i+1, r.ID, r.StartedAt, r.FetchedAt, r.Payload)
						}
					}
				}
			})
		}
	})
}

func TestContractDefaultPageSizeNeedsFewRequests(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Seed: 5, Calls: 2500})
		src := f.open(t, provider, 0)
		pages := readAll(t, src, extract.Window{Since: contractSince, Until: contractUntil})
		wantAll(t, f.IDs(contractSince, contractUntil), pages)
		most := map[string]int64{"millis": 27, "burki": 4, "voicy": 3}[provider]
		if got := src.Traffic(); got.Requests > most || got.Requests != f.received.Load() || got.Retries != 0 {
			t.Errorf("traffic is %+v for %d requests received, want at most %d and no retry", got, f.received.Load(), most)
		}
	})
}

func TestContractWindowsSplitAnywhereCoverAll(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Seed: 2, Calls: 300})
		src := f.open(t, provider, 40)
		ids := f.IDs(contractSince, contractUntil)
		rng := rand.New(rand.NewPCG(7, 7))
		for range 4 {
			var pages []extract.Page
			for since := contractSince; since.Before(contractUntil); {
				until := since.Add(time.Duration(rng.Int64N(int64(14 * time.Hour)))).Add(time.Nanosecond)
				if until.After(contractUntil) {
					until = contractUntil
				}
				part := readAll(t, src, extract.Window{Since: since, Until: until})
				wantAll(t, f.IDs(since, until), part)
				pages = append(pages, part...)
				since = until
			}
			got := idsOf(pages)
			for _, id := range ids {
				if got[id] == 0 {
					t.Errorf("call %s is in no window", id)
				}
			}
		}
	})
}

// A reading that is taken up by a new process at every page is the reading of one that never stopped.
func TestContractResumedReadingEqualsUninterrupted(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newCheckedFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Seed: 3, Calls: 50})
		w := extract.Window{Since: contractSince, Until: contractUntil}
		want := readAll(t, f.open(t, provider, 9), w)
		var got []extract.Page
		for p := extract.Position(""); ; {
			page, err := f.open(t, provider, 9).Fetch(t.Context(), w, p)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, page)
			if page.Done {
				break
			}
			if p = page.Next; len(got) > 100 {
				t.Fatal("the reading does not end")
			}
		}
		strip := func(pages []extract.Page) (out []string) {
			for _, page := range pages {
				out = append(out, string(page.Next))
				for _, r := range page.Records {
					out = append(out, r.ID+" "+r.StartedAt.String()+" "+string(r.Payload))
				}
			}
			return out
		}
		if diff := cmp.Diff(strip(want), strip(got)); diff != "" {
			t.Errorf("the two readings differ (-uninterrupted +resumed):\n%s", diff)
		}
	})
}

func TestContractEmptyWindow(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newCheckedFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Seed: 4, Calls: 10})
		year := extract.Window{Since: contractSince.AddDate(-2, 0, 0), Until: contractSince.AddDate(-1, 0, 0)}
		pages := readAll(t, f.open(t, provider, 0), year)
		if len(pages) != 1 || len(pages[0].Records) != 0 {
			t.Errorf("%d pages, %d records of a year without calls", len(pages), len(pages[0].Records))
		}
	})
}

func TestContractProbe(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newCheckedFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Seed: 4, Calls: 10})
		src := f.open(t, provider, 0)
		if err := src.Probe(t.Context()); err != nil {
			t.Errorf("Probe: %v", err)
		}
		if n := f.received.Load(); n != 1 {
			t.Errorf("a probe sent %d requests, want 1", n)
		}
	})
}

func TestContractWrongKeyIsPermanentAndNeverShown(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Key: "another-key", Seed: 4, Calls: 10})
		src := f.open(t, provider, 0)
		_, fetched := src.Fetch(t.Context(), extract.Window{Since: contractSince, Until: contractUntil}, "")
		for _, err := range []error{fetched, src.Probe(t.Context())} {
			e := wantError(t, err, extract.Permanent)
			if e.Status != 401 && e.Status != 403 || !strings.Contains(e.Hint, "key") {
				t.Errorf("status %d, hint %q: want 401 or 403, and a word on the key", e.Status, e.Hint)
			}
		}
	})
}

func TestContractClockIsTheProviders(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newCheckedFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Seed: 4, Calls: 10})
		page := readAll(t, f.open(t, provider, 0), extract.Window{Since: contractSince, Until: contractUntil})[0]
		if late := page.Clock.Sub(contractNow); late > 0 || late < -2*time.Second {
			t.Errorf("clock is %s, the provider's %s: want no later, and hardly earlier", page.Clock, contractNow)
		}
	})
}

func TestContractCancelledContext(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newCheckedFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Seed: 4, Calls: 10})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := f.open(t, provider, 0).Fetch(ctx, extract.Window{Since: contractSince, Until: contractUntil}, "")
		if !errors.Is(err, context.Canceled) || errors.As(err, new(*extract.Error)) {
			t.Errorf("error is %v, want the context's own", err)
		}
	})
}

func TestContractForeignPositionIsLost(t *testing.T) {
	eachProvider(t, func(t *testing.T, provider string) {
		f := newCheckedFake(t, fakeapi.Options{Provider: fakeapi.Provider(provider), Seed: 4, Calls: 10})
		src := f.open(t, provider, 0)
		for _, p := range []extract.Position{"x", `millis1:{"cursor":"1741003200.5","digest":"00"}`, `burki1:{"row":4,"anchor":"17","digest":"00"}`, "millis2:", "millis2:{}", "burki2:{}", "voicy1:{}", `burki2:{"row":-1,"anchor":"a","digest":""}`, `voicy9:{"key":"a"}`} {
			_, err := src.Fetch(t.Context(), extract.Window{Since: contractSince, Until: contractUntil}, p)
			wantError(t, err, extract.Lost)
		}
		if n := f.received.Load(); n != 0 {
			t.Errorf("%d requests were sent for positions that cannot be read", n)
		}
	})
}

// wantError checks the class of an error, and that it names the request and never the key.
func wantError(t *testing.T, err error, class extract.Class) *extract.Error {
	t.Helper()
	var e *extract.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, want an *extract.Error", err)
	}
	if e.Class != class {
		t.Errorf("class is %s, want %s: %v", e.Class, class, err)
	}
	if text := err.Error(); e.Source != "src" || e.Op == "" || !strings.Contains(text, e.Op) || strings.Contains(text, testKey) {
		t.Errorf("error does not name source and request, or names the key: %s", text)
	}
	return e
}
