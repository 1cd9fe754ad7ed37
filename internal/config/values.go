package config

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/robfig/cron/v3"
)

// boolean reads true or false.
func boolean(v value) (bool, bool) {
	n, ok := v.node.(*ast.BoolNode)
	if !ok {
		v.fail("found %s; want true or false", kind(v.node))
		return false, false
	}
	return n.Value, true
}

var wholeNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)

// whole reads a decimal integer in [least, most].
func whole(least, most int) func(value) (int, bool) {
	want := fmt.Sprintf("a whole number from %d to %d", least, most)
	return func(v value) (int, bool) {
		n, ok := integer(v, want)
		if ok && (n < least || n > most) {
			v.fail("found %d; want %s", n, want)
			return 0, false
		}
		return n, ok
	}
}

// integer reads a decimal integer. What YAML takes for one besides (0x10, 010, 1_000) is refused: its readers differ about it.
func integer(v value, want string) (int, bool) {
	if _, ok := v.node.(*ast.IntegerNode); !ok {
		v.fail("found %s; want %s", kind(v.node), want)
		return 0, false
	}
	digits := v.node.GetToken().Value
	n, err := strconv.Atoi(digits)
	if err != nil || !wholeNumber.MatchString(digits) {
		v.fail("found %s; want %s", digits, want)
		return 0, false
	}
	return n, true
}

// oneOf reads one of a few words.
func oneOf[T ~string](allowed ...T) func(value) (T, bool) {
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	return func(v value) (T, bool) {
		s, ok := v.text()
		if !ok {
			return "", false
		}
		if !slices.Contains(words, s) {
			v.fail("found %s%s want one of %s", excerpt(s), didYouMean(nearest(s, words)), strings.Join(words, ", "))
			return "", false
		}
		return T(s), true
	}
}

// matching reads text of a form.
func matching(form *regexp.Regexp, want string) func(value) (string, bool) {
	return func(v value) (string, bool) {
		s, ok := v.text()
		if ok && !form.MatchString(s) {
			v.fail("found %s; want %s", excerpt(s), want)
			return "", false
		}
		return s, ok
	}
}

// parsed reads text that a function understands. The function's error says what is wanted.
func parsed[T any](parse func(string) (T, error)) func(value) (T, bool) {
	return func(v value) (T, bool) {
		var zero T
		var s string
		switch n := v.node.(type) {
		case *ast.IntegerNode, *ast.FloatNode:
			s = n.GetToken().Value // 30 for 30s: the function knows what is missing
		default:
			var ok bool
			if s, ok = v.text(); !ok {
				return zero, false
			}
		}
		got, err := parse(s)
		if err != nil {
			v.fail("found %s; want %v", excerpt(s), err)
			return zero, false
		}
		return got, true
	}
}

// duration reads a length of time in [least, most].
func duration(least, most time.Duration) func(value) (time.Duration, bool) {
	return parsed(func(s string) (time.Duration, error) {
		d, err := parseDuration(s)
		if err != nil {
			return 0, err
		}
		if d < least || d > most {
			return 0, fmt.Errorf("a duration from %s to %s", short(least), short(most))
		}
		return d, nil
	})
}

var durationForm = regexp.MustCompile(`^(?:([0-9]{1,5})d)?((?:[0-9]+(?:\.[0-9]+)?(?:h|ms|m|s))*)$`)

// parseDuration reads what Go writes for a duration, and days of 24 hours before it: 500ms, 30s, 5m, 1h30m, 7d.
func parseDuration(s string) (time.Duration, error) {
	want := errors.New("a number with its unit, such as 30s, 5m, 24h or 7d")
	m := durationForm.FindStringSubmatch(s)
	if m == nil || s == "" {
		return 0, want
	}
	var d time.Duration
	if m[1] != "" {
		days, err := strconv.Atoi(m[1])
		if err != nil {
			return 0, want
		}
		d = time.Duration(days) * 24 * time.Hour // 99999 days are 274 years: no overflow
	}
	if m[2] != "" {
		rest, err := time.ParseDuration(m[2])
		if err != nil || rest > math.MaxInt64-d {
			return 0, want
		}
		d += rest
	}
	return d, nil
}

// short writes a duration as a person would: 5m, not 5m0s.
func short(d time.Duration) string {
	if d > 0 && d%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ParseDate reads a day, as its midnight in UTC, or an instant with its offset.
func ParseDate(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	// The providers' filters count from 1970.
	if err != nil || t.Before(time.Unix(0, 0)) || t.UTC().Year() > 9999 {
		return time.Time{}, errors.New("a date from 1970 on such as 2025-01-01 (midnight UTC) or 2025-01-01T09:00:00+02:00")
	}
	return t.UTC(), nil
}

var sizeForm = regexp.MustCompile(`^([0-9]{1,15}(?:\.[0-9]{1,9})?) ?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$`)

// parseSize reads a number of bytes: 512MB (decimal), 2GiB (binary).
func parseSize(s string) (int64, error) {
	want := errors.New("a size such as 512MB, 2GB or 2GiB")
	m := sizeForm.FindStringSubmatch(s)
	if m == nil {
		return 0, want
	}
	unit := map[string]int64{
		"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	}[m[2]]
	r, ok := new(big.Rat).SetString(m[1])
	if !ok {
		return 0, want
	}
	r.Mul(r, new(big.Rat).SetInt64(unit))
	n := new(big.Int).Quo(r.Num(), r.Denom())
	if !n.IsInt64() {
		return 0, want
	}
	return n.Int64(), nil
}

// parseMemory reads the warehouse's share of memory.
func parseMemory(s string) (int64, error) {
	n, err := parseSize(s)
	if err == nil && (n < 64e6 || n > 1<<50) {
		err = errors.New("a size from 64MB up") // with less, DuckDB fails at the first large page, in words of its own
	}
	return n, err
}

var rateForm = regexp.MustCompile(`^([1-9][0-9]{0,5})/([smh])$`)

// parseRate reads N/s, N/m or N/h.
func parseRate(s string) (Rate, error) {
	m := rateForm.FindStringSubmatch(s)
	if m == nil {
		return Rate{}, errors.New("a rate such as 5/s, 60/m or 1000/h")
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return Rate{}, err
	}
	return Rate{Requests: n, Per: map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[m[2]]}, nil
}

// parseSchedule checks a cron expression or @every, and returns it as it is.
func parseSchedule(s string) (string, error) {
	want := errors.New(`"@every 5m", "@hourly", or the five fields of cron such as "*/5 * * * *"`)
	// The library would slice out of bounds at a TZ= without a space, and a zone in one schedule is a trap for the reader of the next.
	if strings.HasPrefix(s, "TZ=") || strings.HasPrefix(s, "CRON_TZ=") {
		return "", fmt.Errorf("%w, without a time zone", want)
	}
	if every, ok := strings.CutPrefix(s, "@every "); ok {
		// The library takes less than a second, and less than nothing, for one second.
		if d, err := time.ParseDuration(every); err != nil || d < time.Second {
			return "", errors.New("@every with a duration of at least 1s, such as @every 5m")
		}
	}
	schedule, err := cron.ParseStandard(s)
	if err != nil {
		return "", want
	}
	if schedule.Next(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return "", errors.New("a schedule that comes round: this day is in no calendar")
	}
	return s, nil
}

// parseZone reads a time zone's name from the tz database.
func parseZone(s string) (*time.Location, error) {
	want := errors.New("a time zone such as UTC or Europe/Berlin")
	// Local would make the same warehouse say different days on different machines.
	if s == "" || strings.EqualFold(s, "local") {
		return nil, want
	}
	zone, err := time.LoadLocation(s)
	if err != nil {
		return nil, want
	}
	return zone, nil
}

// baseURL reads where a provider's API is. It goes without the slash at its end. A URL that may hold a secret is not shown.
func baseURL(v value) (string, bool) {
	s, ok := v.text()
	if !ok {
		return "", false
	}
	const want = "want https://host[:port][/path], or http:// for this machine alone"
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "":
		v.fail("found no whole URL; %s", want)
	case u.User != nil:
		v.fail("found a URL with a user name or password; %s; the key comes from api_key_env or api_key_file", want)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		v.fail("found a URL with a query or fragment; %s", want)
	case !validPort(u.Port(), true):
		v.fail("found port %s; %s", u.Port(), want)
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return strings.TrimRight(s, "/"), true
	case u.Scheme == "http":
		v.fail("found %s, over which the key would travel unencrypted; %s", excerpt(s), want)
	default:
		v.fail("found %s; %s", excerpt(s), want)
	}
	return "", false
}

// parseListen reads an address to serve on, or "" for none. It refuses all but loopback: what guards another address is not built yet.
func parseListen(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || !validPort(port, false) {
		return "", errors.New(`host:port such as 127.0.0.1:8080, or "" for none`)
	}
	if !loopback(host) {
		return "", errors.New("an address of this machine alone, such as 127.0.0.1:8080: any other needs token_env and tls, which are not built yet")
	}
	return s, nil
}

func validPort(port string, optional bool) bool {
	if port == "" {
		return optional
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// loopback reports whether a host can be nothing but this machine.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// path reads the name of a file or folder. It is taken as it stands: nothing is expanded, so nothing can expand to "".
func path(v value) (string, bool) {
	s, ok := v.text()
	if !ok {
		return "", false
	}
	if strings.HasPrefix(s, "~") || strings.Contains(s, "$") {
		v.fail("found a path with ~ or $, which is not expanded here; write it out")
		return "", false
	}
	return s, true
}
