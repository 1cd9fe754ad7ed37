package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"syncd/internal/fakeapi"
)

// toldToPeople asks for every text of the schema sync that is written for people. Payloads of rejects are records as they came; so is a sample of
// drift, within what the rules of privacy leave of it.
var toldToPeople = []string{
	`SELECT kind, outcome, error FROM sync.runs`,
	`SELECT state, position, error FROM sync.windows`,
	`SELECT * FROM sync.sources`,
	`SELECT reason, detail FROM sync.rejects`,
	`SELECT state, part, error FROM sync.details`,
	`SELECT path FROM sync.drift`,
}

// private is what no output may hold of a provider's calls.
type private struct {
	numbers []string // the digits of each, without the code of its country
	phrases []string // the longest run of plain words of each turn
}

// privateOf reads it from a warehouse, and makes sure that a search finds it where it is: in the calls and in the turns themselves.
func privateOf(t *testing.T, path string) *private {
	t.Helper()
	s := new(private)
	for _, n := range column(t, path, `SELECT DISTINCT v FROM (SELECT unnest([from_number, to_number, customer_number]) AS v FROM calls) WHERE v IS NOT NULL`) {
		if d := digitsOf(n); len(d) >= 10 {
			s.numbers = append(s.numbers, d[len(d)-10:])
		}
	}
	for _, turn := range column(t, path, `SELECT DISTINCT content AS v FROM call_messages WHERE role <> 'system'`) {
		_, turn, _ = strings.Cut(turn, " ") // some faults break a text after its first blank
		longest := slices.MaxFunc(append(plainWords.FindAllString(turn, -1), ""), func(a, b string) int { return len(a) - len(b) })
		if len(longest) >= 20 {
			s.phrases = append(s.phrases, longest)
		}
	}
	if len(s.numbers) < 15 || len(s.phrases) < 40 {
		t.Fatalf("%d numbers and %d phrases to look for: this shows too little", len(s.numbers), len(s.phrases))
	}
	if calls := answers(t, path, `SELECT * FROM calls`)[0]; s.in(calls) == "" {
		t.Fatal("the search finds no number in the calls, so that it shows nothing")
	}
	if turns := answers(t, path, `SELECT content FROM call_messages`)[0]; s.in(turns) == "" {
		t.Fatal("the search finds no turn in the turns, so that it shows nothing")
	}
	return s
}

var plainWords = regexp.MustCompile(`[A-Za-z ,]+`)

// separators are what may stand between the digits of a number.
var separators = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "", "+", "", "/", "")

func digitsOf(number string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
}

// in returns what a text holds of it; "": nothing. A number is found however it is written.
func (s *private) in(text string) string {
	joined := separators.Replace(text)
	for _, n := range s.numbers {
		if strings.Contains(joined, n) {
			return n
		}
	}
	for _, p := range s.phrases {
		if strings.Contains(text, p) {
			return p
		}
	}
	return ""
}

func (s *private) notIn(t *testing.T, what, text string) {
	t.Helper()
	if found := s.in(text); found != "" {
		t.Errorf("%s tells %q:\n%s", what, found, text)
	}
}

// quickKinds are all faults but those that are slow, that are larger than a test of many has the time for, or that park a source for good.
func quickKinds() (quick []fakeapi.Kind) {
	for _, k := range fakeapi.Kinds() {
		switch k {
		case fakeapi.SlowHeaders, fakeapi.SlowBody, fakeapi.RetryAfterSeconds, fakeapi.RetryAfterDate, fakeapi.RetryAfterAbsent, fakeapi.RetryAfterAbsurd,
			fakeapi.GzipBomb, fakeapi.EndlessBody, fakeapi.HugeTranscript, fakeapi.Unauthorized, fakeapi.Forbidden, fakeapi.RedirectElsewhere, fakeapi.RedirectLoop:
		default:
			quick = append(quick, k)
		}
	}
	return quick
}

// TestNothingPrivateLeavesADaemonInTrouble has a daemon at debug level live with faults of every kind, and asks it for all that it tells: over the
// socket, over HTTP, in its log; and at last in the way of a Go program that is aborted, which shows what every goroutine was doing.
func TestNothingPrivateLeavesADaemonInTrouble(t *testing.T) {
	t.Parallel()
	u := newUndisturbed(t)
	s := newSite(t, 1, providers...)
	urls := make(map[fakeapi.Provider]string)
	for i, p := range providers {
		fake := u.fake(p)
		fake.Disturb(fakeapi.Chaos{Seed: uint64(i) + 7, Share: 0.3, Kinds: quickKinds()})
		l, err := fakeapi.Listen(t.Context(), fake)
		must(t, err)
		t.Cleanup(func() { must(t, l.Close()) })
		s.fakes[p], urls[p] = fake, l.BaseURL
	}
	at := freePort(t)
	s.config = configure(t, filepath.Dir(s.config), urls, "server: {http: \""+at+"\"}\n")
	every(t, s.config, "2s")
	daemon := s.daemon("--log-level", "debug")
	var told []string
	eventually(t, "every source has met many faults", func() bool {
		out, _ := s.run("sync", "--no-progress")
		told = append(told, out)
		return !slices.ContainsFunc(providers, func(p fakeapi.Provider) bool { return len(s.fakes[p].Injected()) < 4 })
	})
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/api/status", "/api/query"} {
		body, status := get(t, "http://"+at+path)
		if (path == "/healthz" || path == "/api/status") && status != 200 {
			t.Errorf("%s: status %d", path, status)
		}
		told = append(told, body)
	}
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"check"}} {
		out, _ := s.run(args...)
		told = append(told, out)
	}
	must(t, daemon.Process.Signal(syscall.SIGQUIT))
	daemon.ends(patience)
	if !strings.Contains(daemon.out.String(), "goroutine ") {
		t.Errorf("an abort shows no goroutine")
	}
	told = append(append(told, daemon.out.String()), answers(t, s.warehouse, toldToPeople...)...)
	text := strings.Join(told, "\n")
	noKeys(t, text)
	for _, p := range providers {
		u.private[p].notIn(t, "the daemon", text)
	}
	if len(text) < 10_000 {
		t.Errorf("hardly anything was told: %q", text)
	}
}

// TestASampleOfDriftIsWithinTheRules has providers send records of other shapes, where no number and no turn may be stored: then no text of any table
// holds one, the samples of drift and the payloads of rejects among them.
func TestASampleOfDriftIsWithinTheRules(t *testing.T) {
	t.Parallel()
	u := newUndisturbed(t)
	for _, numbers := range []string{"drop", "mask"} {
		dir := t.TempDir()
		urls := make(map[fakeapi.Provider]string)
		for i, p := range providers {
			fake := u.fake(p)
			fake.Disturb(fakeapi.Chaos{Seed: uint64(i) + 11, Share: 0.8, Kinds: []fakeapi.Kind{fakeapi.UnknownFields, fakeapi.NumbersAsStrings, fakeapi.ObjectsAsStrings,
				fakeapi.StringsAsNumbers, fakeapi.NullFields, fakeapi.GiantIntegers, fakeapi.LoneSurrogates, fakeapi.InvalidUTF8, fakeapi.DeepNesting, fakeapi.MissingID, fakeapi.ArrayRecord}})
			l, err := fakeapi.Listen(t.Context(), fake)
			must(t, err)
			t.Cleanup(func() { must(t, l.Close()) })
			urls[p] = l.BaseURL
		}
		config := configure(t, dir, urls, "privacy: {phone_numbers: "+numbers+", transcripts: drop}\n")
		out, err := syncd("sync", "-c", config, "--log-level", "debug").CombinedOutput()
		if code := exitCode(err); code == exitUsage {
			t.Fatalf("exit code %d:\n%s", code, out)
		}
		path := filepath.Join(dir, "calls.duckdb")
		samples := answers(t, path, `SELECT sample FROM sync.drift`)[0]
		if strings.Count(samples, "\n") < 5 {
			t.Errorf("hardly any drift was seen: this shows too little")
		}
		stored := strings.Join(answers(t, path, `FROM sync.drift`, `FROM sync.rejects`, `FROM calls`, `FROM raw_calls`, `FROM call_functions`, `FROM call_messages`, `FROM call_revisions`), "\n")
		for _, p := range providers {
			u.private[p].notIn(t, numbers+": the output", string(out))
			u.private[p].storedIn(t, numbers, stored)
		}
		noKeys(t, string(out)+stored)
	}
}

// storedIn fails where a row holds what it should not, and shows that row alone.
func (s *private) storedIn(t *testing.T, how, rows string) {
	t.Helper()
	shown := 0
	for row := range strings.Lines(rows) {
		if found := s.in(row); found != "" && shown < 3 {
			t.Errorf("%s: %q is stored: %.900s", how, found, row)
			shown++
		}
	}
}
