package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// glance is a process at a moment, as the system tells of it.
type glance struct {
	at        time.Time
	rss, peak int64
	cpu       time.Duration
}

// look reads /proc.
func look(pid int) (g glance, err error) {
	dir := "/proc/" + strconv.Itoa(pid)
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return g, err
	}
	g.at = time.Now()
	if g.rss, err = kilobytes(status, "VmRSS:"); err != nil {
		return g, err
	}
	if g.peak, err = kilobytes(status, "VmHWM:"); err != nil {
		return g, err
	}
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return g, err
	}
	g.cpu, err = processorTime(stat)
	return g, err
}

// kilobytes finds a line such as "VmRSS:   1234 kB".
func kilobytes(status []byte, name string) (int64, error) {
	for line := range bytes.Lines(status) {
		if f := strings.Fields(string(line)); len(f) == 3 && f[0] == name && f[2] == "kB" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("the system tells no %s of the process", name)
}

// processorTime reads the user and system time of a process from its stat, which counts in hundredths of a second. The second field may hold
// spaces, and ends with the last parenthesis.
func processorTime(stat []byte) (time.Duration, error) {
	const user, system = 11, 12 // after the second field, from 0
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= system {
		return 0, fmt.Errorf("the system tells no times of the process: %q", stat)
	}
	var sum time.Duration
	for _, at := range []int{user, system} {
		n, err := strconv.ParseInt(fields[at], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum, nil
}
