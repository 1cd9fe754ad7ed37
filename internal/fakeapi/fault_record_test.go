package fakeapi_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"syncd/internal/fakeapi"
)

// recordKinds are the kinds that break records.
func recordKinds() []fakeapi.Kind {
	return slices.DeleteFunc(fakeapi.Kinds(), func(k fakeapi.Kind) bool { return k < fakeapi.UnknownFields })
}

// TestABrokenRecordIsBrokenWhereverItIsFound: in the list and alone, and every other record is as it was.
func TestABrokenRecordIsBrokenWhereverItIsFound(t *testing.T) {
	for _, p := range all {
		o := options(p, 20)
		fake := fakeapi.New(o)
		at := 7
		if p == fakeapi.Voicy { // some of whose calls hold no text and no object
			at = slices.IndexFunc(fake.All(), func(id string) bool { r, _ := fake.Call(id); return strings.Contains(r.List, `"agent":{`) })
		}
		id, neighbour := fake.All()[at], fake.All()[at+1]
		method, path, body, _ := page(p, 20)
		_, answer := try(t, fake, method, path, body, p)
		right := rowTexts(t, p, answer)
		for _, k := range recordKinds() {
			remove := fake.Inject(fakeapi.Fault{Kind: k, ID: id, Size: 1000})
			_, answer := try(t, fake, method, path, body, p)
			for i, row := range right {
				whole := strings.Contains(answer, row) && !strings.Contains(answer, "["+row+"]")
				if whole != (i != at || blameless(p, k)) {
					t.Errorf("%s: %s: row %d whole: %v", p, k, i, whole)
				}
			}
			_, alone := try(t, fake, "GET", detail(p, id), "", p)
			_, other := try(t, fake, "GET", detail(p, neighbour), "", p)
			remove()
			if k == fakeapi.HugeTranscript && p == fakeapi.Burki {
				continue // has its transcripts elsewhere
			}
			if _, sound := try(t, fake, "GET", detail(p, id), "", p); p != fakeapi.Voicy && alone == sound || alone == "" {
				t.Errorf("%s: %s: the call alone is as it was: %.200s", p, k, alone)
			}
			if n := fake.Injected()[k]; n != map[bool]int{true: 1, false: 2}[blameless(p, k)] {
				t.Errorf("%s: %s: broke %d answers", p, k, n)
			}
			if _, sound := try(t, fake, "GET", detail(p, neighbour), "", p); p != fakeapi.Voicy && other != sound { // whose signature is never the same
				t.Errorf("%s: %s: another call alone is not as it was", p, k)
			}
		}
	}
}

// rowTexts are the rows of a sound page as they stand on the wire.
func rowTexts(t *testing.T, p fakeapi.Provider, body string) []string {
	t.Helper()
	return texts(decode(t, p, body).rows)
}

// TestOneRecordIsChosenOnce by the seed, and stays chosen in every answer.
func TestOneRecordIsChosenOnce(t *testing.T) {
	for _, p := range all {
		fake := fakeapi.New(options(p, 20))
		method, path, body, _ := page(p, 20)
		chosen := map[string]bool{}
		for seed := range uint64(12) {
			var broken []string
			for range 2 {
				remove := fake.Inject(fakeapi.Fault{Kind: fakeapi.UnknownFields, One: true, Seed: seed})
				for range 3 {
					_, answer := try(t, fake, method, path, body, p)
					for i, row := range decode(t, p, answer).rows {
						if strings.Contains(string(row), "x_trace") {
							broken = append(broken, fake.All()[i])
						}
					}
				}
				if _, alone := try(t, fake, "GET", detail(p, broken[0]), "", p); !strings.Contains(alone, "x_trace") {
					t.Errorf("%s: the one that is broken in the list is not broken alone", p)
				}
				remove()
			}
			if len(broken) != 6 || len(slices.Compact(broken)) != 1 {
				t.Errorf("%s: seed %d: broken are %v, want one record six times", p, seed, broken)
			}
			chosen[broken[0]] = true
		}
		if len(chosen) < 4 {
			t.Errorf("%s: twelve seeds choose %d records", p, len(chosen))
		}
	}
}

// TestBurkisPartsAreBrokenWithTheirCall and the parts of other calls are not.
func TestBurkisPartsAreBrokenWithTheirCall(t *testing.T) {
	fake := fakeapi.New(options(fakeapi.Burki, 30))
	var talked []string // with a transcript, a recording and costs
	for _, id := range fake.All() {
		if r, _ := fake.Call(id); r.Transcripts != "[]" && r.Recordings != "[]" && r.Costs != "" {
			talked = append(talked, id)
		}
	}
	for _, k := range recordKinds() {
		remove := fake.Inject(fakeapi.Fault{Kind: k, ID: talked[0], Size: 1000})
		for _, part := range []string{"/transcripts", "/recordings"} {
			_, broken := try(t, fake, "GET", detail(fakeapi.Burki, talked[0])+part, "", fakeapi.Burki)
			_, whole := try(t, fake, "GET", detail(fakeapi.Burki, talked[1])+part, "", fakeapi.Burki)
			record, _ := fake.Call(talked[0])
			_, original := try(t, fakeapi.New(options(fakeapi.Burki, 30)), "GET", detail(fakeapi.Burki, talked[0])+part, "", fakeapi.Burki)
			nothing := part == "/recordings" && (k == fakeapi.HugeTranscript || k == fakeapi.LoneSurrogates || k == fakeapi.InvalidUTF8 || k == fakeapi.ObjectsAsStrings)
			nothing = nothing || k == fakeapi.ObjectsAsStrings && !strings.Contains(record.Transcripts, ":{")
			if (broken == original) != nothing || !json.Valid([]byte(whole)) {
				t.Errorf("%s: %s of the call: %.200s", k, part, broken)
			}
		}
		remove()
	}
}

// TestAHugeTranscriptIsMadeWhileItIsSent: of fifty megabytes without a word, at each provider where it keeps its transcripts, and JSON all through.
func TestAHugeTranscriptIsMadeWhileItIsSent(t *testing.T) {
	for _, p := range all {
		fake := fakeapi.New(options(p, 30))
		id := ""
		for _, each := range fake.All() {
			if r, _ := fake.Call(each); strings.Contains(r.List, "completed") || p != fakeapi.Burki {
				id = each
				break
			}
		}
		path := detail(p, id)
		if p == fakeapi.Burki {
			path += "/transcripts"
		}
		fake.Inject(fakeapi.Fault{Kind: fakeapi.HugeTranscript})
		for name, client := range networks(t, fake) {
			res, err := client.Do(authorized(t, t.Context(), p, "GET", path, ""))
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, bufio.NewReaderSize(res.Body, 1<<16))
			res.Body.Close()
			if err != nil || n < 50_000_000 || n != res.ContentLength || n > 51_000_000 {
				t.Errorf("%s %s: %d bytes of %d: %v", p, name, n, res.ContentLength, err)
			}
		}
		fake.Heal()
		fake.Inject(fakeapi.Fault{Kind: fakeapi.HugeTranscript, Size: 50_000})
		got := see(t, memory(fake), p, "GET", path, "")
		if !json.Valid([]byte(got.body)) || len(got.body) < 50_000 || fake.Injected()[fakeapi.HugeTranscript] != 3 {
			t.Errorf("%s: of 50 KB: %d bytes: %.200s", p, len(got.body), got.body)
		}
	}
}

// TestARecordThatIsNoJSONIsLeftAlone, and so is an answer that holds no record.
func TestARecordThatIsNoJSONIsLeftAlone(t *testing.T) {
	fake := fakeapi.New(options(fakeapi.Millis, 3))
	if err := fake.Insert(fakeapi.Record{At: since, List: `{"session_id":"odd","x":NaN}`}); err != nil {
		t.Fatal(err)
	}
	fake.Inject(fakeapi.Fault{Kind: fakeapi.NullFields})
	for _, path := range []string{detail(fakeapi.Millis, "odd"), detail(fakeapi.Millis, "nobody"), "/nowhere"} {
		try(t, fake, "GET", path, "", fakeapi.Millis)
	}
	if n := fake.Injected()[fakeapi.NullFields]; n != 0 {
		t.Errorf("%d answers broken, want none", n)
	}
	if code, _ := try(t, fake, "GET", "/call-logs", "", fakeapi.Millis); code != http.StatusOK {
		t.Errorf("the list with it: %d", code)
	}
}
