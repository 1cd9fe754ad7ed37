package pipeline_test

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"syncd/internal/fakeapi"
	"syncd/internal/transform"
)

// numbered adds calls whose ids are phone numbers, and returns the ids.
func (l *life) numbered(n int, at time.Time) (ids []string) {
	l.t.Helper()
	for i := range n {
		id, at := fmt.Sprintf("+1555123%04d", i), at.Add(time.Duration(i)*time.Second)
		list := `{"call_id":"` + id + `","call_type":"web_call","call_status":"ended","agent":null,"start_timestamp":` + strconv.FormatInt(at.UnixMilli(), 10) + `,"duration_ms":3000}`
		if err := l.fake.Insert(fakeapi.Record{At: at, List: list}); err != nil {
			l.t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// private reads the source's records by a policy from now on.
func (l *life) private(p transform.Privacy) {
	l.t.Helper()
	means, err := transform.New(transform.Options{Source: l.source.Name, Provider: l.source.Provider, Privacy: p})
	if err != nil {
		l.t.Fatal(err)
	}
	l.means, l.source.Transform = means, means
}

// asksFor lists the ids of the single calls that were asked for.
func (l *life) asksFor() (ids []string) {
	for _, r := range l.fake.Requests() {
		if strings.Contains(r.Path, "/call-get/") {
			ids = append(ids, path.Base(r.Path))
		}
	}
	return ids
}

// manyTokens is more ids than there may be answers in a row that cannot be read.
const manyTokens = 30

var hashing = transform.Privacy{Numbers: transform.NumbersHash, HashKey: []byte("a key of the test's"), Transcripts: transform.TranscriptsKeep}

func TestDetailsOfACallWhoseIDIsReplacedAreNeverAskedFor(t *testing.T) {
	inBubble(t, fakeapi.Voicy, 20, settledCalls, func(l *life) {
		l.private(hashing)
		l.numbered(manyTokens, l.after(-9*time.Hour)) // they are the oldest, and so the last that are looked at
		l.sync(withDetails)
		l.tick(withDetails, 25*time.Hour, 4*24*time.Hour)
		if asked := l.asksFor(); len(asked) != 20 || slices.ContainsFunc(asked, func(id string) bool { return strings.HasPrefix(id, "id_") }) {
			l.t.Errorf("asked for were %q, want the 20 calls whose ids are the provider's", asked)
		}
		l.expect(`SELECT count(*) FROM calls WHERE call_id LIKE 'id\_%' ESCAPE '\' AND deleted_at IS NULL`, strconv.Itoa(manyTokens))
		l.expect(`SELECT DISTINCT state, attempts, retry_at IS NULL, error LIKE 'privacy.phone_numbers: hash %' FROM sync.details WHERE call_id LIKE 'id\_%' ESCAPE '\'`,
			"failed | 1 | true | true")
		l.expect(`SELECT count(*) FROM raw_calls WHERE part = 'detail'`, "20")
	})
}

// TestCallsWhoseIDsAreNumbersAreAskedForWhereTheyAreKept is what shows that the others would be.
func TestCallsWhoseIDsAreNumbersAreAskedForWhereTheyAreKept(t *testing.T) {
	inBubble(t, fakeapi.Voicy, 20, settledCalls, func(l *life) {
		ids := l.numbered(manyTokens, l.after(-6*time.Hour))
		l.sync(withDetails)
		asked := l.asksFor()
		for _, id := range ids {
			if !slices.Contains(asked, id) {
				l.t.Errorf("%s was not asked for", id)
			}
		}
	})
}

func TestACallWhoseIDIsReplacedIsNeverAskedForAndSoNeverMarkedAsDeleted(t *testing.T) {
	inBubble(t, fakeapi.Voicy, 100, settledCalls, func(l *life) {
		l.private(hashing)
		numbered := l.numbered(3, l.after(-6*time.Hour))
		l.sync(everything)
		known := l.fake.All()[50]
		for _, id := range append(numbered, known) {
			l.fake.Remove(id)
		}
		l.sleepUntil(26 * time.Hour)
		l.sync(everything)
		if !slices.Equal(l.marked(), []string{known}) || !slices.Equal(l.asksFor(), []string{known}) {
			l.t.Errorf("marked are %q, asked for were %q, want the one whose id is the provider's", l.marked(), l.asksFor())
		}
		l.expect(`SELECT count(*) FROM calls WHERE call_id LIKE 'id\_%' ESCAPE '\'`, "3")
		l.expect(`SELECT since FROM sync.windows WHERE state = 'open'`)
	})
}
