package extract

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"syncd/internal/extract/httpapi"
)

// Voicy lists newest first and pages by the id of the last call that was read, so nothing that arrives or goes above it moves what is
// below. There is no marker for the end: an empty page is it, or a short one that does not look capped (total.go). Test calls are asked
// for too, as the warehouse tells them apart and the provider would leave them out.

const (
	voicyForm    = "voicy1"
	voicyMaxPage = 1000
)

type voicy struct {
	list
	details
}

// voicyPosition is where a reading stands.
type voicyPosition struct {
	Key    string `json:"key"`    // the call_id after which to go on
	Read   int64  `json:"read"`   // how many rows were read so far
	Digest string `json:"digest"` // of the page before
}

// voicyQuery is the body of a request for a page.
type voicyQuery struct {
	Filter *voicyFilter `json:"filter_criteria,omitzero"`
	Order  string       `json:"sort_order,omitzero"`
	Limit  int          `json:"limit"`
	Key    string       `json:"pagination_key,omitzero"`
}

type voicyFilter struct {
	Start struct {
		Lower int64 `json:"lower_threshold"` // Unix milliseconds
		Upper int64 `json:"upper_threshold"`
	} `json:"start_timestamp,omitzero"`
	TestCalls bool `json:"include_test_calls"`
}

func openVoicy(a Account, d dialect) (Source, error) {
	account, err := connect(a, d)
	if err != nil {
		return nil, err
	}
	size := a.PageSize
	if size == 0 {
		size = voicyMaxPage
	}
	calls := shape{rows: "calls", ids: []string{"call_id"}, start: "start_timestamp", instant: unixMillis}
	return &voicy{list{
		account: account, method: http.MethodPost, path: "/call-list", pageSize: size, unit: time.Millisecond, shape: calls, count: "total_count",
	}, details{account, []part{
		{name: Single, path: "/call-get/{call_id}", leftOut: true, read: calls.single},
	}}}, nil
}

// Probe implements Source.
func (v *voicy) Probe(ctx context.Context) error {
	r := v.probe()
	a, err := r.askVoicy(ctx, voicyQuery{Limit: 1})
	if err != nil {
		return err
	}
	_, err = r.total(a)
	return err
}

// Total implements Source.
func (v *voicy) Total(ctx context.Context) (total int64, ok bool, err error) {
	r := v.look()
	a, err := r.askVoicy(ctx, voicyQuery{Filter: &voicyFilter{TestCalls: true}, Limit: 1})
	if err != nil {
		return 0, false, err
	}
	return r.all(a)
}

// Fetch implements Source.
func (v *voicy) Fetch(ctx context.Context, w Window, p Position) (Page, error) {
	r := v.read(w, p)
	var before voicyPosition
	if p != "" {
		var err error
		before, err = decodePosition[voicyPosition](voicyForm, p)
		if err == nil && (before.Key == "" || before.Read < 0) {
			err = errPosition
		}
		if err != nil {
			return Page{}, r.lost(err)
		}
	}
	filter := &voicyFilter{TestCalls: true}
	filter.Start.Lower, filter.Start.Upper = r.from.UnixMilli(), r.to.UnixMilli()
	a, err := r.askVoicy(ctx, voicyQuery{Filter: filter, Order: "descending", Limit: v.pageSize, Key: before.Key})
	if err != nil {
		return Page{}, err
	}
	return r.voicyPage(a, before)
}

func (r *reading) askVoicy(ctx context.Context, q voicyQuery) (answer, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return answer{}, r.lost(errPosition) // all but the key is ours
	}
	return r.ask(ctx, httpapi.Request{JSON: body})
}

// voicyPage makes the Page of an answer and checks that it leads on from the one before.
func (r *reading) voicyPage(a answer, before voicyPosition) (Page, error) {
	total, err := r.total(a)
	if err != nil {
		return Page{}, err
	}
	page := r.page(a.records)
	page.Total = total
	n := len(a.records)
	if n == 0 {
		return r.emptyPage(page, before.Key == "")
	}
	if page.Done = r.lastPage(n, total, before.Read+int64(n)); page.Done {
		return page, nil
	}
	last := lastWithID(a.records)
	if last < 0 {
		return Page{}, r.malformed("no call on the page has an id to go on from")
	}
	// Rows below the last one with an id come again, and are counted then.
	next := voicyPosition{Key: a.records[last].ID, Read: before.Read + int64(last) + 1, Digest: digest(a.records)}
	if next.Key == before.Key {
		return Page{}, r.malformed("the position does not move")
	}
	if next.Digest == before.Digest {
		return Page{}, r.malformed("the page is the same as the one before")
	}
	if page.Next, err = encodePosition(voicyForm, next); err != nil {
		return Page{}, r.malformed("%v", err)
	}
	return page, nil
}
