package httpapi

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// bomb is a gzip stream of so many MiB of zeros: one stream of 16 MiB, as often as it takes.
func bomb(t *testing.T, mebibytes int) []byte {
	t.Helper()
	var one bytes.Buffer
	z := gzip.NewWriter(&one)
	_, err := io.CopyN(z, zeros{}, 16<<20)
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Repeat(one.Bytes(), mebibytes/16)
}

// TestABombIsCutOffAndCostsNoMemory: an answer of a megabyte that would become a gigabyte. It is not asked for again, as it would be the same.
func TestABombIsCutOffAndCostsNoMemory(t *testing.T) {
	small := bomb(t, 1<<10)
	if len(small) > 2<<20 {
		t.Fatalf("the bomb has %d bytes: it shows little", len(small))
	}
	for _, status := range []int{200, 400} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(status)
			_, _ = w.Write(small) // the client hangs up in the midst of it
		})
		c := newClient(t, s.URL, Config{MaxBody: 4 << 20})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		resp, err := c.Do(t.Context(), Request{Method: "GET", Path: "/"})
		runtime.ReadMemStats(&after)
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 32 {
			t.Errorf("status %d: %d MiB were allocated for an answer of at most 4", status, used)
		}
		if status == 400 { // a refusal is one, however long its text
			if err != nil || len(resp.Body) > maxRefusal+1 {
				t.Errorf("status %d: %d bytes, error %v", status, len(resp.Body), err)
			}
			continue
		}
		if e := wantError(t, err, Unusable); e.Reason != "the answer is larger than 4194304 bytes" || c.Requests() != 1 {
			t.Errorf("reason is %q, asked %d times", e.Reason, c.Requests())
		}
	}
}

// TestACompressedAnswerThatBreaksOffIsNoAnswer, be it in the midst of the stream or in what proves it whole.
func TestACompressedAnswerThatBreaksOffIsNoAnswer(t *testing.T) {
	var whole bytes.Buffer
	z := gzip.NewWriter(&whole)
	if _, err := io.WriteString(z, `{"calls":[],"total_count":0}`); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	broken := bytes.Clone(whole.Bytes())
	broken[len(broken)-6] ^= 1 // of its checksum
	for name, body := range map[string][]byte{"cut": whole.Bytes()[:whole.Len()-9], "without its end": whole.Bytes()[:whole.Len()-8], "spoilt": broken, "none": []byte("{}")} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(body)
		})
		_, err := newClient(t, s.URL, Config{Attempts: 1}).Do(t.Context(), Request{Method: "GET", Path: "/"})
		if e := wantError(t, err, Unavailable); !strings.HasPrefix(e.Reason, "the answer broke off after ") {
			t.Errorf("%s: reason is %q", name, e.Reason)
		}
	}
}

func TestHeadersAreBounded(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 64 {
			w.Header().Add("X-Padding", strings.Repeat("x", 64<<10))
		}
	})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := newClient(t, s.URL, Config{Attempts: 1}).Do(t.Context(), Request{Method: "GET", Path: "/"})
	runtime.ReadMemStats(&after)
	wantError(t, err, Unavailable)
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 40 { // the server's share included, which is most of it
		t.Errorf("%d MiB were allocated for 4 MiB of headers", used)
	}
}

// TestABodyThatTricklesIsEndedByTheTimeout: something always arrives, so that a limit on silence alone would never end it.
func TestABodyThatTricklesIsEndedByTheTimeout(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				return
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
	begun := time.Now()
	_, err := newClient(t, s.URL, Config{Timeout: 100 * time.Millisecond, Attempts: 1}).Do(t.Context(), Request{Method: "GET", Path: "/"})
	if e := wantError(t, err, Unavailable); !strings.Contains(e.Reason, "no whole answer within 100ms") {
		t.Errorf("reason is %q", e.Reason)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
