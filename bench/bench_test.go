package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"syncd/internal/fakeapi"
)

// TestMain lets the test's own binary be the child processes, as the command's is.
func TestMain(m *testing.M) {
	if isChild, err := child(context.Background(), os.Args[1:], os.Stdin, os.Stdout); isChild {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestLoadingIsMeasuredFromMemoryAndOverHTTP(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the binary")
	}
	dir, err := os.MkdirTemp("", "") // the test's own would have too long a path for syncd's socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
	var out, progress bytes.Buffer
	if err := bench(t.Context(), []string{"-only", "^memory/|^http/voicy$", "-scale", "0.0001", "-rounds", "1", "-markdown"}, &out, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	lines := map[string]int{}
	for line := range strings.Lines(out.String()) {
		if cells := strings.Split(line, " | "); len(cells) == 7 {
			lines[strings.TrimPrefix(cells[0], "| ")]++
		}
	}
	want := map[string]int{
		"experiment": 1, "----------": 1, "memory/millis": 4, "memory/burki": 4, "memory/voicy": 4, "http/voicy": 1,
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("lines of the table (-want +got):\n%s\n%s", diff, out.String())
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
		t.Errorf("%v is left behind, %v", left, err)
	}
}

func TestAnExperimentThatFailsLeavesTheOthersTheirTurns(t *testing.T) {
	l := lab{Dir: t.TempDir(), Rounds: 1, Scale: 0.0001}
	_, err := apart(t.Context(), experiment{name: "start"}, lab{Dir: filepath.Join(l.Dir, "a"), Binary: "/nowhere", Rounds: 1, Scale: l.Scale}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("the error of a process that could not measure is %v", err)
	}
	if _, err := apart(t.Context(), experiment{name: "none such"}, lab{Dir: filepath.Join(l.Dir, "b")}, io.Discard); err == nil {
		t.Error("a process that ended without a word was no error")
	}
}

func TestAQuestionThatWasNotPreparedIsAnError(t *testing.T) {
	a := newAnswers(fakeapi.Burki, 20)
	ask := func(skip int) error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://provider.test%s/calls?skip=%d&limit=5", a.base, skip), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		answer, err := a.RoundTrip(r)
		if err != nil {
			return err
		}
		return answer.Body.Close()
	}
	if err := ask(0); err != nil {
		t.Fatal(err)
	}
	a.prepared()
	if err := errors.Join(ask(0), a.asked().check()); err != nil {
		t.Errorf("one that was prepared: %v", err)
	}
	if err := ask(5); !errors.Is(err, errUnprepared) || a.asked().check() == nil {
		t.Errorf("one that was not: %v, and then %v", err, a.asked().check())
	}
}

func TestAProviderEndsWithWhoeverStartedIt(t *testing.T) {
	s, err := serve(t.Context(), lab{Dir: t.TempDir()}, serving{Provider: fakeapi.Voicy, Calls: 10})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.asked(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.close(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if _, err := s.asked(t.Context()); err == nil {
		t.Error("it still answers")
	}
}

func TestFiguresAreHeldAgainstTheirBars(t *testing.T) {
	for _, c := range []struct {
		bar    *bar
		figure float64
		want   string
	}{
		{atLeast(0.45, 0.75), 0.44, "MISSED"}, {atLeast(0.45, 0.75), 0.45, "met"}, {atLeast(0.45, 0.75), 0.8, "reached"},
		{atMost(2, 1.2), 2.1, "MISSED"}, {atMost(2, 1.2), 1.3, "met"}, {atMost(2, 1.2), 1.2, "reached"},
		{atMost(0, 0), 0, "reached"}, {atMost(0, 0), 1, "MISSED"}, {nil, 1, ""},
	} {
		if got := c.bar.verdict(c.figure); got != c.want {
			t.Errorf("%v against %+v is %q, want %q", c.figure, c.bar, got, c.want)
		}
	}
	r := row{Experiment: "e", What: "w", Unit: times, Figures: samples{3, 1, 2.5, 2}.over(samples{1, 1, 1, 1}), Bar: atMost(2, 1.2), Beside: "b"}
	want := []string{"e", "w", "2.25x (1.00x – 3.00x)", "≤ 2.00x", "≤ 1.20x", "MISSED", "b"}
	if diff := cmp.Diff(want, r.cells()); diff != "" {
		t.Errorf("a line (-want +got):\n%s", diff)
	}
}

func TestFlagsThatCannotBeFollowedAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-scale", "0"}, {"-only", "("}, {"-only", "no such experiment"}, {"memory"}, {"-none"}} {
		var said strings.Builder
		if _, err := parse(args, &said); !errors.As(err, new(usageError)) || said.Len() == 0 {
			t.Errorf("%q: error %v, and it says %q", args, err, said.String())
		}
	}
}
