package extract

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"syncd/internal/extract/httpapi"
)

// Account is what a source needs to know of one account.
type Account struct {
	Source    string            // the user's name for it
	Provider  string            // millis, burki or voicy
	BaseURL   string            // "": the provider's default
	Key       string            // the secret; it goes into one header and nowhere else
	PageSize  int               // 0: the provider's maximum
	RateLimit Rate              // zero: none
	Limits    *Limits           // shared by every source that may be of one account; nil: the rate limit is this source's own
	Timeout   time.Duration     // for one request, its body included; 0: 30 s
	UserAgent string            // "": syncd
	Chance    func() float64    // in [0, 1), for the pauses between attempts; nil: the machine's
	Transport http.RoundTripper // nil: one of the source's own. It must not send a request twice: no rate limit would see the second
}

// Rate allows Requests in any span of time Per. The zero Rate is no limit.
type Rate struct {
	Requests int
	Per      time.Duration
}

// Limits makes sources with equal provider, base URL and key, which the provider counts as one account, keep one rate limit. Where their rates
// differ, all of them hold. Sources are opened before the first request, so that no rate misses any. It is safe for concurrent use.
type Limits = httpapi.Limits

// NewLimits makes a set of limits that knows no account yet.
func NewLimits() *Limits { return httpapi.NewLimits() }

// Urgency says which of the requests that wait for an account's rate limit goes first.
type Urgency = httpapi.Urgency

// The urgencies, the highest first.
const (
	Live  = httpapi.Live  // what people wait for, and what is meant where nothing is said
	Later = httpapi.Later // backfill and details: it goes when no Live request of the account waits
)

// WithUrgency returns a context whose requests have the urgency.
func WithUrgency(ctx context.Context, u Urgency) context.Context { return httpapi.WithUrgency(ctx, u) }

// Fingerprint names the account without telling its key: 16 hexadecimal digits that change when provider, base URL or key do, and not when
// the same base URL is written otherwise.
func (a Account) Fingerprint() string {
	for _, p := range providers {
		if p.name == a.Provider {
			return a.digest(p.dialect)[:16]
		}
	}
	return a.digest(dialect{})[:16]
}

// digest is the whole of the fingerprint. Two accounts that share one are one.
func (a Account) digest(d dialect) string {
	sum := sha256.Sum256([]byte(a.Provider + "\x00" + normalURL(a.baseURL(d)) + "\x00" + a.Key)) // no name and no URL has a NUL
	return hex.EncodeToString(sum[:])
}

func (a Account) baseURL(d dialect) string {
	if a.BaseURL == "" {
		return d.baseURL
	}
	return a.BaseURL
}

// normalURL writes a base URL the one way. One that cannot be read stays as it is: no source can be opened with it.
func normalURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text
	}
	host := strings.ToLower(u.Host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme]) // url.Parse writes a scheme in small letters
	return u.Scheme + "://" + host + strings.TrimRight(u.EscapedPath(), "/")
}

// dialect is how the API of one provider is spoken to, whatever is asked for.
type dialect struct {
	baseURL    string
	authScheme string
	maxPage    int
	refusal    string // the key of what it says in the body of a refusal
}

// account is the way to one account, open.
type account struct {
	source  string
	client  *httpapi.Client
	refusal string // see dialect
}

func connect(a Account, d dialect) (account, error) {
	if a.PageSize < 0 || a.PageSize > d.maxPage {
		return account{}, fmt.Errorf("source %s: page_size is %d, where %s allows 1 to %d", a.Source, a.PageSize, a.Provider, d.maxPage)
	}
	client, err := httpapi.New(httpapi.Config{
		BaseURL: a.baseURL(d), AuthHeader: "Authorization", AuthScheme: d.authScheme, Key: a.Key, UserAgent: a.UserAgent,
		Rate: httpapi.Rate(a.RateLimit), Limits: a.Limits, Account: a.digest(d), Timeout: a.Timeout, Chance: a.Chance, Transport: a.Transport,
	})
	if err != nil {
		return account{}, fmt.Errorf("source %s: %w", a.Source, err)
	}
	return account{source: a.Source, client: client, refusal: d.refusal}, nil
}
