package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// syncd builds the binary, once for all that is measured.
func syncd(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "syncd")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", binary, "syncd/cmd/syncd").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

func TestTheRealBinaryIsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the binary")
	}
	binary := syncd(t)
	const sources = 6
	s, err := NewSite(t.Context(), sources, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.dir); err == nil {
			t.Errorf("%s is still there", s.dir)
		}
	})
	if err := s.Sync(t.Context(), binary); err != nil {
		t.Fatal(err)
	}
	if s.asked.Load() < sources {
		t.Errorf("%d requests: not every source was asked", s.asked.Load())
	}
	for _, args := range [][]string{{"version"}, {"status", "-c", s.Config}} {
		got, err := Start(t.Context(), 2, binary, args...)
		if err != nil {
			t.Fatal(err)
		}
		if got.Fastest <= 0 || got.Median < got.Fastest || got.CPU < 0 {
			t.Errorf("%v: %+v", args, got)
		}
	}
	got, err := MeasureIdle(t.Context(), binary, s, 0, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if got.Sources != sources || got.RSS < 1<<20 || got.Peak < got.RSS || got.For < time.Second || got.CPU < 0 || got.CPU > 2 {
		t.Errorf("%+v", got)
	}
}

func TestACommandThatFailsIsNotMeasured(t *testing.T) {
	_, err := Start(t.Context(), 1, "sh", "-c", "echo why >&2; exit 1")
	if err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("error %v, want one with what the command said", err)
	}
}

func TestWhatTheSystemTellsOfAProcess(t *testing.T) {
	cpu, err := processorTime([]byte("1 (a ) b) S 1 1 1 0 -1 4194560 1 0 0 0 150 25 0 0 20 0"))
	if err != nil || cpu != 1750*time.Millisecond {
		t.Errorf("%v, %v", cpu, err)
	}
	rss, err := kilobytes([]byte("VmHWM:\t   2 kB\nVmRSS:\t   1 kB\n"), "VmRSS:")
	if err != nil || rss != 1024 {
		t.Errorf("%v, %v", rss, err)
	}
	if _, err := kilobytes(nil, "VmRSS:"); err == nil {
		t.Error("nothing was told, and that was no error")
	}
}
